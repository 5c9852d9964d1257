"""Clips of stored recordings, from a folder and from S3: what the daemon makes
is a part of the recording that "relaycam verify" ties to its root without a
server, and what was done to a clip or to a manifest is named (M5, X3, T6)."""
import base64
import copy
import hashlib
import json
import os
import shutil
import struct
import subprocess

import pytest

import media
import storage_env
from ctl import CTL
from storage_env import Segment, Storage, wait_for
from storage_fixtures import ceph, cluster, database_away  # noqa: F401

MAKE = os.path.join(storage_env.BUILD, 'tests', 'unit', 'webm_make')
FRAMES, STEP_MS, KEY_MS = 300, 100, 2000
LEN_MS = FRAMES * STEP_MS
BLOCK = 9000  # bytes: many in a small file
GOOD, BAD = 0, 1


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A recording's bytes, and how long header and clusters are."""
    path = tmp_path_factory.mktemp('made') / 'made.webm'
    r = subprocess.run([MAKE, 'make', path, str(FRAMES), str(STEP_MS)],
                       check=True, capture_output=True)
    sizes = json.loads(r.stdout)
    return path.read_bytes(), sizes['header'], sizes['ends'][-1]


@pytest.fixture(scope='module', params=['folder', 's3'])
def env(request, tmp_path_factory, cluster):  # noqa: F811
    e = Storage(tmp_path_factory.mktemp('storage'), cluster,
                request.getfixturevalue('ceph') if request.param == 's3'
                else None)
    yield e.start()
    assert e.stop() == 0, e.log()[-3000:]
    e.close()


def evidence(segment, data, header, cues):
    """As a recorder has it: clusters in blocks, cues, header."""
    spans = [(at, min(at + BLOCK, cues)) for at in range(header, cues, BLOCK)]
    root = hashlib.sha256(b'relaycam evidence 1\n' + segment.encode()).digest()
    blocks = []
    for at, end in spans + [(cues, len(data)), (0, header)]:
        digest = hashlib.sha256(data[at:end])
        blocks.append(f'{at} {end - at} {digest.hexdigest()}')
        root = hashlib.sha256(root + struct.pack('>QQ', at, end - at) +
                              digest.digest()).digest()
    return {'version': 1, 'root': root.hex(), 'blocks': blocks}


def store(env, made):
    data, header, cues = made
    seg = Segment(env, len(data), width=321, height=203, frames=FRAMES,
                  last_frame=FRAMES, duration_ms=LEN_MS,
                  end_mono_ns=LEN_MS * 10**6 + 1000)
    seg.data, seg.sha256 = data, hashlib.sha256(data).digest()
    seg.manifest['end_wall_ns'] = (seg.manifest['start_wall_ns'] +
                                   LEN_MS * 10**6)
    seg.manifest['evidence'] = evidence(seg.id, data, header, cues)
    seg.place().wait_stored()
    wait_for('the manifest', lambda: env.rows(
        'SELECT 1 FROM evidence WHERE segment_id = %s AND object_key IS NOT '
        'NULL', seg.id))
    return seg


@pytest.fixture(scope='module')
def stored(env, made):
    return store(env, made)


def order(env, seg, from_ms, to_ms, reason='complaint 4711'):
    """As the console does it: the clip's key."""
    row, = env.rows(
        "SELECT problem, answer->>'key' AS key FROM clip_new(%s::uuid, "
        "'alice', '{}', %s, %s, %s)", seg.id, from_ms, to_ms, reason)
    assert row['problem'] is None, row
    return row['key']


def manifest_key(key):
    return key[:-5] + '.json'


def fetch(env, key):
    r = env.get(env.link(key))
    assert r.status_code == 200, f'{r.status_code} {r.text[:300]}\n' \
        f'{env.log()[-3000:]}'
    return r


