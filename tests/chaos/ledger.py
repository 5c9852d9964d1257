"""Is everything there? Compares what the desktops drew and what technicians
saw with what the files show and what the system itself says is missing."""
import bisect
import collections
import hashlib
import os
import time

import counter
import spool_files
from process import StartError, wait_until

BEFORE_KILL_S = 2.0     # X4 says one second; the other is the machine's
LATENCY_S = 0.7         # from drawn to recorded, on a busy machine
STRETCH, RATE = 2, 10   # pictures are so far apart when a recorder is behind
UNSEEN_S = 3.0          # the technician was not sent it either
IDLE_S = 5.0            # longer for a hostile one, which stops reading
STOOD_S = 0.11          # min_visible_ms, and a little
RESIZE_S = 0.5          # a technician notices a resize so late, at most
SEGMENT = ('id', 'session', 'seq', 'reason', 'status', 'first', 'last',
           'rate', 'start', 'end', 'recovered', 'key', 'sha256')


def boot_minus_mono_ns():
    """Manifests use the boot-time clock, Python's the monotonic one."""
    return (time.clock_gettime_ns(time.CLOCK_BOOTTIME) -
            time.monotonic_ns())


class Ledger:
    """check() collects what is wrong in `problems`."""

    def __init__(self, lab, kills):
        self.lab, self.kills = lab, kills
        self.shift = boot_minus_mono_ns()
        self.problems = []
        self.gaps = []          # (session, from ns, to ns or None, why)
        self.sessions, self.segments = {}, []
        self.unseen_ms = self.merged_ms = 0
        self.empty = []         # rows of files without a picture
        self.stood = collections.Counter()  # values, by kind of technician

    def problem(self, text):
        self.problems.append(text)

    # --- reading ------------------------------------------------------------

    def settle(self, timeout_s=240):
        def done():
            rows = self.lab.sql(
                "SELECT (SELECT count(*) FROM segments WHERE status NOT IN "
                "('available', 'missing')), (SELECT count(*) FROM sessions WHERE "
                'ended_at IS NULL)')
            return rows == [['0', '0']] and not self.spool()
        try:
            wait_until(done, timeout_s, 'every segment to be available')
        except StartError as e:
            self.problem(str(e))
            self.problem(f'left in the spool: {self.spool()}')

    def spool(self):
        """What is there, but for files whose recorder died before their
        manifest was: those are removed after a day."""
        names = spool_files.names(self.lab.stack.path('spool'))
        known = {n.split('.')[0] for n in names
                 if n.endswith(('.json', '.json.open'))}
        return sorted(n for n in names if n.split('.')[0] in known)

    def load(self):
        sql = self.lab.stack.sql
        self.sessions = {r[0]: dict(zip(
            ('id', 'endpoint', 'code', 'reason', 'begin'), r)) for r in sql(
            'SELECT s.id, e.name, s.end_code, s.end_reason, '
            'extract(epoch FROM s.started_at) FROM sessions s JOIN '
            'endpoints e ON e.id = s.endpoint_id ORDER BY s.started_at')}
        for row in sql(
                'SELECT id, session_id, seq, split_reason, status, '
                'first_frame, last_frame, frame_rate, start_mono_ns, '
                "end_mono_ns, recovered, object_key, encode(sha256, 'hex') "
                'FROM segments ORDER BY session_id, seq'):
            g = dict(zip(SEGMENT, row))
            for name in ('seq', 'first', 'last', 'rate', 'start', 'end'):
                g[name] = int(g[name]) if g[name] else None
            g['start'] -= self.shift
            g['end'] = g['end'] and g['end'] - self.shift
            g['recovered'] = g['recovered'] == 't'
            self.segments.append(g)
        for session, since, until, behind, why in sql(
                'SELECT session_id, from_mono_ns, to_mono_ns, '
                "coalesce(before_seq::text, ''), why FROM gaps"):
            self.gaps.append((session, int(since) - self.shift,
                              int(until) - self.shift if behind else None,
                              why))

    def read_files(self):
        self.empty = [g for g in self.segments if g['status'] == 'missing'
                      and g['last'] is None]
        for g in self.empty:
            self.segments.remove(g)
        for g in self.segments:
            g['values'] = []
            if g['status'] != 'available' or None in (
                    g['first'], g['last'], g['end']):
                self.problem(f'{g["id"]} is {g["status"]}, frames '
                             f'{g["first"]} to {g["last"]}')
                g['end'] = g['end'] or g['start']
                g['first'] = g['first'] or 1
                g['last'] = g['last'] or g['first'] - 1
                continue
            path = os.path.join(self.lab.stack.path('recordings'), g['key'])
            with open(path, 'rb') as f:
                if hashlib.file_digest(f, 'sha256').hexdigest() != \
                        g['sha256']:
                    self.problem(f'{g["id"]}: the file is not what it was')
            try:
                g['values'] = counter.read(path, 4, 4)
            except AssertionError as e:
                self.problem(f'{g["id"]} does not play: {e}')

    # --- rules --------------------------------------------------------------

    def check(self):
        self.load()
        self.read_files()
        for s in self.sessions.values():
            if not s['code']:
                self.problem(f'session {s["id"]} has no end')
            segments = [g for g in self.segments if g['session'] == s['id']]
            self.frames(segments)
            self.order(segments)
            self.stated_gaps(s, segments)
        for look in self.lab.looks:
            self.look(look)
        self.violations()
        return self.problems

    def violations(self):
        try:
            self.lab.stack.ctl('check')
        except StartError as e:
            self.problem(f'relaycam check: {e}')

    def frames(self, segments):
        """Numbered without holes in a file, and from one to the next."""
        before = None
        for g in segments:
            n = g['last'] - g['first'] + 1
            if n != len(g['values']):
                self.problem(f'{g["id"]}: {n} frames by its row, '
                             f'{len(g["values"])} in the file')
            if before is not None and not before['recovered'] and \
                    g['first'] != before['last'] + 1:
                self.problem(f'{g["id"]} begins with frame {g["first"]} '
                             f'after {before["last"]}')
            seq = before['seq'] + 1 if before else 1
            while any(e['session'] == g['session'] and e['seq'] == seq
                      for e in self.empty):
                seq += 1
            if g['seq'] != seq:
                self.problem(f'{g["id"]} is number {g["seq"]}')
            before = g

    def order(self, segments):
        last = -1
        for g in segments:
            for i, v in enumerate(g['values']):
                if v is None:
                    continue
                if v < last:
                    self.problem(f'{g["id"]}: frame {i} shows {v} after '
                                 f'{last}')
                last = v

    def stated_gaps(self, session, segments):
        """A gap begins where something was killed, and not long before."""
        for a, b in zip(segments, segments[1:]):
            if b['start'] - a['end'] >= 10**6 and not any(
                    g[0] == session['id'] and g[1] <= a['end'] + 10**6 and
                    (g[2] or 0) >= b['start'] - 10**6 for g in self.gaps):
                ms = (b['start'] - a['end']) / 1e6
                self.problem(f'{b["id"]} starts {ms} ms after the one '
                             'before, and no gap says so')
        for _, since, until, why in (
                g for g in self.gaps if g[0] == session['id']):
            near = [k for k in self.kills if session['id'] in k['sessions']
                    and k['at'] - BEFORE_KILL_S * 1e9 <= since <=
                    k['at'] + LATENCY_S * 1e9]
            if why in ('unexplained', 'segment_lost') or not near:
                self.problem(f'session {session["id"]}: gap ({why}) at '
                             f'{self.seconds(since)} s that no kill explains')

    def look(self, look):
        """Each value between a technician's first and last picture."""
        if look.begin is None:
            return
        found = self.session_of(look)
        if found is None:
            return
        session, segments = found
        drawn = look.desktop.drawn()
        shown = {v for g in segments for v in g['values'] if v is not None}
        stood = self.seen_long_enough(look, session, shown)
        since, until = self.span(look, session)
        times = [t for _, t in drawn]
        run = []
        for i in range(bisect.bisect_left(times, since), len(drawn) - 1):
            value, at = drawn[i]
            if drawn[i + 1][1] > until:
                break
            if value in shown or self.in_gap(session, at, drawn[i + 1][1]):
                self.hole(look, session, run, stood)
                run = []
            else:
                run.append((value, at, drawn[i + 1][1]))
        self.hole(look, session, run, stood)

    def hole(self, look, session, run, stood):
        """Values in a row that no file shows and no gap covers."""
        if not run:
            return
        s = (run[-1][2] - run[0][1]) / 1e9
        # a hostile one makes values stand too short to need a frame
        seen = stood if look.kind == 'hostile' else {v for v, _ in look.seen}
        lost = [v for v, _, _ in run if v in seen]
        if s <= self.merged_s(session):
            self.merged_ms = max(self.merged_ms, round(s * 1000))
        elif lost or s > UNSEEN_S + IDLE_S * (look.kind == 'hostile'):
            self.problem(
                f'session {session} ({look.kind}): {len(run)} values from '
                f'{run[0][0]} on, {s:.2f} s at {self.seconds(run[0][1])} s, '
                f'are in no file and in no gap; the technician saw {lost}')
        else:
            self.unseen_ms = max(self.unseen_ms, round(s * 1000))

    def merged_s(self, session):
        """How long one picture may stand for all that came."""
        rates = [g['rate'] for g in self.segments if g['session'] == session]
        return STRETCH / min([RATE, *rates]) + 0.05

    def session_of(self, look):
        """Its row, by endpoint and time; with its segments."""
        wall = time.time_ns() - time.monotonic_ns()
        best = None
        for s in self.sessions.values():
            off = abs(float(s['begin']) * 1e9 - wall - look.begin) / 1e9
            if s['endpoint'] == look.desktop.name and off < 10 and (
                    best is None or off < best[0]):
                best = (off, s['id'])
        if best is None:
            if len(look.seen) > 2 * 4:
                self.problem(f'{look.desktop.name}: a technician looked '
                             f'from {self.seconds(look.begin)} s on, and no '
                             'session says so')
            return None
        segments = [g for g in self.segments if g['session'] == best[1]]
        if not segments and not all(self.in_gap(best[1], at, at)
                                    for _, at in look.seen):
            self.problem(f'session {best[1]} has no recording')
        return (best[1], segments) if segments else None

    def seen_long_enough(self, look, session, shown):
        """The values that stood on the technician's screen; each has to be in
        a frame (X2). A value was sent when it was seen, at the latest, and
        replaced when the next one was drawn, at the earliest. A resize ends
        what is shown, and its moment is not certain: such values are left
        out."""
        drawn = look.desktop.drawn()
        ends = {v: (at, after) for (v, at), (_, after) in
                zip(drawn, drawn[1:])}
        until = self.relay_died(look, session, BEFORE_KILL_S)
        first, stood = {}, set()
        for value, at in look.seen:
            first.setdefault(value, at)
        lost = []
        for value, at in first.items():
            since, end = ends.get(value, (at, 0))
            if at < since or end - at < STOOD_S * 1e9 or end > until or any(
                    at <= r <= end + RESIZE_S * 1e9 for r in look.resized):
                continue    # another value was read, or it did not stand
            self.stood[look.kind] += 1
            stood.add(value)
            if value not in shown and not self.in_gap(session, at, end):
                lost.append((value, self.seconds(at), round((end - at) / 1e6)))
        if lost:
            self.problem(
                f'session {session} ({look.kind}) saw values for 0.1 s and '
                f'more that are in no file and in no gap (value, s, ms): '
                f'{lost}')
        return stood

    def relay_died(self, look, session, before_s):
        """The end of what the technician saw, or so long before its relay
        was killed."""
        return min([look.end] + [
            k['at'] - int(before_s * 1e9) for k in self.kills
            if session in k['sessions'] and k['what'] == 'relay'])

    def span(self, look, session):
        """From 2 s after the first picture until 2 s before what ended it."""
        until = self.relay_died(look, session, 0)
        if look.seen:
            until = min(until, look.seen[-1][1] + int(1e9))
        # TigerVNC's viewer does not tell when its login was over
        wall = time.time_ns() - time.monotonic_ns()
        begin = int(float(self.sessions[session]['begin']) * 1e9) - wall
        return (max(look.begin, begin) + int(2e9),
                until - int(BEFORE_KILL_S * 1e9))

    def in_gap(self, session, at, until):
        slack = int(LATENCY_S * 1e9)
        return any(g[0] == session and at >= g[1] - slack and
                   (g[2] is None or until <= g[2] + slack // 2)
                   for g in self.gaps)

    def seconds(self, ns):
        return round(ns / 1e9 - self.lab.begin, 2)

    def longest_gap_ms(self):
        return max((round((g[2] - g[1]) / 1e6) for g in self.gaps if g[2]),
                   default=0)
