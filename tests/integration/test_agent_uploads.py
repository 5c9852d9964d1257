"""Captures on an endpoint reach storage, whatever fails: the agent killed in
the middle, connections cut, answers that say no, files taken away and put
back. C7, M2, M4; docs/relaycam-agent.md, "Captures"."""
import fcntl
import hashlib
import os
import random
import uuid

import pytest

from agent_peer import ENROL, HELLO, Agent, Peer, make_certificate, welcome
from conftest import BUILD
from tus_peer import TusPeer, answer

PROGRAM = os.path.join(BUILD, 'agent', 'relaycam-agent')
MIB = 1 << 20


@pytest.fixture(scope='module')
def certificate(tmp_path_factory):
    return make_certificate(str(tmp_path_factory.mktemp('peer')), 'localhost',
                            'DNS:localhost,IP:127.0.0.1')


class Endpoint:
    """An enrolled agent whose relay is away, and its folder of captures."""

    def __init__(self, folder, certificate):
        self.folder, self.state = str(folder), str(folder / 'state')
        self.captures = os.path.join(self.state, 'captures')
        self.agent = None
        relay = Peer(*certificate[:2])
        enroll = Agent(PROGRAM, self.folder, [
            'enroll', '--relay', f'localhost:{relay.port}', '--token', 'rce_1',
            '--ca', certificate[0], '--state', self.state])
        control = relay.accept()
        control.message(HELLO)
        control.message(ENROL)
        control.send(welcome())
        assert enroll.status() == 0, enroll.log()
        relay.close()
        os.mkdir(self.captures, 0o700)
        self.storage = TusPeer(*certificate[:2],
                               os.path.join(self.state, 'identity.pem'))

    def start(self, *settings):
        self.agent = Agent(PROGRAM, self.folder, [
            'run', '--state', self.state,
            *(a for s in settings for a in ('--set', f'agent.{s}'))])

    def kill(self):
        self.agent.process.kill()
        self.agent.process.wait()

    def path(self, name, suffix):
        return os.path.join(self.captures, name + suffix)

    def put(self, size, suffix='.sealed', port=None):
        """A file as if a capture had been closed: its id and content."""
        name, data = str(uuid.uuid4()), os.urandom(size)
        with open(self.path(name, '.order'), 'w') as f:
            f.write(f'localhost:{port or self.storage.port}\n')
        with open(self.path(name, suffix), 'wb') as f:
            f.write(data)
        return name, data

    def wait_whole(self, name, data):
        self.storage.wait(lambda: name in self.storage.whole)
        assert hashlib.sha256(self.storage.whole[name]).digest() == (
            hashlib.sha256(data).digest())

    def wait_gone(self, done=1):
        self.agent.wait_log(' upload_done ', done)
        assert os.listdir(self.captures) == []


@pytest.fixture
def endpoint(tmp_path, certificate):
    e = Endpoint(tmp_path, certificate)
    yield e
    e.storage.close()
    if e.agent is not None:
        assert e.agent.stop() == 0, e.agent.log()
        assert 'Sanitizer' not in e.agent.log()
    assert e.storage.errors == []


