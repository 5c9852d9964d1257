"""Requests with an Idempotency-Key wait for one connection of their worker:
one person cannot have all places there."""
import threading
import uuid

from console_env import Console
from console_fixtures import cluster  # noqa: F401
from storage_env import wait_for

PER_PERSON = 20  # IDEMPOTENCY_PER_PERSON


def test_one_person_has_a_share_of_the_places(tmp_path, cluster):
    console = Console(tmp_path, cluster, **{
        'console.workers': '1', 'database.answer_seconds': '300',
        'console.request_seconds': '600'})
    console.start()
    body, answers = {'endpoint': 'desk1'}, {}

    def ask(who, client):
        r = client.post('tickets', json=body,
                        headers={'Idempotency-Key': str(uuid.uuid4())})
        answers.setdefault(who, []).append(r)

    people = {who: console.login(who) for who in ('alice', 'adam')}

    def again(who):
        """Another connection of the same login."""
        client = console.client()
        client.http.cookies.update(people[who].http.cookies)
        client.http.headers.update(people[who].http.headers)
        return client

    def start(who, n):
        threads = [threading.Thread(target=ask, args=(who, again(who)))
                   for _ in range(n)]
        for t in threads:
            t.start()
        return threads

    def waits():
        return cluster.sql(console.ctl.name, (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = "
            "current_database() AND wait_event_type = 'Lock'"))[0][0] == 1
    lock = cluster.connect(console.ctl.name)
    lock.autocommit = False
    lock.cursor().execute('LOCK TABLE tickets')
    threads = start('alice', 1)
    wait_for('the one whose turn it is', waits, 60)
    threads += start('alice', PER_PERSON + 3)
    wait_for('refusals', lambda: len(answers.get('alice', ())) == 3, 60)
    for r in answers['alice']:
        assert (r.status_code, r.json()['type']) == (429, '/problems/busy')
        assert int(r.headers['Retry-After']) > 0
    threads += start('adam', 1)
    lock.rollback()
    lock.close()
    for t in threads:
        t.join(120)
    assert [r.status_code for r in answers['adam']] == [201], console.log()
    assert sorted(r.status_code for r in answers['alice']) == (
        [201] * (PER_PERSON + 1) + [429] * 3)
    assert console.stop() == 0, console.log()
