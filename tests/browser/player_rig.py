"""A session of known pictures in a real Relaycam, for the player: recordings
that the recorder made of desktop.py's numbers lie in the spool, as after a
session; storage signs and stores them, the console answers for them."""
import io
import json
import os
import shutil
import subprocess
import time
import uuid

import counter
import desktop
from PIL import Image
from process import wait_until

START_MONO_NS = 10**12


class Part:
    """One recording of a session. gap_ms: before it; unspecified values are
    those of the part before."""

    def __init__(self, events, end_ms, gap_ms=0, monitor=1, reason='size',
                 size=desktop.SIZE):
        self.events, self.end_ms, self.gap_ms = events, end_ms, gap_ms
        self.monitor, self.reason, self.size = monitor, reason, size
        self.id = str(uuid.uuid4())
        self.from_ms = self.manifest = None


class KnownSession:
    """parts: in their order. at(ms): the numbers that may be on the screen."""

    def __init__(self, rig, parts, age_s=3600):
        self.rig, self.parts, self.id = rig, parts, str(uuid.uuid4())
        self.start_wall_ns = (int(time.time()) - age_s) * 10**9 + 250_000_000
        at, frame = 0, 1
        for seq, part in enumerate(parts, 1):
            at += part.gap_ms
            part.from_ms = at
            frame = self._make(part, seq, frame)
            at += part.end_ms
        self.total_ms = at

    def _ids(self):
        return self.rig.stack.sql(
            'SELECT p.team_id, e.id, p.id FROM people p JOIN endpoints e ON '
            "e.team_id = p.team_id WHERE p.name = 'alice' AND e.name = "
            "'desk1'")[0]

    def _folder(self):
        path = os.path.join(self.rig.stack.path('spool'), f'.{self.id}')
        os.makedirs(path, exist_ok=True)
        return path

    def _make(self, part, seq, first_frame):
        """Encodes; returns the next frame's number."""
        stack, spool = self.rig.stack, self.rig.stack.path('tmp', part.id)
        build = stack.build
        os.makedirs(spool)
        team, endpoint, person = map(int, self._ids())
        start = START_MONO_NS + part.from_ms * 10**6
        session = {**desktop.SESSION, 'session': self.id, 'team': 'demo',
                   'endpoint': 'desk1', 'team_id': team,
                   'endpoint_id': endpoint, 'person_id': person,
                   'start_mono_ns': start, 'first_seq': seq,
                   'first_frame': first_frame, 'width': part.size[0],
                   'height': part.size[1], 'split_reason':
                   'start' if seq == 1 else part.reason, 'start_wall_ns':
                   self.start_wall_ns + part.from_ms * 10**6}
        subprocess.run(
            [f'{build}/tests/players/desktop_make', f'{spool}/{part.id}.capture',
             json.dumps(session), *map(str, part.size), str(part.end_ms)],
            input=''.join(f'{ms} {n}\n' for ms, n in part.events), text=True,
            check=True, timeout=120)
        r = subprocess.run(
            [f'{build}/recorder/relaycam-recorder', '--replay', spool,
             part.id], capture_output=True, text=True, timeout=1200)
        assert r.returncode == 0, r.stderr
        return self._take(part, f'{spool}/{part.id}.encode', first_frame)

    def _take(self, part, made, first_frame):
        name, = (n[:-5] for n in os.listdir(made) if n.endswith('.webm'))
        part.id = name
        with open(os.path.join(made, name + '.json'), encoding='utf-8') as f:
            part.manifest = json.load(f)
        nth = self.parts.index(part) + 1
        frames = part.manifest['frames']
        part.manifest.update(seq=nth, first_frame=first_frame,
                             last_frame=first_frame + frames - 1,
                             monitor=part.monitor)
        part.manifest['end'] = self.parts[nth].reason if nth < len(
            self.parts) else 'normal'
        if part.gap_ms and part.reason == 'recorder_restart':
            start = part.manifest['start_mono_ns']
            part.manifest['gap_start_mono_ns'] = start - part.gap_ms * 10**6
            part.manifest['gap_end_mono_ns'] = start
        with open(os.path.join(made, name + '.json'), 'w',
                  encoding='utf-8') as f:
            json.dump(part.manifest, f)
        for file in os.listdir(made):
            if file.startswith(name):
                shutil.move(os.path.join(made, file),
                            os.path.join(self._folder(), file))
        return part.manifest['last_frame'] + 1

    def store(self):
        """Gives all of it to storage; returns when it is stored."""
        stack, folder = self.rig.stack, self._folder()
        for path in [folder, *(os.path.join(folder, n)
                               for n in os.listdir(folder))]:
            stack._own(path)
        os.rename(folder, os.path.join(stack.path('spool'), self.id))
        wait_until(lambda: [[str(len(self.parts))]] == stack.sql(
            "SELECT count(*) FROM segments WHERE status = 'available' AND "
            f"session_id = '{self.id}'"), 60, 'the recordings to be stored')
        return self

    def path(self, part):
        """Where the store has it."""
        return self.rig.stack.path('recordings', part.manifest['object_key'])

    def at(self, ms, early_ms=0, late_ms=0):
        """The numbers that were on the desktop around a position."""
        found = set()
        for part in self.parts:
            for t, n in part.events:
                behind = [u for u, _ in part.events if u > t]
                end = behind[0] if behind else part.end_ms
                if (part.from_ms + t <= ms + early_ms and
                        part.from_ms + end > ms - late_ms):
                    found.add(n)
        return found


def number_in(data, box=(4, 4), size=None):
    """The number of counter.py in a picture, or None. size: of the desktop, if the
    picture is smaller."""
    picture = Image.open(io.BytesIO(data)).convert('L')
    if size:
        picture = picture.resize(size, Image.BILINEAR)
    cells = []
    for i in range(counter.BITS + 2):
        x = box[0] + counter.EDGE + i * counter.SIDE + counter.SIDE // 2
        y = box[1] + counter.EDGE + counter.SIDE // 2
        cells.append(picture.getpixel((x, y)))
    if cells[0] < 190 or cells[-1] > 65 or any(85 < c < 170 for c in cells):
        return None
    return counter.ungray(sum((c > 127) << i
                              for i, c in enumerate(cells[1:-1])))
