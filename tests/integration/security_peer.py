"""A VNC server's side of the security types that no server in Debian has:
RA2 (5, 6, 129, 130), Apple Diffie-Hellman (30) and MS-Logon II (113).

It shares nothing with the relay: the ciphers are PyCryptodome's, which has
its own AES, EAX, DES and RSA, and the byte layouts are written down once more
from the community specification."""
import functools
import hashlib
import os
import socket
import struct
import threading

from Cryptodome.Cipher import AES, DES, PKCS1_v1_5
from Cryptodome.PublicKey import RSA
from Cryptodome.Random import random

RA2, RA2NE, ARD, MSLOGON, RA2_256, RA2NE_256 = 5, 6, 30, 113, 129, 130
USER_AND_PASSWORD, PASSWORD = 1, 2

# RFC 2409 section 6.2, the second Oakley group: a prime of 1024 bits.
OAKLEY2 = int('FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74'
              '020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437'
              '4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED'
              'EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF',
              16)
PRIME64 = 0xffffffffffffffc5  # the largest below 2^64


@functools.lru_cache
def rsa_key(bits):
    """One of each size for the whole run: they take long to make."""
    return RSA.generate(bits)


class Closed(Exception):
    pass


class Plain:
    """Reads and writes a socket."""

    def __init__(self, sock):
        self.sock = sock

    def read(self, n):
        data = b''
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise Closed
            data += more
        return data

    def write(self, data):
        self.sock.sendall(data)


class Sealed:
    """Reads and writes RA2's messages; cut: plain bytes in one of ours."""

    def __init__(self, plain, read_key, write_key, cut):
        self.plain, self.cut = plain, cut
        self.keys = {'r': read_key, 'w': write_key}
        self.counts = {'r': 0, 'w': 0}
        self.opened = b''

    def cipher(self, way, n):
        c = AES.new(self.keys[way], AES.MODE_EAX, mac_len=16,
                    nonce=self.counts[way].to_bytes(16, 'little'))
        c.update(struct.pack('>H', n))
        self.counts[way] += 1
        return c

    def read_message(self):
        n, = struct.unpack('>H', self.plain.read(2))
        data, tag = self.plain.read(n), self.plain.read(16)
        return self.cipher('r', n).decrypt_and_verify(data, tag)

    def read(self, n):
        while len(self.opened) < n:
            self.opened += self.read_message()
        data, self.opened = self.opened[:n], self.opened[n:]
        return data

    def write(self, data):
        for i in range(0, len(data), self.cut):
            piece = data[i:i + self.cut]
            sealed, tag = self.cipher('w', len(piece)).encrypt_and_digest(piece)
            self.plain.write(struct.pack('>H', len(piece)) + sealed + tag)