class Clip:
    """On this machine, beside the manifest of its original and the keys."""

    def __init__(self, env, seg, folder, from_ms, to_ms):
        key = order(env, seg, from_ms, to_ms)
        self.manifest = json.loads(fetch(env, manifest_key(key)).content)
        self.path = str(folder / 'clip.webm')
        self.json = str(folder / 'clip.json')
        self.original = str(folder / 'original.json')
        self.keys = env.dir + '/evidence.key.pub'
        self.data = fetch(env, key).content
        with open(self.path, 'wb') as f:
            f.write(self.data)
        with open(self.original, 'wb') as f:
            f.write(fetch(env, manifest_key(seg.key)).content)
        self.write(self.manifest)
        self.seed_file = env.dir + '/evidence.key'

    def write(self, manifest, path=None):
        with open(path or self.json, 'w', encoding='utf-8') as f:
            json.dump(manifest, f)

    def verify(self, *more, original=True):
        args = ['--original', self.original] if original else []
        r = subprocess.run(
            [CTL, '--set', 'database.url=host=/nonexistent', 'verify',
             '--json', '--key', self.keys, self.path, *args, *more],
            capture_output=True, text=True, timeout=120)
        assert r.stdout, r.stderr
        f, = json.loads(r.stdout)['files']
        assert f['ok'] == (r.returncode == GOOD)
        return f

    def sign(self, manifest):
        """As somebody would who got hold of the key."""
        m = {k: v for k, v in manifest.items() if k != 'signature'}
        text = json.dumps(m, sort_keys=True, separators=(',', ':'),
                          ensure_ascii=False)
        with open(self.seed_file, 'rb') as f:
            seed = f.read()
        der = bytes.fromhex('302e020100300506032b657004220420') + seed
        pem = ('-----BEGIN PRIVATE KEY-----\n' +
               base64.b64encode(der).decode() + '\n-----END PRIVATE KEY-----\n')
        key, message = self.path + '.pem', self.path + '.message'
        with open(key, 'w', encoding='ascii') as f:
            f.write(pem)
        with open(message, 'wb') as f:
            f.write(b'relaycam signed manifest 1\n' + text.encode())
        signature = subprocess.run(
            ['openssl', 'pkeyutl', '-sign', '-rawin', '-inkey', key, '-in',
             message], check=True, capture_output=True).stdout
        self.write({**m, 'signature': {**manifest['signature'], 'ed25519':
                                       signature.hex()}})

    def restate(self, data, **original):
        """Its own evidence and signature fit again: only the original's can
        tell."""
        m = copy.deepcopy(self.manifest)
        m['original'].update(original)
        header = int(m['evidence']['blocks'][-1].split()[1])
        root = hashlib.sha256(
            b'relaycam clip 1\n' + m['clip'].encode() +
            bytes.fromhex(m['original']['root'])).digest()
        blocks = []
        for at, part in ((header, data[header:]), (0, data[:header])):
            digest = hashlib.sha256(part)
            blocks.append(f'{at} {len(part)} {digest.hexdigest()}')
            root = hashlib.sha256(root + struct.pack('>QQ', at, len(part)) +
                                  digest.digest()).digest()
        m['evidence'] = {'version': 1, 'root': root.hex(), 'blocks': blocks}
        with open(self.path, 'wb') as f:
            f.write(data)
        self.sign(m)

    def clusters(self):
        """[from, to) of each in the file."""
        at = int(self.manifest['evidence']['blocks'][-1].split()[1])
        found = []
        while self.data[at:at + 4] == b'\x1f\x43\xb6\x75':
            end = at + 12 + (int.from_bytes(self.data[at + 4:at + 12], 'big') &
                             (1 << 56) - 1)
            found.append((at, end))
            at = end
        return found


@pytest.fixture
def clip(env, stored, tmp_path):
    return Clip(env, stored, tmp_path, 7300, 13050)


# ---- what is made -----------------------------------------------------------

def test_a_clip_is_a_recording_that_players_read(clip, stored):
    m = clip.manifest
    assert (m['kind'], m['person'], m['reason']) == ('clip', 'alice',
                                                     'complaint 4711')
    assert (m['asked_from_ms'], m['asked_to_ms']) == (7300, 13050)
    assert (m['from_ms'], m['to_ms']) == (6000, 14000)
    assert m['original']['segment'] == stored.id
    assert m['original']['root'] == stored.manifest['evidence']['root']
    assert m['original']['bytes'] == len(stored.data)
    assert m['start_wall_ns'] == stored.manifest['start_wall_ns'] + 6 * 10**9
    assert m['bytes'] == len(clip.data)
    assert m['sha256'] == hashlib.sha256(clip.data).hexdigest()
    seen = media.probe(clip.path)
    assert (seen['frames'], seen['duration']) == (80, 8)
    times = media.frame_times(clip.path)
    assert times == [n / 10 for n in range(80)]
    media.mkvinfo_is_content(clip.path)


def pictures(path, *args):
    """MD5 of each decoded picture."""
    r = media.run(['ffmpeg', '-v', 'error', *args, '-i', path, '-f',
                   'framemd5', '-'])
    return [line.split(',')[-1].strip() for line in r.stdout.decode()
            .splitlines() if line and line[0] != '#']


def test_its_pictures_are_those_of_the_original(clip, stored, tmp_path):
    whole = tmp_path / 'whole.webm'
    whole.write_bytes(stored.data)
    assert pictures(clip.path) == pictures(str(whole))[60:140]


