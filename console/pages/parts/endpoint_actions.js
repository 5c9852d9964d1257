// Adding, changing, enrolling and removing endpoints, and rights on them.
import { html, useEffect, useState } from '../base/html.js';
import { get, patch, post, put, remove } from '../base/api.js';
import { formatTime, knownZone } from '../base/format.js';
import { navigate } from '../base/router.js';
import { me } from '../base/session.js';
import { closeDialog, Dialog, FormDialog, openDialog } from './dialog.js';
import { EndpointFields, readEndpoint } from './endpoint_form.js';
import { Field, NAME_PATTERN } from './fields.js';
import { testEndpoint } from './endpoint_test.js';
import { ProblemBox } from './problem.js';
import { showOnce } from './shown_once.js';
import { say, sayProblem } from './toast.js';
import { T } from '../texts.js';

const E = T.endpoints;
function NewForm() {
  const [kind, setKind] = useState('agent');
  return html`<${Field} name="name" label=${E.name} required maxlength="63" pattern=${NAME_PATTERN} hint=${E.nameHint} autofocus />
    <${Field} name="title" label=${E.fullName} maxlength="200" />
    <${Field} name="kind" label=${E.kind} options=${Object.entries(E.kinds)} value=${kind} hint=${E.kindHints[kind]}
      onChange=${(event) => setKind(event.target.value)} />
    <${EndpointFields} kind=${kind} />`;
}

export function askNew(list) {
  openDialog(() => html`<${FormDialog} title=${E.newTitle} action=${E.add} wide
      save=${async (form) => {
    const made = await post('endpoints', { name: form.get('name').trim(), kind: form.get('kind'), ...readEndpoint(form, null) });
    list.refreshSoon();
    say(E.added);
    if (made.kind !== 'direct') setTimeout(() => enrol(made));
  }}><${NewForm} /><//>`);
}

export function askEdit(e, list) {
  if (e.kind === 'attended') return;
  openDialog(() => html`<${FormDialog} title=${E.editTitle(e.name)} action=${T.save} wide
      save=${async (form) => {
    const body = readEndpoint(form, e);
    if (Object.keys(body).length > 0) list.put(e.id, await patch(`endpoints/${e.id}`, body));
    say(E.changed);
  }}>
    <${Field} name="title" label=${E.fullName} value=${e.title} maxlength="200" autofocus />
    <${EndpointFields} endpoint=${e} kind=${e.kind} />
  <//>`);
}

// A token for relaycam-agent, or an ID for a server that dials in.
async function enrol(e) {
  try {
    const made = await post('enrol-tokens', { endpoint: e.name });
    const zone = knownZone(me.get().time_zone);
    if (made.token)
      showOnce({ title: E.enrolTitle(e.name), text: E.enrolAgent(formatTime(made.expires_at, zone)),
        values: [[E.token, made.token]] });
    else
      showOnce({ title: E.enrolTitle(e.name), text: E.enrolReverse, values: [[E.serverId, made.server_id]] });
  } catch (problem) {
    sayProblem(problem);
  }
}

// Tokens that were not used yet: each can be taken back.
function OpenTokens({ endpoint }) {
  const [items, setItems] = useState(null);
  const [problem, setProblem] = useState(null);
  const zone = knownZone(me.get().time_zone);
  const load = () => get('enrol-tokens', { endpoint: endpoint.name, used: 'false', limit: 200 })
    .then((page) => setItems(page.items.filter((t) => Date.parse(t.expires_at) > Date.now())), setProblem);
  useEffect(() => { load(); }, []);
  const takeBack = (token) => remove(`enrol-tokens/${token.id}`).then(load, sayProblem);
  if (problem) return html`<${ProblemBox} problem=${problem} onRetry=${load} />`;
  if (!items) return html`<p>${T.table.loading}</p>`;
  if (items.length === 0) return html`<p>${E.noTokens}</p>`;
  return html`<ul class="files">${items.map((t) => html`<li key=${t.id}>
    <div class="file-what"><b>${formatTime(t.created_at, zone)}</b>
      <p>${E.tokenFacts(t.created_by, formatTime(t.expires_at, zone))}</p></div>
    <button type="button" onClick=${() => takeBack(t)}
      aria-label=${`${T.tokens.remove}: ${formatTime(t.created_at, zone)}`}>${T.tokens.remove}</button></li>`)}</ul>`;
}

