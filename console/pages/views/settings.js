// Management > Settings: attended and unattended access (T2, T3), each setting
// with what follows from it.
import { html, useEffect, useState } from '../base/html.js';
import { get, patch } from '../base/api.js';
import { isOwner } from '../base/session.js';
import { Page } from '../parts/page.js';
import { FormDialog, openDialog } from '../parts/dialog.js';
import { formatBytes, formatTime } from '../base/format.js';
import { SettingsTabs } from '../parts/settings_tabs.js';
import { ProblemBox } from '../parts/problem.js';
import { say, sayProblem } from '../parts/toast.js';
import { T } from '../texts.js';

const S = T.settings;

// name, kind, and what a kind needs: choices, or lowest, highest and a factor
// between what is shown and what the API has
const GROUPS = [
  ['recording', [
    ['recording', 'switch'],
    ['manual_recording', 'switch'],
    ['on_record_failure', 'choice', ['end', 'continue']],
    ['retention_days', 'number', 1, 36500, 1],
    ['playback_role', 'choice', ['owner', 'admin', 'member']],
  ]],
  ['consent', [
    ['consent', 'choice', ['off', 'ask']],
    ['consent_seconds', 'number', 5, 300, 1],
  ]],
  ['session', [
    ['max_session_s', 'number', 1, 1440, 60],
    ['warn_seconds', 'number', 0, 86400, 1],
    ['clipboard', 'choice', ['both', 'to_endpoint', 'to_technician', 'off']],
    ['vnc_auth', 'switch'],
  ]],
  ['picture', [
    ['frame_rate', 'number', 1, 60, 1],
    ['quality', 'choice', ['text', 'small', 'lossless']],
    ['min_visible_ms', 'number', 40, 100, 1],
    ['segment_bytes', 'number', 1, 512, 1 << 20],
  ]],
];

function Switch({ id, value, disabled, onChange }) {
  return html`<button type="button" id=${id} role="switch" class="switch" aria-checked=${value} disabled=${disabled}
    aria-labelledby=${`${id}-label`} aria-describedby=${`${id}-says`}
    onClick=${() => onChange(!value)}><span></span>${value ? S.on : S.off}</button>`;
}

function Choice({ id, name, choices, value, disabled, onChange }) {
  return html`<select id=${id} value=${value} disabled=${disabled} aria-describedby=${`${id}-says`}
      onChange=${(e) => onChange(e.target.value)}>
    ${choices.map((c) => html`<option key=${c} value=${c} selected=${c === value}>${S.fields[name].choices[c]}</option>`)}
  </select>`;
}

// Changed when the field is left, or with Enter.
function NumberField({ id, low, high, factor, value, disabled, onChange }) {
  const shown = Math.round(value / factor);
  const commit = (input) => {
    if (!input.reportValidity()) return;
    if (Number(input.value) !== shown) onChange(Number(input.value) * factor);
  };
  return html`<input id=${id} type="number" min=${low} max=${high} step="1" required value=${shown} disabled=${disabled}
    aria-describedby=${`${id}-says`} onChange=${(e) => commit(e.target)} />`;
}

function Control({ field: [name, kind, ...rest], ...props }) {
  if (kind === 'switch') return html`<${Switch} ...${props} />`;
  if (kind === 'choice') return html`<${Choice} name=${name} choices=${rest[0]} ...${props} />`;
  return html`<${NumberField} low=${rest[0]} high=${rest[1]} factor=${rest[2]} ...${props} />`;
}

function Setting({ access, field, value, disabled, onChange }) {
  const [name, kind] = field;
  const text = S.fields[name];
  const id = `${access}-${name}`;
  return html`<div class="setting">
    <div class="setting-text">
      ${kind === 'switch' ? html`<span class="label" id=${`${id}-label`}>${text.label}</span>`
    : html`<label for=${id}>${text.label}</label>`}
      <p class="hint" id=${`${id}-says`}>${text.says(value)}</p>
    </div>
    <div class="setting-control"><${Control} field=${field} id=${id} value=${value} disabled=${disabled}
      onChange=${(next) => onChange(name, next)} /></div>
  </div>`;
}

function Access({ access, settings, disabled, onChange }) {
  return html`<section class="panel settings" aria-labelledby=${`${access}-title`}>
    <h2 id=${`${access}-title`}>${S.access[access]}</h2>
    <p class="soft">${S.accessText[access]}</p>
    ${GROUPS.map(([group, fields]) => html`<h3 key=${group}>${S.groups[group]}</h3>
      ${fields.map((field) => html`<${Setting} key=${field[0]} access=${access} field=${field}
        value=${settings[field[0]]} disabled=${disabled} onChange=${onChange} />`)}`)}
  </section>`;
}

function zones(now) {
  return [...new Set(['UTC', now, ...(Intl.supportedValuesOf?.('timeZone') || [])])].sort();
}

const GIB = 1 << 30;

