"""Child processes of the quickstart and of the tests: started with a log file,
watched until ready, stopped in reverse order, never left behind."""
import ctypes
import os
import pwd
import signal
import socket
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class StartError(Exception):
    """Something could not be started; the text is for the person."""


def service_user(create=True):
    """The account that everything runs as: a system account when started by
    root (PostgreSQL refuses root), otherwise the caller. Returns pwd entry."""
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid())
    try:
        return pwd.getpwnam('relaycam')
    except KeyError:
        if not create:
            raise StartError('there is no account "relaycam"') from None
    subprocess.run(['useradd', '--system', '--user-group', '--home-dir',
                    '/nonexistent', '--shell', '/usr/sbin/nologin',
                    'relaycam'], check=True)
    return pwd.getpwnam('relaycam')


def port_is_free(port, host='127.0.0.1'):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((host, port))
            return True
        except OSError:
            return False


def wait_until(check, timeout_s, what, process=None):
    """Polls check() until true. Raises StartError naming `what`."""
    end = time.monotonic() + timeout_s
    while True:
        value = check()
        if value:
            return value
        if process is not None and process.poll() is not None:
            raise StartError(f'{what}: the program ended with status '
                             f'{process.returncode}\n{process.log_tail()}')
        if time.monotonic() > end:
            tail = '\n' + process.log_tail() if process is not None else ''
            raise StartError(f'{what}: not ready after {timeout_s} s{tail}')
        time.sleep(0.05)


def tcp_answers(port, host='127.0.0.1'):
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


class Process(subprocess.Popen):
    """A child that dies with us, runs as `user` and logs to a file."""

    def __init__(self, name, argv, log_path, user=None, env=None, cwd=None,
                 **kw):
        self.name = name
        self.log_path = log_path
        if user is not None and os.getuid() == 0 and user.pw_uid != 0:
            kw.update(user=user.pw_uid, group=user.pw_gid, extra_groups=[])
        with open(log_path, 'ab') as log:
            kw.setdefault('stdout', log)
            kw.setdefault('stdin', subprocess.DEVNULL)
            super().__init__(
                [str(a) for a in argv], stderr=log, env=env, cwd=cwd or '/',
                preexec_fn=self._in_child, **kw)

    @staticmethod
    def _in_child():
        # a terminal's Ctrl-C goes to us alone: we stop things in order
        os.setpgid(0, 0)
        # started by nohup, all of them would ignore the end of a terminal
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    def log_tail(self, lines=12):
        try:
            with open(self.log_path, encoding='utf-8', errors='replace') as f:
                return ''.join(f.readlines()[-lines:]).rstrip()
        except OSError:
            return ''

    def stop(self, timeout_s=10, sig=signal.SIGTERM):
        """Asks it to end, kills it after timeout_s. Returns its status."""
        if self.poll() is None:
            self.send_signal(sig)
            try:
                self.wait(timeout_s)
            except subprocess.TimeoutExpired:
                print(f'{self.name} did not end within {timeout_s} s, killed',
                      file=sys.stderr)
                self.kill()
                self.wait()
        return self.returncode


def run(argv, user=None, env=None, input=None, timeout=120):
    """Runs a command as `user`; returns stdout, raises StartError with what
    it said on failure."""
    kw = {}
    if user is not None and os.getuid() == 0 and user.pw_uid != 0:
        kw.update(user=user.pw_uid, group=user.pw_gid, extra_groups=[])
    r = subprocess.run([str(a) for a in argv], env=env, input=input, cwd='/',
                       capture_output=True, text=True, timeout=timeout, **kw)
    if r.returncode != 0:
        text = (r.stderr.strip() or r.stdout.strip())
        raise StartError(f'{" ".join(str(a) for a in argv[:3])} ...: {text}')
    return r.stdout
