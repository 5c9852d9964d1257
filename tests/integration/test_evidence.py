"""X3, through the whole of Relaycam: what was really recorded, signed and
stored is verified offline; every changed byte, cut, removed, swapped or
edited file is found and named."""
import copy
import hashlib
import json
import os
import random
import shutil
import subprocess

import demo
import pytest
from counter import Counter
from process import wait_until

import media
import storage_env
from storage_env import Ceph, Segment, Storage, evidence, wait_for
from storage_fixtures import cluster, env  # noqa: F401
from test_growing import Growing, webm  # noqa: F401 (fixture)

BUILD = storage_env.BUILD
CTL = os.path.join(BUILD, 'ctl', 'relaycam')
FLIPS = os.path.join(BUILD, 'tests', 'unit', 'evidence_flips')


def verify(*args):
    """Exit status and JSON result, with nothing but files to go by."""
    env = {k: v for k, v in os.environ.items() if not k.startswith('PG')}
    r = subprocess.run(
        [CTL, '--set', 'database.url=host=/nonexistent', 'verify', '--json',
         *map(str, args)], capture_output=True, text=True, timeout=120,
        stdin=subprocess.DEVNULL, env=env)
    assert r.returncode in (0, 1), r.stderr
    assert r.stdout, r.stderr
    result = json.loads(r.stdout)
    assert result['ok'] == (r.returncode == 0)
    return r.returncode, result


def result_of(*args):
    """The one file's."""
    status, result = verify(*args)
    assert len(result['files']) == 1
    assert result['files'][0]['ok'] == (status == 0)
    return result['files'][0]


@pytest.fixture(scope='module')
def rig(request):
    from conftest import make_rig
    return make_rig(request, settings={'storage.scan_seconds': '1'}).start(
        geometry='320x240')


@pytest.fixture(scope='module')
def recorded(rig, tmp_path_factory):
    """A session of three files, downloaded as anybody would, by number:
    (id of the session, {seq: path}, key file, rig)."""
    counter = Counter(rig.stack, rig.endpoint.env)  # always moves
    wait_until(counter.lines, 10, 'the counter', counter.process)
    viewer = rig.viewer().start()
    viewer.wait_for_window()
    session = rig.stack.ctl_json('sessions', 'list', '--state',
                                 'active')[0]['id']
    seen = []
    for rate in ('20', '5'):
        seen.append(media.wait_pictures(rig.stack.path('spool'), 4, seen))
        assert rig.stack.sql(
            f"SELECT coalesce(session_command(NULL, '{session}', "
            f"'frame_rate', '{rate}'), 'done')") == [['done']]
    # some seconds: several clusters
    media.wait_pictures(rig.stack.path('spool'), 18, seen)
    viewer.close()
    counter.stop()
    demo.wait_available(rig.stack, session, 60)
    folder = tmp_path_factory.mktemp('recorded')
    paths = {}
    for gid, seq, key in rig.stack.sql(
            'SELECT id, seq, object_key FROM segments WHERE session_id = '
            f"'{session}' ORDER BY seq"):
        stored = rig.stack.path('recordings', key)
        paths[int(seq)] = str(folder / os.path.basename(key))
        shutil.copyfile(stored, paths[int(seq)])
        shutil.copyfile(stored[:-5] + '.json', manifest_of(paths[int(seq)]))
    assert sorted(paths) == [1, 2, 3]
    keys = folder / 'keys'
    keys.write_text(rig.stack.ctl('evidence-key', 'export'))
    return session, paths, keys, rig


def manifest_of(path):
    return path[:-5] + '.json'


@pytest.fixture
def copies(recorded, tmp_path):
    """The same in a folder that may be spoiled."""
    session, paths, keys, _ = recorded
    here = {}
    for seq, path in paths.items():
        here[seq] = str(tmp_path / os.path.basename(path))
        shutil.copyfile(path, here[seq])
        shutil.copyfile(manifest_of(path), manifest_of(here[seq]))
    return session, here, keys, tmp_path


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def write(path, data):
    with open(path, 'wb') as f:
        f.write(data)


