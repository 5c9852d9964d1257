"""One-time logins for session codes at the console: the first use gives the
code's endpoint to a team, wrong codes slow the next try (attended access, M7,
X7). With a relay and an agent: tests/browser/test_connect_by_code.py."""
import concurrent.futures

import pytest

from console_env import Console
from pg import Cluster

CODE = '123456789'


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('console'), cluster).start()
        c.people = {n: c.login(n) for n in ('alice', 'mia', 'olga')}
        c.sql("INSERT INTO nodes (id, program, host, version) VALUES "
              "(gen_random_uuid(), 'relay', 'relay1', '1.0.0')")
        yield c
        assert c.stop() == 0, c.log()
        assert 'ERROR: ' not in c.log(), c.log()


@pytest.fixture(autouse=True)
def codes(console):
    """CODE is shown by an agent; nobody has tried one."""
    console.sql("UPDATE endpoints SET deleted_at = now() WHERE kind = "
                "'attended' AND deleted_at IS NULL")
    console.sql('DELETE FROM login_failures')
    console.sql('DELETE FROM attended_codes')
    console.sql('INSERT INTO attended_codes (code, node_id, host, version, '
                "expires_at) SELECT %s, id, 'anna-pc', '1.0.0', now() + "
                "interval '1 hour' FROM nodes LIMIT 1", (CODE,))


def ask(console, person, code=CODE):
    return console.people[person].post('tickets', json={'endpoint': code})


def endpoints(console):
    return console.sql(
        'SELECT t.name, e.kind, e.access, e.title FROM endpoints e JOIN teams'
        ' t ON t.id = e.team_id WHERE e.name = %s AND e.deleted_at IS NULL',
        (CODE,))


def failed(console, person):
    return sum(n for n, in console.sql(
        'SELECT failed FROM login_failures WHERE client_addr = %s',
        (f'codes tried at consoles by {person}',)))


def test_first_use_makes_the_endpoint(console):
    """Also for a member without any right: the end user read out the code."""
    r = ask(console, 'mia')
    assert r.status_code == 201, r.text
    assert r.json()['user'] == f'mia@{CODE}'
    team, = console.sql("SELECT t.name FROM people p JOIN teams t ON t.id = "
                        "p.team_id WHERE p.name = 'mia'")
    assert endpoints(console) == [(*team, 'attended', 'attended', 'anna-pc')]
    assert console.audit('ticket')[-1][:2] == ('mia', CODE)
    assert ask(console, 'alice').status_code == 201
    assert len(endpoints(console)) == 1
    assert failed(console, 'mia') == 0


def test_another_teams_code_is_a_wrong_one(console):
    assert ask(console, 'mia').status_code == 201
    theirs = ask(console, 'olga')
    assert theirs.status_code == 422, theirs.text
    assert [e['pointer'] for e in theirs.json()['errors']] == ['/endpoint']
    assert failed(console, 'olga') == 1
    assert len(endpoints(console)) == 1


def test_code_whose_time_is_over(console):
    console.sql("UPDATE attended_codes SET expires_at = now() - interval '1 s'")
    assert ask(console, 'mia').status_code == 422
    assert endpoints(console) == []


def test_wrong_codes_slow_the_next_try(console):
    """Also a right one; others do not wait, nor does she for failures at
    relays, which anybody can make in her name."""
    console.sql('INSERT INTO login_failures (client_addr, failed, last_at) '
                "SELECT a, 9, now() + interval '1 hour' FROM (VALUES ('codes "
                "tried at consoles by mia'), ('codes tried by alice')) x (a)")
    before = len(console.audit('refused'))
    for code in ('999999999', CODE):
        r = ask(console, 'mia', code)
        assert r.status_code == 429, r.text
        assert int(r.headers['Retry-After']) > 0
    assert endpoints(console) == []
    assert failed(console, 'mia') == 9
    assert ask(console, 'alice').status_code == 201
    console.sql("UPDATE login_failures SET last_at = now() - interval '20 s'")
    r = ask(console, 'mia', '999999999')
    assert r.status_code == 422, r.text
    assert failed(console, 'mia') == 10
    actor, what, detail = console.audit('refused')[before:][-1]
    assert (actor, what) == ('mia', '999999999')
    assert detail['why'] == 'no such session code'
    assert ask(console, 'mia').status_code == 429


def test_tries_at_the_same_time_are_one(console):
    """None gets in while another one's failure is not written yet."""
    console.sql('INSERT INTO login_failures (client_addr, failed, last_at) '
                "VALUES ('codes tried at consoles by mia', 9, now() - interval '20 s')")
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(
            lambda i: ask(console, 'mia', f'99999999{i}').status_code,
            range(6)))
    assert sorted(answers) == [422] + 5 * [429]
    assert failed(console, 'mia') == 10
