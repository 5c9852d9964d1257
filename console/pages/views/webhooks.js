// Management > Settings > Webhooks: programs that are told what happened
// (docs/webhooks.md), what became of their deliveries, and a test.
import { html, useEffect, useState } from '../base/html.js';
import { get, patch, post, remove } from '../base/api.js';
import { formatTime, knownZone } from '../base/format.js';
import { isOwner } from '../base/session.js';
import { FormDialog, openDialog } from '../parts/dialog.js';
import { Field } from '../parts/fields.js';
import { Icon } from '../parts/icon.js';
import { Page } from '../parts/page.js';
import { Pill } from '../parts/pill.js';
import { Empty, ProblemBox } from '../parts/problem.js';
import { SettingsTabs } from '../parts/settings_tabs.js';
import { showOnce } from '../parts/shown_once.js';
import { say, sayProblem } from '../parts/toast.js';
import { T } from '../texts.js';

const W = T.webhooks;
const LOOK_MS = 2000; // while something waits
const STATES = { waiting: 'busy', delivered: 'good', given_up: 'bad' };

const bodyOf = (form) => ({ url: form.get('url').trim(), events: form.getAll('event') });

function Fields({ hook, names }) {
  return html`<${Field} name="url" label=${W.url} type="url" required maxlength="1000" pattern="https://.*"
      value=${hook?.url || ''} placeholder="https://" hint=${W.urlHint} autofocus />
    <fieldset><legend>${W.events}</legend>
      <div class="checks">${names.map((name) => html`<label class="check" key=${name}>
        <input type="checkbox" name="event" value=${name} defaultChecked=${!hook || hook.events.includes(name)} />
        ${W.eventTexts[name] || name}</label>`)}</div>
    </fieldset>`;
}

function askNew(names, reload) {
  openDialog(() => html`<${FormDialog} title=${W.newTitle} action=${W.add} wide
      save=${async (form) => {
    const made = await post('webhooks', bodyOf(form));
    reload();
    setTimeout(() => showOnce({ title: W.madeTitle, text: W.madeText, values: [[W.secret, made.secret]] }));
  }}><${Fields} names=${names} /><//>`);
}

function askEdit(hook, names, reload) {
  openDialog(() => html`<${FormDialog} title=${W.editTitle} action=${T.save} wide
      save=${async (form) => { await patch(`webhooks/${hook.id}`, bodyOf(form)); say(W.saved); reload(); }}>
    <${Fields} hook=${hook} names=${names} /><//>`);
}

function askRemove(hook, reload) {
  openDialog(() => html`<${FormDialog} title=${W.removeTitle} action=${W.remove} danger
      save=${async () => { await remove(`webhooks/${hook.id}`); say(W.removed); reload(); }}>
    <p class="wraps">${hook.url}</p><p>${W.removeText(hook.waiting)}</p><//>`);
}

function Delivery({ delivery: d, zone, onRetry }) {
  const facts = [W.tries(d.tries), d.last_at && W.last(formatTime(d.last_at, zone)),
    d.state === 'waiting' && d.tries > 0 && W.next(formatTime(d.next_at, zone))].filter(Boolean).join(' · ');
  return html`<li>
    <div class="file-what"><b>${W.eventTexts[d.event] || d.event}</b> <span class="soft">${formatTime(d.created_at, zone)}</span>
      <p>${facts}</p>
      ${d.last_error && html`<p class="bad">${W.said(d.last_error)}</p>`}</div>
    <${Pill} kind=${STATES[d.state]}>${W.states[d.state]}<//>
    ${onRetry && html`<button type="button" aria-label=${W.retryOf(d.state, formatTime(d.created_at, zone))}
      onClick=${() => onRetry(d)}><${Icon} name="active" />${W.retry[d.state]}</button>`}
  </li>`;
}

