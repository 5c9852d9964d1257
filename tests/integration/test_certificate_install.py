"""deploy/certificate-install: what an ACME client's hook calls. All daemons show
the new certificate at once, and sessions go on. M7, X7."""
import os
import re
import socket
import ssl
import subprocess

import pytest
from process import run, wait_until

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


def install(rig, chain, key, reload=None):
    """What it says; "": all went well."""
    pids = [str(p.pid) for p in rig.stack.processes if p.name in (
        'relay', 'storage', 'console')]
    done = subprocess.run(
        [INSTALL, chain, key], capture_output=True, text=True, timeout=120,
        env={**os.environ, 'RELAYCAM_TLS_DIR': rig.stack.path('conf'),
             'RELAYCAM_GROUP': str(rig.stack.user.pw_gid),
             'RELAYCAM_RELOAD': reload or f'kill -HUP {" ".join(pids)}'})
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
