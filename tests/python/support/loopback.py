"""HTTP servers on the loopback interface."""

from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@contextmanager
def serving(answer, tls=None):
    """Serves POST requests and yields the address of the server, which may have a context of TLS.

    `answer(request, body)` returns the status, the headers and the body of a response.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, body = answer(self, body)
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def region(request):
    """Returns the Region for which a request is signed."""
    return request.headers["Authorization"].split("/")[2]


def access_key(request):
    """Returns the access key with which a request is signed."""
    return request.headers["Authorization"].split("Credential=")[1].split("/")[0]
