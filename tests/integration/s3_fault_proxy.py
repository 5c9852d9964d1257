"""A proxy between storage and an S3 server that does to requests what
networks and servers do. Requests keep their Host header, so signatures hold.

    proxy = FaultProxy(ceph.port)
    proxy.plan(['cut-request', '503', 'pass', 'wrong-etag'])
    proxy.always('stall', lambda method, path: 'partNumber' in path)
    proxy.seen            # [(method, path, fault)] in order
"""
import collections
import http.client
import random
import re
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULTS = ['cut-request', 'cut-answer', 'lose-answer', '500', '503', '429',
          '400', 'wrong-etag', 'expired-token']
CODES = {'500': 'InternalError', '503': 'SlowDown', '429': 'TooManyRequests',
         '400': 'RequestTimeout'}


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def cut(self):
        """A reset, as of a host that is gone."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack('ii', 1, 0))
        self.close_connection = True
        self.rfile.close()
        self.wfile.close()
        self.connection.close()

    def refuse(self, status, code, **headers):
        body = f'<Error><Code>{code}</Code></Error>'.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace('_', '-'), value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def serve(self):
        proxy = self.server.proxy
        fault = proxy.next(self.command, self.path)
        length = int(self.headers.get('Content-Length') or 0)
        if fault == 'cut-request':
            self.rfile.read(proxy.random.randrange(length) if length else 0)
            return self.cut()
        body = self.rfile.read(length)
        if fault == 'stall':
            proxy.stalled.set()
            proxy.released.wait(120)
            return self.cut()
        if fault in CODES:
            return self.refuse(int(fault), CODES[fault], **(
                {'Retry_After': '1'} if fault == '429' else {}))
        if fault == 'denied':
            return self.refuse(403, 'AccessDenied')
        if fault == 'expired-token':
            return self.refuse(403, 'ExpiredToken')
        self.answer(fault, *self.forward(body))

    def forward(self, body):
        server = http.client.HTTPConnection('127.0.0.1',
                                            self.server.proxy.target)
        server.putrequest(self.command, self.path, skip_host=True,
                          skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ('expect', 'connection'):
                server.putheader(name, value)
        server.endheaders(body)
        answer = server.getresponse()
        data = answer.read()
        server.close()
        return answer, data

    def answer(self, fault, answer, data):
        lines = [f'HTTP/1.1 {answer.status} {answer.reason}']
        for name, value in answer.getheaders():
            if name.lower() == 'etag' and fault == 'wrong-etag':
                value = re.sub('[0-9a-f]{32}', lambda m: m[0][::-1], value)
            if name.lower() not in ('connection', 'transfer-encoding',
                                    'content-length'):
                lines.append(f'{name}: {value}')
        if self.command == 'HEAD':
            size = answer.getheader('Content-Length', '0')
            lines.append(f'Content-Length: {size}')
        elif answer.status != 204:
            lines.append(f'Content-Length: {len(data)}')
        raw = '\r\n'.join(lines + ['', '']).encode('latin-1') + data
        if fault == 'lose-answer':
            return self.cut()
        if fault == 'cut-answer':
            self.wfile.write(raw[:self.server.proxy.random.randrange(
                len(raw))])
            self.wfile.flush()
            self.close_connection = True
            return None
        return self.wfile.write(raw)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = serve


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args):
        pass  # connections that were cut


class FaultProxy:
    def __init__(self, target, seed=1):
        self.target, self.random = target, random.Random(seed)
        self.queue = collections.deque()
        self.rule = None
        self.seen = []
        self.lock = threading.Lock()
        self.stalled, self.released = threading.Event(), threading.Event()
        self.server = Server(('127.0.0.1', 0), Handler)
        self.server.proxy = self
        self.port = self.server.server_port
        self.url = f'http://127.0.0.1:{self.port}'
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    def plan(self, faults):
        """One fault a request; then all pass."""
        self.queue.extend(faults)

    def always(self, fault, applies):
        self.rule = (fault, applies)

    def next(self, method, path):
        with self.lock:
            fault = self.queue.popleft() if self.queue else 'pass'
            if self.rule and self.rule[1](method, path):
                fault = self.rule[0]
            self.seen.append((method, path, fault))
            return fault

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
