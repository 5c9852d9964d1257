"""The relay's logins against peers of another make (security_peer.py)."""
import os
import subprocess

import pytest

from conftest import BUILD
from security_peer import (ARD, MSLOGON, PASSWORD, RA2, RA2_256, RA2NE,
                           RA2NE_256, USER_AND_PASSWORD, SecurityPeer)

LOGIN = os.path.join(BUILD, 'tests', 'unit', 'rfb_login')
ALL_RA2 = [RA2, RA2NE, RA2_256, RA2NE_256]


def login(peer, *options, password='gehe\u00efm 12', user='alice'):
    env = dict(os.environ, VNC_PASSWORD=password)
    args = [LOGIN, str(peer.port), *options]
    if user:
        args += ['--user', user]
    done = subprocess.run(args, env=env, capture_output=True, text=True,
                          timeout=60)
    peer.wait()
    return done


def check_session(done, name):
    assert done.returncode == 0, done.stderr
    assert f'chosen {name}\n' in done.stdout
    assert 'desktop 1024x768 peer\n' in done.stdout
    assert 'message 02\n' in done.stdout


@pytest.mark.parametrize('kind,name', [(RA2, 'RA2'), (RA2NE, 'RA2ne'),
                                       (RA2_256, 'RA2_256'),
                                       (RA2NE_256, 'RA2ne_256')])
@pytest.mark.parametrize('subtype', [USER_AND_PASSWORD, PASSWORD])
def test_ra2(kind, name, subtype):
    peer = SecurityPeer([kind], subtype=subtype)
    done = login(peer, '--clear')
    check_session(done, name)
    assert peer.failure is None
    assert peer.password == 'gehe\u00efm 12'
    assert peer.user == ('alice' if subtype == USER_AND_PASSWORD else '')
    assert peer.requests[0] == 3
    sha256, text = peer.fingerprints()
    assert f'key {sha256} {text}\n' in done.stdout


@pytest.mark.parametrize('bits', [1024, 3072])
def test_ra2_key_sizes(bits):
    """The endpoint's key and the relay's need not be as long."""
    peer = SecurityPeer([RA2_256], rsa_bits=bits)
    check_session(login(peer), 'RA2_256')


@pytest.mark.parametrize('cut', [1, 7])
def test_ra2_small_messages(cut):
    """Messages may be cut anywhere, also within the hash."""
    peer = SecurityPeer([RA2], cut=cut)
    check_session(login(peer), 'RA2')
    assert peer.password == 'gehe\u00efm 12'


def test_ra2_order():
    assert_chosen(ALL_RA2 + [ARD, MSLOGON, 2, 1], [], RA2_256)
    assert_chosen([RA2, RA2NE_256, ARD], ['--clear'], RA2)
    assert_chosen([RA2NE, RA2NE_256, ARD], ['--clear'], RA2NE_256)
    assert_chosen([MSLOGON, ARD, RA2], ['--clear', '--no-ra2'], ARD)


def assert_chosen(types, options, chosen):
    peer = SecurityPeer(types)
    done = login(peer, *options)
    assert done.returncode == 0, done.stderr
    assert peer.chosen == chosen


@pytest.mark.parametrize('damage', ['random', 'hash'])
def test_ra2_wrong_server(damage):
    """Nothing secret reaches a server that cannot read what is under its
    key, or that shows another key than it uses."""
    peer = SecurityPeer([RA2_256], damage=damage)
    done = login(peer)
    assert done.returncode == 1
    assert 'is not what its RSA key says' in done.stderr
    assert peer.password is None


@pytest.mark.parametrize('kind', [RA2_256, RA2NE, ARD, MSLOGON])
def test_refused(kind):
    peer = SecurityPeer([kind], accept=False, reason=b'account locked')
    done = login(peer, '--clear')
    assert done.returncode == 1
    assert ('the endpoint refused the stored password: account locked' in
            done.stderr)


def test_ra2_needs_user():
    peer = SecurityPeer([RA2], subtype=USER_AND_PASSWORD)
    done = login(peer, user=None)
    assert done.returncode == 1
    assert 'wants a user name and a password' in done.stderr
    assert peer.password is None


@pytest.mark.parametrize('kind,name', [(ARD, 'Apple Diffie-Hellman'),
                                       (MSLOGON, 'MS-Logon II')])
@pytest.mark.parametrize('user,password', [
    ('alice', 'gehe\u00efm 12'), ('u' * 63, 'p' * 63), ('a', '')])
def test_accounts(kind, name, user, password):
    """Each time with new numbers on both sides."""
    for _ in range(5):
        peer = SecurityPeer([kind])
        done = login(peer, '--clear', '--no-ra2', user=user,
                     password=password)
        check_session(done, name)
        assert (peer.user, peer.password) == (user, password)


@pytest.mark.parametrize('kind,user,password', [
    (ARD, 'u' * 64, 'p'), (ARD, 'u', 'p' * 64), (MSLOGON, 'u' * 256, 'p'),
    (MSLOGON, 'u', 'p' * 64), (RA2, 'u' * 256, 'p'), (RA2, 'u', 'p' * 256)])
def test_too_long(kind, user, password):
    peer = SecurityPeer([kind])
    done = login(peer, '--clear', user=user, password=password)
    assert done.returncode == 1
    assert 'too long for its kind of login' in done.stderr


@pytest.mark.parametrize('kind', [RA2NE, RA2NE_256, ARD, MSLOGON])
def test_clear_only_where_allowed(kind):
    peer = SecurityPeer([kind])
    done = login(peer)
    assert done.returncode == 1
    assert 'the endpoint offers no TLS' in done.stderr
    assert peer.chosen is None