# ---- what is good ----

def test_recorded_files_are_good(recorded):
    session, paths, keys, rig = recorded
    for seq, path in paths.items():
        f = result_of('--key', keys, path)
        assert (f['result'], f['seq'], f['session']) == ('good', seq, session)
        assert result_of('--key', keys, path, manifest_of(path))['ok']
    status, result = verify('--key', keys, os.path.dirname(paths[1]))
    assert status == 0
    (one,) = result['sessions']
    assert (one['session'], one['files'], one['last']) == (session, 3, 3)
    assert one['is_end'] and one['problems'] == []


def test_rows_say_who_signed(recorded):
    session, paths, _, rig = recorded
    rows = rig.stack.sql(
        "SELECT encode(e.root, 'hex'), encode(e.sha256, 'hex'), "
        "encode(g.sha256, 'hex'), e.key_id, encode(e.signature, 'hex') "
        'FROM segments g JOIN evidence e ON e.segment_id = g.id '
        f"WHERE g.session_id = '{session}' ORDER BY g.seq")
    keys = rig.stack.ctl_json('evidence-key', 'list')
    assert [k['id'] for k in keys] == [rows[0][3]]
    assert keys[0]['recordings'] >= 3
    before = None
    for (root, sha256, row_sha256, key, signature), path in zip(
            rows, paths.values()):
        m = json.loads(read(manifest_of(path)))
        assert m['evidence']['root'] == root
        assert m['sha256'] == sha256 == row_sha256
        assert m['signature'] == {'version': 1, 'key': key,
                                  'ed25519': signature}
        assert m.get('previous_root') == before
        before = root


def test_session_from_the_store(recorded):
    session, _, _, rig = recorded
    result = json.loads(rig.stack.ctl(
        'verify', '--session', session, '--json', '--ca',
        rig.stack.path('ca.pem')))
    assert result['ok'] and len(result['files']) == 3


def test_fetched_files_can_be_verified(recorded, tmp_path):
    _, paths, keys, rig = recorded
    out = rig.stack.path('tmp', 'fetched.webm')
    (gid,), = rig.stack.sql(
        "SELECT id FROM segments WHERE object_key LIKE "
        f"'%{os.path.basename(paths[2])}'")
    rig.stack.ctl('recordings', 'fetch', gid, '--output', out, '--ca',
                  rig.stack.path('ca.pem'), '--quiet')
    assert read(manifest_of(out)) == read(manifest_of(paths[2]))
    f = result_of('--key', keys, out)
    assert f['ok'] and f['seq'] == 2


def test_session_through_links(recorded):
    """By an account that cannot read the store's folder."""
    session, _, _, rig = recorded
    result = json.loads(rig.stack.ctl(
        '--set', 'store.folder=/nonexistent', 'verify', '--session', session,
        '--json', '--ca', rig.stack.path('ca.pem')))
    assert result['ok'] and len(result['files']) == 3


def test_signature_by_other_means(recorded, tmp_path):
    """The signed form of docs/evidence.md, made and checked by others."""
    _, paths, keys, _ = recorded
    m = json.loads(read(manifest_of(paths[2])))
    signature = bytes.fromhex(m.pop('signature')['ed25519'])
    text = json.dumps(m, sort_keys=True, separators=(',', ':'),
                      ensure_ascii=False).encode()
    (tmp_path / 'text').write_bytes(b'relaycam signed manifest 1\n' + text)
    (tmp_path / 'sig').write_bytes(signature)
    key = bytes.fromhex(keys.read_text().split()[1])
    (tmp_path / 'der').write_bytes(
        bytes.fromhex('302a300506032b6570032100') + key)
    subprocess.run(
        ['openssl', 'pkeyutl', '-verify', '-pubin', '-keyform', 'DER',
         '-inkey', tmp_path / 'der', '-rawin', '-in', tmp_path / 'text',
         '-sigfile', tmp_path / 'sig'], check=True, capture_output=True)


