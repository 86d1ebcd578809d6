"""CloudWatch in the protocol that its newer clients speak (https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html),
in front of moto, which knows the older ones alone."""

import cbor2
from botocore import xform_name

from support.loopback import region, serving


def bridge(client):
    """Serves what `client(region)`, a boto3 client of CloudWatch, answers."""

    def answer(request, body):
        operation = xform_name(request.path.rpartition("/")[2])
        found = getattr(client(region(request)), operation)(**cbor2.loads(body))
        del found["ResponseMetadata"]
        headers = {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}
        return 200, headers, cbor2.dumps(found, datetime_as_timestamp=True)

    return serving(answer)
