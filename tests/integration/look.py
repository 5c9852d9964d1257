"""A technician of the tests' own who looks at a desktop that counts, and notes
what it was shown."""
import struct
import threading
import time

import counter
from rfb_client import Client, ProtocolError

GONE = (OSError, EOFError, AssertionError, struct.error)


def read_counter(picture):
    """The value that a picture shows, or None."""
    at = 4 + counter.EDGE + counter.SIDE // 2
    if picture.shape[0] <= at or picture.shape[1] < counter.WIDTH + 4:
        return None
    cells = [int(picture[at, at + i * counter.SIDE, 1])
             for i in range(counter.BITS + 2)]
    if any(55 < c < 200 for c in cells) or cells[0] < 200 or cells[-1] > 55:
        return None
    return counter.ungray(sum((c > 127) << i
                              for i, c in enumerate(cells[1:-1])))


class Look:
    """A technician at a desktop, in a thread. What came is in `seen` as
    (value, monotonic ns); begin and end are moments of the same clock."""

    kind = 'client'
    client_class = Client
    read = staticmethod(read_counter)

    def __init__(self, stack, desktop, password, **client):
        """desktop: has the endpoint's `name`; client: for rfb_client."""
        self.stack, self.desktop, self.password = stack, desktop, password
        self.options = client
        self.seen, self.begin, self.end = [], None, None
        self.resized = []
        self.refused = None
        self.client = None
        self.is_leaving = False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def _run(self):
        try:
            self.client = self.client_class(
                self.stack.ports.relay, self.stack.path('ca.pem'),
                f'alice@{self.desktop.name}', self.password, **self.options)
            self.begin = time.monotonic_ns()
            self.client.request(incremental=False)
            self._look()
        except ProtocolError as e:
            self.refused = f'PROTOCOL {e}'
        except GONE as e:
            self.refused = str(e) or type(e).__name__
        finally:
            self.end = time.monotonic_ns()
            if self.client is not None:
                self.client.close()

    def _look(self):
        c, at = self.client, 0
        c.stream.deadline = None
        while not self.is_leaving:
            c.stream.deadline = time.monotonic() + 120
            c.message()
            if len(c.updates) == at:
                continue
            at = len(c.updates)
            c.rects.clear()
            value = self.read(c.picture)
            if value is not None:
                self.seen.append((value, time.monotonic_ns()))

    def stood(self, since, ns):
        """Values from `since` on that it was shown for so long."""
        return [v for (v, at), (_, until) in zip(self.seen, self.seen[1:])
                if v >= since and until - at > ns]

    def leave(self):
        """The counter keeps messages coming: it leaves between two."""
        self.is_leaving = True

    def wait(self, timeout_s):
        self.thread.join(timeout_s)
        if self.thread.is_alive():
            self.client.stream.sock.close()
            self.thread.join(5)

    @property
    def is_over(self):
        return self.end is not None
