// Management > Settings > Single sign-on: the team's OpenID provider
// (docs/single-sign-on.md). The secret goes in and is never shown.
import { html, useEffect, useRef, useState } from '../base/html.js';
import { patch, remove } from '../base/api.js';
import { isOwner } from '../base/session.js';
import { PATH, singleSignOn } from '../base/single_sign_on.js';
import { FormDialog, openDialog } from '../parts/dialog.js';
import { Icon } from '../parts/icon.js';
import { Page } from '../parts/page.js';
import { Pill } from '../parts/pill.js';
import { ProblemBox } from '../parts/problem.js';
import { SettingsTabs } from '../parts/settings_tabs.js';
import { say } from '../parts/toast.js';
import { T } from '../texts.js';

const S = T.singleSignOn;
const CALLBACK = '/api/v1/login/single-sign-on/callback';
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512'];

// Before it is set up; as the schema presets it.
const NONE = {
  enabled: false, listed: true, title: 'Single sign-on', issuer: '', client_id: '', has_client_secret: false,
  algorithm: 'RS256', scopes: 'openid profile email', name_claim: 'preferred_username', groups_claim: 'groups',
  owner_groups: [], admin_groups: [], member_groups: [], email_domains: [], create_people: false,
  link_people: false, password_login: true, password_owner: null, redirect_uri: location.origin + CALLBACK,
};

// group, and of each setting name, kind and attributes of its field
const GROUPS = [
  ['provider', [
    ['issuer', 'text', { type: 'url', required: true, maxlength: 500, pattern: 'https://.*' }],
    ['client_id', 'text', { required: true, maxlength: 500 }],
    ['client_secret', 'secret', { maxlength: 1024 }],
    ['title', 'text', { required: true, maxlength: 100 }],
    ['algorithm', 'choice'],
    ['scopes', 'text', { required: true, maxlength: 500 }],
  ]],
  ['people', [
    ['name_claim', 'text', { required: true, maxlength: 200 }],
    ['create_people', 'check'],
    ['link_people', 'check'],
    ['email_domains', 'lines'],
  ]],
  ['roles', [
    ['groups_claim', 'text', { required: true, maxlength: 200 }],
    ['owner_groups', 'lines'],
    ['admin_groups', 'lines'],
    ['member_groups', 'lines'],
  ]],
  ['login', [
    ['enabled', 'check'],
    ['listed', 'check'],
    ['password_login', 'check'],
    ['password_owner', 'text', { maxlength: 63 }],
  ]],
];

const linesOf = (text) => text.split('\n').map((line) => line.trim()).filter(Boolean);

// The form's values as the API takes them; null leaves a setting as it is.
const READ = {
  text: (form, name) => form.get(name).trim(),
  choice: (form, name) => form.get(name),
  check: (form, name) => form.get(name) !== null,
  lines: (form, name) => linesOf(form.get(name)),
  secret: (form, name) => form.get(name) || null,
};

// Only what differs goes to the server.
function changesOf(form, old) {
  const body = {};
  for (const [, fields] of GROUPS) for (const [name, kind] of fields) {
    const value = READ[kind](form, name);
    if (value === null || (name === 'password_owner' && value === '')) continue;
    if (JSON.stringify(value) !== JSON.stringify(old[name])) body[name] = value;
  }
  return body;
}

function Input({ kind, value, ...props }) {
  if (kind === 'choice') return html`<select ...${props}>
    ${ALGORITHMS.map((a) => html`<option key=${a} value=${a} selected=${a === value}>${a}</option>`)}</select>`;
  if (kind === 'lines') return html`<textarea rows="2" spellcheck=${false} ...${props}>${value.join('\n')}</textarea>`;
  return html`<input type=${kind === 'secret' ? 'password' : 'text'} value=${value} spellcheck=${false}
    autocapitalize="none" autocomplete=${kind === 'secret' ? 'new-password' : 'off'} ...${props} />`;
}

function Setting({ field: [name, kind, rest], settings, wrong }) {
  const id = `sso-${name}`;
  const text = S.fields[name];
  const says = name === 'client_secret' && settings.has_client_secret ? S.secretKept : text.says;
  const about = { id, name, 'aria-describedby': `${id}-says`, 'aria-invalid': wrong ? 'true' : undefined };
  const hint = html`<p class=${wrong ? 'hint bad' : 'hint'} id=${`${id}-says`}>${wrong || says}</p>`;
  if (kind === 'check') return html`<div class="sso-field">
    <label class="check"><input type="checkbox" checked=${settings[name]} ...${about} /><b>${text.label}</b></label>${hint}</div>`;
  return html`<div class="sso-field"><label for=${id}>${text.label}</label>
    <${Input} kind=${kind} value=${settings[name] ?? ''} ...${about} ...${rest} />${hint}</div>`;
}

