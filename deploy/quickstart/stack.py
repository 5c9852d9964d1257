"""One Relaycam on one machine: folders, keys, configuration, PostgreSQL,
storage and relay. Used by the quickstart and by the integration tests."""
import json
import os
import secrets
import shutil
import socket
import subprocess

from process import (Process, StartError, port_is_free, run, service_user,
                     tcp_answers, wait_until)

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PG_BIN = '/usr/lib/postgresql/15/bin'
PROGRAMS = {'relaycam-relay': 'relay', 'relaycam-recorder': 'recorder',
            'relaycam-storage': 'storage', 'relaycam-console': 'console',
            'relaycam': 'ctl'}
S3_KEY = 'TESTKEY0123456789AB'
S3_SECRET = 'testsecret0123456789testsecret0123456789'
BUCKET = 'relaycam'
MIN_FREE = 200 << 20


class Ports:
    """Loopback ports; with a base they lie side by side."""

    def __init__(self, base=None):
        def pick(usual, n):
            return usual if base is None else base + n
        self.relay = pick(5900, 0)
        self.files = pick(8444, 1)
        self.relay_metrics = pick(9090, 2)
        self.storage_metrics = pick(9091, 3)
        self.endpoint = pick(5921, 4)
        self.web = pick(5443, 5)
        self.reverse = pick(5500, 6)
        self.session_first = pick(5910, 7)
        self.session_last = self.session_first + 3
        self.console = pick(8443, 11)
        self.console_metrics = pick(9092, 12)
        self.s3 = pick(7480, 20)


def binary_user_env(home):
    return {'PATH': '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
            'HOME': home, 'LANG': 'C.UTF-8', 'TMPDIR': '/tmp',
            **{k: v for k, v in os.environ.items()
               if k in ('ASAN_OPTIONS', 'UBSAN_OPTIONS', 'LSAN_OPTIONS',
                        'TZ')}}


