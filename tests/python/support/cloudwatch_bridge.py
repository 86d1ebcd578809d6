"""Serves CloudWatch in Smithy RPC v2 CBOR, the protocol of newer SDKs, and forwards to moto, which lacks it.

https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
"""

import cbor2
from botocore import xform_name

from support.loopback import access_key, region, serving
from support.recorded_calls import record


def bridge(client):
    """Serves the answers of `client(region, access_key)`, a boto3 client of the caller's CloudWatch."""

    def answer(request, body):
        name = request.path.rpartition("/")[2]
        record(request.headers, "cloudwatch", name)
        operation = xform_name(name)
        response = getattr(client(region(request), access_key(request)), operation)(**cbor2.loads(body))
        del response["ResponseMetadata"]
        headers = {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}
        return 200, headers, cbor2.dumps(response, datetime_as_timestamp=True)

    return serving(answer)
