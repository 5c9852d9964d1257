/* Which times of a recording some of its bytes show. */

/* By the clusters that were read, and the cues: [from, to] in milliseconds; null: they
 * belong to the whole. */
function timesByClusters(file, place) {
  const {header, recording} = file, end = place.offset + place.length;
  const total = recording.toMs !== null ? recording.toMs - recording.fromMs : Infinity;
  if (place.offset === 0 || !header || (header.cuesAt !== null && place.offset >= header.cuesAt))
    return null;
  const known = [...file.clusters, ...file.cues.map(c => [c.offset, c.timeMs])];
  const before = known.filter(([o]) => o <= place.offset).map(([, t]) => t);
  const inside = known.filter(([o]) => o >= place.offset && o < end).map(([, t]) => t);
  const behind = known.filter(([o]) => o >= end).map(([, t]) => t);
  const from = place.offset === header.length ? 0 :
    inside.length > 0 ? Math.min(...inside) : before.length > 0 ? Math.max(...before) : 0;
  return [from, behind.length > 0 ? Math.min(...behind) : total];
}

/*
 * [fromMs, toMs] of the recording that a block, or a changed place of one, shows; null:
 * it belongs to the whole. file: a RecordingFile. A place may know its own times, as
 * far as what was changed has left them.
 */
export function timesOf(file, place) {
  const times = timesByClusters(file, place);
  if (!times)
    return null;
  const from = place.fromMs ?? times[0], to = place.toMs ?? times[1];
  return from < to ? [from, to] : times;
}