// asked: changes when they are to be read again. reload(): what is said of the
// webhook itself changes with them.
function Deliveries({ hook, zone, asked, mayRetry, reload }) {
  const [items, setItems] = useState(null);
  const [problem, setProblem] = useState(null);
  const load = () => get(`webhooks/${hook.id}/deliveries`).then((list) => {
    setItems(list.items);
    setProblem(null);
    return reload();
  }, setProblem);
  useEffect(() => { load(); }, [hook.id, asked]);
  const isWaiting = hook.enabled && items?.some((d) => d.state === 'waiting');
  useEffect(() => {
    if (!isWaiting) return undefined;
    const timer = setInterval(() => { if (!document.hidden) load(); }, LOOK_MS);
    return () => clearInterval(timer);
  }, [isWaiting]);
  const retry = (d) => post(`webhooks/${hook.id}/retry`, { delivery: d.id }).then(load, sayProblem);
  if (problem) return html`<${ProblemBox} problem=${problem} onRetry=${load} />`;
  if (!items) return html`<p class="soft">${T.table.loading}</p>`;
  if (items.length === 0) return html`<p class="soft">${W.noDeliveries}</p>`;
  return html`<ul class="files">${items.map((d) => html`<${Delivery} key=${d.id} delivery=${d} zone=${zone}
    onRetry=${mayRetry && hook.enabled && retry} />`)}</ul>`;
}

function Hook({ hook, names, zone, mayChange, reload }) {
  const [isOpen, setOpen] = useState(false);
  const [asked, setAsked] = useState(0);
  const change = (body) => patch(`webhooks/${hook.id}`, body).then(reload, sayProblem);
  const test = () => post(`webhooks/${hook.id}/test`).then(() => {
    say(W.testAsked);
    setOpen(true);
    setAsked(asked + 1);
  }, sayProblem);
  const id = `webhook-${hook.id}`;
  const kind = !hook.enabled ? 'off' : hook.last_error ? 'bad' : hook.last_at ? 'good' : 'quiet';
  return html`<section class="panel webhook" aria-labelledby=${id}>
    <h2 id=${id} class="wraps">${hook.url}</h2>
    <p><${Pill} kind=${kind}>${W.hookStates[kind]}<//> <span class="soft">${W.facts(hook, formatTime(hook.last_at, zone))}</span></p>
    ${hook.last_error && html`<p class="bad">${W.said(hook.last_error)}</p>`}
    <p class="soft">${hook.events.map((e) => W.eventTexts[e] || e).join(', ')}</p>
    <div class="actions">
      ${mayChange && html`<button type="button" onClick=${test} disabled=${!hook.enabled}
          title=${hook.enabled ? undefined : W.offWhy}><${Icon} name="active" />${W.test}</button>
        <button type="button" onClick=${() => askEdit(hook, names, reload)}><${Icon} name="settings" />${W.edit}</button>
        <button type="button" onClick=${() => change({ enabled: !hook.enabled })}>
          <${Icon} name=${hook.enabled ? 'stop' : 'play'} />${hook.enabled ? W.disable : W.enable}</button>
        <button type="button" class="danger" onClick=${() => askRemove(hook, reload)}><${Icon} name="trash" />${W.remove} …</button>`}
      <button type="button" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>
        <${Icon} name=${isOpen ? 'up' : 'down'} />${W.deliveries}</button>
    </div>
    ${isOpen && html`<${Deliveries} hook=${hook} zone=${zone} asked=${asked} mayRetry=${mayChange} reload=${reload} />`}
  </section>`;
}

export default function Webhooks({ person }) {
  const [found, setFound] = useState(null);
  const [problem, setProblem] = useState(null);
  const zone = knownZone(person.time_zone);
  const load = () => {
    setProblem(null);
    return get('webhooks').then(setFound, setProblem);
  };
  useEffect(() => { load(); }, []);
  const mayChange = isOwner(person);
  return html`<${Page} title=${W.title} lead=${W.lead}
      actions=${mayChange && found && html`<button type="button" class="primary"
        onClick=${() => askNew(found.event_names, load)}><${Icon} name="add" />${W.add} …</button>`}>
    <${SettingsTabs} at="/settings/webhooks" />
    ${!mayChange && html`<p class="notice">${T.settings.ownersOnly}</p>`}
    ${problem && html`<${ProblemBox} problem=${problem} onRetry=${load} />`}
    ${found?.items.length === 0 && html`<${Empty} title=${W.noneTitle}><p>${W.none}</p><//>`}
    ${found?.items.map((hook) => html`<${Hook} key=${hook.id} hook=${hook} names=${found.event_names} zone=${zone}
      mayChange=${mayChange} reload=${load} />`)}
  <//>`;
}
