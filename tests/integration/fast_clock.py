"""A clock that a test moves, for the programs that are started with `env()`:
fast_clock.c. The test itself and the desktop stay in real time; every()
translates.

    clock = FastClock(folder, library)
    clock.speed(1000)       # from now on
    clock.set_wall(-3600)   # somebody sets the wall clock back
    clock.suspend(3600)     # the machine sleeps for an hour
"""
import bisect
import mmap
import os
import struct
import time

NS = 10**9
LAYOUT = struct.Struct('<Qqqqqd')   # struct page


class FastClock:
    def __init__(self, folder, library):
        self.path = os.path.join(folder, 'fast.clock')
        self.shim = library
        self.turn = self.wall = self.boot = self.shift = 0
        self.factor, self.since = 1.0, time.monotonic_ns()
        with open(self.path, 'wb') as f:
            f.write(LAYOUT.pack(0, self.since, 0, 0, 0, 1.0))
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
        self.page[8:] = LAYOUT.pack(0, self.since, self.shift, self.wall,
                                    self.boot, self.factor)[8:]
        turn(1)
        self.history.append((self.since, self.boottime(self.since),
                             self.factor))

    def _rest(self):
        """What has passed becomes part of the shift."""
        now = time.monotonic_ns()
        self.shift += int((now - self.since) * (self.factor - 1))
        self.since = now

    def speed(self, factor):
        self._rest()
        self.factor = float(factor)
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
                int((real_ns - self.since) * (self.factor - 1)))

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

    def run_to(self, moved_ns, factor):
        """Fast until then, slower shortly before it, then at usual speed."""
        while (left := moved_ns - self.boottime()) > 0:
            f = max(1.0, min(factor, left / (NS / 20)))
            if f != self.factor:
                self.speed(f)
            time.sleep(min(left / f / NS, 0.05))
        self.speed(1)
