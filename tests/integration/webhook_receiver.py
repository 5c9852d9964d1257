"""An HTTPS server that receives webhooks and answers as a test tells it."""
import base64
import hashlib
import hmac
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """answers: statuses, or functions that are called with the request, for
    the next deliveries; afterwards 200. received: what came, in order."""

    def __init__(self, cert, key):
        self.answers, self.received = [], []
        self.lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                with receiver.lock:
                    receiver.received.append((dict(self.headers), body))
                    answer = receiver.answers.pop(0) if receiver.answers \
                        else 200
                if callable(answer):
                    answer = answer(self)
                self.send_response(answer)
                if answer // 100 == 3:
                    self.send_header('Location', '/elsewhere')
                self.send_header('Content-Length', '0')
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.server.socket = context.wrap_socket(self.server.socket,
                                                 server_side=True)
        self.port = self.server.server_address[1]
        self.url = f'https://localhost:{self.port}/hook'
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def events(self):
        with self.lock:
            return [json.loads(body) for _, body in self.received]

    def ids(self):
        with self.lock:
            return [headers['webhook-id'] for headers, _ in self.received]


def signature(secret, headers, body):
    """What webhook-signature has to be, by the specification alone."""
    key = base64.b64decode(secret.removeprefix('whsec_'))
    text = (f'{headers["webhook-id"]}.{headers["webhook-timestamp"]}.'
            ).encode() + body
    return 'v1,' + base64.b64encode(
        hmac.new(key, text, hashlib.sha256).digest()).decode()
