"""Recordings of a desktop whose pictures are known: the number of counter.py
changes at given times, and the recorder encodes it. An hour takes seconds, as
the recorder follows the times in what it is given.

    r = Recording(folder, 'quiet', [(0, 1), (700_123, 2)], 3_600_000)
    r.path, r.end_ms
    r.at(1400.0)    # {1, 2}: what a player may show there
"""
import json
import os
import random
import shutil
import subprocess
import uuid

SIZE = 640, 480
SESSION = {
    'session': '6d8f2a54-30cb-4d0e-9f6e-0a4b8c1d2e3f', 'team': 'acme',
    'endpoint': 'pc-7', 'technician': 'alice', 'team_id': 1, 'endpoint_id': 2,
    'person_id': 3, 'access': 'unattended', 'time_zone': 'UTC',
    'retention_days': 90, 'width': SIZE[0], 'height': SIZE[1],
    'pixel_format': '2018000100ff00ff00ff100800000000', 'desktop_name': 'd',
    'start_mono_ns': 10**11, 'start_wall_ns': 1795248219233666988,
    'first_seq': 1, 'first_frame': 1, 'split_reason': 'start',
    'frame_rate': 10, 'segment_bytes': 512 << 20, 'min_free_bytes': 0,
    'codec': 'vp9', 'quality': 'text', 'mode': 'capture'}
EARLY_S, LATE_S = 0.26, 0.11    # a still is of the next frame; 10 a second

QUIET = [(0, 1), (700_123, 2), (1_500_456, 3), (2_600_789, 4)]
SHORT = [(0, 1)] + [(3037 * n, n + 1) for n in range(1, 7)]
BUSY = [(250 * n, n) for n in range(240)]


class Recording:
    def __init__(self, build, folder, name, events, end_ms):
        self.name, self.events, self.end_ms = name, events, end_ms
        self.path = os.path.join(folder, f'{name}.webm')
        self._make(build, os.path.join(folder, f'{name}.spool'))

    def _make(self, build, spool):
        os.makedirs(spool)
        id_ = str(uuid.uuid4())
        lines = ''.join(f'{ms} {n}\n' for ms, n in self.events)
        subprocess.run(
            [f'{build}/tests/players/desktop_make', f'{spool}/{id_}.capture',
             json.dumps(SESSION), *map(str, SIZE), str(self.end_ms)],
            input=lines, text=True, check=True, timeout=60)
        r = subprocess.run(
            [f'{build}/recorder/relaycam-recorder', '--replay', spool, id_],
            capture_output=True, text=True, timeout=300, check=False)
        assert r.returncode == 0, r.stderr
        out = f'{spool}/{id_}.encode'
        name, = (n for n in os.listdir(out) if n.endswith('.webm'))
        shutil.move(os.path.join(out, name), self.path)
        os.chmod(self.path, 0o644)
        shutil.rmtree(spool)

    @property
    def seconds(self):
        return self.end_ms / 1000

    def at(self, second, early=EARLY_S, late=LATE_S):
        """The numbers on the desktop around that second."""
        def number(ms):
            return [n for t, n in self.events if t <= max(ms, 0)][-1]
        first, last = number((second - late) * 1000), number(
            (second + early) * 1000)
        return set(range(first, last + 1))

    def times(self, n=10, seed=7):
        r = random.Random(f'{seed} {self.name}')
        return [round(r.uniform(0.2, self.seconds - 0.5), 3)
                for _ in range(n)]


def _sizes(data, at):
    """(id, offset behind its size, its size) of the element there."""
    n = 9 - data[at].bit_length()
    id_, at = data[at:at + n].hex(), at + n
    n = 9 - data[at].bit_length()
    size = int.from_bytes(data[at:at + n], 'big') & (1 << 7 * n) - 1
    return id_, at + n, size


def clusters(data):
    """Offsets of the clusters, and the end of the last one."""
    _, body, size = _sizes(data, 0)
    _, at, size = _sizes(data, body + size)
    found = []
    while at < len(data):
        id_, body, size = _sizes(data, at)
        if id_ == '1f43b675':
            found.append(at)
        elif found:
            break
        at = body + size
    return found + [at]


def key_clusters(data):
    """(offset, milliseconds) of the clusters that begin with a key frame: the
    flags of their first block say so."""
    found = []
    for cluster in clusters(data)[:-1]:
        ms, block = _timestamp(data, cluster)
        _, body, _ = _sizes(data, block)
        if data[body + 3] & 0x80:
            found.append((cluster, ms))
    return found


def _timestamp(data, cluster):
    """(milliseconds, offset of the first block)"""
    _, body, size = _sizes(data, cluster + 12)
    return int.from_bytes(data[body:body + size], 'big'), body + size


def unfinished(recording, path, share, torn=0):
    """The file as it was when that share of its clusters was closed: the three
    places of docs/webm.md as they are before the end, cut there; torn: with so
    many bytes of the next cluster, whose size is not known."""
    with open(recording.path, 'rb') as f:
        data = bytearray(f.read())
    ends = clusters(data)
    n = max(1, int((len(ends) - 1) * share))
    _, body, size = _sizes(data, 0)
    _, segment, _ = _sizes(data, body + size)
    data[segment - 8:segment] = b'\x01' + b'\xff' * 7
    cues = data.index(bytes.fromhex('53ab841c53bb6b')) - 3
    data[cues:cues + 21] = b'\xec\x93' + bytes(19)
    duration = data.index(bytes.fromhex('448988'))
    data[duration:duration + 11] = b'\xec\x89' + bytes(9)
    if torn:
        data[ends[n] + 4:ends[n] + 12] = b'\x01' + b'\xff' * 7
    with open(path, 'wb') as f:
        f.write(data[:ends[n] + torn])
    # time of the last cluster that is whole
    return _timestamp(data, ends[n - 1])[0] / 1000
