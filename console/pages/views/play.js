// The player's page: a whole session, or one recording of it.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../base/html.js';
import * as api from '../base/api.js';
import { formatTime, knownZone } from '../base/format.js';
import { askTimeline, mount } from '../player/player.js';
import { Icon } from '../parts/icon.js';
import { Page } from '../parts/page.js';
import { ReviewBar } from '../parts/review_bar.js';
import { ProblemBox } from '../parts/problem.js';
import { T } from '../texts.js';

const P = T.play;

// Asks for all that is known to be needed at once. The player does not wait for
// the words around it: about is the promise of the session.
const ask = (session, recording) => ({
  session, recording, timeline: askTimeline(api, session), about: api.get(`sessions/${session}`),
});

// What was asked for when the page was chosen, for its first drawing.
let early = null;

export function ahead({ id }) {
  early = id ? ask(id, null) : null;
}

function takeEarly(session) {
  const asked = early;
  early = null;
  return asked?.session === session ? asked : ask(session, null);
}

// The recording that is named leads to its session.
async function find(recording) {
  const found = await api.get(`recordings/${recording}`);
  return ask(found.session, found);
}

function Player({ zone, ...what }) {
  const place = useRef(null);
  useLayoutEffect(() => mount(place.current, { api, zone, ...what }), []);
  return html`<div class="player" ref=${place}></div>`;
}

export default function Play({ person, id, recording }) {
  const [found, setFound] = useState(() => (recording ? null : takeEarly(id)));
  const [session, setSession] = useState(null);
  const [problem, setProblem] = useState(null);
  const load = () => {
    setProblem(null);
    if (recording) find(recording).then(setFound, setProblem);
    else setFound(ask(id, null));
  };
  useEffect(() => {
    if (recording) load();
  }, []);
  useEffect(() => {
    found?.about.then(setSession, setProblem);
  }, [found]);
  return html`<${Page} title=${session ? P.title(session.endpoint) : P.untitled} className="play"
      lead=${session ? P.lead(session.user, formatTime(session.started_at, knownZone(person.time_zone))) : '\u00a0'}
      actions=${found && html`<a class="button" href=${`/sessions/${found.session}`}>
        <${Icon} name="files" />${P.files}</a>`}>
    ${problem && html`<${ProblemBox} problem=${problem} onRetry=${load} />`}
    ${found && !problem && html`<${ReviewBar} key=${found.session} session=${{ id: found.session }}
        recording=${found.recording} zone=${knownZone(person.time_zone)} />
      <${Player} key=${recording || id} ...${found} zone=${knownZone(person.time_zone)} />`}
  <//>`;
}
