"""A clock that a test moves, for the programs that are started with `env()`:
fast_clock.c. The test itself and the desktop stay in real time; every() and
real() translate.

    clock = FastClock(folder, library)
    clock.speed(10)         # from now on
    clock.run_to(moment, is_busy)   # as fast as those who work allow
    clock.set_wall(-3600)   # somebody sets the wall clock back
    clock.suspend(3600)     # the machine sleeps for an hour
"""
import bisect
import mmap
import os
import shutil
import struct
import tempfile
import time

from process import run
from stack import Stack

NS = 10**9
LAYOUT = struct.Struct('<Qqqqqqd')   # struct page
NO_END = 2**62
FACTOR, STEP_NS = 4000, 15 * NS     # of run_to


class FastClock:
    def __init__(self, folder, library):
        self.path = os.path.join(folder, 'fast.clock')
        self.shim = library
        self.turn = self.wall = self.boot = self.shift = 0
        self.factor, self.most = 1.0, NO_END
        self.since = time.monotonic_ns()
        with open(self.path, 'wb') as f:
            f.write(LAYOUT.pack(0, self.since, 0, NO_END, 0, 0, 1.0))
        os.chmod(self.path, 0o644)
        with open(self.path, 'r+b') as f:
            self.page = mmap.mmap(f.fileno(), LAYOUT.size)
        self.boot_offset = (time.clock_gettime_ns(time.CLOCK_BOOTTIME) -
                            time.monotonic_ns())
        # pieces of constant speed: (real ns, moved ns, factor)
        self.history = []
        self._publish()

    def env(self):
        return {'LD_PRELOAD': self.shim, 'RELAYCAM_FAST_CLOCK': self.path}

    def _publish(self):
        def turn(n):
            self.turn += n
            self.page[:8] = struct.pack('<Q', self.turn)
        turn(1)
        self.page[8:] = LAYOUT.pack(0, self.since, self.shift, self.most,
                                    self.wall, self.boot, self.factor)[8:]
        turn(1)
        self._note(self.since, self.factor)
        if self.most < NO_END:  # from then on at usual speed
            self._note(self.since + int(self.most / (self.factor - 1)), 1.0)

    def _note(self, real_ns, factor):
        # a new piece may begin before the last one has run its course
        while self.history and self.history[-1][0] >= real_ns and \
                real_ns == self.since:
            self.history.pop()
        self.history.append((real_ns, self.boottime(real_ns), factor))

    def _gain(self, real_ns):
        return min(int((real_ns - self.since) * (self.factor - 1)),
                   self.most)

    def _rest(self):
        """What has passed becomes part of the shift."""
        now = time.monotonic_ns()
        self.shift += self._gain(now)
        self.since = now

    def speed(self, factor, most=NO_END):
        """most: ns that are gained so; then it is 1 again."""
        self._rest()
        self.factor, self.most = float(factor), most
        self._publish()

    def set_wall(self, seconds):
        self._rest()
        self.wall += int(seconds * NS)
        self._publish()

    def suspend(self, seconds):
        self._rest()
        self.wall += int(seconds * NS)
        self.boot += int(seconds * NS)
        self._publish()

    def boottime(self, real_ns=None):
        """The programs' CLOCK_BOOTTIME, now or at a later time of ours
        within this piece."""
        if real_ns is None:
            real_ns = time.monotonic_ns()
        return (real_ns + self.boot_offset + self.shift + self.boot +
                self._gain(real_ns))

    def every(self, real_ns):
        """Their CLOCK_BOOTTIME at any monotonic time of ours."""
        i = bisect.bisect_right([h[0] for h in self.history], real_ns) - 1
        at, moved, factor = self.history[max(i, 0)]
        return moved + int((real_ns - at) * factor)

    def real(self, moved_ns):
        """Our monotonic time at that of theirs; the end of a jump for what
        lies in it."""
        i = bisect.bisect_right([h[1] for h in self.history], moved_ns) - 1
        at, moved, factor = self.history[max(i, 0)]
        real = at + int((moved_ns - moved) / factor)
        return min(real, self.history[i + 1][0]) \
            if i + 1 < len(self.history) else real

    def run_to(self, moved_ns, is_busy):
        """In steps of STEP_NS, each once nobody is busy: whoever has work
        gets the time for it that he would have had."""
        while (left := moved_ns - self.boottime()) > 0:
            if not is_busy():
                self.speed(FACTOR, min(left, STEP_NS))
            time.sleep(0.002)
        self.speed(1)


def is_busy(pid):
    """Whether a thread of this process or of its descendants has work."""
    for task in os.listdir(f'/proc/{pid}/task'):
        folder = f'/proc/{pid}/task/{task}'
        try:
            with open(f'{folder}/stat', encoding='utf-8') as f:
                if f.read().rsplit(')', 1)[1].split()[0] in 'RD':
                    return True
            with open(f'{folder}/children', encoding='utf-8') as f:
                if any(is_busy(child) for child in f.read().split()):
                    return True
        except (FileNotFoundError, ProcessLookupError):
            continue    # it ended meanwhile
    return False


class FastStack(Stack):
    """Services and command line are on the clock, desktops are not."""

    clock = None

    def fast(self, env):
        asan = env.get('ASAN_OPTIONS', '')
        return {**env, **self.clock.env(),
                'ASAN_OPTIONS': f'{asan}:verify_asan_link_order=0'}

    def spawn(self, name, argv, **kw):
        if name in ('relay', 'storage', 'postgres'):
            kw['env'] = self.fast(kw.get('env', self.env))
        return super().spawn(name, argv, **kw)

    def ctl(self, *args, input=None):
        return run([self.path('bin', 'relaycam'), '--config', self.conf_file,
                    *args], self.user, self.fast(self.env), input=input)

    def wrap_recorder(self):
        """The relay starts recorders with an environment of its own."""
        env = ' '.join(f'{k}={v}' for k, v in self.clock.env().items())
        self._write(self.path('bin', 'fast-recorder'),
                    f'#!/bin/sh\nexec env {env} '
                    f'{self.path("bin", "relaycam-recorder")} "$@"\n', 0o755)


def make_fast_rig(request, settings=None):
    """As make_rig of conftest; rig.stack.clock moves the time."""
    from conftest import BUILD, Rig
    from ports import free_ports
    state = tempfile.mkdtemp(prefix='rc-fast-', dir='/tmp')
    os.chmod(state, 0o755)
    stack = FastStack(state, BUILD, free_ports(), settings={
        'relay.recorder_program': os.path.join(state, 'bin', 'fast-recorder'),
        **(settings or {})})

    def down():
        try:
            stack.stop()
        finally:
            shutil.rmtree(state, ignore_errors=True)
    request.addfinalizer(down)
    library = os.path.join(state, 'fast_clock.so')
    shutil.copyfile(os.path.join(BUILD, 'tests', 'integration',
                                 'fast_clock.so'), library)
    os.chmod(library, 0o755)
    stack.clock = FastClock(state, library)
    os.mkdir(stack.path('bin'), 0o755)
    stack.wrap_recorder()
    return Rig(stack)
