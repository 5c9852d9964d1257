// The player's page: a whole session, or one recording of it.
import { html, useEffect, useRef, useState } from '../base/html.js';
import * as api from '../base/api.js';
import { formatTime, knownZone } from '../base/format.js';
import { mount } from '../player/player.js';
import { Icon } from '../parts/icon.js';
import { Page } from '../parts/page.js';
import { ReviewBar } from '../parts/review_bar.js';
import { ProblemBox } from '../parts/problem.js';
import { T } from '../texts.js';

const P = T.play;

async function find(id, recordingId) {
  const recording = recordingId ? await api.get(`recordings/${recordingId}`) : null;
  const session = await api.get(`sessions/${recording ? recording.session : id}`);
  return { session, recording };
}

function Player({ session, recording }) {
  const place = useRef(null);
  useEffect(() => mount(place.current, { api, session, recording }), []);
  return html`<div class="player" ref=${place}></div>`;
}

export default function Play({ person, id, recording }) {
  const [found, setFound] = useState(null);
  const [problem, setProblem] = useState(null);
  const load = () => {
    setProblem(null);
    find(id, recording).then(setFound, setProblem);
  };
  useEffect(load, [id, recording]);
  const session = found?.session;
  return html`<${Page} title=${session ? P.title(session.endpoint) : P.untitled} className="play"
      lead=${session ? P.lead(session.user, formatTime(session.started_at, knownZone(person.time_zone))) : ' '}
      actions=${session && html`<a class="button" href=${`/sessions/${session.id}`}>
        <${Icon} name="files" />${P.files}</a>`}>
    ${problem && html`<${ProblemBox} problem=${problem} onRetry=${load} />`}
    ${found && html`<${ReviewBar} key=${session.id} ...${found} zone=${knownZone(person.time_zone)} />
      <${Player} key=${recording || id} ...${found} />`}
  <//>`;
}
