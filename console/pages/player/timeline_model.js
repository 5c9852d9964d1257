/* A session's timeline as the player uses it: recordings in the order of time,
 * gaps between them, times without activity. Positions are milliseconds from
 * the first recording's start. Plain calculations. */

const IDLE_MIN_MS = 4000;   /* shorter quiet times are played */
const IDLE_MARGIN_MS = 1000; /* that are played at both ends of one */

export const SPEEDS = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 4, 6, 8, 12, 16];

/* Seconds in which nothing happened, as [fromMs, toMs) of the recording. */
export function idleRanges(activity, durationMs) {
  const out = [];
  let from = -1;
  const n = activity ? activity.length : 0;
  for (let i = 0; i <= n; i++) {
    const isIdle = i < n && activity[i][0] === 0 && activity[i][1] === 0 && !activity[i][2];
    if (isIdle && from < 0)
      from = i;
    if (!isIdle && from >= 0) {
      const a = from * 1000 + IDLE_MARGIN_MS;
      const b = Math.min(i * 1000, durationMs) - IDLE_MARGIN_MS;
      if (b - a >= IDLE_MIN_MS - 2 * IDLE_MARGIN_MS)
        out.push([a, b]);
      from = -1;
    }
  }
  return out;
}

/* Largest value per column of a strip of `columns` from fromMs to toMs:
 * [{changed, events}], 0 to 1. */
export function activityColumns(model, fromMs, toMs, columns, monitor) {
  const out = Array.from({length: columns}, () => ({changed: 0, events: 0}));
  const perColumn = (toMs - fromMs) / columns;
  for (const r of model.recordings) {
    if (!r.activity || (monitor && r.monitor !== monitor))
      continue;
    r.activity.forEach(([changed, events], second) => {
      const first = Math.floor((r.fromMs + second * 1000 - fromMs) / perColumn);
      const last = Math.floor((r.fromMs + second * 1000 + 999 - fromMs) / perColumn);
      for (let c = Math.max(first, 0); c <= Math.min(last, columns - 1); c++) {
        out[c].changed = Math.max(out[c].changed, changed / 1000);
        out[c].events = Math.max(out[c].events, Math.min(events / 20, 1));
      }
    });
  }
  return out;
}

const isPlayable = status => ['recording', 'transfer', 'available'].includes(status);

/* What reading its file needs of a recording, which is as GET recordings/{id} has it. */
export function fileOf(r) {
  return {id: r.id, status: r.status, isGrowing: r.ended_at === null && r.status === 'recording',
          isPlayable: isPlayable(r.status)};
}

function recordingOf(r, monitor) {
  return {
    id: r.recording, seq: r.seq, monitor: monitor.monitor, monitorName: monitor.name,
    fromMs: r.from_ms, toMs: r.to_ms, isGrowing: r.to_ms === null && r.status === 'recording',
    status: r.status, progress: r.progress, statusDetail: r.status_detail,
    splitReason: r.split_reason, frameRate: r.frame_rate, width: r.width, height: r.height,
    codec: r.codec, hasPoster: r.has_poster, activity: r.activity,
    noteCount: r.note_count,
    /* who opens a file in a folder is noted; of S3's the link itself counts as watching */
    isLinkWatching: r.store === 's3',
    isPlayable: isPlayable(r.status),
  };
}

export class TimelineModel {
  /* pages: answers of GET sessions/{id}/timeline, in their order. activity: by
   * recording, where the answers have none. */
  constructor(pages, activity = new Map()) {
    const last = pages[pages.length - 1] || {state: 'active'};
    this.state = last.state;
    this.startsAtMs = last.starts_at ? Date.parse(last.starts_at) : 0;
    this.recordings = pages.flatMap(p => p.monitors.flatMap(
      m => m.recordings.map(r => recordingOf(r, m)))).sort((a, b) => a.seq - b.seq);
    for (const r of this.recordings)
      r.activity = r.activity || activity.get(r.id) || null;
    this.gaps = pages.flatMap(p => p.gaps.map(g => ({
      fromMs: g.from_ms, toMs: g.to_ms, ms: g.ms, why: g.why, monitors: g.monitors})));
    this.monitors = [...new Map(this.recordings.map(
      r => [r.monitor, {monitor: r.monitor, name: r.monitorName}])).values()]
      .sort((a, b) => a.monitor - b.monitor);
    this.idle = this.recordings.flatMap(r => idleRanges(
      r.activity, this.endOf(r) - r.fromMs).map(([a, b]) => [r.fromMs + a, r.fromMs + b]));
  }