class Stack:
    """start() brings everything up, stop() takes it down. Settings given as
    {'section.key': value} override what is written into the configuration."""

    def __init__(self, state, build, ports=None, s3=False, settings=None):
        self.state = os.path.abspath(state)
        self.build = os.path.abspath(build)
        self.ports = ports or Ports()
        self.s3 = s3
        self.settings = dict(settings or {})
        self.user = service_user()
        self.processes = []
        self.env = binary_user_env(self.path('home'))
        self.s3_running = False

    def path(self, *parts):
        return os.path.join(self.state, *parts)

    # --- preparation -------------------------------------------------------

    def prepare(self):
        self._check_ports()
        self._make_folders()
        self._check_space()
        self._copy_programs()
        self._copy_pages()
        self._make_keys()
        self._write_conf()

    def _check_ports(self):
        names = {'relay': 'the relay', 'files': 'signed links',
                 'relay_metrics': 'relay metrics',
                 'storage_metrics': 'storage metrics',
                 'endpoint': 'the demo endpoint',
                 'web': 'the browser viewer',
                 'console': 'the console',
                 'console_metrics': 'console metrics',
                 'reverse': 'endpoints that dial in'}
        if self.s3:
            names['s3'] = 'the S3 server'
        taken = [f'{getattr(self.ports, k)} ({v})' for k, v in names.items()
                 if not port_is_free(getattr(self.ports, k))]
        if taken:
            raise StartError(f'ports are taken: {", ".join(taken)}; stop what '
                             'uses them or give --port-base N')

    def _make_folders(self):
        try:
            if not os.path.isdir(self.state):
                os.makedirs(self.state)
            self._own(self.state)
            for name, mode in (('bin', 0o755), ('conf', 0o700),
                               ('home', 0o700), ('run', 0o700),
                               ('log', 0o700), ('spool', 0o700),
                               ('recordings', 0o700), ('tmp', 0o700)):
                os.makedirs(self.path(name), exist_ok=True)
                os.chmod(self.path(name), mode)
                self._own(self.path(name))
            if os.getuid() == 0:
                # where X servers put their sockets; no system start made it
                os.makedirs('/tmp/.X11-unix', exist_ok=True)
                os.chmod('/tmp/.X11-unix', 0o1777)
        except PermissionError as e:
            raise StartError(f'no right to write {e.filename}; give another '
                             'folder with --state DIR') from None
        if len(self.path('run', '.s.PGSQL.5432')) > 100:
            raise StartError('the path of the state folder is too long for '
                             'a Unix socket; give a shorter --state DIR')
        r = subprocess.run(['/usr/bin/test', '-x', self.path('run')],
                           **self._as_user())
        if r.returncode != 0:
            raise StartError(
                f'the account "{self.user.pw_name}" cannot reach '
                f'{self.state}: a folder above it is closed; give --state DIR')

    def _as_user(self):
        if os.getuid() == 0 and self.user.pw_uid != 0:
            return {'user': self.user.pw_uid, 'group': self.user.pw_gid,
                    'extra_groups': []}
        return {}

    def _own(self, path):
        if os.getuid() == 0:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def _check_space(self):
        free = shutil.disk_usage(self.state).free
        if free < MIN_FREE:
            raise StartError(f'{self.state}: {free >> 20} MB free, at least '
                             f'{MIN_FREE >> 20} MB are needed')

    def _copy_programs(self):
        """The build may lie where the service account cannot read."""
        for name, folder in PROGRAMS.items():
            source = os.path.join(self.build, folder, name)
            if not os.path.exists(source):
                raise StartError(f'{source} is missing: build first')
            target = self.path('bin', name)
            shutil.copyfile(source, target + '.new')
            os.chmod(target + '.new', 0o755)
            os.rename(target + '.new', target)

    def _copy_pages(self):
        """Nor may the sources lie where it can. Only what the folders have
        now: a file of an earlier version would be served too."""
        for target, source in (
                ('web', os.path.join(ROOT, 'relay', 'web')),
                ('pages', os.path.join(ROOT, 'console', 'pages')),
                ('modules', os.path.join(self.build, 'console', 'modules'))):
            shutil.rmtree(self.path(target), ignore_errors=True)
            shutil.copytree(source, self.path(target))

    def _make_keys(self):
        for name in ('link.key', 'seal.key'):
            path = self.path('conf', name)
            if not os.path.exists(path):
                self._write(path, secrets.token_bytes(32), 0o600)
        if not os.path.exists(self.path('conf', 'ca.pem')):
            self._make_certificates()

    def _write(self, path, data, mode=0o600):
        if isinstance(data, str):
            data = data.encode()
        fd = os.open(path + '.new', os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
                     mode)
        with os.fdopen(fd, 'wb') as f:
            f.write(data)
        os.chmod(path + '.new', mode)
        self._own(path + '.new')
        os.rename(path + '.new', path)

    def certificate_names(self):
        return ['DNS:localhost', f'DNS:{socket.gethostname()}',
                'IP:127.0.0.1']

    def _make_certificates(self):
        """A CA of this state folder, one certificate for relay and storage,
        one for the demo endpoint."""
        conf = self.path('conf')
        run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
             'ec_paramgen_curve:P-256', '-nodes', '-days', '3650', '-subj',
             '/CN=Relaycam quickstart CA', '-keyout', f'{conf}/ca.key',
             '-out', f'{conf}/ca.pem.new', '-addext',
             'basicConstraints=critical,CA:true', '-addext',
             'keyUsage=critical,keyCertSign,cRLSign'], self.user)
        names = ','.join(self.certificate_names())
        for who in ('relay', 'endpoint'):
            self._write(f'{conf}/{who}.ext', f'subjectAltName={names}\n'
                        'extendedKeyUsage=serverAuth\n')
            run(['openssl', 'req', '-newkey', 'ec', '-pkeyopt',
                 'ec_paramgen_curve:P-256', '-nodes', '-subj',
                 f'/CN={who}', '-keyout', f'{conf}/{who}.key', '-out',
                 f'{conf}/{who}.csr'], self.user)
            run(['openssl', 'x509', '-req', '-in', f'{conf}/{who}.csr',
                 '-CA', f'{conf}/ca.pem.new', '-CAkey', f'{conf}/ca.key',
                 '-CAcreateserial', '-days', '825', '-extfile',
                 f'{conf}/{who}.ext', '-out', f'{conf}/{who}.pem'], self.user)
        os.rename(f'{conf}/ca.pem.new', f'{conf}/ca.pem')
        # the CA is for anybody who connects; keys stay closed
        shutil.copyfile(f'{conf}/ca.pem', self.path('ca.pem'))
        os.chmod(self.path('ca.pem'), 0o644)

    @property
    def database_url(self):
        return f'postgresql:///relaycam?host={self.path("run")}'

    def conf_values(self):
        p, conf = self.ports, self.path('conf')
        v = {
            'log.level': 'info',
            'database.url': self.database_url,
            **{f'database.{who}_user': f'relaycam_{who}'
               for who in ('relay', 'storage', 'console', 'admin', 'owner')},
            'secrets.seal_key_file': f'{conf}/seal.key',
            'secrets.evidence_key_file': f'{conf}/evidence.key',
            'spool.dir': self.path('spool'),
            'store.kind': 's3' if self.s3 else 'folder',
            'store.folder': self.path('recordings'),
            'store.public_url': f'https://localhost:{p.files}',
            'store.link_key_file': f'{conf}/link.key',
            'relay.listen': f'127.0.0.1:{p.relay}',
            'relay.web_listen': f'127.0.0.1:{p.web}',
            'relay.reverse_listen': f'127.0.0.1:{p.reverse}',
            'relay.session_ports':
                f'127.0.0.1:{p.session_first}-{p.session_last}',
            'relay.web_dir': self.path('web'),
            'relay.web_frame_origins': f'https://localhost:{p.console}',
            'console.viewer_url': f'https://localhost:{p.web}',
            'console.vnc_address': f'localhost:{p.relay}',
            'console.pages_dir': self.path('pages'),
            'console.modules_dir': self.path('modules'),
            'relay.public_host': 'localhost',
            'relay.public_ca_file': self.path('ca.pem'),
            'relay.tls_cert_file': f'{conf}/relay.pem',
            'relay.tls_key_file': f'{conf}/relay.key',
            'relay.metrics_listen': f'127.0.0.1:{p.relay_metrics}',
            'relay.recorder_program': self.path('bin', 'relaycam-recorder'),
            'storage.listen': f'127.0.0.1:{p.files}',
            'storage.cors_origin': f'https://localhost:{p.console}',
            'storage.tls_cert_file': f'{conf}/relay.pem',
            'storage.tls_key_file': f'{conf}/relay.key',
            'storage.metrics_listen': f'127.0.0.1:{p.storage_metrics}',
            'storage.recorder_program': self.path('bin', 'relaycam-recorder'),
            'console.listen': f'127.0.0.1:{p.console}',
            'console.tls_cert_file': f'{conf}/relay.pem',
            'console.tls_key_file': f'{conf}/relay.key',
            'console.public_url': f'https://localhost:{p.console}',
            'console.metrics_listen': f'127.0.0.1:{p.console_metrics}',
            'console.provider_private_addresses': 'on',  # all is on loopback
        }
        if self.s3:
            v.update({'store.s3_endpoint': f'http://127.0.0.1:{p.s3}',
                      'store.s3_bucket': BUCKET,
                      'store.s3_access_key_file': f'{conf}/s3.key'})
        v.update(self.settings)
        return v

    def _write_conf(self):
        sections = {}
        for name, value in self.conf_values().items():
            section, key = name.split('.', 1)
            sections.setdefault(section, []).append(f'{key} = {value}')
        self._write(self.path('conf', 'relaycam.conf'), '\n'.join(
            f'[{s}]\n' + '\n'.join(lines) + '\n'
            for s, lines in sections.items()))
        self._write(self.path('conf', 's3.key'), f'{S3_KEY}\n{S3_SECRET}\n')

    # --- services ----------------------------------------------------------

    def spawn(self, name, argv, **kw):
        kw.setdefault('env', self.env)
        p = Process(name, argv, self.path('log', f'{name}.log'), self.user,
                    **kw)
        self.processes.append(p)
        return p

    def start_postgres(self):
        data = self.path('pg')
        if not os.path.exists(os.path.join(data, 'PG_VERSION')):
            shutil.rmtree(data, ignore_errors=True)
            run([f'{PG_BIN}/initdb', '-D', data, '-A', 'peer', '-E', 'UTF8',
                 '--locale', 'C.UTF-8', '--no-sync'], self.user, self.env)
        self._write_logins(data)
        pid = os.path.join(data, 'postmaster.pid')
        p = self.spawn('postgres', [
            f'{PG_BIN}/postgres', '-D', data, '-k', self.path('run'), '-c',
            'listen_addresses=', '-c', 'unix_socket_permissions=0700', '-c',
            'max_connections=60'])

        def ready():
            return os.path.exists(pid) and subprocess.run(
                [f'{PG_BIN}/pg_isready', '-q', '-h', self.path('run')],
                **self._as_user()).returncode == 0
        wait_until(ready, 30, 'PostgreSQL', p)
        have = run(['psql', '-h', self.path('run'), '-d', 'postgres', '-Atc',
                    "SELECT 1 FROM pg_database WHERE datname='relaycam'"],
                   self.user, self.env).strip()
        if not have:
            run(['createdb', '-h', self.path('run'), 'relaycam'], self.user,
                self.env)
        run(['psql', '-h', self.path('run'), '-d', 'relaycam', '-X', '-q',
             '-v', 'ON_ERROR_STOP=1'], self.user, self.env,
            input=self.ctl('migrate', '--roles'))
        self.ctl('migrate')
        return p

    def _write_logins(self, data):
        """Everything runs as one account here, so that account may log in
        as each role; the programs still have no more than their rights."""
        account = self.user.pw_name
        roles = [account] + [f'relaycam_{r}' for r in (
            'owner', 'relay', 'storage', 'console', 'admin')]
        self._write(os.path.join(data, 'pg_hba.conf'),
                    'local all all peer map=relaycam\n')
        self._write(os.path.join(data, 'pg_ident.conf'), ''.join(
            f'relaycam {account} {r}\n' for r in roles))

    def start_s3(self):
        """A private Ceph RADOS Gateway; its data live in the state folder."""
        self._own_copy('ceph-stop')
        run(['bash', self._own_copy('ceph-start'), self.path('ceph'),
             self.ports.s3, 'bluestore'], self.user, self.env)
        self.s3_running = True
        self.aws('s3api', 'create-bucket', '--bucket', BUCKET)

    def aws(self, *args, timeout=120):
        """Runs Amazon's client against the S3 server."""
        return run(['aws', '--endpoint-url',
                    self.conf_values()['store.s3_endpoint'], *args], None, {
                        **os.environ, 'AWS_ACCESS_KEY_ID': S3_KEY,
                        'AWS_SECRET_ACCESS_KEY': S3_SECRET,
                        'AWS_DEFAULT_REGION': 'us-east-1'}, timeout=timeout)

    def _own_copy(self, script):
        target = self.path('bin', script)
        shutil.copyfile(os.path.join(ROOT, 'deploy', script), target)
        os.chmod(target, 0o755)
        return target

    def stop_s3(self):
        if self.s3_running:
            run(['bash', self._own_copy('ceph-stop'), self.path('ceph')],
                self.user, self.env)
            self.s3_running = False

    def start_storage(self):
        p = self.spawn('storage', [self.path('bin', 'relaycam-storage'),
                                   '--config', self.conf_file])
        wait_until(lambda: self.is_ready(self.ports.storage_metrics), 20,
                   'the storage daemon', p)
        return p

    def start_relay(self):
        p = self.spawn('relay', [self.path('bin', 'relaycam-relay'),
                                 '--config', self.conf_file])
        wait_until(lambda: self.is_ready(self.ports.relay_metrics) and
                   tcp_answers(self.ports.relay), 20, 'the relay', p)
        return p

    def start_console(self):
        p = self.spawn('console', [self.path('bin', 'relaycam-console'),
                                   '--config', self.conf_file])
        wait_until(lambda: self.is_ready(self.ports.console_metrics), 20,
                   'the console', p)
        return p

    @staticmethod
    def is_ready(port):
        r = subprocess.run(['curl', '-s', '-o', '/dev/null', '-w',
                            '%{http_code}', f'http://127.0.0.1:{port}/readyz'],
                           capture_output=True, text=True)
        return r.stdout == '200'

    def start(self):
        self.prepare()
        self.start_postgres()
        if self.s3:
            self.start_s3()
        self.start_storage()
        self.start_relay()

    def stop(self):
        while self.processes:
            p = self.processes.pop()
            # PostgreSQL: SIGINT is its fast shutdown
            p.stop(20, 2 if p.name == 'postgres' else 15)
        self.stop_s3()

    # --- talking to it -----------------------------------------------------

    @property
    def conf_file(self):
        return self.path('conf', 'relaycam.conf')

    def ctl(self, *args, input=None):
        """Runs the administrator's command line; returns its output."""
        return run([self.path('bin', 'relaycam'), '--config', self.conf_file,
                    *args], self.user, self.env, input=input)

    def ctl_json(self, *args):
        return json.loads(self.ctl(*args, '--json'))

    def sql(self, query):
        """Rows of a query as lists of strings."""
        out = run(['psql', '-h', self.path('run'), '-d', 'relaycam', '-AtF',
                   '\t', '-c', query], self.user, self.env)
        return [line.split('\t') for line in out.splitlines()]
