// The player's page: a whole session, or one recording of it.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../base/html.js';
import * as api from '../base/api.js';
import { formatTime, knownZone } from '../base/format.js';
import { me } from '../base/session.js';
import { askFirstLink, askTimeline, mount, newLinks, openFirstFile } from '../player/player.js';
import { Icon } from '../parts/icon.js';
import { Page } from '../parts/page.js';
import { ReviewBar } from '../parts/review_bar.js';
import { ProblemBox } from '../parts/problem.js';
import { T } from '../texts.js';

const P = T.play;
const FRESH_MS = 5000; // as long what was asked for ahead is good

// Asks for all that is known to be needed at once. The player does not wait for
// the words around it: about is the promise of the session.
// links: of the player, which may have some already.
const ask = (session, recording, links) => ({
  session, recording, asked: askTimeline(api, session, links), about: api.get(`sessions/${session}`),
});

// The recording that is named leads to its session.
async function find(id, links) {
  const recording = await api.get(`recordings/${id}`);
  return ask(recording.session, recording, links);
}

// Answers requested before the page is drawn: {key, links, atMs, found, promise}; promise
// gives found.
let early = null;

// With the person: who logs in after somebody else must not use the links of that one.
const keyOf = ({ id, recording }) => `${me.get()?.user} ${id ? `session ${id}` : `recording ${recording}`}`;

function begin(params) {
  const key = keyOf(params), old = early?.key === key ? early : null;
  if (old && performance.now() - old.atMs < FRESH_MS) return old;
  const links = old?.links || newLinks(api);
  const mine = { key, links, atMs: performance.now(), found: params.id ? ask(params.id, null, links) : null };
  mine.promise = mine.found ? Promise.resolve(mine.found)
    : find(params.recording, links).then((found) => { mine.found = found; return found; });
  early = mine;
  mine.promise.then(({ asked, about }) => Promise.all([asked.timeline, about]))
    .catch(() => { if (early === mine) early = null; }); // the page asks again, and says it
  return mine;
}

// Calls go({asked, recording}) once that is known.
function goAhead({ found, promise }, go) {
  if (found) go(found);
  else promise.then(go, () => {});
}

// The page will be shown. The recording of the address is what it shows first, unless
// the address names a time: then its link is asked for together with it.
function open(mine, { recording: id }, hash) {
  if (id && !hash && !mine.found) mine.links.url(id).catch(() => {}); // asked again, and said
  goAhead(mine, ({ asked, recording }) => openFirstFile(asked, recording, hash));
}

// Somebody points at a link to it; isLikely: long enough to follow it, or a button of
// the mouse is down. Each signed link is an entry in the audit log, so it waits for that.
export function prepare(params, { hash }, isLikely) {
  const mine = begin(params);
  if (isLikely) goAhead(mine, ({ asked, recording }) => askFirstLink(asked, recording?.id, hash));
}

// It was chosen.
export function ahead(params, { hash }) {
  open(begin(params), params, hash);
}

// Once: who comes again gets what is new.
function take(params) {
  const mine = begin(params);
  early = null;
  open(mine, params, location.hash);
  return mine;
}

function Player({ zone, ...what }) {
  const place = useRef(null);
  useLayoutEffect(() => mount(place.current, { zone, ...what }), []);
  return html`<div class="player" ref=${place}></div>`;
}

export default function Play({ person, id, recording }) {
  const [taken] = useState(() => take({ id, recording }));
  const [found, setFound] = useState(taken.found);
  const [session, setSession] = useState(null);
  const [problem, setProblem] = useState(null);
  const load = ({ promise }) => {
    setProblem(null);
    promise.then(setFound, setProblem);
  };
  useEffect(() => load(taken), []);
  useEffect(() => {
    found?.about.then(setSession, setProblem);
  }, [found]);
  return html`<${Page} title=${session ? P.title(session.endpoint) : P.untitled} className="play"
      lead=${session ? P.lead(session.user, formatTime(session.started_at, knownZone(person.time_zone))) : '\u00a0'}
      actions=${found && html`<a class="button" href=${`/sessions/${found.session}`}>
        <${Icon} name="files" />${P.files}</a>`}>
    ${problem && html`<${ProblemBox} problem=${problem} onRetry=${() => load(take({ id, recording }))} />`}
    ${found && !problem && html`<${ReviewBar} key=${found.session} session=${{ id: found.session }}
        recording=${found.recording} zone=${knownZone(person.time_zone)} />
      <${Player} key=${recording || id} ...${found} zone=${knownZone(person.time_zone)} />`}
  <//>`;
}