class SecurityPeer:
    """Serves one connection on a port of loopback. types: what it offers;
    accept: whether user and password are right; damage: a step to get wrong
    on purpose. After wait(): chosen, user, password, and failure, if any."""

    def __init__(self, types, subtype=USER_AND_PASSWORD, accept=True,
                 rsa_bits=2048, cut=8192, damage=None, reason=b''):
        self.types, self.subtype, self.accept = types, subtype, accept
        self.cut, self.damage, self.reason = cut, damage, reason
        self.rsa_bits = rsa_bits
        self.chosen = self.user = self.password = self.failure = None
        self.key_wire = b''
        self.requests = b''
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def wait(self):
        self.thread.join(30)
        assert not self.thread.is_alive()
        return self

    def run(self):
        sock = None
        try:
            self.listener.settimeout(30)
            sock, _ = self.listener.accept()
            sock.settimeout(30)
            self.serve(Plain(sock))
        except (Closed, OSError, ValueError) as e:
            self.failure = e
        finally:
            self.listener.close()
            if sock:
                sock.close()

    def serve(self, c):
        c.write(b'RFB 003.008\n')
        assert c.read(12) == b'RFB 003.008\n'
        c.write(bytes([len(self.types), *self.types]))
        self.chosen = c.read(1)[0]
        if self.chosen == ARD:
            self.ard(c)
        elif self.chosen == MSLOGON:
            self.mslogon(c)
        else:
            c = self.ra2(c)
        self.finish(c)

    def finish(self, c):
        if not self.accept:
            c.write(struct.pack('>II', 1, len(self.reason)) + self.reason)
            return
        c.write(struct.pack('>I', 0))
        c.read(1)  # ClientInit
        pixel_format = struct.pack('>BBBBHHHBBB3x', 32, 24, 0, 1, 255, 255,
                                   255, 16, 8, 0)
        c.write(struct.pack('>HH', 1024, 768) + pixel_format +
                struct.pack('>I', 4) + b'peer')
        self.requests = c.read(10)
        c.write(b'\2')  # Bell

    @staticmethod
    def text(field):
        return field.split(b'\0')[0].decode()

    def ard(self, c):
        p, n = OAKLEY2, 128
        secret = random.StrongRandom().randint(2, p - 2)
        c.write(struct.pack('>HH', 2, n) + p.to_bytes(n, 'big') +
                pow(2, secret, p).to_bytes(n, 'big'))
        sealed, public = c.read(128), c.read(n)
        shared = pow(int.from_bytes(public, 'big'), secret, p)
        key = hashlib.md5(shared.to_bytes(n, 'big')).digest()
        opened = AES.new(key, AES.MODE_ECB).decrypt(sealed)
        self.user = self.text(opened[:64])
        self.password = self.text(opened[64:])

    def mslogon(self, c):
        p, g = PRIME64, 5
        secret = random.StrongRandom().randint(2, p - 2)
        c.write(struct.pack('>QQQ', g, p, pow(g, secret, p)))
        public, = struct.unpack('>Q', c.read(8))
        shared = pow(public, secret, p).to_bytes(8, 'big')
        key = bytes(int(f'{b:08b}'[::-1], 2) for b in shared)
        self.user = self.text(
            DES.new(key, DES.MODE_CBC, iv=shared).decrypt(c.read(256)))
        self.password = self.text(
            DES.new(key, DES.MODE_CBC, iv=shared).decrypt(c.read(64)))

    @staticmethod
    def wire(key):
        n = (key.n.bit_length() + 7) // 8
        return (struct.pack('>I', key.n.bit_length()) +
                key.n.to_bytes(n, 'big') + key.e.to_bytes(n, 'big'))

    @staticmethod
    def read_key(c):
        bits, = struct.unpack('>I', c.read(4))
        n = (bits + 7) // 8
        modulus, exponent = (int.from_bytes(c.read(n), 'big')
                             for _ in range(2))
        return RSA.construct((modulus, exponent))

    def fingerprints(self):
        sha1 = hashlib.sha1(self.key_wire).digest()
        return (hashlib.sha256(self.key_wire).hexdigest(),
                '-'.join(f'{b:02x}' for b in sha1[:8]))

    def ra2(self, c):
        is_256 = self.chosen in (RA2_256, RA2NE_256)
        digest = hashlib.sha256 if is_256 else hashlib.sha1
        size = 32 if is_256 else 16
        own = rsa_key(self.rsa_bits)
        self.key_wire = self.wire(own)
        c.write(self.key_wire)
        peer = self.read_key(c)
        n, = struct.unpack('>H', c.read(2))
        client_random = PKCS1_v1_5.new(own).decrypt(c.read(n), None)
        assert client_random is not None and len(client_random) == size
        server_random = os.urandom(size)
        sealed = PKCS1_v1_5.new(peer).encrypt(server_random)
        if self.damage == 'random':
            server_random = bytes(size)
        c.write(struct.pack('>H', len(sealed)) + sealed)
        read_key = digest(server_random + client_random).digest()[:size]
        write_key = digest(client_random + server_random).digest()[:size]
        s = Sealed(c, read_key, write_key, self.cut)
        own_hash = digest(self.key_wire + self.wire(peer)).digest()
        if self.damage == 'hash':
            own_hash = digest(self.wire(peer) + self.key_wire).digest()
        s.write(own_hash)
        expected = digest(self.wire(peer) + self.key_wire).digest()
        if s.read(len(expected)) != expected:
            raise ValueError('the hash of the relay is wrong')
        s.write(bytes([self.subtype]))
        self.user = s.read(s.read(1)[0]).decode()
        self.password = s.read(s.read(1)[0]).decode()
        return s if self.chosen in (RA2, RA2_256) else c