# ---- what is not ----

def test_every_changed_byte_is_found(recorded):
    _, paths, _, _ = recorded
    path = min(paths.values(), key=os.path.getsize)
    r = subprocess.run([FLIPS, path, manifest_of(path)], check=True,
                       capture_output=True, text=True, timeout=300)
    assert int(r.stdout) == os.path.getsize(path) > 1000


CLUSTER_ID = bytes.fromhex('1f43b675')


def places(evidence):
    """(offset, length) of each cluster, header and cues, as its blocks and
    their lists of clusters say."""
    found = []
    for block, listed in zip(evidence['blocks'],
                             evidence['clusters']['blocks']):
        at, length = map(int, block.split()[:2])
        lengths = [int(n) for n in listed.split()[::2]] or [length]
        assert sum(lengths) == length
        for n in lengths:
            found.append((at, n))
            at += n
    return found


def test_changed_bytes_by_the_program(copies):
    """The program names the cluster with its times, and the first bad one of
    several."""
    _, paths, keys, _ = copies
    data = read(paths[3])
    blocks = places(json.loads(read(manifest_of(paths[3])))['evidence'])
    assert sum(n for _, n in blocks) == len(data)
    assert len(blocks) > 4
    for at in [0, len(data) - 1] + random.sample(range(len(data)), 20):
        bad = bytearray(data)
        bad[at] ^= 0x10
        bad[-1] ^= 1
        write(paths[3], bad)
        f = result_of('--key', keys, paths[3])
        assert f['result'] == 'changed', at
        if at == len(data) - 1:
            at = [o for o, n in blocks if o <= at < o + n][0]
        assert f['offset'] <= at < f['offset'] + f['length']
        assert (f['offset'], f['length']) in blocks
        assert str(f['offset']) in f['text']
        if data[f['offset']:f['offset'] + 4] == CLUSTER_ID and at > f[
                'offset'] + 40:
            assert f['from_ms'] >= 0
            assert f['to_ms'] is None or 0 < f['to_ms'] - f['from_ms'] < 6000
            assert ' of the recording, are not' in f['text']


