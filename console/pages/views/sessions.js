// Logs > Sessions: those that have ended (T5).
import { html, useMemo } from '../base/html.js';
import { get, urlOf } from '../base/api.js';
import { formatDuration, formatTime, knownZone } from '../base/format.js';
import { useList } from '../base/list.js';
import { navigate, route, setQuery } from '../base/router.js';
import { useStore } from '../base/store.js';
import { Filters, isDate, nextDay } from '../parts/filters.js';
import { Icon } from '../parts/icon.js';
import { Page } from '../parts/page.js';
import { RecordingPill } from '../parts/pill.js';
import { Table } from '../parts/table.js';
import { say } from '../parts/toast.js';
import { T } from '../texts.js';

const S = T.sessions;
const F = T.filters;

export const fieldsOfSessions = [
  { name: 'text', label: F.text, type: 'search', wide: true },
  { name: 'device', label: F.endpoint },
  { name: 'user', label: F.user },
  { name: 'recording', label: F.recording,
    options: ['uploaded', 'under_way', 'failed', 'none', 'off'].map((v) => [v, T.recording[v]]) },
  { name: 'access', label: F.access, options: Object.entries(T.access) },
  { name: 'from', label: F.from, type: 'date' },
  { name: 'to', label: F.to, type: 'date' },
];

// What the API takes, from what the address bar has.
export function sessionQuery(query, state) {
  const { text, endpoint, device, user, recording, access, from, to, order } = query;
  return { state, text, endpoint, device, user, recording, access, order,
    from: isDate(from) ? from : '', to: nextDay(to) };
}

function Files({ session }) {
  if (session.segments === 0) return html`<span class="soft">0</span>`;
  return html`<a class="icon-link" href=${`/sessions/${session.id}`} title=${S.showFiles}
    aria-label=${S.openFiles(session.segments, session.endpoint)}><${Icon} name="files" />${session.segments}</a>`;
}

export const sessionColumns = (zone) => [
  { key: 'endpoint', label: S.endpoint,
    cell: (s) => html`<a data-main href=${`/sessions/${s.id}`}>${s.endpoint}</a>` },
  { key: 'user', label: S.user, cell: (s) => s.user },
  { key: 'time', label: S.started, sorts: true, cell: (s) => formatTime(s.started_at, zone) },
  { key: 'duration', label: S.duration, cell: (s) => formatDuration(s.duration_ms) },
  { key: 'access', label: S.access, cell: (s) => T.access[s.access] },
  { key: 'recording', label: S.recording, cell: (s) => html`<${RecordingPill} session=${s} />` },
  { key: 'files', label: S.files, cell: (s) => html`<${Files} session=${s} />` },
];

const menuOf = (s) => [
  { label: S.play, icon: 'play', run: () => navigate(`/sessions/${s.id}/play`),
    disabled: s.segments === 0, why: T.recording.help[s.recording] },
  { label: S.showFiles, icon: 'files', run: () => navigate(`/sessions/${s.id}`) },
  null,
  { label: S.copyId, icon: 'copy',
    run: () => navigator.clipboard.writeText(s.id).then(() => say(S.copiedId)) },
];

// A session comes into this list when it ends; what becomes of its recording
// moves it.
function onEvent(name, data, list) {
  const id = name.startsWith('recording') ? data.session : data.id;
  if (name === 'session_ended') list.refreshSoon();
  else if (name === 'session_changed' && list.has(id)) list.put(id, data);
  else if (name === 'recording_changed' && list.has(id))
    get(`sessions/${id}`).then((s) => list.put(id, s), () => {});
}

export default function Sessions({ person }) {
  const { query } = useStore(route);
  const zone = knownZone(person.time_zone);
  const asked = sessionQuery(query, 'ended');
  const list = useList('sessions', asked, onEvent);
  const isFiltered = fieldsOfSessions.some((f) => query[f.name]);
  const columns = useMemo(() => [...sessionColumns(zone),
    { key: 'end', label: S.end, cell: (s) => html`<span title=${s.end_reason}>${s.end_reason}</span>` }], [zone]);
  return html`<${Page} title=${S.title} lead=${S.lead(zone)}
      actions=${html`<a class="button" href=${urlOf('sessions.csv', asked)} download>
        <${Icon} name="download" />${S.csv}</a>`}>
    <${Filters} fields=${fieldsOfSessions} />
    <${Table} label=${S.title} list=${list} columns=${columns} menu=${menuOf}
      nameOf=${(s) => S.rowName(s, formatTime(s.started_at, zone))}
      order=${query.order} onOrder=${(order) => setQuery({ ...query, order })}
      onOpen=${(s) => navigate(`/sessions/${s.id}`)}
      empty=${isFiltered
    ? { title: S.emptyFilteredTitle, text: html`<p>${S.emptyFiltered}</p>` }
    : { title: S.emptyTitle, text: html`<p>${S.empty}</p>` }} />
  <//>`;
}
