"""An S3 server of few rules for what Ceph's does not show: ETags of other
forms, of parts as well, keys that may list nothing, tokens that end, a clock
that differs, pauses that it asks for. It keeps objects in memory and checks
MD5s, not signatures.

    server = S3Peer(etag=str.upper, denied={'list-parts'})
    server.url, server.objects, server.puts      # (key, part) in order
"""
import base64
import datetime
import email.utils
import hashlib
import re
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def _error(code):
    return f'<Error><Code>{code}</Code><Message>peer</Message></Error>'


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def answer(self, status, body='', **headers):
        if isinstance(body, str):
            body = body.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace('_', '-'), value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def refuse(self, status, code, **headers):
        self.answer(status, _error(code), **headers)

    def date_time_string(self, timestamp=None):
        return email.utils.formatdate(time.time() + self.server.peer.ahead_s,
                                      usegmt=True)

    def parse_request(self):
        """False: it was refused before anything else."""
        return super().parse_request() and not self.is_refused()

    def is_refused(self):
        peer = self.server.peer
        peer.times.append((time.monotonic(), self.command))
        peer.traces.append((self.path, self.headers['traceparent']))
        token = self.headers['x-amz-security-token']
        if token:
            peer.tokens.add(token)
        if peer.host and self.headers['Host'] != peer.host:
            return self.refuse_body(404, 'NoSuchBucket')
        if peer.token and token != peer.token:
            return self.refuse_body(400, 'ExpiredToken')
        at = datetime.datetime.strptime(
            self.headers['x-amz-date'] + '+0000', '%Y%m%dT%H%M%SZ%z')
        if abs(at.timestamp() - time.time() - peer.ahead_s) > 900:
            return self.refuse_body(403, 'RequestTimeTooSkewed')
        for i, (method, seconds) in enumerate(peer.busy):
            if method == self.command:
                del peer.busy[i]
                return self.refuse_body(503, 'SlowDown',
                                        Retry_After=str(seconds))
        return False

    def refuse_body(self, status, code, **headers):
        """With its body read, so that the connection stays of use."""
        if self.headers.get('Expect'):
            self.send_response_only(100)
            self.end_headers()
        self.body()
        self.refuse(status, code, **headers)
        return True

    def split(self):
        url = urllib.parse.urlsplit(self.path)
        key = urllib.parse.unquote(url.path)[1:]
        if not self.server.peer.host:  # else the bucket is in it
            key = key.partition('/')[2]
        query = dict(urllib.parse.parse_qsl(url.query,
                                            keep_blank_values=True))
        return self.server.peer, key, query

    def body(self):
        peer, data = self.server.peer, bytearray()
        length = int(self.headers.get('Content-Length') or 0)
        while len(data) < length:
            piece = self.rfile.read1(length - len(data))
            if not piece:
                break
            data += piece
            peer.received[self.path] = len(data)
        if length > 0 and 'partNumber' in self.path and not peer.at_first_end:
            peer.at_first_end.update(peer.received)
        return bytes(data)

    def do_GET(self):
        peer, key, query = self.split()
        if 'uploads' in query:
            if 'list-uploads' in peer.denied:
                return self.refuse(403, 'AccessDenied')
            return self.answer(200, '<ListMultipartUploadsResult/>')
        if 'uploadId' in query:
            if 'list-parts' in peer.denied:
                return self.refuse(403, 'AccessDenied')
            parts = peer.uploads[query['uploadId']]
            return self.answer(200, ''.join(
                f'<Part><PartNumber>{n}</PartNumber><ETag>"'
                f'{peer.etag_of(d)}"</ETag><Size>{len(d)}</Size></Part>'
                for n, d in sorted(parts.items())))
        if key not in peer.objects:
            if 'list' in peer.denied:
                return self.refuse(403, 'AccessDenied')
            return self.refuse(404, 'NoSuchKey')
        data, etag, sha256 = peer.objects[key]
        self.answer(206, data[:1], ETag=f'"{etag}"',
                    Content_Range=f'bytes 0-0/{len(data)}',
                    x_amz_meta_sha256=sha256)

    def do_HEAD(self):
        """Of an object: as GET, all of it, without its bytes."""
        peer, key, _ = self.split()
        data, etag, sha256 = peer.objects.get(key, (b'', None, None))
        self.send_response(200 if etag else
                           403 if 'list' in peer.denied else 404)
        if etag:
            self.send_header('ETag', f'"{etag}"')
            self.send_header('x-amz-meta-sha256', sha256)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()

    def do_PUT(self):
        peer, key, query = self.split()
        data = self.body()
        number = int(query.get('partNumber', 0))
        md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
        if self.headers['Content-MD5'] != md5:
            return self.refuse(400, 'BadDigest')
        if number != 0 and number == peer.fail_part:
            return self.refuse(503, 'SlowDown')
        if not number and self.is_condition_false(key):
            return self.refuse(412, 'PreconditionFailed')
        if number and peer.barrier:
            peer.barrier.wait()
        peer.puts.append((key, number))
        if number:
            peer.uploads[query['uploadId']][number] = data
        else:
            peer.objects[key] = (data, peer.etag_of(data),
                                 self.headers['x-amz-meta-sha256'])
        self.answer(200, ETag=f'"{peer.etag_of(data)}"')

    def is_condition_false(self, key):
        """Of If-None-Match: * and If-Match, where the peer knows them."""
        peer = self.server.peer
        if peer.before_write:
            peer.before_write(key)
        if not peer.conditions:
            return False
        etag = f'"{peer.objects[key][1]}"' if key in peer.objects else None
        wanted = self.headers['If-Match']
        peer.asked.append((self.headers['If-None-Match'], wanted))
        return (self.headers['If-None-Match'] == '*' and etag is not None or
                wanted is not None and wanted != etag)

    def do_POST(self):
        peer, key, query = self.split()
        body = self.body().decode()
        if 'uploadId' in query and self.is_condition_false(key):
            return self.refuse(412, 'PreconditionFailed')
        if 'uploads' in query:
            name = f'upload-{len(peer.uploads)}'
            peer.uploads[name] = {}
            peer.sha256[name] = self.headers['x-amz-meta-sha256']
            return self.answer(200, f'<UploadId>{name}</UploadId>')
        parts = peer.uploads.get(query['uploadId'])
        if parts is None:
            return self.refuse(404, 'NoSuchUpload')
        named = re.findall(r'<PartNumber>(\d+)</PartNumber><ETag>([^<]*)',
                           body)
        if any(peer.etag_of(parts.get(int(n), b'')) != e for n, e in named):
            return self.refuse(400, 'InvalidPart')
        data = b''.join(parts[int(n)] for n, _ in named)
        digests = b''.join(hashlib.md5(parts[int(n)]).digest()
                           for n, _ in named)
        peer.objects[key] = (
            data, f'{peer.etag_of(digests)}-{len(named)}',
            peer.sha256[query['uploadId']])
        del peer.uploads[query['uploadId']]
        self.answer(200, '<CompleteMultipartUploadResult/>')

    def do_DELETE(self):
        peer, key, query = self.split()
        if 'uploadId' in query:
            peer.uploads.pop(query['uploadId'], None)
        else:
            peer.objects.pop(key, None)
        self.answer(204)


class S3Peer:
    def __init__(self, etag=str.lower, denied=()):
        self.change, self.denied = etag, set(denied)
        self.objects, self.uploads, self.sha256 = {}, {}, {}
        self.puts = []
        self.fail_part = None
        self.token = None    # the only one that is good
        self.host = None     # the only Host, with the bucket in front
        self.ahead_s = 0     # of the clock
        self.busy = []       # (method, Retry-After): one request each
        self.barrier = None  # passed by all parts together
        self.conditions = False  # If-None-Match and If-Match on writes
        self.asked = []          # (If-None-Match, If-Match)
        self.before_write = None  # called with the key
        self.tokens, self.times = set(), []
        self.traces = []        # (path, traceparent) of each request
        self.received = {}      # bytes of bodies, by path
        self.at_first_end = {}  # the same, when the first part was there
        self.server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.peer = self
        self.url = f'http://127.0.0.1:{self.server.server_port}'
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    def etag_of(self, data):
        return self.change(hashlib.md5(data).hexdigest())

    def close(self):
        self.server.shutdown()
        self.server.server_close()
