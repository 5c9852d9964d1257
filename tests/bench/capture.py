"""Records what an endpoint sends during the workload, with arrival times.

usage: capture.py [--scale S] [--workload W] ENCODING...
                                              (tight zrle raw hextile)

The client is as plain as can be: it never looks into the stream. After
bytes came it asks for changes of the whole screen again, at most 60 times a
second, as a viewer that keeps up does. Lossless. It also moves the mouse, as
a technician's viewer: Xvnc paints a cursor that somebody else moves into the
picture.

A capture (tests/bench/captures/NAME.cap) is what recorder_bench.c reads,
little-endian: "RCCAP1\\0\\0", u16 width, u16 height, 16 bytes pixel format as
on the wire, then records {u64 ns since the start, u32 length, bytes}; the
first byte is the first one after ServerInit. An empty record states the
time of the end. Beside it NAME.json: the phases of the workload.
"""
import argparse
import json
import os
import select
import socket
import struct
import threading
import time

import workload
import workload_office
import workload_terminal

MAGIC = b'RCCAP1\0\0'
HEAD, RECORD = struct.Struct('<8sHH16s'), struct.Struct('<QI')
COPYRECT, CURSOR, LAST_RECT, DESKTOP_SIZE = 1, -239, -224, -223
USUAL = [COPYRECT, 0, CURSOR, LAST_RECT, DESKTOP_SIZE]
KINDS = {'tight': [7, *USUAL], 'zrle': [16, *USUAL], 'raw': [0, *USUAL],
         'hextile': [5, *USUAL]}
PIXEL_FORMAT = struct.pack('>BBBBHHHBBB3x', 32, 24, 0, 1, 255, 255, 255, 16,
                           8, 0)
REQUEST_S = 1 / 60
WORKLOADS = {'minute': workload.Minute, 'office': workload_office.Office,
             'terminal': workload_terminal.Terminal}
HOUR_NS = 3600 * 10 ** 9


class Client:
    """A viewer on a Unix socket, security type None."""

    def __init__(self, path, encodings):
        self.lock = threading.Lock()
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(10)
        self.s.connect(path)
        self._take(12)
        self.s.sendall(b'RFB 003.008\n')
        types = self._take(self._take(1)[0])
        if 1 not in types:
            raise RuntimeError('the server wants a password')
        self.s.sendall(b'\x01')
        if self._take(4) != bytes(4):
            raise RuntimeError('the server refused')
        self.s.sendall(b'\x01')
        init = self._take(24)
        self.size = struct.unpack('>HH', init[:4])
        self._take(struct.unpack('>I', init[20:])[0])
        self.s.sendall(b'\0\0\0\0' + PIXEL_FORMAT +
                       struct.pack(f'>BxH{len(encodings)}i', 2,
                                   len(encodings), *encodings))

    def _take(self, n):
        data = b''
        while len(data) < n:
            got = self.s.recv(n - len(data))
            if not got:
                raise RuntimeError('the server closed the connection')
            data += got
        return data

    def ask(self, incremental=True):
        self._send(struct.pack('>BBHHHH', 3, incremental, 0, 0, *self.size))

    def point(self, x, y, is_pressed=False):
        self._send(struct.pack('>BBHH', 5, is_pressed, x, y))

    def _send(self, message):
        with self.lock:  # two threads send: this one and the performer
            self.s.sendall(message)

    def record(self, out, is_over):
        """Writes records until is_over(); the clock starts with the call."""
        start = time.monotonic_ns()
        self.ask(False)
        asked, owed = time.monotonic(), False
        while not is_over():
            wait = max(0.0, asked + REQUEST_S - time.monotonic())
            if select.select([self.s], [], [], wait if owed else 0.1)[0]:
                data = self.s.recv(1 << 20)
                if not data:
                    raise RuntimeError('the server closed the connection')
                out.write(RECORD.pack(time.monotonic_ns() - start,
                                      len(data)) + data)
                owed = True
            if owed and time.monotonic() >= asked + REQUEST_S:
                self.ask()
                asked, owed = time.monotonic(), False
        out.write(RECORD.pack(time.monotonic_ns() - start, 0))


class Performer(threading.Thread):
    """The workload beside the client; its exception is the caller's."""

    def __init__(self, desk, scale):
        super().__init__()
        self.desk, self.scale = desk, scale
        self.phases = self.error = None

    def run(self):
        try:
            self.phases = workload.perform(self.desk, self.scale)
        except Exception as e:
            self.error = e

    def finish(self):
        self.join()
        if self.error is not None:
            raise self.error
        return self.phases


def capture_file(kind, scale=1.0, name='minute'):
    """Path of a workload's capture; made when scripts or scale changed."""
    version = workload.digest(__file__, workload.__file__,
                              workload_office.__file__,
                              workload_terminal.__file__)
    base = os.path.join(workload.WORK, f'{name}-{kind}-{scale:g}-{version}')
    if os.path.exists(base + '.cap'):
        return base + '.cap'
    os.makedirs(workload.WORK, exist_ok=True)
    desk = WORKLOADS[name]()
    try:
        desk.start()
        client = Client(desk.socket, KINDS[kind])
        desk.point = client.point
        performer = Performer(desk, scale)
        with open(base + '.new', 'wb') as out:
            out.write(HEAD.pack(MAGIC, *client.size, PIXEL_FORMAT))
            performer.start()
            client.record(out, lambda: not performer.is_alive())
        phases = performer.finish()
    finally:
        desk.stop()
    with open(base + '.json', 'w') as f:
        json.dump({'phases': phases}, f)
    os.rename(base + '.new', base + '.cap')
    return base + '.cap'


def phases(path):
    """[(name, start s, end s)] of a capture."""
    with open(os.path.splitext(path)[0] + '.json') as f:
        return json.load(f)['phases']


def with_hours(path, to, hours):
    """Writes a capture whose clock leaps by hours in the middle of each phase
    named "idle"; returns how many hours it got longer."""
    leaps = [(start + end) / 2 * 1e9 for name, start, end in phases(path)
             if name == 'idle']
    with open(path, 'rb') as f, open(to, 'wb') as out:
        out.write(f.read(HEAD.size))
        for ns, data in records(path):
            n = sum(ns >= leap for leap in leaps)
            out.write(RECORD.pack(ns + n * hours * HOUR_NS, len(data)) + data)
    return n * hours


def size(path):
    """Width and height of the screen, in pixels."""
    with open(path, 'rb') as f:
        return HEAD.unpack(f.read(HEAD.size))[1:3]


def records(path):
    """(ns, bytes) one by one; the last one is empty."""
    with open(path, 'rb') as f:
        if f.read(HEAD.size)[:8] != MAGIC:
            raise ValueError(f'{path}: not a capture')
        while True:
            head = f.read(RECORD.size)
            if len(head) < RECORD.size:
                return
            ns, n = RECORD.unpack(head)
            yield ns, f.read(n)


def seconds(path):
    return max(ns for ns, _ in records(path)) / 1e9


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('kinds', nargs='+', metavar='ENCODING',
                   choices=KINDS)
    p.add_argument('--scale', type=float, default=1.0)
    p.add_argument('--workload', choices=WORKLOADS, default='minute')
    args = p.parse_args()
    for kind in args.kinds:
        path = capture_file(kind, args.scale, args.workload)
        print(path)
        for name, start, end in phases(path):
            n = sum(len(d) for ns, d in records(path)
                    if start <= ns / 1e9 < end)
            print(f'  {name:<15}{start:6.1f} .. {end:5.1f} s'
                  f'{n / 1e6:9.2f} MB')


if __name__ == '__main__':
    main()
