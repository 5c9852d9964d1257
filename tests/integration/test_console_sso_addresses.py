"""The issuer's URL is an owner's choice: unless the site allows it, the console
does not connect to an address that is not public, whatever name has it."""
import socket

import pytest

from console_fixtures import cluster, started  # noqa: F401
from oidc_env import CLIENT
from storage_env import wait_for


@pytest.fixture(scope='module')
def console(tmp_path_factory, cluster):
    for c in started(tmp_path_factory.mktemp('console'), cluster):
        c.stop()
        del c.settings['console.provider_private_addresses']
        c.settings['console.public_url'] = c.url
        c.start()
        c.alice = c.login('alice')
        yield c


@pytest.mark.parametrize('family, host', [
    (socket.AF_INET, 'localhost'), (socket.AF_INET, '127.0.0.1'),
    (socket.AF_INET, '127.1.2.3')])
def test_inner_hosts_are_not_connected_to(console, family, host):
    with socket.create_server(
            (host if host[0] == '1' else '127.0.0.1', 0),
            family=family) as inner:
        inner.setblocking(False)
        port = inner.getsockname()[1]
        r = console.alice.patch('settings/single-sign-on', json={
            'issuer': f'https://{host}:{port}', 'client_id': CLIENT,
            'client_secret': 'x', 'enabled': True})
        assert r.status_code == 200, r.text
        log = len(console.log())
        r = console.client().get('login/single-sign-on?team=demo',
                                 allow_redirects=False)
        assert r.status_code == 503
        assert r.json()['type'] == '/problems/provider-unavailable'
        wait_for('the log', lambda: 'provider_private_addresses' in
                 console.log()[log:], 60)
        with pytest.raises(BlockingIOError):
            inner.accept()
