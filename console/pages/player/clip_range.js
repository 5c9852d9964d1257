/* A range of a session that somebody wants as clips (docs/clips.md): what it has
 * of which recording. Plain calculations. */
import {clockText} from './timeline_model.js';

export const CLIPS_MAX = 10; /* files that one range may go over */

/* One mark moved; the other goes where the range would be none. */
export function moveMark(range, end, ms) {
  const out = {...range, [end]: Math.round(ms)};
  if (out.fromMs !== null && out.toMs !== null && out.fromMs >= out.toMs)
    out[end === 'fromMs' ? 'toMs' : 'fromMs'] = null;
  return out;
}

export const isWhole = range => range.fromMs !== null && range.toMs !== null;

/* [{recording, fromMs, toMs}] by recording, in its own milliseconds. */
export function clipParts(model, range) {
  return model.recordings.map(recording => ({
    recording,
    fromMs: Math.max(0, Math.round(range.fromMs - recording.fromMs)),
    toMs: Math.round(Math.min(range.toMs, model.endOf(recording)) - recording.fromMs),
  })).filter(p => p.toMs > p.fromMs);
}

/* Why there can be no clips of these parts; '': there can. */
export function whyNot(parts, statusTexts) {
  const away = parts.find(p => p.recording.status !== 'available');
  if (parts.length === 0)
    return 'Nothing was recorded between these marks. Move one of them.';
  if (parts.length > CLIPS_MAX)
    return `This range goes over ${parts.length} files, each of which would be a clip: ` +
      `choose one that goes over ${CLIPS_MAX} or fewer.`;
  if (away)
    return `File ${away.recording.seq} ${statusTexts[away.recording.status] || 'is not stored'}: ` +
      'a clip can be made once it is stored and signed.';
  return '';
}

/* What the line below the timeline says of the marks. */
export function rangeText(range) {
  if (isWhole(range))
    return `Clip from ${clockText(range.fromMs, true)} to ${clockText(range.toMs, true)}, ` +
      `${((range.toMs - range.fromMs) / 1000).toFixed(1)} seconds`;
  if (range.fromMs !== null)
    return `Clip from ${clockText(range.fromMs, true)}: mark its end with ]`;
  if (range.toMs !== null)
    return `Clip up to ${clockText(range.toMs, true)}: mark its beginning with [`;
  return '';
}

/* The beginning of a part after snapping, of the recording's cues; null: they are
 * not known. */
export function keyBefore(cues, ms) {
  const before = cues.filter(c => c.timeMs <= ms).map(c => c.timeMs);
  return before.length > 0 ? Math.max(...before) : null;
}

/* Of a clip's manifest, on the session's timeline. */
export function madeText(recording, manifest, isOneOfSeveral) {
  const from = recording.fromMs + manifest.from_ms, to = recording.fromMs + manifest.to_ms;
  const file = isOneOfSeveral ? `File ${recording.seq}: ` : '';
  return `${file}${clockText(from, true)} to ${clockText(to, true)}, ` +
    `${((to - from) / 1000).toFixed(1)} seconds, ${sizeText(manifest.bytes)}`;
}

function sizeText(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/* The names that links save under. */
export function fileName(url, suffix) {
  const name = new URL(url).pathname.split('/').pop();
  return decodeURIComponent(name).replace(/\.\w+$/, suffix);
}
