"""What an attacker beside us finds: which TLS the doors speak, what HTTPS
answers tell browsers, who else can read key files and a daemon's memory."""
import os
import re
import socket
import stat
import struct
import subprocess
import threading

import pytest

from ports import free_ports
from stack import run

CONFIG = 78
VENCRYPT, X509_PLAIN = 19, 262

# Offered by what may be in the way, or by old clients: refused.
WEAK = ['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'AES128-SHA256',
        'AES128-SHA', 'ECDHE-ECDSA-AES128-SHA256', 'ECDHE-ECDSA-AES256-SHA',
        'ECDHE-RSA-AES256-SHA384', 'ECDHE-ECDSA-AES128-CCM8',
        'DHE-RSA-AES128-SHA', 'AECDH-AES128-SHA', 'PSK-AES128-GCM-SHA256']
GOOD = ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384',
        'ECDHE-ECDSA-CHACHA20-POLY1305']


class Preamble:
    """A door for openssl in front of the viewers' port: says what a viewer
    says before TLS (VeNCrypt, X509Plain), then only forwards."""

    def __init__(self, port):
        self.target = port
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(client,),
                             daemon=True).start()

    def _one(self, client):
        with client, socket.create_connection(
                ('127.0.0.1', self.target)) as server:
            f = server.makefile('rb')

            def take(n):
                data = f.read(n)
                assert len(data) == n
                return data
            take(12)
            server.sendall(b'RFB 003.008\n')
            assert VENCRYPT in take(take(1)[0])
            server.sendall(bytes([VENCRYPT]))
            server.sendall(take(2))
            assert take(1) == b'\0'
            types = struct.unpack(f'>{(n := take(1)[0])}I', take(4 * n))
            assert X509_PLAIN in types
            server.sendall(struct.pack('>I', X509_PLAIN))
            assert take(1) == b'\1'
            other = threading.Thread(target=self._pump,
                                     args=(client, server), daemon=True)
            other.start()
            while data := f.read1(65536):
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            other.join(10)

    @staticmethod
    def _pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture(scope='module')
def doors(rig):
    p = rig.stack.ports
    front = Preamble(p.relay)
    yield {'viewers': front.port, 'web': p.web, 'reverse': p.reverse,
           'files': p.files}
    front.close()