def test_manifests_without_clusters_go_by_blocks(copies):
    """As those of recordings that older programs made: everything is found,
    and the block is named."""
    _, paths, keys, _ = copies
    manifest = json.loads(read(manifest_of(paths[3])))
    blocks = [tuple(map(int, b.split()[:2]))
              for b in manifest['evidence']['blocks']]
    assert manifest['evidence'].pop('clusters')['version'] == 1
    write(manifest_of(paths[3]), json.dumps(manifest).encode())
    assert result_of('--key', keys, paths[3])['result'] == 'signature'
    del manifest['signature']
    write(manifest_of(paths[3]), json.dumps(manifest).encode())
    assert result_of('--key', keys, paths[3])['result'] == 'unsigned'
    bad = bytearray(read(paths[3]))
    bad[len(bad) // 2] ^= 1
    write(paths[3], bad)
    f = result_of('--key', keys, paths[3])
    assert f['result'] == 'changed' and (f['offset'], f['length']) in blocks


def test_cut_files_are_found(copies):
    _, paths, keys, _ = copies
    data = read(paths[1])
    lengths = {0, 1, len(data) - 1} | set(
        range(2, len(data), len(data) // 50))
    for n in sorted(lengths):
        write(paths[1], data[:n])
        f = result_of('--key', keys, paths[1])
        assert f['result'] == 'missing', n
        assert f['offset'] <= n < f['offset'] + f['length']
    for more in (b'x', b'\0' * 100_000, data):
        write(paths[1], data + more)
        f = result_of('--key', keys, paths[1])
        assert f['result'] == 'added'
        assert (f['offset'], f['length']) == (len(data), len(more))


@pytest.mark.parametrize('gone, text', [
    ([2], 'file 2 is not there'), ([1], 'file 1 is not there'),
    ([1, 2], 'files 1 to 2 are not there'),
    ([3], 'more files followed file 2')])
def test_removed_files_are_named(copies, gone, text):
    session, paths, keys, folder = copies
    for seq in gone:
        os.unlink(paths[seq])
        os.unlink(manifest_of(paths[seq]))
    status, result = verify('--key', keys, folder)
    assert status == 1
    assert all(f['ok'] for f in result['files'])
    (one,) = result['sessions']
    assert one['session'] == session and one['problems'] == [text]


def test_halves_of_a_pair(copies):
    _, paths, keys, folder = copies
    os.unlink(paths[2])
    os.unlink(manifest_of(paths[3]))
    status, result = verify('--key', keys, folder)
    assert status == 1
    assert sorted(f['result'] for f in result['files']) == [
        'good', 'no_file', 'no_manifest']


def swap(a, b):
    one, two = read(a), read(b)
    write(a, two)
    write(b, one)


def test_swapped_files_are_named(copies):
    _, paths, keys, folder = copies
    swap(paths[1], paths[3])
    status, result = verify('--key', keys, folder)
    assert status == 1
    by_name = {f['file']: f for f in result['files']}
    assert by_name[paths[1]]['result'] == 'swapped'
    assert 'it is file 3 ' in by_name[paths[1]]['text']
    assert 'it is file 1 ' in by_name[paths[3]]['text']
    assert by_name[paths[2]]['ok']
    # one at a time there is nothing to compare with
    assert result_of('--key', keys, paths[1])['result'] in (
        'changed', 'missing', 'added')
    # and with their manifests, so that each fits
    swap(manifest_of(paths[1]), manifest_of(paths[3]))
    status, result = verify('--key', keys, folder)
    assert status == 1
    assert sorted(f['result'] for f in result['files']) == [
        'good', 'swapped', 'swapped']


def test_edited_manifests_are_found(copies):
    _, paths, keys, _ = copies
    path = manifest_of(paths[2])
    good = json.loads(read(path))
    for name in good:
        if name == 'signature':
            continue
        bad = copy.deepcopy(good)
        bad[name] = bad[name] + 1 if isinstance(bad[name], int) else 'other'
        write(path, json.dumps(bad).encode())
        assert result_of('--key', keys, paths[2])['result'] in (
            'signature', 'manifest'), name
    # blocks and root that fit the changed file, but nobody signed
    bad = copy.deepcopy(good)
    del bad['signature']
    write(path, json.dumps(bad).encode())
    assert result_of('--key', keys, paths[2])['result'] == 'unsigned'
    for junk in (b'', b'{', b'[]', b'null', b'[' * 100_000,
                 b'{"segment": 1}', b'\xff\xfe'):
        write(path, junk)
        assert result_of('--key', keys, paths[2])['result'] == 'manifest'
    # another form of the same
    write(path, json.dumps(good, indent=4, sort_keys=True).encode())
    assert result_of('--key', keys, paths[2])['ok']


def test_another_s_key(copies, tmp_path):
    _, paths, keys, _ = copies
    subprocess.run([CTL, 'evidence-key', 'create', tmp_path / 'new'],
                   check=True, capture_output=True)
    assert os.stat(tmp_path / 'new').st_mode & 0o777 == 0o600
    f = result_of('--key', tmp_path / 'new.pub', paths[1])
    assert f['result'] == 'unknown_key' and f['key'] in f['text']
    f = result_of(paths[1])
    assert f['result'] == 'unknown_key' and '--key FILE' in f['text']
    # a damaged file is that in the first place
    data = bytearray(read(paths[1]))
    data[100] ^= 1
    write(paths[1], data)
    assert result_of(paths[1])['result'] == 'changed'
    r = subprocess.run([CTL, 'evidence-key', 'create', tmp_path / 'new'],
                       capture_output=True, text=True)
    assert r.returncode == 1 and 'new' in r.stderr


def test_wrong_usage(copies, tmp_path):
    _, paths, keys, folder = copies
    for args in ((), ('--session', 'x', paths[1]), (paths[1], 'a', 'b'),
                 (folder, manifest_of(paths[1]))):
        r = subprocess.run([CTL, 'verify', *map(str, args)],
                           capture_output=True, text=True)
        assert r.returncode == 2 and r.stderr
    (tmp_path / 'bad.keys').write_text('relaycam-evidence 12\n')
    r = subprocess.run([CTL, 'verify', '--key', tmp_path / 'bad.keys',
                        paths[1]], capture_output=True, text=True)
    assert r.returncode == 1 and 'line 1' in r.stderr


# ---- storage, with a recorder that is played ----

def place(env, recorded, flip=False):
    """A real recording in the spool, under the names of this database."""
    _, paths, _, _ = recorded
    m = json.loads(read(manifest_of(paths[1])))
    for name in ('signature', 'sha256', 'poster', 'activity'):
        m.pop(name, None)
    seg = Segment(env, 1)
    data = bytearray(read(paths[1]))
    data[len(data) // 2] ^= flip
    seg.data = bytes(data)
    seg.id = m['segment']
    for name in ('team', 'endpoint', 'team_id', 'endpoint_id',
                 'person_id', 'object_key', 'session'):
        m[name] = seg.manifest[name]
    seg.manifest = m
    return seg.place()


@pytest.fixture
def placed(env, recorded):
    return lambda **kw: place(env, recorded, **kw)


def stored_manifest(env, seg):
    return json.loads(read(os.path.join(env.store, seg.key[:-5] + '.json')))


def test_damage_in_the_spool_is_not_signed(env, placed):
    env.start()
    seg = placed(flip=True)
    row = seg.wait('corrupted')
    assert 'were changed since they were recorded' in row['status_detail']
    assert not os.path.exists(os.path.join(env.store, seg.key))
    assert '.webm' in seg.files()  # nobody loses it
    assert env.rows('SELECT * FROM evidence WHERE root IS NOT NULL') == []


def test_manifest_goes_with_its_recording(env, placed):
    env.start()
    seg = placed()
    wait_for('stored', lambda: seg.row() and seg.row()['status'] ==
             'available')
    m = stored_manifest(env, seg)
    assert m['signature']['key'] == env.rows(
        'SELECT id FROM evidence_keys')[0]['id']
    r = env.get(env.link(seg.key[:-5] + '.json'))
    assert r.status_code == 200 and r.json() == m
    assert r.headers['Content-Type'] == 'application/json'
    env.rows('UPDATE segments SET expires_at = now() WHERE id = %s', seg.id)
    seg.wait('expired')
    assert os.listdir(os.path.dirname(os.path.join(env.store, seg.key))) == []


def test_manifest_in_s3(recorded, tmp_path, tmp_path_factory, cluster):
    """Beside its recording, as JSON, and it goes with it."""
    ceph = Ceph(tmp_path_factory.mktemp('ceph'))
    try:
        e = Storage(tmp_path, cluster, ceph)
        e.start()
        try:
            seg = place(e, recorded)
            seg.wait('available')
            key = seg.key[:-5] + '.json'
            m = json.loads(ceph.get(key, tmp_path / 'rec.json'))
            ceph.get(seg.key, tmp_path / 'rec.webm')
            head = ceph.aws('s3api', 'head-object', '--bucket',
                            storage_env.BUCKET, '--key', key)
            assert head['ContentType'] == 'application/json'
            f = result_of('--key', tmp_path / 'evidence.key.pub',
                          tmp_path / 'rec.webm')
            assert f['ok'] and f['key'] == m['signature']['key']
            e.rows('UPDATE segments SET expires_at = now() WHERE id = %s',
                   seg.id)
            seg.wait('expired')
            assert not {key, seg.key} & ceph.keys()
        finally:
            e.close()
    finally:
        ceph.stop()


# ---- the key ----

def evidence_key(*args):
    """relaycam evidence-key, without a database."""
    env = {k: v for k, v in os.environ.items() if not k.startswith('PG')}
    return subprocess.run(
        [CTL, '--set', 'database.url=host=/nonexistent', 'evidence-key',
         *map(str, args)], check=True, capture_output=True, text=True,
        timeout=60, env=env).stdout


def key_ids(env):
    return [r['id'] for r in env.rows(
        'SELECT id FROM evidence_keys ORDER BY added_at')]


def fetch(env, seg, folder):
    """Recording and manifest, as anybody downloads them."""
    path = str(folder / os.path.basename(seg.key))
    for at, key in ((path, seg.key),
                    (manifest_of(path), manifest_of(seg.key))):
        r = env.get(env.link(key))
        assert r.status_code == 200
        write(at, r.content)
    return path


def test_first_start_makes_the_key(env, placed, tmp_path):
    """Nothing has to be done for signatures; the key stays."""
    key = tmp_path / 'evidence.key'
    env.start()
    assert key.stat().st_mode & 0o777 == 0o600 and len(read(key)) == 32
    public = tmp_path / 'evidence.key.pub'
    assert public.stat().st_mode & 0o777 == 0o644
    line = evidence_key('show', key)
    (known,) = wait_for('the key is announced', lambda: key_ids(env))
    assert line.split() == [*public.read_text().split()]
    assert line.split()[-1] == known
    assert f'id={known}' in env.log() and line.split()[1] in env.log()
    seg = placed()
    seg.wait('available')
    path = fetch(env, seg, tmp_path)
    f = result_of('--key', public, path)
    assert f['ok'] and f['key'] == known
    before = read(key)
    assert env.stop() == 0
    env.start()
    assert read(key) == before and evidence_key('show', public) == line
    assert env.log().count('evidence_key_made') == 1
    assert key_ids(env) == [known]


def test_keys_of_several_nodes(env, placed, cluster, tmp_path):
    """Each makes its own; one export has them all."""
    (tmp_path / 'two').mkdir()
    env.start()
    two = Storage(tmp_path / 'two', cluster)
    two.settings['database.url'] = env.settings['database.url']
    try:
        two.start()
        ids = wait_for('both keys', lambda: len(key_ids(env)) == 2 and
                       key_ids(env))
        seg = placed()
        seg.wait('available')
        path = fetch(env, seg, tmp_path)
    finally:
        two.close()
    r = subprocess.run(
        [CTL, '--set', f'database.url={env.settings["database.url"]}',
         'evidence-key', 'export'], check=True, capture_output=True,
        text=True, timeout=60)
    (tmp_path / 'keys').write_text(r.stdout)
    assert {x.split()[-1] for x in r.stdout.splitlines()} == set(ids)
    f = result_of('--key', tmp_path / 'keys', path)
    assert f['ok'] and f['key'] in ids
    # the other node's key alone does not vouch for it
    f = result_of('--key', tmp_path / 'two' / 'evidence.key.pub', path)
    assert f['result'] == 'unknown_key'


def test_key_is_replaced(env, placed, tmp_path):
    """What the old one signed stays good; the new one signs from now on."""
    key, public = tmp_path / 'evidence.key', tmp_path / 'evidence.key.pub'
    env.start()
    seg = placed()
    seg.wait('available')
    path = fetch(env, seg, tmp_path)
    old = evidence_key('show', key)
    assert env.stop() == 0
    key.rename(tmp_path / 'retired')
    env.start()
    wait_for('the new key is announced', lambda: len(key_ids(env)) == 2)
    new = evidence_key('show', key)
    assert new != old and public.read_text() == new + old
    f = result_of('--key', public, path)
    assert f['ok'] and f['key'] == old.split()[-1]
    (tmp_path / 'only-new').write_text(new)
    assert result_of('--key', tmp_path / 'only-new',
                     path)['result'] == 'unknown_key'


def test_without_a_key(env, placed, tmp_path):
    env.start(secrets__evidence_key_file='')
    assert 'recordings_are_not_signed' in env.log()
    assert not (tmp_path / 'evidence.key').exists()
    seg = placed()
    wait_for('stored', lambda: seg.row() and seg.row()['status'] ==
             'available')
    m = stored_manifest(env, seg)
    assert 'signature' not in m and len(m['sha256']) == 64
    row = env.rows('SELECT * FROM evidence')[0]
    assert row['root'] is not None and row['signature'] is None
    f = result_of(fetch(env, seg, tmp_path))
    assert f['result'] == 'unsigned' and 'nobody signed' in f['text']


@pytest.mark.parametrize('how, says', [
    ('mode', 'has mode 0644'), ('short', 'exactly 32 bytes'),
    ('folder', 'No such file')])
def test_wrong_key_file(env, tmp_path, how, says):
    """Better not started than not signed."""
    key = tmp_path / 'evidence.key'
    if how == 'folder':
        env.settings['secrets.evidence_key_file'] = str(tmp_path / 'no/key')
    else:
        key.write_bytes(bytes(32 if how == 'mode' else 31))
        key.chmod(0o644 if how == 'mode' else 0o600)
    with pytest.raises(AssertionError, match='evidence key .*key'):
        env.start()
    assert says in env.log()
    env.process = None


@pytest.mark.parametrize('replaced', [False, True])
def test_head_is_noted_while_it_grows(env, webm, replaced):  # noqa: F811
    """And a file that others put in its place is refused."""
    env.start(storage__scan_seconds='1')
    seg = Growing(env, webm)
    seg.wait_recording()
    end = seg.grow(4)
    wait_for('a head', lambda: env.rows(
        'SELECT * FROM evidence WHERE head_to = %s', end))
    row = env.rows('SELECT * FROM evidence')[0]
    header = seg.parts.header
    assert row['head_from'] == header and row['root'] is None
    assert bytes(row['head_sha256']) == hashlib.sha256(
        webm[header:end]).digest()
    data = bytearray(webm)
    data[end - 1] ^= replaced
    seg.grow_all()
    os.pwrite(seg.fd, data, 0)  # nothing else, when it is not replaced
    seg.data = bytes(data)
    seg.manifest['evidence'] = evidence(seg.id, seg.data, header)
    seg.close()
    if replaced:
        detail = seg.wait('corrupted')['status_detail']
        assert 'seen while it was recorded' in detail
        assert f'{header} to {end - 1} ' in detail
    else:
        seg.wait('available')
        assert stored_manifest(env, seg)['evidence']['root'] == bytes(
            env.rows('SELECT * FROM evidence')[0]['root']).hex()


@pytest.mark.parametrize('how', ['cut', 'restart'])
def test_head_stays_what_it_was(env, webm, how):  # noqa: F811
    """A file that is begun anew after it was seen, or that is another one
    when storage comes back, does not rewrite what was seen."""
    env.start(storage__scan_seconds='1')
    seg = Growing(env, webm)
    seg.wait_recording()
    end = seg.grow(4)
    head = wait_for('a head', lambda: env.rows(
        'SELECT * FROM evidence WHERE head_to = %s', end))
    header = seg.parts.header
    data = bytearray(webm)
    data[end - 1] ^= 1
    if how == 'cut':
        os.ftruncate(seg.fd, header)
    else:
        env.kill()
        os.pwrite(seg.fd, data[end - 1:end], end - 1)
        env.start(storage__scan_seconds='1')
    wait_for('it is noticed', lambda: 'head_differs' in env.log(), 30)
    seg.grow_all()
    os.pwrite(seg.fd, data, 0)
    seg.data = bytes(data)
    seg.manifest['evidence'] = evidence(seg.id, seg.data, header)
    seg.close()
    detail = seg.wait('corrupted')['status_detail']
    assert f'{header} to {end - 1} ' in detail
    assert env.rows('SELECT * FROM evidence') == head
    assert env.log().count('head_differs') == 1
