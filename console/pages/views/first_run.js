// A new installation's first owner, by a one-time link; or one more owner of a
// team. The token is taken out of the address bar before anything else.
import { html, useEffect, useRef, useState } from '../base/html.js';
import { post } from '../base/api.js';
import { navigate } from '../base/router.js';
import { logIn } from '../base/session.js';
import { Icon } from '../parts/icon.js';
import { explain } from '../parts/problem.js';
import { T } from '../texts.js';

const R = T.firstRun;
const NAME = '[a-z0-9][a-z0-9._\\-]{0,62}';

function takeLink() {
  const params = new URLSearchParams(location.hash.slice(1));
  history.replaceState(history.state, '', location.pathname);
  return { token: params.get('token') || '', team: params.get('team') || '' };
}

const zoneHere = () => Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

function zones() {
  const all = Intl.supportedValuesOf?.('timeZone') || [];
  return [...new Set(['UTC', zoneHere(), ...all])].sort();
}

// The fields' own reasons, by the body's members.
const reasonsOf = (problem) => Object.fromEntries(
  (problem?.errors || []).map((e) => [e.pointer.slice(1), e.detail]));

function Field({ name, label, hint, reason, ...rest }) {
  return html`<label for=${name}>${label}</label>
    <input id=${name} name=${name} required aria-invalid=${reason ? 'true' : undefined}
      aria-describedby=${`${name}-hint`} autocapitalize="none" spellcheck=${false} ...${rest} />
    <p class=${reason ? 'hint bad' : 'hint'} id=${`${name}-hint`}>${reason || hint}</p>`;
}

function Form({ link, onDone }) {
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const reasons = reasonsOf(problem);
  const first = useRef(null);
  useEffect(() => first.current.querySelector('input:not([readonly])').focus(), []);
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    setBusy(true);
    setProblem(null);
    try {
      onDone(await post('first-run', {
        token: link.token, team: form.get('team'), name: form.get('name'),
        password: form.get('password'), time_zone: form.get('time_zone'),
      }, { quiet: true }));
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  return html`<form ref=${first} onSubmit=${submit}>
    ${problem && !problem.errors.length && html`<p class="notice failed" role="alert">${explain(problem)}</p>`}
    <${Field} name="team" label=${R.team} hint=${link.team ? R.teamGiven : R.teamHint} reason=${reasons.team}
      value=${link.team} readonly=${!!link.team} pattern=${NAME} maxlength="63" autocomplete="organization" />
    <${Field} name="name" label=${R.user} hint=${R.userHint} reason=${reasons.name}
      pattern=${NAME} maxlength="63" autocomplete="username" />
    <${Field} name="password" label=${R.password} hint=${R.passwordHint} reason=${reasons.password}
      type="password" minlength="8" maxlength="1024" autocomplete="new-password" />
    <label for="time_zone">${R.zone}</label>
    <select id="time_zone" name="time_zone" aria-describedby="zone-hint">
      ${zones().map((zone) => html`<option key=${zone} value=${zone} selected=${zone === zoneHere()}>${zone}</option>`)}
    </select>
    <p class=${reasons.time_zone ? 'hint bad' : 'hint'} id="zone-hint">${reasons.time_zone || R.zoneHint}</p>
    <button class="primary wide" disabled=${busy}>${busy ? R.busy : R.action}</button>
  </form>`;
}

export default function FirstRun() {
  const [link] = useState(takeLink);
  useEffect(() => {
    document.title = `${R.title} · ${T.name}`;
  }, []);
  const done = (person) => {
    navigate('/connect', { replace: true });
    logIn(person);
  };
  return html`<main class="sheet">
    <div class="card wide">
      <h1><${Icon} name="logo" />${R.title}</h1>
      ${link.token
    ? html`<p class="soft">${link.team ? R.leadTeam(link.team) : R.lead}</p><${Form} link=${link} onDone=${done} />`
    : html`<p class="notice failed" role="alert">${R.noToken}</p>
      <p><a class="button" href="/login">${R.toLogin}</a></p>`}
    </div>
  </main>`;
}
