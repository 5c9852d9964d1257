// Reviews: marks that somebody looked at a recording, with a remark (X7). The
// technician of a session does not review it; the server decides.
import { html } from '../base/html.js';
import { get, post, remove } from '../base/api.js';
import { isStored } from '../base/recordings.js';
import { me } from '../base/session.js';
import { FormDialog, openDialog } from './dialog.js';
import { say, sayProblem } from './toast.js';
import { T } from '../texts.js';

const V = T.review;
const REMARK_MAX = 500;

export const isOwn = (r) => r.user === me.get()?.user;
export const canReview = (r) => isStored(r) && !r.reviewed_at && !isOwn(r);
export const canTakeBack = (r) => Boolean(r.reviewed_at) && !isOwn(r)
  && (r.reviewed_by === me.get()?.user || me.get()?.role !== 'member');

export function whyNoReview(r) {
  if (isOwn(r)) return V.why.own;
  return r.reviewed_at ? V.why.done(r.reviewed_by) : V.why.notStored;
}

// One after the other; a refusal is told in the dialog, what is done stays, and
// is not done again: done has the ids.
async function mark(recordings, remark, put, done) {
  for (const r of recordings.filter(({ id }) => !done.has(id))) {
    put(r.id, await post(`recordings/${r.id}/review`, remark ? { remark } : undefined));
    done.add(r.id);
  }
  say(V.done(done.size));
}

// recordings: those that canReview() has; of several, `sole` may be marked
// alone. put(id, recording): as they are now. then(): when all are marked.
export function askReview(recordings, put, { sole, then = () => {} } = {}) {
  const many = recordings.length > 1;
  const done = new Set();
  openDialog(() => html`<${FormDialog} title=${V.title(many && !sole ? recordings.length : 1)} action=${V.mark}
      save=${async (form) => {
    const all = !sole || form.get('all');
    await mark(all ? recordings : [sole], form.get('remark').trim(), put, done);
    // when the dialog has given the focus back
    setTimeout(then, 0);
  }}>
    <p>${V.text}</p>
    ${many && sole && html`<label class="check"><input type="checkbox" name="all" checked />${V.all(recordings.length)}</label>`}
    <label for="remark">${V.remark}</label>
    <input id="remark" name="remark" maxlength=${REMARK_MAX} autocomplete="off" autofocus />
    <p class="hint">${V.remarkHint}</p>
  <//>`);
}

// Of a list; what follows in it is the list's to say.
export const reviewOne = (r, list) => askReview([r], list.put, { then: list.afterReview?.(r) });

export async function takeBack(r, put) {
  try {
    put(r.id, await remove(`recordings/${r.id}/review`));
    say(V.takenBack);
  } catch (problem) {
    sayProblem(problem);
  }
}

// The oldest recording that is to be reviewed, of another session than this
// one; null: there is none. One's own are passed over.
export async function nextToReview(session) {
  let cursor = null;
  do {
    const page = await get('recordings', { reviewed: 'false', order: 'asc', limit: 50, cursor });
    const found = page.items.find((r) => r.session !== session && canReview(r));
    if (found) return found;
    cursor = page.cursor;
  } while (cursor);
  return null;
}