def s_client(port, *options):
    """The suite openssl agreed on, or None when it was refused."""
    r = subprocess.run(
        ['openssl', 's_client', '-connect', f'127.0.0.1:{port}',
         '-servername', 'localhost', *options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    m = re.search(r'^New, (TLSv\S+), Cipher is (\S+)$', r.stdout, re.M)
    assert m or 'Cipher is (NONE)' in r.stdout, r.stdout + r.stderr
    return m.groups() if m and m.group(2) != '(NONE)' else None


DOORS = ['viewers', 'web', 'reverse', 'files']


@pytest.mark.parametrize('door', DOORS)
def test_tls_1_2_with_forward_secrecy_and_aead(doors, door):
    port = doors[door]
    for suite in GOOD:
        got = s_client(port, '-tls1_2', '-cipher', suite + ':@SECLEVEL=0')
        assert got and got[1] == suite
    for suite in WEAK:
        assert s_client(port, '-tls1_2', '-cipher',
                        suite + ':@SECLEVEL=0') is None, suite
    # all that an old client has, the good ones taken out
    assert s_client(port, '-tls1_2', '-cipher',
                    'ALL:COMPLEMENTOFALL:!ECDHE+AESGCM:!ECDHE+CHACHA20:'
                    '@SECLEVEL=0') is None


@pytest.mark.parametrize('door', DOORS)
def test_no_older_version(doors, door):
    port = doors[door]
    assert s_client(port)[0] == 'TLSv1.3'
    for version in ('-tls1', '-tls1_1'):
        assert s_client(port, version, '-cipher', 'ALL:@SECLEVEL=0') is None


def test_agent_speaks_tls_1_3_only(rig, tmp_path):
    """A token is not told to anything else."""
    conf = rig.stack.path('conf')
    for version, is_good in (('-tls1_2', False), ('-tls1_3', True)):
        with socket.create_server(('127.0.0.1', 0)) as s:
            port = s.getsockname()[1]
        server = subprocess.Popen(
            ['openssl', 's_server', '-accept', f'127.0.0.1:{port}', version,
             '-cert', f'{conf}/relay.pem', '-key',
             f'{conf}/relay.key', '-naccept', '1'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        try:
            for line in server.stdout:
                if 'ACCEPT' in line:
                    break
            agent = subprocess.Popen(
                [os.path.join(rig.stack.build, 'agent', 'relaycam-agent'),
                 'enroll', '--relay', f'localhost:{port}', '--ca',
                 rig.stack.path('ca.pem'), '--token', 'rce_secrettoken',
                 '--state', str(tmp_path / version)],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            said = ''
            for line in server.stdout:
                said += line
                if 'CIPHER is TLS' in line or 'unsupported protocol' in line:
                    break
            server.terminate()
            out, _ = agent.communicate(timeout=60)
        finally:
            server.kill()
            server.wait()
        assert ('CIPHER is TLS' in said) == is_good, said + out
        assert agent.returncode != 0 and 'not enrolled' in out


# --- HTTPS ------------------------------------------------------------------

def heads(stack, port, *options, path='/'):
    out = run(['curl', '-s', '--cacert', stack.path('ca.pem'), '-o',
               '/dev/null', '-D', '-', '--path-as-is', *options,
               f'https://localhost:{port}{path}'])
    status = int(out.split()[1])
    fields = dict(re.findall(r'^([\w-]+): (.*?)\r?$', out, re.M))
    return status, {k.lower(): v for k, v in fields.items()}


def test_https_is_kept_to(rig):
    """Each answer of both servers, right or wrong ones."""
    stack, p = rig.stack, rig.stack.ports
    upgrade = ('-H', 'Upgrade: websocket', '-H', 'Connection: Upgrade', '-H',
               'Sec-WebSocket-Version: 13', '-H',
               'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', '-H',
               f'Origin: https://localhost:{p.web}', '--http1.1', '-m', '2')
    cases = [
        (200, p.web, (), '/'), (404, p.web, (), '/nothing'),
        (405, p.web, ('-X', 'DELETE'), '/'),
        (400, p.web, ('-H', 'Host:'), '/'),
        (426, p.web, (), '/session'),
        (403, p.files, (), '/files/a/b/c/d/e.webm'),
        (404, p.files, (), '/'), (204, p.files, ('-X', 'OPTIONS'), '/'),
        (404, p.files, ('-I',), '/x'),
    ]
    for want, port, options, path in cases:
        status, fields = heads(stack, port, *options, path=path)
        assert status == want, (path, options, fields)
        assert fields.get('strict-transport-security') == \
            'max-age=31536000', (path, options, fields)
    r = subprocess.run(
        ['curl', '-s', '--cacert', stack.path('ca.pem'), '-D', '-', '-o',
         '/dev/null', *upgrade, f'https://localhost:{p.web}/session'],
        capture_output=True, text=True, timeout=60)
    assert ' 101 ' in r.stdout and 'Strict-Transport-Security:' in r.stdout


# --- files ------------------------------------------------------------------

def second(stack, program, **settings):
    """Another one of this program, with the same files: its argv."""
    p = free_ports()
    own = {'relay.listen': f'127.0.0.1:{p.relay}', 'relay.web_listen': '',
           'relay.reverse_listen': '', 'relay.session_ports': '',
           'relay.metrics_listen': f'127.0.0.1:{p.relay_metrics}',
           'storage.listen': f'127.0.0.1:{p.files}',
           'storage.metrics_listen': f'127.0.0.1:{p.storage_metrics}',
           **{k.replace('__', '.'): v for k, v in settings.items()}}
    argv = [stack.path('bin', program), '--config', stack.conf_file]
    other = 'storage.' if program == 'relaycam-relay' else 'relay.'
    for key, value in own.items():
        if not key.startswith(other):
            argv += ['--set', f'{key}={value}']
    return argv


def start_refused(stack, program, **settings):
    r = subprocess.run(second(stack, program, **settings), text=True,
                       capture_output=True, timeout=60, env=stack.env,
                       cwd='/', **stack._as_user())
    assert r.returncode == CONFIG, r.stderr
    return r.stderr


KEYS = [('relaycam-relay', 'seal.key'), ('relaycam-relay', 'relay.key'),
        ('relaycam-storage', 'link.key'), ('relaycam-storage', 'relay.key'),
        ('relaycam-storage', 'evidence.key')]


@pytest.mark.parametrize('program, name', KEYS)
@pytest.mark.parametrize('mode', [0o604, 0o640])
def test_open_key_files_are_refused(rig, program, name, mode):
    stack = rig.stack
    path = stack.path('conf', name)
    os.chmod(path, mode)
    try:
        text = start_refused(stack, program)
        assert path in text and f'mode {mode:04o}' in text
        assert f'chmod 0600 {path}' in text
        r = subprocess.run(
            [stack.path('bin', 'relaycam'), '--config', stack.conf_file,
             'doctor'], capture_output=True, text=True, timeout=120,
            env=stack.env, cwd='/', **stack._as_user())
        assert r.returncode == 1 and f'{path} has mode' in r.stdout
    finally:
        os.chmod(path, 0o600)


def test_open_s3_key_is_refused(rig):
    path = rig.stack.path('conf', 's3.key')
    os.chmod(path, 0o644)
    try:
        text = start_refused(rig.stack, 'relaycam-storage', store__kind='s3',
                             store__s3_endpoint='https://s3.example',
                             store__s3_bucket='b',
                             store__s3_access_key_file=path)
    finally:
        os.chmod(path, 0o600)
    assert path in text and 'mode 0644' in text and 'chmod 0600' in text


@pytest.mark.skipif(os.getuid() != 0, reason='gives a file to another user')
def test_another_ones_key_is_refused(rig, tmp_path):
    """Root would read it whoever may have put it there."""
    path = tmp_path / 'seal.key'
    path.write_bytes(os.urandom(32))
    path.chmod(0o600)
    os.chown(path, 65534, 65534)
    r = subprocess.run(
        second(rig.stack, 'relaycam-relay', secrets__seal_key_file=path,
               relay__user=rig.stack.user.pw_name),
        capture_output=True, text=True, timeout=60, env=rig.stack.env)
    assert r.returncode == CONFIG, r.stderr
    assert 'belongs to user 65534' in r.stderr and 'chown' in r.stderr


def test_agent_refuses_an_open_identity(rig, tmp_path):
    agent = os.path.join(rig.stack.build, 'agent', 'relaycam-agent')
    (tmp_path / 'enrolment.conf').write_text(
        '[enrolment]\nrelay = localhost:1\nendpoint = x\nteam = y\n')
    path = tmp_path / 'identity.pem'
    path.write_text('nothing\n')
    path.chmod(0o644)
    argv = [agent, 'run', '--state', str(tmp_path), '--display',
            'main=127.0.0.1:5900']
    r = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert r.returncode == CONFIG
    assert 'mode 0644' in r.stderr and f'chmod 0600 {path}' in r.stderr
    path.chmod(0o600)
    r = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert r.returncode == CONFIG and 'no key' in r.stderr


# --- memory -----------------------------------------------------------------

@pytest.mark.parametrize('name', ['relay', 'storage'])
def test_memory_of_daemons_is_closed(rig, name):
    """To other processes of the same account, and to core files."""
    pid = next(p.pid for p in rig.stack.processes if p.name == name)
    with open(f'/proc/{pid}/limits', encoding='ascii') as f:
        core = next(x for x in f if x.startswith('Max core file size'))
    assert core.split()[4:6] == ['0', '0']
    # what is not dumpable is root's under /proc
    assert os.stat(f'/proc/{pid}/environ').st_uid == 0
    for path in ('environ', 'mem', 'maps'):
        r = subprocess.run(['/usr/bin/head', '-c', '1', f'/proc/{pid}/{path}'],
                           capture_output=True, text=True,
                           **rig.stack._as_user())
        assert r.returncode != 0 and 'Permission denied' in r.stderr


def test_key_files_that_are_made_are_closed(rig):
    for name in ('evidence.key', 'seal.key', 'link.key', 'relay.key'):
        mode = os.stat(rig.stack.path('conf', name)).st_mode
        assert stat.S_IMODE(mode) == 0o600, name
