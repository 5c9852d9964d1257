"""What a container asks of the programs: a health check without a shell, and
a clear word at the start when it forbids what recorders need."""
import ctypes
import errno
import http.server
import os
import subprocess
import threading

import pytest

from ctl import BUILD
from ports import free_ports

HEALTHCHECK = os.path.join(BUILD, 'ctl', 'relaycam-healthcheck')
RECORDER = os.path.join(BUILD, 'recorder', 'relaycam-recorder')
RELAY = os.path.join(BUILD, 'relay', 'relaycam-relay')
PR_SET_SECCOMP = 22
ALLOW, ERRNO_EPERM = 0x7fff0000, 0x00050000 | errno.EPERM


class Compare(ctypes.Structure):
    _fields_ = [('arg', ctypes.c_uint), ('op', ctypes.c_int),
                ('a', ctypes.c_uint64), ('b', ctypes.c_uint64)]


def forbid(*names):
    """A preexec_fn: as a container's seccomp profile without these."""
    lib = ctypes.CDLL('libseccomp.so.2')
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint,
        ctypes.c_void_p]
    lib.seccomp_load.argtypes = [ctypes.c_void_p]
    calls = [lib.seccomp_syscall_resolve_name(n.encode()) for n in names]
    prctl = lib.seccomp_syscall_resolve_name(b'prctl')

    def enter():
        ctx = lib.seccomp_init(ALLOW)
        for call in calls:
            assert lib.seccomp_rule_add_array(ctx, ERRNO_EPERM, call, 0,
                                              None) == 0
        if 'seccomp' in names:
            old = Compare(0, 4, PR_SET_SECCOMP, 0)  # 4: SCMP_CMP_EQ
            assert lib.seccomp_rule_add_array(
                ctx, ERRNO_EPERM, prctl, 1, ctypes.byref(old)) == 0
        assert lib.seccomp_load(ctx) == 0
    return enter


def check_sandbox(folder, *forbidden):
    return subprocess.run([RECORDER, '--check-sandbox', str(folder)],
                          capture_output=True, text=True, timeout=60,
                          preexec_fn=forbid(*forbidden) if forbidden
                          else None)


def test_sandbox_holds_here(tmp_path):
    r = check_sandbox(tmp_path)
    assert r.returncode == 0, r.stderr
    assert ' sandbox file_rules=' in r.stderr
    assert 'file_rules=none' not in r.stderr


def test_no_folder(tmp_path):
    r = check_sandbox(tmp_path / 'none')
    assert r.returncode == 66 and 'No such file' in r.stderr, r.stderr


def test_filter_forbidden(tmp_path):
    r = check_sandbox(tmp_path, 'seccomp')
    assert r.returncode == 71, r.stderr
    assert 'the system call filter could not be installed' in r.stderr
    assert 'seccomp profile' in r.stderr


def test_landlock_and_namespaces_forbidden(tmp_path):
    """The filter alone is enough to record, and the log says what is less."""
    r = check_sandbox(tmp_path, 'landlock_create_ruleset', 'unshare',
                      'chroot')
    assert r.returncode == 0, r.stderr
    assert 'sandbox_without_file_rules' in r.stderr


def test_relay_says_it_at_the_start(tmp_path):
    """It ends for want of a certificate, which comes later."""
    conf = tmp_path / 'relaycam.conf'
    conf.write_text(f'[relay]\nrecorder_program = {RECORDER}\n'
                    f'tls_cert_file = {tmp_path}/none\n'
                    f'listen = 127.0.0.1:{free_ports().relay}\n'
                    f'web_listen =\n[spool]\ndir = {tmp_path}\n')

    def start(*forbidden):
        return subprocess.run(
            [RELAY, '--config', str(conf)], capture_output=True, text=True,
            timeout=60, preexec_fn=forbid(*forbidden) if forbidden else None)
    r = start('seccomp')
    assert 'sandbox_refused' in r.stderr, r.stderr
    assert 'recorder_check_failed' in r.stderr
    r = start()
    assert ' sandbox file_rules=' in r.stderr, r.stderr
    assert 'recorder_check_failed' not in r.stderr


@pytest.fixture
def daemon():
    """A port whose /readyz answers with what .answer says."""
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def do_GET(self):
            status, body = server.answer if self.path == '/readyz' else (
                404, b'')
            self.send_response(status)
            self.send_header('Content-Length', str(len(body)))
            self.send_header('Connection', 'close')
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def healthcheck(*args):
    return subprocess.run([HEALTHCHECK, *map(str, args)],
                          capture_output=True, text=True, timeout=60)


def test_healthcheck(daemon):
    port = daemon.server_port
    daemon.answer = 200, b'ready\n'
    assert healthcheck(port).returncode == 0
    daemon.answer = 503, b'the database is away\nmore\n'
    r = healthcheck(port)
    assert r.returncode == 1
    assert r.stderr == ('relaycam-healthcheck: not ready: '
                        'the database is away\n')
    # an answer that is longer than its buffer
    daemon.answer = 503, b'x' * 100000
    assert healthcheck(port).returncode == 1


def test_healthcheck_without_a_daemon():
    r = healthcheck(free_ports().relay)
    assert r.returncode == 1 and 'Connection refused' in r.stderr


@pytest.mark.parametrize('args', [[], ['0'], ['65536'], ['x'], ['90x'],
                                  ['1', '2'], ['']])
def test_healthcheck_usage(args):
    r = healthcheck(*args)
    assert r.returncode == 2 and 'usage' in r.stderr
