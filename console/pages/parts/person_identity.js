// Who a person is at the team's single sign-on (docs/single-sign-on.md): shown, linked,
// unlinked.
import { html, useEffect, useRef, useState } from '../base/html.js';
import { put, remove } from '../base/api.js';
import { formatTime, knownZone } from '../base/format.js';
import { isOwner, me } from '../base/session.js';
import { singleSignOn } from '../base/single_sign_on.js';
import { closeDialog, Dialog, openDialog } from './dialog.js';
import { Field } from './fields.js';
import { Empty, ProblemBox } from './problem.js';
import { say } from './toast.js';
import { T } from '../texts.js';

const I = T.people.identity;

function NotSetUp() {
  return html`<${Empty} title=${I.notSetUpTitle}>
    <p>${isOwner(me.get()) ? I.notSetUp : I.notSetUpOwner}</p>
    <a class="button primary" href="/settings/single-sign-on" onClick=${closeDialog}>${I.toSettings}</a>
  <//>`;
}

function Facts({ identity, issuer }) {
  const zone = knownZone(me.get().time_zone);
  const facts = [
    [I.issuer, html`<span class="mono">${identity.issuer}</span>`],
    [I.subject, html`<span class="mono">${identity.subject}</span>`],
    [I.linkedAt, formatTime(identity.created_at, zone)],
    [I.lastLogin, formatTime(identity.last_login_at, zone) || T.people.never],
  ];
  return html`<dl class="properties">${facts.map(([label, value]) => html`<div key=${label}>
      <dt>${label}</dt><dd>${value}</dd></div>`)}</dl>
    ${identity.issuer !== issuer && html`<p class="notice failed">${I.otherIssuer(issuer)}</p>`}`;
}

// Links to a subject: the first one, or another.
function LinkForm({ user, settings, busy, onLink }) {
  const form = useRef(null);
  // the dialog was there before: autofocus is over
  useEffect(() => { if (!user.identity) form.current.elements.subject.focus(); }, []);
  const submit = (event) => {
    event.preventDefault();
    onLink(new FormData(event.target).get('subject').trim());
  };
  return html`<form ref=${form} onSubmit=${submit}>
    ${!user.identity && html`<p>${I.none(settings.issuer)}</p>`}
    ${!settings.enabled && html`<p class="notice">${I.off}</p>`}
    <${Field} name="subject" label=${user.identity ? I.another : I.subject} required maxlength="255" pattern=".*\\S.*"
      hint=${I.subjectHint} />
    <p class="hint"><a href="/audit?action=login_failed" onClick=${closeDialog}>${I.tries}</a></p>
    <footer>
      <button type="button" onClick=${closeDialog}>${T.cancel}</button>
      <button class="primary" disabled=${busy}>${I.link}</button>
    </footer>
  </form>`;
}

function Unlink({ user, busy, onUnlink }) {
  const [isSure, setSure] = useState(false);
  if (!isSure)
    return html`<p><button type="button" class="danger" onClick=${() => setSure(true)}>${I.unlink} …</button></p>`;
  return html`<div class="notice failed" role="alert"><div>
    <p>${I.unlinkText(user.name)} ${!user.has_password && user.passkeys === 0 && I.unlinkLast}</p>
    <button type="button" class="danger strong" disabled=${busy} onClick=${onUnlink}>${I.unlink}</button>
  </div></div>`;
}

function Identity({ user, list }) {
  const [settings, setSettings] = useState(undefined);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const load = () => {
    setProblem(null);
    singleSignOn().then(setSettings, setProblem);
  };
  useEffect(load, []);
  // change resolves to the identity that the person has then
  const run = async (change, said) => {
    setBusy(true);
    setProblem(null);
    try {
      list.put(user.id, { ...user, identity: await change() });
      say(said);
      closeDialog();
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  const path = `users/${user.id}/identity`;
  if (settings === undefined)
    return problem ? html`<${ProblemBox} problem=${problem} onRetry=${load} />` : html`<p>${T.table.loading}</p>`;
  return html`${problem && html`<${ProblemBox} problem=${problem} />`}
    ${user.identity && html`<${Facts} identity=${user.identity} issuer=${settings?.issuer} />
      <${Unlink} user=${user} busy=${busy} onUnlink=${() => run(() => remove(path), I.unlinked)} />`}
    ${settings ? html`<${LinkForm} user=${user} settings=${settings} busy=${busy}
      onLink=${(subject) => run(() => put(path, { subject }), I.linked)} />` : html`<${NotSetUp} />`}`;
}

export function showIdentity(user, list) {
  openDialog(() => html`<${Dialog} title=${I.title(user.name)}>
    <${Identity} user=${user} list=${list} />
  <//>`);
}
