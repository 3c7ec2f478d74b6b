"""An HTTPS server with nothing behind it but files: what ingest's tests make a broker say.

    book_server.py DIR CERT KEY      prints its port, then serves until it is killed

GET .../orders/book and .../limits/ of an account with the bearer TOKEN answer with DIR/TOKEN.book and
DIR/TOKEN.limits: the HTTP status on the first line, the body after it. Each request is a line of
DIR/requests.log: method, path, token, source address. HTTP/1.1 with connections kept open.
"""

import os
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FOLDER, CERT, KEY = sys.argv[1:4]
LOCK = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        if not token.isalnum():
            token = "nobody"
        kind = "book" if self.path.endswith("/orders/book") else "limits"
        with LOCK, open(os.path.join(FOLDER, "requests.log"), "a", encoding="ascii") as log:
            log.write(f"{self.command} {self.path} {token} {self.client_address[0]}\n")
        try:
            with open(os.path.join(FOLDER, f"{token}.{kind}"), "rb") as file:
                status, _, body = file.read().partition(b"\n")
        except FileNotFoundError:
            status, body = b"404", b""
        self.send_response(int(status))
        if status.startswith(b"3"):
            self.send_header("Location", "/elsewhere/orders/book")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # clients are killed in these tests


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERT, KEY)
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_address[1], flush=True)
    server.serve_forever()


main()
