"""CloudWatch in the protocol that its newer clients speak (https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html),
in front of moto, which knows the older ones alone."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import cbor2
from botocore import xform_name


def bridge(client):
    """Serves on loopback what `client(region)`, a boto3 client of CloudWatch, answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            asked = cbor2.loads(self.rfile.read(int(self.headers["Content-Length"])))
            region = self.headers["Authorization"].split("/")[2]
            answer = getattr(client(region), xform_name(self.path.rpartition("/")[2]))(**asked)
            del answer["ResponseMetadata"]
            body = cbor2.dumps(answer, datetime_as_timestamp=True)
            self.send_response(200)
            self.send_header("smithy-protocol", "rpc-v2-cbor")
            self.send_header("Content-Type", "application/cbor")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return server
