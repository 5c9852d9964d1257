"""deploy/certificate-install: what an ACME client's hook calls. All daemons show
the new certificate at once, and sessions go on. M7, X7."""
import json
import os
import re
import socket
import ssl
import subprocess
import sys

import pytest
import requests
from ports import free_ports
from process import Process, run, tcp_answers, wait_until

import rfb_client as rfb
from plain_server import Server
from test_access import Technician

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
INSTALL = os.path.join(ROOT, 'deploy', 'certificate-install')


@pytest.fixture(scope='module')
def rig(request):
    from conftest import make_rig
    r = make_rig(request)
    conf = r.stack.path('conf')
    r.stack.settings.update({
        f'{s}.tls_{k}_file': f'{conf}/tls.{e}' for s in (
            'relay', 'storage', 'console')
        for k, e in (('cert', 'crt'), ('key', 'key'))})
    r.stack.settings['console.workers'] = '2'
    r.stack.prepare()
    assert install(r, f'{conf}/relay.pem', f'{conf}/relay.key', 'true') == ''
    r.start()
    r.stack.start_console()
    return r


def environment(rig, reload=None):
    pids = [str(p.pid) for p in rig.stack.processes if p.name in (
        'relay', 'storage', 'console')]
    return {**os.environ, 'RELAYCAM_TLS_DIR': rig.stack.path('conf'),
            'RELAYCAM_GROUP': str(rig.stack.user.pw_gid),
            'RELAYCAM_RELOAD': reload or f'kill -HUP {" ".join(pids)}'}


def install(rig, chain, key, reload=None):
    """What it says; "": all went well."""
    done = subprocess.run(
        [INSTALL, chain, key], capture_output=True, text=True, timeout=120,
        env=environment(rig, reload))
    assert (done.returncode == 0) == (done.stderr == ''), done.stderr
    return done.stderr


def issue(rig, name, days='30'):
    """A certificate of the rig's CA, as an ACME client would leave it."""
    conf, tmp = rig.stack.path('conf'), rig.stack.path('tmp')
    run(['openssl', 'req', '-newkey', 'ec', '-pkeyopt',
         'ec_paramgen_curve:P-256', '-nodes', '-subj', f'/CN={name}',
         '-keyout', f'{tmp}/{name}.key', '-out', f'{tmp}/{name}.csr'])
    run(['openssl', 'x509', '-req', '-in', f'{tmp}/{name}.csr', '-CA',
         f'{conf}/ca.pem', '-CAkey', f'{conf}/ca.key', '-CAcreateserial',
         '-days', days, '-extfile', f'{conf}/relay.ext', '-out',
         f'{tmp}/{name}.pem'])
    return f'{tmp}/{name}.pem', f'{tmp}/{name}.key'


def shown(rig, door):
    """The name in the certificate that this port shows."""
    if door == 'relay':
        t = Technician(rig)
        name = t.sock.getpeercert()
        t.close()
    else:
        ctx = ssl.create_default_context(cafile=rig.stack.path('ca.pem'))
        with socket.create_connection(
                ('127.0.0.1', getattr(rig.stack.ports, door)), 60) as s, \
                ctx.wrap_socket(s, server_hostname='localhost') as t:
            name = t.getpeercert()
    return dict(x[0] for x in name['subject'])['commonName']


DOORS = ('relay', 'web', 'reverse', 'session_first', 'files', 'console')


def test_all_daemons_show_it_and_sessions_go_on(rig):
    server = Server('127.0.0.1')
    rig.stack.ctl('endpoint', 'add', 'desk9', '--team', 'demo', '--host',
                  '127.0.0.1', '--port', str(server.port), '--allow-clear')
    with rfb.Client(rig.stack.ports.relay, rig.stack.path('ca.pem'),
                    'alice@desk9', rig.password, (rfb.RAW,)) as c:
        assert {shown(rig, d) for d in DOORS} == {'relay'}
        assert install(rig, *issue(rig, 'renewed')) == ''
        for door in DOORS:
            wait_until(lambda d=door: shown(rig, d) == 'renewed', 60, door)
        # each worker of the console has it
        wait_until(lambda: len(re.findall('certificate_reloaded', rig.log(
            'console'))) >= 2, 60, 'both workers')
        c.key(0x61, 1)
        wait_until(lambda: 0x61 in server.down(), 60, 'the key')
    server.close()


def test_what_does_not_fit_is_refused(rig):
    """Nothing is put in place, and nothing reloaded."""
    before = shown(rig, 'web')
    one, two = issue(rig, 'one'), issue(rig, 'two')
    old = issue(rig, 'old', days='-1')
    assert 'is not the key of' in install(rig, one[0], two[1])
    assert 'over its time' in install(rig, *old)
    assert 'no certificate' in install(rig, one[1], one[1])
    assert 'cannot be read' in install(rig, one[0], one[0])
    assert {shown(rig, d) for d in DOORS} == {before}


# --- ACME -------------------------------------------------------------------

NAME = 'relay.example.com'
# libcurl reads this file alone, and names are looked up in that one
APART = ('mount --bind "$0" /etc/ssl/certs/ca-certificates.crt && '
         'mount --bind "$1" /etc/hosts && shift && exec "$@"')
UACME = """#!/bin/sh
exec /usr/bin/uacme -a https://localhost:{acme}/dir -c {folder}/acme \
    ${{FORCE:+-f}} "$@"
"""


