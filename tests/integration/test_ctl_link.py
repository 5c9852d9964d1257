"""relaycam recordings link --for: a link that is a person's, T6, X7."""
import json
import ssl
import urllib.error
import urllib.request

from storage_env import wait_for
from test_ctl_services import (  # noqa: F401
    FAILED, audits, ca, ctl, stored)


def opened(ctl, url, cookie=None):  # noqa: F811
    context = ssl.create_default_context(cafile=ca(ctl))
    request = urllib.request.Request(
        url, headers={'Cookie': cookie} if cookie else {})
    with urllib.request.urlopen(request, context=context) as r:
        return r.read(), r.headers['Set-Cookie'].split(';')[0]


def test_a_link_of_a_person(ctl, stored):  # noqa: F811
    segment, _ = stored
    name = ctl.stack.sql("SELECT name FROM people WHERE role = 'owner' "
                         'ORDER BY id LIMIT 1')[0][0]
    link = json.loads(ctl.ok('recordings', 'link', segment, '--for', name,
                             '--json'))
    assert '&person=' in link['url']
    _, cookie = opened(ctl, link['url'])
    assert cookie.startswith('__Secure-relaycam-grant=1.')
    row = audits(ctl, 'link', segment)[0]
    assert row['detail']['person'] == name
    wait_for('the line', lambda: [
        r for r in audits(ctl, 'link_opened', segment) if r['actor'] == name])
    # nobody can make it another's
    try:
        opened(ctl, link['url'].replace('&person=', '&person=1'))
        raise AssertionError('it was served')
    except urllib.error.HTTPError as e:
        assert e.code == 403


def test_no_link_for_who_may_not_watch(ctl, stored):  # noqa: F811
    segment, _ = stored
    assert 'nobody' in ctl.fails(FAILED, 'recordings', 'link', segment,
                                 '--for', 'nobody')
    ctl.stack.sql("UPDATE people SET disabled = true WHERE role = 'owner'")
    try:
        name = ctl.stack.sql("SELECT name FROM people WHERE role = 'owner' "
                             'ORDER BY id LIMIT 1')[0][0]
        assert f'{name} may not watch this recording' in ctl.fails(
            FAILED, 'recordings', 'link', segment, '--for', name)
    finally:
        ctl.stack.sql("UPDATE people SET disabled = false "
                      "WHERE role = 'owner'")
