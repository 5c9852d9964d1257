// Logs > Active sessions: those that run, and orders to them (T5).
import { html, useEffect, useMemo, useState } from '../base/html.js';
import { patch, remove, urlOf } from '../base/api.js';
import { formatDuration, formatTime, knownZone } from '../base/format.js';
import { useList } from '../base/list.js';
import { navigate, route, setQuery } from '../base/router.js';
import { useStore } from '../base/store.js';
import { FormDialog, openDialog } from '../parts/dialog.js';
import { Filters } from '../parts/filters.js';
import { Icon } from '../parts/icon.js';
import { Page } from '../parts/page.js';
import { Pill } from '../parts/pill.js';
import { Table } from '../parts/table.js';
import { say, sayProblem } from '../parts/toast.js';
import { T } from '../texts.js';

const A = T.active;
const S = T.sessions;
const F = T.filters;
const RATES = [1, 2, 5, 10, 15, 25, 30, 60];

const FIELDS = [
  { name: 'text', label: F.text, type: 'search', wide: true },
  { name: 'device', label: F.endpoint },
  { name: 'user', label: F.user },
  { name: 'access', label: F.access, options: Object.entries(T.access) },
];

// Moves each second; the session does not change by that.
function Running({ since }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return formatDuration(Math.max(0, now - new Date(since)));
}

function Now({ session: s }) {
  if (s.recording_now) return html`<${Pill} kind="live" title=${A.recordingHelp}>${A.recording}<//>`;
  return html`<${Pill} kind="off" title=${A.notRecordedHelp}>${A.notRecorded}<//>`;
}

const rateOf = (s) => (s.frame_rate ? A.rate(s.frame_rate) : A.asItComes);
const monitorOf = (s) => T.session.monitor(s.monitor);

const columnsOf = (zone) => [
  { key: 'endpoint', label: S.endpoint, cell: (s) => html`<a data-main href=${`/sessions/${s.id}`}>${s.endpoint}</a>` },
  { key: 'user', label: S.user, cell: (s) => s.user },
  { key: 'time', label: S.started, sorts: true, cell: (s) => formatTime(s.started_at, zone) },
  { key: 'duration', label: A.running, cell: (s) => html`<${Running} since=${s.started_at} />` },
  { key: 'access', label: S.access, cell: (s) => T.access[s.access] },
  { key: 'recording', label: S.recording, cell: (s) => html`<${Now} session=${s} />` },
  { key: 'picture', label: A.picture, cell: (s) => `${monitorOf(s)}, ${rateOf(s)}` },
  { key: 'watch', label: A.watch, unseen: true,
    cell: (s) => html`<${Watch} session=${s} />` },
];

function Watch({ session: s }) {
  if (!s.recording_now)
    return html`<button type="button" disabled title=${A.cannotWatch}><${Icon} name="play" />${A.watch}</button>`;
  return html`<a class="button" href=${`/sessions/${s.id}/play`} aria-label=${A.watchOf(s.endpoint, s.user)}>
    <${Icon} name="play" />${A.watch}</a>`;
}

async function order(s, list, body, said) {
  try {
    list.put(s.id, await patch(`sessions/${s.id}`, body));
    say(said);
  } catch (problem) {
    sayProblem(problem);
  }
}

function askRate(s, list) {
  openDialog(() => html`<${FormDialog} title=${A.rateTitle(s.endpoint)} action=${A.set}
      save=${async (form) => {
    list.put(s.id, await patch(`sessions/${s.id}`, { frame_rate: Number(form.get('rate')) }));
    say(A.ordered);
  }}>
    <label for="rate">${A.frameRate}</label>
    <select id="rate" name="rate" autofocus>
      <option value="0" selected=${!s.frame_rate}>${A.asItComes}</option>
      ${RATES.map((n) => html`<option value=${n} selected=${n === s.frame_rate}>${A.rate(n)}</option>`)}
    </select>
    <p class="hint">${A.rateHint}</p>
  <//>`);
}

function askMonitor(s, list) {
  openDialog(() => html`<${FormDialog} title=${A.monitorTitle(s.endpoint)} action=${A.set}
      save=${async (form) => {
    list.put(s.id, await patch(`sessions/${s.id}`, { monitor: Number(form.get('monitor')) }));
    say(A.ordered);
  }}>
    <label for="monitor">${A.monitor}</label>
    <input id="monitor" name="monitor" type="number" min="0" max="64" required value=${s.monitor} autofocus />
    <p class="hint">${A.monitorHint}</p>
  <//>`);
}

function askEnd(s, list) {
  openDialog(() => html`<${FormDialog} title=${A.endTitle(s.endpoint)} action=${A.end} danger
      save=${async (form) => {
    await remove(`sessions/${s.id}`, { reason: form.get('reason').trim() });
    list.put(s.id, null);
    say(A.ended);
  }}>
    <p>${A.endText(s.user)}</p>
    <label for="reason">${A.reason}</label>
    <input id="reason" name="reason" maxlength="500" autocomplete="off" autofocus />
    <p class="hint">${A.reasonHint}</p>
  <//>`);
}

const menuOf = (s, list) => [
  { label: A.watch, icon: 'play', run: () => navigate(`/sessions/${s.id}/play`),
    disabled: !s.recording_now, why: A.cannotWatch },
  { label: S.showFiles, icon: 'files', run: () => navigate(`/sessions/${s.id}`) },
  null,
  s.recording_now
    ? { label: A.stopRecording, icon: 'stop', run: () => order(s, list, { recording: 'stop' }, A.ordered),
      disabled: s.recorded, why: A.enforced }
    : { label: A.startRecording, icon: 'record', run: () => order(s, list, { recording: 'start' }, A.ordered) },
  { label: A.setRate, icon: 'settings', run: () => askRate(s, list) },
  { label: A.setMonitor, icon: 'endpoints', run: () => askMonitor(s, list) },
  null,
  { label: A.endSession, icon: 'leave', danger: true, run: () => askEnd(s, list) },
];

function onEvent(name, data, list) {
  if (name === 'session_ended') list.put(data.id, null);
  else if (name === 'session_changed' && list.has(data.id)) list.put(data.id, data);
  else if (name === 'session_started' || name === 'session_changed') list.refreshSoon();
}

export default function ActiveSessions({ person }) {
  const { query } = useStore(route);
  const zone = knownZone(person.time_zone);
  const { text, device, user, access } = query;
  const asked = { state: 'active', text, device, user, access, order: query.order };
  const list = useList('sessions', asked, onEvent);
  const columns = useMemo(() => columnsOf(zone), [zone]);
  const isFiltered = FIELDS.some((f) => query[f.name]);
  return html`<${Page} title=${A.title} lead=${A.lead(zone)}
      actions=${html`<a class="button" href=${urlOf('sessions.csv', asked)} download>
        <${Icon} name="download" />${S.csv}</a>`}>
    <${Filters} fields=${FIELDS} />
    <${Table} label=${A.title} list=${list} columns=${columns} menu=${(s) => menuOf(s, list)}
      nameOf=${(s) => `${s.endpoint}, ${s.user}`} order=${query.order}
      onOrder=${(next) => setQuery({ ...query, order: next })}
      onOpen=${(s) => navigate(`/sessions/${s.id}`)}
      empty=${isFiltered
    ? { title: S.emptyFilteredTitle, text: html`<p>${S.emptyFiltered}</p>` }
    : { title: A.noneTitle, text: html`<p>${A.none}</p>` }} />
  <//>`;
}
