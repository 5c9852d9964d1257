"""What tests/bench/bench_doors.py attacks with, on loopback only.
usage: doors_attack.py silent PORT COUNT ADDRESSES REOPEN_MS
           holds COUNT silent connections from ADDRESSES addresses and comes
           again REOPEN_MS after one was closed
       doors_attack.py guess PORT COUNT CA
           guesses alice's password on COUNT connections from as many
           addresses, each as fast as it is answered
Prints "ready" once all are there, and a line of numbers at SIGTERM."""
import heapq
import resource
import select
import signal
import socket
import ssl
import struct
import sys
import threading
import time


def address(n):
    return f'127.2.{n // 250}.{1 + n % 250}'


class Silent:
    def __init__(self, port, count, addresses, reopen_ms):
        self.port, self.count, self.addresses = port, count, addresses
        self.reopen_s = reopen_ms / 1000
        self.poll, self.sockets = select.epoll(), {}
        self.due = [(0.0, n) for n in range(count)]  # when, which
        self.opened = self.closed = 0

    def open(self, n):
        s = socket.socket()
        s.setblocking(False)
        s.bind((address(n % self.addresses), 0))
        s.connect_ex(('127.0.0.1', self.port))
        self.sockets[s.fileno()] = (s, n)
        self.poll.register(s, select.EPOLLIN | select.EPOLLRDHUP)
        self.opened += 1

    def close(self, fd):
        self.poll.unregister(fd)
        s, n = self.sockets.pop(fd)
        s.close()
        self.closed += 1
        heapq.heappush(self.due, (time.monotonic() + self.reopen_s, n))

    def turn(self):
        now = time.monotonic()
        for _ in range(100):
            if not self.due or self.due[0][0] > now:
                break
            self.open(heapq.heappop(self.due)[1])
        for fd, events in self.poll.poll(0.05):
            s = self.sockets[fd][0]
            if events & (select.EPOLLHUP | select.EPOLLRDHUP |
                         select.EPOLLERR):
                self.close(fd)
            else:
                try:
                    if s.recv(4096) == b'':
                        self.close(fd)
                except BlockingIOError:
                    pass
                except OSError:
                    self.close(fd)

    def run(self, stop):
        is_ready = False
        while not stop.is_set():
            self.turn()
            if not is_ready and self.opened >= self.count:
                is_ready = True
                print('ready', flush=True)
        print(f'open {len(self.sockets)} of {self.count}, opened '
              f'{self.opened}, closed by the server {self.closed}',
              flush=True)


class Guess:
    def __init__(self, port, count, ca):
        self.port, self.count = port, count
        self.tls = ssl.create_default_context(cafile=ca)
        self.answers = {}
        self.lock = threading.Lock()

    def once(self, n):
        with socket.create_connection(
                ('127.0.0.1', self.port), 60,
                (f'127.5.0.{n + 1}', 0)) as raw:
            raw.recv(12, socket.MSG_WAITALL)
            raw.sendall(b'RFB 003.008\n')
            raw.recv(2, socket.MSG_WAITALL)
            raw.sendall(b'\x13')
            raw.recv(2, socket.MSG_WAITALL)
            raw.sendall(b'\0\2')
            raw.recv(6, socket.MSG_WAITALL)
            raw.sendall(struct.pack('>I', 262))
            raw.recv(1, socket.MSG_WAITALL)
            with self.tls.wrap_socket(raw,
                                      server_hostname='localhost') as s:
                u, p = b'alice@desk1', b'wrong'
                s.sendall(struct.pack('>II', len(u), len(p)) + u + p)
                return 'answered' if s.recv(4) else 'closed'

    def guess(self, n, stop):
        while not stop.is_set():
            try:
                what = self.once(n)
            except (OSError, struct.error) as e:
                what = type(e).__name__
                stop.wait(0.5)
            with self.lock:
                self.answers[what] = self.answers.get(what, 0) + 1

    def run(self, stop):
        threads = [threading.Thread(target=self.guess, args=(n, stop),
                                    daemon=True) for n in range(self.count)]
        for t in threads:
            t.start()
        print('ready', flush=True)
        stop.wait()
        print(f'guesses {self.answers}', flush=True)


def main():
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    kind, port, count, *rest = sys.argv[1:]
    if kind == 'silent':
        Silent(int(port), int(count), int(rest[0]), int(rest[1])).run(stop)
    else:
        Guess(int(port), int(count), rest[0]).run(stop)


if __name__ == '__main__':
    main()