function RedirectUri({ uri }) {
  if (!uri) return html`<p class="notice failed">${S.noPublicUrl}</p>`;
  const copy = () => navigator.clipboard.writeText(uri).then(() => say(S.copied), () => {});
  return html`<div class="sso-field"><span class="label">${S.redirect}</span>
    <div class="copied"><code>${uri}</code>
      <button type="button" class="plain" aria-label=${S.copy} title=${S.copy} onClick=${copy}><${Icon} name="copy" /></button></div>
    <p class="hint">${S.redirectSays}</p></div>`;
}

function askRemove(done) {
  openDialog(() => html`<${FormDialog} title=${S.removeTitle} action=${S.remove} danger
      save=${async () => { await remove(PATH); say(S.removed); done(); }}>
    <p>${S.removeText}</p><//>`);
}

function State({ settings, isNew, team }) {
  if (isNew) return html`<p><${Pill} kind="quiet">${S.states.none}<//></p>`;
  if (!settings.enabled) return html`<p><${Pill} kind="off">${S.states.off}<//></p>`;
  return html`<p class="sso-state"><${Pill} kind="good">${S.states.on}<//>
    <a href=${`/api/v1/login/single-sign-on?team=${encodeURIComponent(team)}`} target="_blank" rel="noopener">${S.tryIt}</a></p>`;
}

function Form({ settings, isNew, disabled, onSaved, onRemoved }) {
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const form = useRef(null);
  const wrong = Object.fromEntries((problem?.errors || []).map((e) => [(e.pointer || '').slice(1), e.detail]));
  // what is wrong is where the focus goes
  useEffect(() => { form.current.querySelector('[aria-invalid=true]')?.focus(); }, [problem]);
  const submit = async (event) => {
    event.preventDefault();
    const body = changesOf(new FormData(event.target), settings);
    if (Object.keys(body).length === 0) {
      say(S.nothing);
      return;
    }
    setBusy(true);
    setProblem(null);
    try {
      onSaved(await patch(PATH, body));
      say(S.saved);
    } catch (error) {
      setProblem(error);
    }
    setBusy(false);
  };
  return html`<form ref=${form} onSubmit=${submit}><fieldset class="sso" disabled=${disabled}>
    ${GROUPS.map(([group, fields]) => html`<section key=${group} class="panel settings" aria-labelledby=${`sso-${group}`}>
      <h2 id=${`sso-${group}`}>${S.groups[group]}</h2>
      <p class="soft">${S.groupSays[group]}</p>
      ${group === 'provider' && html`<${RedirectUri} uri=${settings.redirect_uri} />`}
      ${fields.map((field) => html`<${Setting} key=${field[0]} field=${field} settings=${settings} wrong=${wrong[field[0]]} />`)}
    </section>`)}
    </fieldset>
    ${problem && html`<${ProblemBox} problem=${problem} />`}
    ${!disabled && html`<div class="actions">
      <button class="primary" disabled=${busy}>${isNew ? S.setUp : T.save}</button>
      ${!isNew && html`<button type="button" class="danger" onClick=${() => askRemove(onRemoved)}>${S.remove} …</button>`}
    </div>`}
  </form>`;
}

export default function SingleSignOn({ person }) {
  const [found, setFound] = useState(null);
  const [problem, setProblem] = useState(null);
  const load = () => {
    setProblem(null);
    singleSignOn().then((settings) => setFound(settings ?? NONE), setProblem);
  };
  useEffect(load, []);
  const disabled = !isOwner(person);
  const isNew = found === NONE;
  return html`<${Page} title=${S.title} lead=${S.lead}>
    <${SettingsTabs} at="/settings/single-sign-on" />
    ${disabled && html`<p class="notice">${T.settings.ownersOnly}</p>`}
    ${problem && html`<${ProblemBox} problem=${problem} onRetry=${load} />`}
    ${found && html`<${State} settings=${found} isNew=${isNew} team=${person.team} />
      <${Form} key=${JSON.stringify(found)} settings=${found} isNew=${isNew} disabled=${disabled}
        onSaved=${setFound} onRemoved=${() => setFound(NONE)} />`}
  <//>`;
}
