"""Endpoints whose security types encrypt by themselves or log in by account,
through the whole relay: RA2, Apple (30), MS-Logon II (113). X6."""
import pytest
from security_peer import ARD, MSLOGON, RA2, RA2_256, RA2NE, SecurityPeer
from test_access import Technician, refusal

PASSWORD = 'geheim12'


@pytest.fixture(scope='module')
def rig(request):
    from conftest import make_rig
    return make_rig(request).start()


def endpoint(rig, name, peer, *options):
    path = rig.stack.path('conf', 'peer.password')
    rig.stack._write(path, PASSWORD + '\n')
    verb = 'set' if any(e['name'] == name for e in
                        rig.stack.ctl_json('endpoint', 'list')) else 'add'
    rig.stack.ctl('endpoint', verb, name, '--team', 'demo', '--host',
                  '127.0.0.1', '--port', str(peer.port), '--username',
                  'admin', '--password-file', path, *options)


def through(rig, name):
    """A whole way: login, ServerInit, a request there, a message back."""
    t = Technician(rig)
    assert t.login(f'alice@{name}', rig.password) is None
    size, desktop = t.server_init()
    assert (size, desktop) == ((1024, 768), b'peer')
    t.sock.sendall(b'\3\0' + bytes(8))
    assert t.get(1) == b'\2'  # the bell
    t.close()


@pytest.mark.parametrize('kind', [RA2, RA2_256])
@pytest.mark.parametrize('cut', [8192, 1])
def test_sealed_sessions(rig, kind, cut):
    """Messages of one byte each, and large ones."""
    name = f'sealed-{kind}-{cut}'
    peer = SecurityPeer([kind], cut=cut)
    endpoint(rig, name, peer)
    through(rig, name)
    peer.wait()
    assert peer.failure is None
    assert peer.requests[0] == 3
    pin = rig.stack.sql("SELECT encode(tls_pin_sha256, 'hex') FROM endpoints "
                        f"WHERE name = '{name}'")[0][0]
    assert pin == peer.fingerprints()[0].replace(':', '').lower()


def test_another_key_is_refused(rig):
    peer = SecurityPeer([RA2_256])
    endpoint(rig, 'pinned', peer, '--pin', 'ab' * 32)
    reason = refusal(rig, 'alice@pinned', rig.password)
    assert 'pinned' in reason and 'key' in reason
    assert peer.password is None


@pytest.mark.parametrize('kind', [ARD, MSLOGON, RA2NE])
def test_logins_without_encryption_need_leave(rig, kind):
    name = f'account-{kind}'
    peer = SecurityPeer([kind])
    endpoint(rig, name, peer)
    assert 'clear' in refusal(rig, f'alice@{name}', rig.password)
    peer = SecurityPeer([kind])
    endpoint(rig, name, peer, '--allow-clear')
    through(rig, name)
    peer.wait()
    assert (peer.user, peer.password) == ('admin', PASSWORD)