  endOf(r) {
    return r.toMs === null ? Math.max(r.knownToMs || r.fromMs, r.fromMs) : r.toMs;
  }

  /* The growing recording is known to reach this far. Returns whether that is new. */
  grow(id, toMs) {
    const r = this.recordings.find(x => x.id === id);
    if (!r || r.toMs !== null || (r.knownToMs || 0) >= toMs)
      return false;
    r.knownToMs = toMs;
    return true;
  }

  get durationMs() {
    return Math.max(0, ...this.recordings.map(r => this.endOf(r)), ...this.gaps.map(g => g.toMs));
  }

  /* {recording}, {gap} or {} at a position. */
  at(ms) {
    const recording = this.recordings.find(
      r => ms >= r.fromMs && (ms < this.endOf(r) || (r.isGrowing && ms <= this.endOf(r))));
    if (recording)
      return {recording};
    const gap = this.gaps.find(g => ms >= g.fromMs && ms < g.toMs);
    return gap ? {gap} : {};
  }

  next(recording) {
    return this.recordings.find(r => r.fromMs > recording.fromMs && r.isPlayable) || null;
  }

  /* The first recording that can be played from here on. */
  playableFrom(ms) {
    return this.recordings.find(r => r.isPlayable && (this.endOf(r) > ms || r.isGrowing)) || null;
  }

  /* Where playing goes on instead of in a quiet time; null: ms is in none. */
  idleEnd(ms) {
    const range = this.idle.find(([a, b]) => ms >= a && ms < b - 250);
    return range ? range[1] : null;
  }

  idleMs() {
    return this.idle.reduce((sum, [a, b]) => sum + b - a, 0);
  }

  /* The nearest start of something behind (direction 1) or before (-1) ms:
   * what 'change', 'gap' or 'file' names; null: none. */
  jump(kind, ms, direction) {
    const starts = kind === 'file' ? this.recordings.map(r => r.fromMs) :
      kind === 'gap' ? this.gaps.map(g => g.fromMs) : this.changes();
    const sorted = starts.sort((a, b) => a - b);
    if (direction > 0)
      return sorted.find(s => s > ms + 1) ?? null;
    return sorted.filter(s => s < ms - 1000).pop() ?? null;
  }

  /* Seconds in which the picture changes after one in which it did not. */
  changes() {
    return this.recordings.flatMap(r => (r.activity || []).flatMap(([changed], i, all) =>
      changed > 0 && (i === 0 || all[i - 1][0] === 0) ? [r.fromMs + i * 1000] : []));
  }

  wallMs(ms) {
    return this.startsAtMs + ms;
  }
}

/* ---- times as text ---- */

/* 1:02:03 or 2:03, with .250 where wanted. */
export function clockText(ms, withMs = false) {
  const whole = Math.max(0, Math.floor(ms));
  const s = Math.floor(whole / 1000), h = Math.floor(s / 3600);
  const mm = Math.floor(s / 60) % 60, ss = String(s % 60).padStart(2, '0');
  const text = h > 0 ? `${h}:${String(mm).padStart(2, '0')}:${ss}` : `${mm}:${ss}`;
  return withMs ? `${text}.${String(whole % 1000).padStart(3, '0')}` : text;
}

/* What people say: "2 minutes 3 seconds". */
export function spokenText(ms) {
  const s = Math.round(ms / 1000), parts = [];
  const add = (n, unit) => {
    if (n > 0)
      parts.push(`${n} ${unit}${n === 1 ? '' : 's'}`);
  };
  add(Math.floor(s / 3600), 'hour');
  add(Math.floor(s / 60) % 60, 'minute');
  add(s % 60, 'second');
  return parts.length > 0 ? parts.join(' ') : '0 seconds';
}