function showTokens(e) {
  openDialog(() => html`<${Dialog} title=${E.tokensTitle(e.name)}>
    <p class="soft">${E.tokensText}</p>
    <${OpenTokens} endpoint=${e} />
    <footer><button type="button" class="primary" onClick=${closeDialog}>${T.close}</button></footer>
  <//>`);
}

function askRevoke(e, list) {
  openDialog(() => html`<${FormDialog} title=${E.revokeTitle(e.name)} action=${E.revoke} danger
      save=${async () => { list.put(e.id, await post(`endpoints/${e.id}/revoke`)); say(E.revoked); }}>
    <p>${E.revokeText}</p><//>`);
}

function askRemove(e, list) {
  openDialog(() => html`<${FormDialog} title=${E.removeTitle(e.name)} action=${E.remove} danger
      save=${async () => { await remove(`endpoints/${e.id}`); list.put(e.id, null); say(E.removed); }}>
    <p>${E.removeText}</p><//>`);
}

function Right({ right, endpoint }) {
  const [now, setNow] = useState(right);
  const change = async (name, on) => {
    const { control, record, manage } = { ...now, [name]: on };
    try {
      setNow(await put(`endpoints/${endpoint.id}/rights/${now.user}`, { control, record, manage }));
    } catch (problem) {
      sayProblem(problem);
    }
  };
  return html`<li><b>${now.user}</b>
    ${Object.entries(E.rightNames).map(([name, text]) => html`<label class="check" key=${name}>
      <input type="checkbox" checked=${now[name]} onClick=${(e) => change(name, e.target.checked)} />${text}</label>`)}</li>`;
}

function Rights({ endpoint }) {
  const [found, setFound] = useState(null);
  const [problem, setProblem] = useState(null);
  const load = () => {
    setProblem(null);
    Promise.all([get(`endpoints/${endpoint.id}/rights`), get('users', { role: 'member', limit: 200 })])
      .then(([rights, members]) => {
        const given = new Map(rights.items.map((r) => [r.user, r]));
        setFound(members.items.filter((u) => !u.disabled).map((u) => given.get(u.name)
          || { user: u.name, control: false, record: false, manage: false }));
      }, setProblem);
  };
  useEffect(load, []);
  if (problem) return html`<${ProblemBox} problem=${problem} onRetry=${load} />`;
  if (!found) return html`<p>${T.table.loading}</p>`;
  if (found.length === 0) return html`<p>${E.noMembers}</p>`;
  return html`<ul class="rights">${found.map((r) => html`<${Right} key=${r.user} right=${r} endpoint=${endpoint} />`)}</ul>`;
}

function showRights(e) {
  openDialog(() => html`<${Dialog} title=${E.rightsTitle(e.name)} wide>
    <p class="soft">${E.rightsText}</p>
    <${Rights} endpoint=${e} />
    <footer><button type="button" class="primary" onClick=${closeDialog}>${T.close}</button></footer>
  <//>`);
}

export const endpointMenu = (e, list) => {
  const isAttended = e.kind === 'attended';
  const comes = e.kind === 'agent' || e.kind === 'reverse';
  return [
    { label: T.connect.go, icon: 'connect', run: () => navigate(`/connect/${e.name}`) },
    { label: `${E.test} …`, icon: 'active', run: () => testEndpoint(e, list), disabled: isAttended, why: E.attendedWhy },
    { label: E.edit, icon: 'settings', run: () => askEdit(e, list), disabled: isAttended, why: E.attendedWhy },
    { label: E.rights, icon: 'people', run: () => showRights(e), disabled: isAttended, why: E.attendedWhy },
    null,
    { label: e.kind === 'reverse' ? E.newId : E.enrol, icon: 'key', run: () => enrol(e), disabled: !comes, why: E.directWhy },
    { label: E.tokens, icon: 'tokens', run: () => showTokens(e), disabled: e.kind !== 'agent', why: E.agentWhy },
    { label: `${E.revoke} …`, icon: 'lock', run: () => askRevoke(e, list), disabled: !comes, why: E.directWhy },
    { label: `${E.remove} …`, icon: 'trash', danger: true, run: () => askRemove(e, list), disabled: isAttended, why: E.attendedWhy },
  ];
};
