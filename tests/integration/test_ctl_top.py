"""relaycam top: the same numbers as text, as JSON and on a terminal of any
size, with and without colours; the terminal is as before afterwards."""
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
import uuid

import pytest

from ctl import Ctl
from pg import Cluster

ESCAPES = re.compile(r'\x1b\[[0-9;?]*[A-Za-z]')


@pytest.fixture(scope='module')
def cluster():
    with Cluster() as c:
        yield c


@pytest.fixture(scope='module')
def ctl(cluster, tmp_path_factory):
    c = Ctl(cluster, cluster.database(), tmp_path_factory.mktemp('top'),
            **{f'{d}.metrics_listen': '' for d in
               ('relay', 'storage', 'console')})
    c.ok('migrate')
    c.ok('team', 'add', 'demo')
    c.ok('user', 'add', 'alice', '--team', 'demo', '--role', 'owner',
         '--password-stdin', input='correct horse\n')
    c.sql("INSERT INTO endpoints (team_id, name, host, port) SELECT id, "
          "'a-desk-with-a-name-that-is-long', '127.0.0.1', 5900 FROM teams")
    c.sql("INSERT INTO nodes (id, program, host, version, heartbeat_at) "
          "VALUES (%s, 'relay', E'r1\\x1b[2J', '0.1', now() - interval "
          "'1 hour'), (%s, 'storage', 's1', '0.1', now() + interval "
          "'1 hour')",
          (str(uuid.uuid4()), str(uuid.uuid4())))
    for _ in range(30):
        c.sql("INSERT INTO sessions (id, team_id, endpoint_id, person_id, "
              "access, recorded, client_addr, started_at) SELECT %s, t.id, "
              "e.id, p.id, 'unattended', true, '127.0.0.1', now() - interval "
              "'3725 seconds' FROM teams t, endpoints e, people p",
              (str(uuid.uuid4()),))
    return c


class Terminal:
    """The program on a terminal of that size."""

    def __init__(self, ctl, columns, rows, **env):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ,
                    struct.pack('HHHH', rows, columns, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen(
            ctl.argv('top', '--interval', '1'), stdin=slave, stdout=slave,
            stderr=subprocess.PIPE, text=True,
            env={**ctl.env, 'TERM': 'xterm', **env})
        self.text = ''

    def read_until(self, what):
        until = time.monotonic() + 60
        while what not in self.text:
            assert time.monotonic() < until, self.text
            if select.select([self.master], [], [], 1)[0]:
                self.text += os.read(self.master, 65536).decode()
            elif self.process.poll() is not None:
                raise AssertionError(self.text + self.process.stderr.read())
        return self.text

    def quit(self, key=b'q'):
        os.write(self.master, key)
        self.read_until('\x1b[?1049l')
        assert self.process.wait(60) == 0, self.process.stderr.read()
        assert termios.tcgetattr(self.slave) == self.before
        self.process.stderr.close()
        os.close(self.master)
        os.close(self.slave)


def test_text_and_json_say_the_same(ctl):
    text, said = ctl.ok('top', '--once'), json.loads(ctl.ok('top', '--json'))
    assert said['n_sessions'] == len(said['sessions']) == 30
    assert said['relay'] is said['storage'] is said['console'] is None
    assert {n['program'] for n in said['nodes']} == {'relay', 'storage'}
    assert text.startswith('30 sessions;')
    assert text.count('a-desk-with-a-name-that-is-long') == 30
    assert re.search(r' 1:0\d:\d\d ', text) and 'alice' in text
    assert re.search(r'^relay +r1\?\[2J .*SILENT', text, re.M)
    assert re.search(r'^storage +s1 .*alive', text, re.M)
    assert '\x1b' not in text


@pytest.mark.parametrize('columns, rows', [(120, 24), (20, 5), (1, 2)])
def test_a_terminal_of_any_size(ctl, columns, rows):
    t = Terminal(ctl, columns, rows)
    frame = t.read_until('\x1b[J')
    t.quit()
    lines = [ESCAPES.sub('', line) for line in
             frame.split('\x1b[J')[0].split('\r\n')]
    assert lines[-1] == '' and len(lines) <= rows
    assert max(map(len, lines)) <= columns
    assert ('\x1b[1m' in frame) and frame.startswith('\x1b[?1049h')


def test_no_color(ctl):
    t = Terminal(ctl, 100, 40, NO_COLOR='1')
    frame = t.read_until('\x1b[J')
    t.quit(b'Q')
    assert 'SILENT' in frame
    assert not re.search(r'\x1b\[[0-9;]*m', frame)


def test_ctrl_c_puts_the_terminal_back(ctl):
    t = Terminal(ctl, 80, 24)
    t.read_until('\x1b[J')
    t.process.send_signal(2)
    t.read_until('\x1b[?1049l')
    assert t.process.wait(60) == 0
    assert termios.tcgetattr(t.slave) == t.before
    t.process.stderr.close()


def test_without_a_terminal_it_says_what_to_do(ctl):
    assert '--once' in ctl.fails(2, 'top')