def test_killed_twenty_times(endpoint):
    size = int(os.environ.get('RELAYCAM_UPLOAD_MIB', 60)) * MIB
    name, data = endpoint.put(size)
    storage = endpoint.storage
    for i in range(1, 21):
        endpoint.start()
        storage.wait(lambda: storage.n_bytes >= i * size // 25)
        endpoint.kill()
    endpoint.start()
    endpoint.wait_whole(name, data)
    endpoint.wait_gone()
    assert storage.n_bytes < 1.2 * size, storage.n_bytes / size
    print(f'sent {storage.n_bytes / size:.4f} of the size')


def test_cut_connections_go_on_at_the_byte(endpoint):
    size = 8 * MIB
    endpoint.storage.cuts = sorted(random.sample(range(1, size), 3))
    name, data = endpoint.put(size)
    endpoint.start()
    endpoint.wait_whole(name, data)
    endpoint.wait_gone()
    assert endpoint.storage.n_bytes < 1.2 * size
    assert endpoint.agent.log().count(' upload_failed ') == 3


def test_a_file_taken_away_and_put_back(endpoint):
    name, data = endpoint.put(MIB)
    aside = os.path.join(endpoint.folder, 'aside')
    os.rename(endpoint.path(name, '.sealed'), aside)
    endpoint.start()
    endpoint.agent.wait_log(' capture_missing ')
    endpoint.storage.wait(
        lambda: endpoint.storage.asked == [('DELETE', name)])
    os.rename(aside, endpoint.path(name, '.sealed'))
    endpoint.wait_whole(name, data)
    endpoint.wait_gone()
    assert endpoint.storage.asked == [('DELETE', name), ('POST', name),
                                      ('PATCH', name)]


def test_taken_away_while_it_is_sent(endpoint):
    """The file is open: it is handed over all the same."""
    size = 4 * MIB
    name, data = endpoint.put(size)
    endpoint.start('upload_rate=2M', 'uploads=1')
    endpoint.storage.wait(lambda: endpoint.storage.n_bytes > 0)
    os.remove(endpoint.path(name, '.sealed'))
    endpoint.wait_whole(name, data)
    endpoint.wait_gone()
    assert 'capture_missing' not in endpoint.agent.log()


def test_a_part_without_its_writer_is_handed_over(endpoint):
    kept, _ = endpoint.put(MIB, '.sealed.part')
    name, data = endpoint.put(MIB, '.sealed.part')
    empty, _ = endpoint.put(100, '.sealed.part')
    with open(endpoint.path(kept, '.sealed.part')) as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        endpoint.start()
        endpoint.wait_whole(name, data)
        endpoint.storage.wait(
            lambda: ('DELETE', empty) in endpoint.storage.asked)
        endpoint.agent.wait_log(' upload_done ')
        assert sorted(os.listdir(endpoint.captures)) == sorted([
            kept + '.order', kept + '.sealed.part', empty + '.order'])
    endpoint.storage.wait(lambda: kept in endpoint.storage.whole)


def test_what_was_handed_over_but_not_removed(endpoint):
    """Killed between storage's answer and its own last step."""
    name, _ = endpoint.put(MIB, '.done')
    orphan, _ = endpoint.put(MIB, '.done')
    os.remove(endpoint.path(orphan, '.order'))
    whole, data = endpoint.put(MIB)
    endpoint.storage.whole[whole] = data
    endpoint.start()
    endpoint.wait_gone()
    assert endpoint.storage.asked == [('POST', whole)]


REFUSALS = [
    ('POST', answer(503, close=True, Retry_After='1', text='later')),
    ('POST', answer(423, text='another connection sends it')),
    ('POST', b'HTTP/1.1 100 Continue\r\n\r\n' + answer(507, text='full')),
    ('POST', b'SSH-2.0-x\r\n\r\n'),
    ('POST', b'HTTP/1.1 201 ' + b'x' * 5000),
    ('PATCH', answer(404, close=True)),
    ('PATCH', answer(413, close=True, text='\x1b]0;too long\n\n')),
    ('PATCH', answer(409, offset=1 << 40, close=True)),
    ('PATCH', answer(409, offset='99999999999999999999999', close=True)),
]


def test_refusals_are_tried_again(endpoint):
    """Each capture meets one of them, once."""
    files = [endpoint.put(MIB) for _ in REFUSALS]
    left = {name: fault for (name, _), fault in zip(files, REFUSALS)}

    def fault(peer, method, name):
        if name in left and left[name][0] == method:
            return left.pop(name)[1]
        return None
    endpoint.storage.fault = fault
    endpoint.start('upload_retry_seconds=1', 'uploads=9')
    for name, data in files:
        endpoint.wait_whole(name, data)
    endpoint.wait_gone(len(files))
    log = endpoint.agent.log()
    for name, _ in files:
        assert log.count(f' upload_failed capture={name} ') == 1, log
    assert '\x1b' not in log


def test_a_wrong_digest_begins_anew(endpoint):
    """What storage has of it is damaged: all of it is sent again."""
    storage, verify = endpoint.storage, endpoint.storage.verify
    name, data = endpoint.put(MIB)

    def damage(name, upload):
        storage.verify = verify
        upload.data[1000] ^= 1
        return verify(name, upload)
    storage.verify = damage
    endpoint.start('upload_retry_seconds=1')
    endpoint.wait_whole(name, data)
    endpoint.wait_gone()
    assert storage.n_bytes == 2 * MIB
    assert 'it answers 460' in endpoint.agent.log()


def test_so_many_at_a_time(endpoint):
    files = [endpoint.put(MIB) for _ in range(5)]
    endpoint.start('uploads=2', 'upload_rate=4M')
    for name, data in files:
        endpoint.wait_whole(name, data)
    endpoint.wait_gone(5)
    assert endpoint.storage.n_most == 2


def test_storage_is_checked_as_relays_are(endpoint, tmp_path):
    pem, key, _ = make_certificate(str(tmp_path), 'false', 'DNS:localhost')
    false = TusPeer(pem, key, os.path.join(endpoint.state, 'identity.pem'))
    name, _ = endpoint.put(1000, port=false.port)
    endpoint.start()
    endpoint.agent.wait_log(' upload_failed ')
    assert false.asked == []
    assert os.path.exists(endpoint.path(name, '.sealed'))
    false.close()