def test_ranges_at_the_ends(env, stored, tmp_path):
    for asked, has in (((0, 1), (0, 1000)), ((0, LEN_MS), (0, LEN_MS)),
                       ((LEN_MS - 1, LEN_MS + 5000), (28000, LEN_MS))):
        folder = tmp_path / str(asked[1])
        folder.mkdir()
        c = Clip(env, stored, folder, *asked)
        assert (c.manifest['from_ms'], c.manifest['to_ms']) == has
        assert media.probe(c.path)['duration'] * 1000 == has[1] - has[0]
        assert c.verify()['result'] == 'good'
    assert env.metric('files_active') == 0


def test_a_link_gives_ranges_and_is_saved(env, stored):
    key = order(env, stored, 0, 5000)
    whole = fetch(env, key)
    part = env.get(env.link(key), Range='bytes=100-199')
    assert part.status_code == 206
    assert part.content == whole.content[100:200]
    assert part.headers['ETag'] == whole.headers['ETag']
    r = env.get(env.link(key) + '&download=1')
    assert r.headers['Content-Disposition'].startswith(
        'attachment; filename="desk1_monitor-1_')
    assert '.clip-' in r.headers['Content-Disposition']
    opened = env.rows("SELECT actor, object, detail FROM audit WHERE action = "
                      "'link_opened' AND detail->>'object_key' = %s", key)
    assert opened and opened[0]['object'] == stored.id


# ---- what "relaycam verify" says ----------------------------------------------

def test_a_good_clip_is_tied_to_its_original(clip, stored):
    f = clip.verify()
    assert f['result'] == 'good', f
    assert f['clip']['recording'] == stored.id
    assert (f['clip']['from_ms'], f['clip']['to_ms']) == (6000, 14000)
    for part in (stored.id, 'alice', 'complaint 4711', '0:00:06.000'):
        assert part in f['text']


def test_without_its_original_that_is_said(clip, stored):
    f = clip.verify(original=False)
    assert f['result'] == 'no_original'
    assert stored.id in f['text'] and '--original' in f['text']


def test_in_a_folder_the_original_is_found(clip, stored, env, tmp_path):
    (tmp_path / 'original.webm').write_bytes(stored.data)
    r = subprocess.run([CTL, 'verify', '--json', '--key', clip.keys,
                        str(tmp_path)], capture_output=True, text=True,
                       timeout=120)
    result = json.loads(r.stdout)
    assert r.returncode == GOOD, result
    assert {f['result'] for f in result['files']} == {'good'}
    assert [s['files'] for s in result['sessions']] == [1]
    os.remove(tmp_path / 'original.json')
    os.remove(tmp_path / 'original.webm')
    r = subprocess.run([CTL, 'verify', '--json', '--key', clip.keys,
                        str(tmp_path)], capture_output=True, text=True,
                       timeout=120)
    assert r.returncode == BAD
    assert json.loads(r.stdout)['files'][0]['result'] == 'no_original'


def spoil(clip, at):
    data = bytearray(clip.data)
    data[at] ^= 1
    return bytes(data)


def test_a_changed_byte_is_named(clip):
    at = clip.clusters()[3][0] + 40
    with open(clip.path, 'wb') as f:
        f.write(spoil(clip, at))
    f = clip.verify()
    assert f['result'] == 'changed'
    assert f['offset'] <= at < f['offset'] + f['length']


@pytest.mark.parametrize('n', [1, 100, 5000])
def test_a_cut_clip_is_named(clip, n):
    os.truncate(clip.path, len(clip.data) - n)
    f = clip.verify()
    assert f['result'] == 'missing'
    assert 'cut off' in f['text']


@pytest.mark.parametrize('how', ['byte', 'left out', 'turned around'])
def test_a_key_holder_cannot_change_what_the_original_has(clip, how):
    spans = clip.clusters()
    (a, b), (c, d) = spans[2], spans[3]
    data = clip.data
    original = {}
    if how == 'byte':
        data = spoil(clip, b - 5)
    elif how == 'left out':
        data = data[:a] + data[b:]
        original['to'] = clip.manifest['original']['to'] - (b - a)
    else:
        data = data[:a] + data[c:d] + data[a:b] + data[d:]
    clip.restate(data, **original)
    f = clip.verify()
    assert f['result'] == 'changed', f
    assert 'original' in f['text']
    clip.restate(clip.data)  # so it was not how this test signs
    assert clip.verify()['result'] == 'good'


@pytest.mark.parametrize('change', [
    {'from_ms': 4000}, {'from_ms': 6000 + 65536, 'asked_from_ms': 73000,
                        'asked_to_ms': 80000, 'to_ms': 80000},
    {'to_ms': 13000}])
def test_a_wrong_range_is_named(clip, change):
    clip.sign({**clip.manifest, **change})
    f = clip.verify()
    assert f['result'] in ('range', 'changed'), f
    assert 'original' in f['text']


