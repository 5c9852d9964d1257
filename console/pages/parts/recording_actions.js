// What may be done with recordings: one by its menu, several by the bar (M6).
// The server decides; what it refuses is said.
import { html } from '../base/html.js';
import { patch, post, remove } from '../base/api.js';
import { startArchive, startDownloads } from '../base/downloads.js';
import { formatBytes, formatCount, formatDuration, formatTime, knownZone } from '../base/format.js';
import { isPlayable, isStored } from '../base/recordings.js';
import { navigate } from '../base/router.js';
import { me } from '../base/session.js';
import { askReview, canReview, canTakeBack, reviewOne, takeBack, whyNoReview } from './review.js';
import { closeDialog, Dialog, FormDialog, openDialog } from './dialog.js';
import { copyLink } from './file_actions.js';
import { say, sayProblem } from './toast.js';
import { T } from '../texts.js';

const R = T.recordings;
const V = T.review;
const NOTES_MAX = 10000;
const REASON_MAX = 500;
const ARCHIVE_MAX = 1000; // recordings of a ZIP, as POST archives takes them

const isGone = (r) => r.status === 'expired' || r.status === 'deleted';
const canDelete = (r) => !r.locked && (isStored(r) || ['missing', 'corrupted'].includes(r.status));
const whyKept = (r) => (r.locked ? R.why.locked : isGone(r) ? R.why.gone : R.why.busy);

// One after the other, so that a refusal is said once and stops the rest.
async function forEach(recordings, list, change, done) {
  let n = 0;
  try {
    for (const r of recordings) {
      list.put(r.id, await change(r));
      n += 1;
    }
  } catch (problem) {
    sayProblem(problem);
  }
  if (n > 0) say(done(n));
}

const lock = (items, list) => forEach(items, list, (r) => post(`recordings/${r.id}/lock`), R.lockedNow);
const unlock = (items, list) => forEach(items, list, (r) => post(`recordings/${r.id}/unlock`), R.unlockedNow);

export function editNotes(r, list) {
  openDialog(() => html`<${FormDialog} title=${R.notesOf(r.endpoint)} action=${T.save} wide
      save=${async (form) => list.put(r.id, await patch(`recordings/${r.id}`, { notes: form.get('notes') }))}>
    <label for="notes">${R.notes}</label>
    <textarea id="notes" name="notes" rows="8" maxlength=${NOTES_MAX} autofocus>${r.notes}</textarea>
    <p class="hint">${R.notesHint}</p>
  <//>`);
}

function askDelete(items, list) {
  openDialog(() => html`<${FormDialog} title=${R.deleteTitle(items.length)} action=${R.deleteNow} danger
      save=${(form) => forEach(items, list,
    (r) => remove(`recordings/${r.id}`, { reason: form.get('reason').trim() }), R.deletedNow)}>
    <p>${R.deleteText}</p>
    <label for="reason">${R.reason}</label>
    <input id="reason" name="reason" required maxlength=${REASON_MAX} pattern=".*\\S.*" autocomplete="off" autofocus />
    <p class="hint">${R.reasonHint}</p>
  <//>`);
}

function propertiesOf(r) {
  const zone = knownZone(me.get().time_zone);
  const P = R.properties;
  return [
    [P.device, r.endpoint], [P.user, r.user],
    [P.session, html`<a href=${`/sessions/${r.session}`} onClick=${closeDialog} class="mono">${r.session}</a>`],
    [P.id, html`<span class="mono">${r.id}</span>`],
    [P.status, `${T.status[r.status]}. ${T.statusHelp[r.status]}`], [P.detail, r.status_detail],
    [P.from, formatTime(r.started_at, zone)], [P.to, formatTime(r.ended_at, zone)],
    [P.length, formatDuration(r.duration_ms)],
    [P.size, r.bytes === null ? '' : `${formatBytes(r.bytes)} (${P.bytes(r.bytes)})`],
    [P.picture, `${r.width} × ${r.height}, ${T.files.rate(r.frame_rate)}, ${r.codec.toUpperCase()}`],
    [P.monitor, r.monitor_name || T.session.monitor(r.monitor)],
    [P.split, T.split[r.split_reason]],
    [P.frames, r.frames === null ? '' : P.frameRange(formatCount(r.frames), r.first_frame, r.last_frame)],
    [P.sha256, r.sha256 && html`<span class="mono">${r.sha256}</span>`],
    [P.store, r.object_key && html`<span class="mono">${r.store}: ${r.object_key}</span>`],
    [P.stored, formatTime(r.stored_at, zone)],
    [P.hold, r.legal_hold && P.held],
    [P.expires, r.locked ? R.next.locked : formatTime(r.expires_at, zone)],
    [V.watched, formatTime(r.watched_at, zone)],
    [V.reviewed, r.reviewed_by && `${formatTime(r.reviewed_at, zone)}, ${r.reviewed_by}`],
    [V.remarkOf, r.review_remark],
    [P.recovered, r.recovered && P.recoveredText], [R.notes, r.notes],
  ].filter(([, value]) => value);
}