class Acme:
    """Pebble, the ACME server that Let's Encrypt tests clients with, and a web
    server on what stands for port 80. Its root is found at its other port."""

    def __init__(self, rig):
        s = rig.stack
        self.rig, self.folder = rig, s.path('tmp')
        ports = free_ports()
        acme, web, self.more = ports.relay, ports.web, ports.files
        self.challenges = f'{self.folder}/www/.well-known/acme-challenge'
        os.makedirs(self.challenges)
        self.put('hosts', f'127.0.0.1 localhost {NAME}\n')
        self.put('uacme', UACME.format(acme=acme, folder=self.folder), 0o755)
        conf = s.path('conf')
        self.put('pebble.json', json.dumps({'pebble': {
            'listenAddress': f'127.0.0.1:{acme}',
            'managementListenAddress': f'127.0.0.1:{self.more}',
            'certificate': f'{conf}/relay.pem',
            'privateKey': f'{conf}/relay.key', 'httpPort': web,
            'tlsPort': ports.reverse, 'ocspResponderURL': ''}}))
        server = self.spawn('web', [
            sys.executable, '-m', 'http.server', '-b', '127.0.0.1', '-d',
            f'{self.folder}/www', str(web)])
        pebble = self.spawn('pebble', self.apart(
            ['env', 'PEBBLE_VA_NOSLEEP=1', 'PEBBLE_WFE_NONCEREJECT=0',
             'pebble', '-config', f'{self.folder}/pebble.json']))
        wait_until(lambda: tcp_answers(web), 60, 'the web server', server)
        wait_until(lambda: tcp_answers(acme) and tcp_answers(self.more), 60,
                   'Pebble', pebble)

    def spawn(self, name, argv):
        s = self.rig.stack
        p = Process(name, argv, s.path('log', f'{name}.log'), None,
                    env=s.env)
        s.processes.append(p)
        return p

    def put(self, name, text, mode=0o644):
        path = f'{self.folder}/{name}'
        with open(path, 'w', encoding='ascii') as f:
            f.write(text)
        os.chmod(path, mode)

    def apart(self, argv):
        return ['unshare', '-m', 'sh', '-c', APART,
                self.rig.stack.path('ca.pem'), f'{self.folder}/hosts', *argv]

    def run(self, block, **env):
        """A block of docs/scale-out.md; its status, and what was said."""
        text = block.replace('/usr/share/relaycam/', f'{ROOT}/deploy/')
        text = text.replace('/etc/ssl/uacme', f'{self.folder}/acme')
        return subprocess.run(
            self.apart(['sh', '-c', text]), capture_output=True, text=True,
            timeout=300, stdin=subprocess.DEVNULL, env={
                **environment(self.rig), **env,
                'UACME_CHALLENGE_PATH': self.challenges,
                'PATH': f'{self.folder}:{os.environ["PATH"]}'})

    def root(self):
        ours = self.rig.stack.path('ca.pem')
        return requests.get(f'https://localhost:{self.more}/roots/0',
                            verify=ours, timeout=60).text


def blocks_of_docs():
    """(once, daily): what the recipe says after its installation."""
    with open(os.path.join(ROOT, 'docs', 'scale-out.md'),
              encoding='utf-8') as f:
        once, daily = [b for b in re.findall(
            r'^```sh\n(.*?)^```', f.read(), re.M | re.S) if 'uacme' in b]
    install_line, _, once = once.partition('\n')
    assert install_line == 'apt-get install uacme'
    assert f'name={NAME}\n' in daily
    return once.replace('-v new', '-v -y new'), daily


def serial(rig, door, root):
    """Of the certificate that this port shows, checked as browsers do."""
    ctx = ssl.create_default_context(cadata=root)
    ctx.check_hostname = False  # of a port whose name is in none
    with socket.create_connection(
            ('127.0.0.1', getattr(rig.stack.ports, door)), 60) as s, \
            ctx.wrap_socket(s, server_hostname=NAME) as t:
        cert = t.getpeercert()
    assert ('DNS', NAME) in cert['subjectAltName'], cert
    return cert['serialNumber']


def test_recipe_for_acme(rig):
    """What docs/scale-out.md says, run with Debian's uacme against a real ACME
    server: a first certificate, a day with nothing to do, a renewal."""
    acme = Acme(rig)
    once, daily = blocks_of_docs()
    r = acme.run(once)
    assert r.returncode == 0, r.stderr
    doors = [d for d in DOORS if d != 'relay']
    seen = []
    for day, env in enumerate(({}, {}, {'FORCE': '1'})):
        r = acme.run(daily, **env)
        # 1: the certificate is good for long enough
        assert r.returncode == (1 if day == 1 else 0), (
            r.stdout, r.stderr, rig.log('pebble')[-3000:])
        if day == 1:
            continue
        want = run(['openssl', 'x509', '-in',
                    f'{acme.folder}/acme/{NAME}/cert.pem', '-noout',
                    '-serial']).strip().partition('=')[2]
        root = acme.root()
        for door in doors:
            wait_until(lambda d=door: is_shown(rig, d, root, want), 60,
                       f'{door} to show it')
        seen.append(want)
    assert len(set(seen)) == 2
    assert os.listdir(acme.challenges) == []


def is_shown(rig, door, root, want):
    try:
        return serial(rig, door, root) == want
    except ssl.SSLCertVerificationError:
        return False  # the one before, of another CA
