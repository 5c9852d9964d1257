"""A storage that takes captures (docs/agent-protocol.md, "Captures") and
fails where a test wants it to; none of the project's code. Each connection is
served by a thread; what arrived before a cut is kept, as tus wants it."""
import base64
import hashlib
import socket
import ssl
import threading

LIMIT_S = 60


class Upload:
    def __init__(self, length, digest):
        self.length, self.digest = length, digest
        self.data = bytearray()


class TusPeer:
    """fault(peer, method, id): a full answer as bytes instead of the right
    one, or None. cuts: the connection is reset when so many bytes of bodies
    have come altogether, smallest first."""

    def __init__(self, pem, key, client_pem, listener=None):
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(pem, key)
        self.tls.set_alpn_protocols(['relaycam-capture/1'])
        self.tls.load_verify_locations(client_pem)
        self.tls.verify_mode = ssl.CERT_REQUIRED
        self.changed = threading.Condition()
        self.uploads, self.whole, self.asked = {}, {}, []
        self.n_bytes = 0     # of bodies, all connections
        self.n_now = self.n_most = 0  # connections that send
        self.cuts, self.fault = [], lambda peer, method, name: None
        self.errors = []
        self.listener = listener or socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def wait(self, what):
        """Until what() is true, asked whenever something has changed."""
        with self.changed:
            assert self.changed.wait_for(what, LIMIT_S), (
                self.asked, self.n_bytes, self.errors)

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,),
                             daemon=True).start()

    def _serve(self, sock):
        sock.settimeout(LIMIT_S)
        try:
            with self.tls.wrap_socket(sock, server_side=True) as s:
                while self._request(s):
                    pass
        except OSError:
            pass
        except Exception as e:  # shown by wait()
            self.errors.append(repr(e))

    def _request(self, s):
        head = b''
        while b'\r\n\r\n' not in head:
            part = s.recv(1)  # what follows is a body's
            if part == b'':
                return False
            head += part
        lines = head.decode().split('\r\n')
        method, path, version = lines[0].split(' ')
        fields = {}
        for line in lines[1:-2]:
            field, value = line.split(': ', 1)
            fields[field.lower()] = value
        assert version == 'HTTP/1.1' and fields['tus-resumable'] == '1.0.0'
        name = path.removeprefix('/captures').strip('/')
        if method == 'POST':
            meta = dict(part.split(' ') for part in
                        fields['upload-metadata'].split(','))
            name = base64.b64decode(meta['capture']).decode()
            assert base64.b64decode(meta['encryption']) == b'secretstream'
        with self.changed:
            self.asked.append((method, name))
            self.changed.notify_all()
        answer = self.fault(self, method, name)
        if answer is None:
            answer = getattr(self, method.lower())(s, name, fields)
        if answer is None:
            return False
        s.sendall(answer)
        with self.changed:
            self.changed.notify_all()
        return b'Connection: close' not in answer

    def post(self, s, name, fields):
        length, digest = int(fields['upload-length']), fields['repr-digest']
        with self.changed:
            if name in self.whole:
                return answer(409, offset=len(self.whole[name]))
            old = self.uploads.get(name)
            if old and (old.length, old.digest) == (length, digest):
                return answer(409, offset=len(old.data))
            self.uploads[name] = Upload(length, digest)
        return answer(201, offset=0)

    def patch(self, s, name, fields):
        upload = self.uploads.get(name)
        if upload is None:
            return answer(404, close=True)
        if int(fields['upload-offset']) != len(upload.data):
            return answer(409, offset=len(upload.data), close=True)
        left = int(fields['content-length'])
        assert len(upload.data) + left == upload.length
        with self.changed:
            self.n_now += 1
            self.n_most = max(self.n_most, self.n_now)
        try:
            while left > 0:
                part = s.recv(min(left, 65536))
                if part == b'':
                    return None
                left -= len(part)
                with self.changed:
                    upload.data += part
                    self.n_bytes += len(part)
                    self.changed.notify_all()
                    if self.cuts and self.n_bytes >= self.cuts[0]:
                        self.cuts.pop(0)
                        return None
        finally:
            with self.changed:
                self.n_now -= 1
        return self.verify(name, upload)

    def verify(self, name, upload):
        sha256 = hashlib.sha256(upload.data).digest()
        with self.changed:
            del self.uploads[name]
            if upload.digest != (
                    f'sha-256=:{base64.b64encode(sha256).decode()}:'):
                return answer(460)
            self.whole[name] = bytes(upload.data)
        return answer(204, offset=upload.length)

    def delete(self, s, name, fields):
        with self.changed:
            self.uploads.pop(name, None)
        return answer(204)


def answer(status, offset=None, close=False, text='', **more):
    lines = [f'HTTP/1.1 {status} Because', 'Tus-Resumable: 1.0.0']
    if offset is not None:
        lines.append(f'Upload-Offset: {offset}')
    if status != 204:
        lines.append(f'Content-Length: {len(text)}')
    if close:
        lines.append('Connection: close')
    lines += [f'{k.replace("_", "-")}: {v}' for k, v in more.items()]
    return ('\r\n'.join(lines) + '\r\n\r\n' + text).encode()