/* Local date and time of a zone: 2026-11-21 09:15:02. */
export function wallText(wallMs, zone) {
  const parts = Object.fromEntries(new Intl.DateTimeFormat('en-GB', {
    timeZone: zone, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit',
    hour: '2-digit', minute: '2-digit', second: '2-digit'})
    .formatToParts(new Date(wallMs)).map(p => [p.type, p.value]));
  return `${parts.year}-${parts.month}-${parts.day} ${parts.hour}:${parts.minute}:${parts.second}`;
}

/* Unix milliseconds of a local time of a zone; null: no such text. */
export function parseWall(text, zone) {
  const m = /^(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?$/.exec(text.trim());
  if (!m)
    return null;
  const utc = Date.UTC(+m[1], m[2] - 1, +m[3], +m[4], +m[5], +(m[6] || 0));
  let at = utc;
  for (let i = 0; i < 2; i++) /* the zone's distance to UTC at that time */
    at = utc - (Date.parse(wallText(at, zone).replace(' ', 'T') + 'Z') - Math.floor(at / 1000) * 1000);
  return at;
}

/*
 * A position as somebody writes it: "1:02:03.5", "2:03", "63", "90s", or a
 * local time of the session's day ("14:02:03" only with a date before it).
 * Returns milliseconds, or null.
 */
export function parsePosition(text, model, zone) {
  const wall = parseWall(text, zone);
  if (wall !== null)
    return wall - model.startsAtMs;
  const m = /^(?:(?:(\d{1,2}):)?(\d{1,3}):)?(\d{1,6}(?:\.\d{1,3})?)s?$/.exec(text.trim());
  if (!m)
    return null;
  return Math.round(((+(m[1] || 0) * 60 + +(m[2] || 0)) * 60 + +m[3]) * 1000);
}

/* ---- deep links: #t=63.5 from the start, #at=2026-11-21T09:15:02.123Z ---- */

export function parseHash(hash, model) {
  const params = new URLSearchParams(hash.replace(/^#/, ''));
  const t = params.get('t'), at = params.get('at');
  if (t !== null && /^\d{1,6}(\.\d{1,3})?$/.test(t))
    return Math.round(Number(t) * 1000);
  if (at !== null && !Number.isNaN(Date.parse(at)))
    return Date.parse(at) - model.startsAtMs;
  return null;
}

export function formatHash(ms) {
  return '#t=' + (Math.max(0, Math.round(ms)) / 1000);
}

export function wallHash(model, ms) {
  return '#at=' + new Date(model.wallMs(Math.round(ms))).toISOString();
}

/*
 * Where the player begins: {ms, first}. ms: as the hash of a deep link says, or
 * with the recording of that id, or with the session; null: live, as it still
 * runs. first: the recording that is shown first, or null.
 */
export function beginning(model, id, hash) {
  const wanted = model.recordings.find(r => r.id === id);
  const ms = parseHash(hash, model) ?? (wanted ? wanted.fromMs : null);
  if (ms === null && model.state === 'active')
    return {ms, first: model.recordings.findLast(r => r.isPlayable) || null};
  return {ms: ms ?? 0, first: model.playableFrom(ms ?? 0)};
}

/* A speed further along the list of them. */
export function nextSpeed(speed, direction) {
  const i = SPEEDS.indexOf(speed);
  const from = i >= 0 ? i : SPEEDS.indexOf(1);
  return SPEEDS[Math.min(Math.max(from + direction, 0), SPEEDS.length - 1)];
}

/* The name of a still: pc-7_2026-11-21T09-15-02.123Z.png */
export function stillName(endpoint, wallMs) {
  const time = new Date(wallMs).toISOString().replace(/:/g, '-');
  return `${endpoint.replace(/[^A-Za-z0-9._-]/g, '_')}_${time}.png`;
}
