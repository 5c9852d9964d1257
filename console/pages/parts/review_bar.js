// Beside the player: whether the session's files were reviewed, the mark, and
// the way to the next ones. Enter, Enter does it by keyboard.
import { html, useEffect, useRef, useState } from '../base/html.js';
import { formatTime, knownZone } from '../base/format.js';
import { useEvents } from '../base/live.js';
import { allFiles, isStored } from '../base/recordings.js';
import { navigate } from '../base/router.js';
import { Icon } from './icon.js';
import { Pill } from './pill.js';
import { askReview, canReview, canTakeBack, isOwn, nextToReview, takeBack } from './review.js';
import { say, sayProblem } from './toast.js';
import { T } from '../texts.js';

const V = T.review;

// The state of all in words: of one file, or how many of them.
function stateOf(files, zone) {
  const stored = files.filter((f) => isStored(f) || f.reviewed_at);
  const reviewed = stored.filter((f) => f.reviewed_at);
  if (stored.length === 0) return { kind: 'quiet', text: V.notStored };
  if (reviewed.length === 0) return { kind: 'busy', text: V.open };
  if (reviewed.length < stored.length)
    return { kind: 'busy', text: V.some(reviewed.length, stored.length) };
  const last = reviewed.reduce((a, b) => (a.reviewed_at > b.reviewed_at ? a : b));
  return { kind: 'good', text: V.by(last.reviewed_by),
    more: [formatTime(last.reviewed_at, zone), last.review_remark].filter(Boolean).join(' · ') };
}

async function goToNext(session) {
  try {
    const next = await nextToReview(session);
    if (next) navigate(`/recordings/${next.id}`);
    else say(V.nothingLeft);
  } catch (problem) {
    sayProblem(problem);
  }
}

// recording: the one that the page began with; null: the session.
export function ReviewBar({ session, recording, zone }) {
  const [files, setFiles] = useState(null);
  const now = useRef([]);
  const next = useRef(null);
  const show = (list) => {
    now.current = list;
    setFiles(list);
  };
  const load = () => allFiles(session.id).then(show);
  const put = (id, file) => show(now.current.map((old) => (old.id === id ? file : old)));
  useEffect(() => { load().catch(() => show([])); }, [session.id]);
  useEvents(load, (name, data) => {
    if (name !== 'recording_changed' || data.session !== session.id) return;
    if (now.current.some((f) => f.id === data.id)) put(data.id, data);
    else show([...now.current, data]);
  }, [session.id]);
  // its room is there before the answer is
  if (!files) return html`<div class="review-bar" aria-hidden="true"></div>`;
  const { kind, text, more } = stateOf(files, zone);
  const open = files.filter(canReview);
  const sole = open.find((f) => f.id === recording?.id) || (open.length === 1 ? open[0] : undefined);
  const mine = files.filter(canTakeBack);
  return html`<div class="review-bar" role="region" aria-label=${V.region}>
    <${Pill} kind=${kind}>${text}<//>
    <span class="soft">${more || (files.some(isOwn) ? V.why.own : '')}</span>
    <div class="actions">
      ${open.length > 0 && html`<button type="button" class="primary"
        onClick=${() => askReview(open, put, { sole, then: () => next.current?.focus() })}>
        <${Icon} name="check" />${V.markNow}</button>`}
      ${open.length === 0 && mine.length > 0 && html`<button type="button"
        onClick=${async () => { for (const f of mine) await takeBack(f, put); }}>${V.takeBack}</button>`}
      <button type="button" ref=${next} onClick=${() => goToNext(session.id)}>
        ${V.next}<${Icon} name="right" /></button>
    </div>
  </div>`;
}
