"""A machine of the tests' own: a network namespace on a bridge, that can be
cut off as by a pulled cable, without FIN, RST or a carrier that goes. Sockets
belong to where they were made, so a function that runs inside hands them
over."""
import contextlib
import ctypes
import os
import random
import subprocess
import threading

CLONE_NEWNET = 0x40000000


def ip(*words):
    subprocess.run(['ip', *words], check=True, capture_output=True)


class Machine:
    """`near` is this machine's address, `far` its own. NET: 198.18.0.0/15 is
    for tests of networks (RFC 2544)."""

    def __init__(self):
        n = random.randrange(1 << 15)
        self.name = f'rc{n}'
        net = f'198.{18 + (n >> 14)}.{n >> 6 & 255}.{n << 2 & 255}'
        prefix, last = net.rsplit('.', 1)
        self.near, self.far = (f'{prefix}.{int(last) + k}' for k in (1, 2))
        ip('link', 'add', f'{self.name}b', 'type', 'bridge')
        ip('addr', 'add', f'{self.near}/30', 'dev', f'{self.name}b')
        ip('link', 'set', f'{self.name}b', 'up')
        ip('netns', 'add', self.name)
        ip('link', 'add', f'{self.name}v', 'type', 'veth', 'peer', 'name',
           'eth0', 'netns', self.name)
        self.plug_in()
        ip('link', 'set', f'{self.name}v', 'up')
        for words in (('addr', 'add', f'{self.far}/30', 'dev', 'eth0'),
                      ('link', 'set', 'eth0', 'up'),
                      ('link', 'set', 'lo', 'up')):
            ip('-n', self.name, *words)

    def plug_in(self):
        ip('link', 'set', f'{self.name}v', 'master', f'{self.name}b')

    def cut(self):
        ip('link', 'set', f'{self.name}v', 'nomaster')

    def remove(self):
        for words in (('netns', 'del', self.name),
                      ('link', 'del', f'{self.name}b')):
            with contextlib.suppress(subprocess.CalledProcessError):
                ip(*words)

    def inside(self, make, *args, **kw):
        """make(*args, **kw), on that machine."""
        result = []

        def run():
            try:
                with open(f'/run/netns/{self.name}', 'rb') as f:
                    libc = ctypes.CDLL(None, use_errno=True)
                    if libc.setns(f.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), 'setns')
                result.append((make(*args, **kw), None))
            except BaseException as e:  # into the caller's thread
                result.append((None, e))
        t = threading.Thread(target=run)
        t.start()
        t.join()
        value, error = result[0]
        if error is not None:
            raise error
        return value

    def argv(self, *words):
        """A command line that runs there, for root."""
        return ['ip', 'netns', 'exec', self.name, *words]


def is_possible():
    return os.getuid() == 0