// Empty: no quota.
function Quota({ bytes, percent, disabled, onChange }) {
  const commit = (input, change) => {
    if (input.reportValidity()) onChange(change(input.value));
  };
  return html`<div class="setting"><div class="setting-text"><label for="quota">${S.quota}</label>
      <p class="hint" id="quota-says">${S.quotaSays}</p></div>
      <div class="setting-control"><input id="quota" type="number" min="0.01" max="8000000" step="any" aria-describedby="quota-says"
        disabled=${disabled} value=${bytes === null ? '' : Number((bytes / GIB).toFixed(2))}
        onChange=${(e) => commit(e.target, (v) => ({ quota_bytes: v === '' ? null : Math.round(v * GIB) }))} /></div></div>
    <div class="setting"><div class="setting-text"><label for="quota-warn">${S.quotaWarn}</label>
      <p class="hint" id="quota-warn-says">${S.quotaWarnSays}</p></div>
      <div class="setting-control"><input id="quota-warn" type="number" min="1" max="100" step="1" required
        aria-describedby="quota-warn-says"
        disabled=${disabled} value=${percent}
        onChange=${(e) => commit(e.target, (v) => ({ quota_warn_percent: Number(v) }))} /></div></div>`;
}

function Team({ settings, factor, disabled, onSettings, onFactor }) {
  const zone = settings.time_zone;
  return html`<section class="panel settings" aria-labelledby="team-title">
    <h2 id="team-title">${S.team}</h2>
    <div class="setting"><div class="setting-text"><label for="zone">${S.zone}</label>
      <p class="hint" id="zone-says">${S.zoneSays}</p></div>
      <div class="setting-control"><select id="zone" aria-describedby="zone-says" disabled=${disabled} value=${zone}
        onChange=${(e) => onSettings({ time_zone: e.target.value })}>
        ${zones(zone).map((z) => html`<option key=${z} value=${z} selected=${z === zone}>${z}</option>`)}</select></div></div>
    <${Quota} bytes=${settings.quota_bytes} percent=${settings.quota_warn_percent} disabled=${disabled} onChange=${onSettings} />
    <div class="setting"><div class="setting-text"><label for="factor">${S.factor}</label>
      <p class="hint" id="factor-says">${S.factorSays(factor)}</p></div>
      <div class="setting-control"><select id="factor" aria-describedby="factor-says" disabled=${disabled} value=${factor}
        onChange=${(e) => onFactor(e.target.value)}>
        ${Object.entries(S.factors).map(([v, text]) => html`<option key=${v} value=${v} selected=${v === factor}>${text}</option>`)}
      </select></div></div>
  </section>`;
}

// T12: what a shorter time deletes is said before, and the change is a choice.
function RetentionQuestion({ found, zone, save }) {
  const [first, later] = [found.first_day, found.later].map((part) => part.recordings > 0
    && S.retention.deleted(part.recordings, formatBytes(part.bytes), formatTime(part.from, zone)));
  return html`<${FormDialog} title=${S.retention.title(found.retention_days)} action=${S.retention.action} danger save=${save}>
    ${first && html`<p>${first}</p>`}
    ${later && html`<p>${later}</p>`}
    ${found.locked > 0 && html`<p>${S.retention.locked(found.locked)}</p>`}
    <p class="soft">${S.retention.back}</p>
  <//>`;
}

export default function Settings({ person }) {
  const [found, setFound] = useState(null);
  const [problem, setProblem] = useState(null);
  const load = () => {
    setProblem(null);
    Promise.all([get('settings/access'), get('settings/logins')])
      .then(([access, logins]) => setFound({ access, logins }), setProblem);
  };
  useEffect(load, []);
  // what the console has is shown, also when it refused a value
  const change = async (path, body, part) => {
    try {
      const next = await patch(path, body);
      setFound((old) => ({ ...old, [part]: next }));
      say(S.saved);
    } catch (error) {
      sayProblem(error);
      load();
    }
  };
  const changeAccess = async (access, name, value) => {
    const save = () => change('settings/access', { [access]: { [name]: value } }, 'access');
    if (name !== 'retention_days') {
      save();
      return;
    }
    try {
      const preview = await get(`settings/retention?access=${access}&days=${value}`);
      if (preview.first_day.recordings + preview.later.recordings === 0) {
        save();
        return;
      }
      setFound((old) => ({ ...old })); // until it is confirmed, the field has the old number
      openDialog(() => html`<${RetentionQuestion} found=${preview} zone=${found.access.time_zone} save=${save} />`);
    } catch (error) {
      sayProblem(error);
      load();
    }
  };
  const locked = !isOwner(person);
  return html`<${Page} title=${S.title} lead=${S.lead}>
    <${SettingsTabs} at="/settings" />
    ${locked && html`<p class="notice">${S.ownersOnly}</p>`}
    ${problem && html`<${ProblemBox} problem=${problem} onRetry=${load} />`}
    ${found && html`<div class="settings-pages">
      ${['unattended', 'attended'].map((access) => html`<${Access} key=${access} access=${access}
        settings=${found.access[access]} disabled=${locked}
        onChange=${(name, value) => changeAccess(access, name, value)} />`)}
      </div>
      <${Team} settings=${found.access} factor=${found.logins.second_factor} disabled=${locked}
        onSettings=${(body) => change('settings/access', body, 'access')}
        onFactor=${(second_factor) => change('settings/logins', { second_factor }, 'logins')} />`}
  <//>`;
}