def test_an_edited_manifest_is_named(clip):
    clip.write({**clip.manifest, 'reason': 'another'})
    assert clip.verify()['result'] == 'signature'
    clip.write({k: v for k, v in clip.manifest.items() if k != 'signature'})
    assert clip.verify()['result'] == 'unsigned'


def test_another_recording_is_not_its_original(env, clip, made, tmp_path):
    other = store(env, made)
    with open(clip.original, 'wb') as f:
        f.write(fetch(env, manifest_key(other.key)).content)
    f = clip.verify()
    assert f['result'] == 'other_original'
    assert other.id in f['text']
    # nor is a clip, or a clip a recording
    shutil.copyfile(clip.json, clip.original)
    assert clip.verify()['result'] == 'original'


def test_the_originals_manifest_must_be_signed(clip):
    with open(clip.original, encoding='utf-8') as f:
        m = json.load(f)
    clip.write({**m, 'technician': 'mallory'}, clip.original)
    f = clip.verify()
    assert f['result'] == 'original'
    assert 'signature' in f['text']
    del m['signature']
    clip.write(m, clip.original)
    assert clip.verify()['result'] == 'original'


def test_a_key_that_is_not_known(clip, tmp_path):
    clip.keys = str(tmp_path / 'keys')
    with open(clip.keys, 'w', encoding='ascii') as f:
        f.write(f'relaycam-evidence {"00" * 32}\n')
    assert clip.verify()['result'] in ('unknown_key', 'original')


# ---- what is not made ----------------------------------------------------------

def test_no_clip_of_a_changed_recording(env, made, tmp_path):
    seg = store(env, made)
    data = bytearray(seg.data)
    data[len(data) // 2] ^= 1
    path = tmp_path / 'changed'
    path.write_bytes(data)
    if env.ceph:
        env.ceph.put(seg.key, path)
    else:
        shutil.copyfile(path, os.path.join(env.store, seg.key))
    key = order(env, seg, 0, LEN_MS)
    r = env.get(env.link(key))
    assert r.status_code == 409
    assert 'not as it was recorded' in r.text
    assert fetch(env, order(env, seg, 0, 1000))  # blocks before it are good


def test_no_clip_by_an_edited_manifest(env, made, tmp_path):
    """Its clip would state what it says, with a good signature."""
    seg = store(env, made)
    key, path = manifest_key(seg.key), tmp_path / 'edited'
    m = json.loads(fetch(env, key).content)
    path.write_text(json.dumps({**m, 'technician': 'somebody else'}))
    if env.ceph:
        env.ceph.put(key, path)
    else:
        shutil.copyfile(path, os.path.join(env.store, key))
    r = env.get(env.link(order(env, seg, 0, 1000)))
    assert r.status_code == 409
    assert 'manifest of this recording was changed' in r.text


def test_links_to_no_clip(env, stored, made):
    good = order(env, stored, 0, 5000)
    none = good.replace(good[-41:-5], '00000000-0000-4000-8000-000000000000')
    assert env.get(env.link(none)).status_code == 404
    other = store(env, made)
    assert env.get(env.link(other.key[:-5] + good[-47:])).status_code == 404
    r = env.get(env.link(good).replace(good[-47:], '.webm'))
    assert r.status_code == 403  # its link is not one to the recording
    env.rows("UPDATE segments SET status = 'deleted' WHERE id = %s", other.id)
    gone = env.rows("INSERT INTO clips (segment_id, from_ms, to_ms, reason, "
                    "author) VALUES (%s, 0, 9, 'x', 'y') RETURNING "
                    'clip_key(%s, id) AS key', other.id, other.key)[0]['key']
    r = env.get(env.link(gone))
    assert r.status_code == 404
    assert 'deleted' in r.text


def test_a_database_that_is_away_is_said(env, stored):
    key = order(env, stored, 100, 5000)
    with database_away(env):
        r = env.get(env.link(key))
        assert r.status_code == 503
        assert 'database' in r.text
        assert 'Retry-After' in r.headers
    wait_for('the database again', env.is_ready, 60)
    fetch(env, key)


def test_few_are_kept_and_none_stays(env, stored):
    """More than are kept at a time, and each is right; nothing lies about."""
    before = set(os.listdir(env.spool))
    for n in range(8):
        key = order(env, stored, n * 1000, n * 1000 + 4000)
        m = json.loads(fetch(env, manifest_key(key)).content)
        assert m['bytes'] == len(fetch(env, key).content)
    # the session's own folder may go meanwhile
    assert not set(os.listdir(env.spool)) - before
    assert env.metric('files_active') == 0
