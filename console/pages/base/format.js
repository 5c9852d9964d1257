// Times, durations and sizes as people read them. Times are in the team's
// zone (T7).

const formats = new Map();

function makeFormat(timeZone) {
  return new Intl.DateTimeFormat('en-CA', {
    timeZone, year: 'numeric', month: '2-digit', day: '2-digit',
    hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
  });
}

// PostgreSQL knows zones that browsers do not; those are shown in UTC.
export function knownZone(zone) {
  if (formats.has(zone)) return zone;
  try {
    formats.set(zone, makeFormat(zone));
    return zone;
  } catch {
    return 'UTC';
  }
}

const formatOf = (zone) => {
  const known = knownZone(zone);
  if (!formats.has(known)) formats.set(known, makeFormat(known));
  return formats.get(known);
};

// "2026-11-21 09:15:02"
export function formatTime(text, zone) {
  if (!text) return '';
  const p = {};
  for (const part of formatOf(zone).formatToParts(new Date(text))) p[part.type] = part.value;
  return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}:${p.second}`;
}

const two = (n) => String(n).padStart(2, '0');

// "0:07", "12:34", "1:02:03"
export function formatDuration(ms) {
  if (ms === null || ms === undefined) return '';
  const s = Math.floor(ms / 1000);
  const h = Math.floor(s / 3600);
  const m = Math.floor(s / 60) % 60;
  return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function formatBytes(bytes) {
  if (bytes === null || bytes === undefined) return '';
  let i = 0;
  let n = bytes;
  while (n >= 1024 && i < UNITS.length - 1) {
    n /= 1024;
    i += 1;
  }
  return `${i === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${UNITS[i]}`;
}

const numbers = new Intl.NumberFormat('en');
export const formatCount = (n) => numbers.format(n);
