/* What is known of the files that play: places on the timeline, and a sentence
 * that names the first place that was changed (X8). */
import {PROBLEM_TEXTS} from './texts.js';
import {clockText, spokenText} from './timeline_model.js';

/* What is decided of a file: its good blocks, and the changed places of bad ones. What
 * else a bad block holds is neither. */
const decided = f => (f.check.blocks || []).flatMap(b =>
  b.state === 'good' ? [{place: b, state: 'good'}] :
    b.state === 'bad' ? b.places.map(place => ({place, state: 'bad'})) : []);

/* files: RecordingFile; returns [{recording, state: 'good' or 'bad', fromMs, toMs}]
 * of what is decided. */
export function checksOf(files, model) {
  const checks = [];
  for (const f of files)
    for (const {place, state} of decided(f)) {
      const times = f.timesOf(place), r = f.recording;
      if (!times && state === 'good')
        continue;
      const end = model.endOf(r);
      const [from, to] = times || [0, end - r.fromMs];
      checks.push({recording: r, state, fromMs: r.fromMs + from,
                   toMs: Math.min(r.fromMs + to, end)});
    }
  return checks;
}

function badText(f, place, model) {
  const times = f.timesOf(place), r = f.recording;
  const where = times ? `from ${clockText(r.fromMs + times[0], true)} to ` +
    clockText(Math.min(r.fromMs + times[1], model.endOf(r)), true) :
    'its header or its index';
  return `File ${r.seq} was changed after it was recorded: bytes ${place.offset} to ` +
    `${place.offset + place.length - 1}, ${where}.`;
}

/* The whole: {state: 'good', 'bad' or 'unknown', text}. checks: of checksOf(). */
export function summary(files, checks, model) {
  const bad = files.map(f => ({f, place: f.check.firstBad()})).filter(x => x.place)
    .sort((a, b) => a.f.recording.fromMs - b.f.recording.fromMs)[0];
  if (bad)
    return {state: 'bad', text: badText(bad.f, bad.place, model)};
  const wrong = files.find(f => f.problem && f.problem !== 'unsigned' && f.problem !== 'unreachable');
  if (wrong)
    return {state: 'bad', text: `File ${wrong.recording.seq}: ${PROBLEM_TEXTS[wrong.problem]}`};
  if (checks.length > 0) {
    const ms = checks.reduce((sum, c) => sum + c.toMs - c.fromMs, 0);
    return {state: 'good', text: `Checked while it plays: ${spokenText(ms)} of ` +
      `${spokenText(model.durationMs)} are as they were recorded and signed.`};
  }
  const odd = files.find(f => f.problem);
  if (odd)
    return {state: 'unknown', text: PROBLEM_TEXTS[odd.problem]};
  if (files.some(f => f.isGrowing))
    return {state: 'unknown',
            text: 'This recording is still being written; it is signed when it is stored.'};
  return {state: 'unknown', text: 'Nothing has been checked yet.'};
}
