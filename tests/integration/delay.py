"""A TCP proxy on loopback that delivers each byte later by a fixed time, both
ways, as a line does that has a length.

    with Delay(target_port, 0.02) as d:
        connect(d.port)
"""
import collections
import selectors
import socket
import threading
import time


class Delay:
    def __init__(self, target, seconds):
        self.target, self.seconds = target, seconds
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.is_over = False
        self.threads, self.sockets = [], []
        self._spawn(self._accept)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.is_over = True
        # wakes accept()
        socket.create_connection(('127.0.0.1', self.port)).close()
        for t in self.threads:
            t.join(5)
        for s in (self.listener, *self.sockets):
            s.close()

    def _spawn(self, target, *args):
        t = threading.Thread(target=target, args=args, daemon=True)
        self.threads.append(t)
        t.start()

    def _accept(self):
        while not self.is_over:
            near, _ = self.listener.accept()
            try:
                far = socket.create_connection(('127.0.0.1', self.target))
            except OSError:
                near.close()
                continue
            for s in (near, far):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sockets += near, far
            self._spawn(self._carry, near, far)
            self._spawn(self._carry, far, near)

    def _carry(self, source, target):
        """Until the source ends; what is on its way is still delivered."""
        waiting = collections.deque()   # (due, bytes)
        source_open = True
        with selectors.DefaultSelector() as selector:
            selector.register(source, selectors.EVENT_READ)
            while (source_open or waiting) and not self.is_over:
                wait = min(0.5, max(0, waiting[0][0] - time.monotonic())) \
                    if waiting else 0.5
                ready = selector.select(wait) if source_open else \
                    time.sleep(wait)
                try:
                    if ready:
                        data = source.recv(262144)
                        source_open = bool(data)
                        waiting.append((time.monotonic() + self.seconds,
                                        data))
                    while waiting and waiting[0][0] <= time.monotonic():
                        data = waiting.popleft()[1]
                        if data:
                            target.sendall(data)
                        else:
                            target.shutdown(socket.SHUT_WR)
                except OSError:
                    break
        # the other way ends too when this one broke
        for s in (source, target) if source_open else ():
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
