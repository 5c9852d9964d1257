"""An authenticator (RFC 6238), and the codes of the steps that a test has not
used."""
import base64
import hashlib
import hmac
import struct
import time

STEP_S = 30


def code_of(secret, step):
    digest = hmac.new(base64.b32decode(secret), struct.pack('>Q', step),
                      hashlib.sha1).digest()
    at = digest[-1] & 15
    n = struct.unpack('>I', digest[at:at + 4])[0] & 0x7fffffff
    return f'{n % 1000000:06d}'


class Authenticator:
    def __init__(self, secret):
        self.secret = secret
        self.shown = None  # the last code

    def code(self, offset=0):
        """Of the step now, or of one offset steps away."""
        self.shown = code_of(self.secret,
                             int(time.time()) // STEP_S + offset)
        return self.shown

    def wrong(self):
        """Six digits that are no code of now, of before or of after."""
        now = int(time.time()) // STEP_S
        right = {code_of(self.secret, now + i) for i in range(-3, 4)}
        return next(c for c in (f'{n:06d}' for n in range(10))
                    if c not in right)