export function showProperties(r) {
  openDialog(() => html`<${Dialog} title=${R.propertiesOf(r.endpoint)} wide>
    <dl class="properties">${propertiesOf(r).map(([name, value]) => html`<div key=${name}>
      <dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    <footer><button type="button" class="primary" onClick=${closeDialog}>${T.close}</button></footer>
  <//>`);
}

export const menuOf = (r, list) => [
  { label: T.files.play, icon: 'play', run: () => navigate(`/recordings/${r.id}`),
    disabled: !isPlayable(r), why: T.files.notStored },
  { label: T.files.copy, icon: 'copy', run: () => copyLink(r), disabled: !isPlayable(r), why: T.files.notStored },
  { label: T.files.download, icon: 'download', run: () => startDownloads([r]),
    disabled: !isStored(r), why: T.files.notStored },
  null,
  r.reviewed_at
    ? { label: V.takeBack, icon: 'check', run: () => takeBack(r, list.put), disabled: !canTakeBack(r), why: whyNoReview(r) }
    : { label: V.markNow, icon: 'check', run: () => reviewOne(r, list), disabled: !canReview(r), why: whyNoReview(r) },
  { label: R.editNotes, icon: 'note', run: () => editNotes(r, list) },
  { label: R.showProperties, icon: 'info', run: () => showProperties(r) },
  { label: R.showSession, icon: 'files', run: () => navigate(`/sessions/${r.session}`) },
  null,
  r.locked
    ? { label: R.unlock, icon: 'unlock', run: () => unlock([r], list) }
    : { label: R.lock, icon: 'lock', run: () => lock([r], list), disabled: isGone(r), why: R.why.gone },
  { label: R.delete, icon: 'trash', danger: true, run: () => askDelete([r], list),
    disabled: !canDelete(r), why: whyKept(r) },
];

// Of several, those are taken that it fits. said: why it is disabled is shown.
export function bulkActions(items, list) {
  const stored = items.filter(isStored);
  const unlocked = items.filter((r) => !r.locked && !isGone(r));
  const locked = items.filter((r) => r.locked);
  const deletable = items.filter(canDelete);
  const open = items.filter(canReview);
  const isTooMany = stored.length > ARCHIVE_MAX;
  return [
    { label: R.downloadSome(stored.length), icon: 'download', run: () => startDownloads(stored),
      disabled: stored.length === 0, why: T.files.notStored },
    { label: R.zipSome(stored.length), icon: 'download', run: () => startArchive(stored),
      disabled: stored.length === 0 || isTooMany, why: isTooMany ? R.tooManyForZip(ARCHIVE_MAX) : T.files.notStored,
      said: isTooMany },
    { label: V.markSome(open.length), icon: 'check', run: () => askReview(open, list.put),
      disabled: open.length === 0, why: V.why.none },
    { label: R.lockSome(unlocked.length), icon: 'lock', run: () => lock(unlocked, list),
      disabled: unlocked.length === 0, why: R.why.noneOpen },
    { label: R.unlockSome(locked.length), icon: 'unlock', run: () => unlock(locked, list),
      disabled: locked.length === 0, why: R.why.noneLocked },
    { label: R.deleteSome(deletable.length), icon: 'trash', danger: true, run: () => askDelete(deletable, list),
      disabled: deletable.length === 0, why: R.why.noneDeletable },
  ];
}
