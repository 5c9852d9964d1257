// Management > Endpoints: what can be connected to, and how it is reached.
import { html } from '../base/html.js';
import { formatTime, knownZone } from '../base/format.js';
import { useList } from '../base/list.js';
import { route } from '../base/router.js';
import { isAdmin } from '../base/session.js';
import { useStore } from '../base/store.js';
import { endpointMenu, askNew, askEdit } from '../parts/endpoint_actions.js';
import { Filters } from '../parts/filters.js';
import { Icon } from '../parts/icon.js';
import { Page } from '../parts/page.js';
import { EndpointPill } from '../parts/pill.js';
import { Table } from '../parts/table.js';
import { T } from '../texts.js';

const E = T.endpoints;

const FIELDS = [
  { name: 'text', label: T.filters.text, type: 'search', wide: true },
  { name: 'kind', label: E.kind, options: Object.entries(T.paths) },
  { name: 'access', label: T.filters.access, options: Object.entries(T.access) },
];

const seenOf = (e, zone) => formatTime(e.agent_seen_at || e.parked_at, zone);
const placeOf = (e) => (e.kind === 'direct' ? `${e.host}:${e.port}` : e.agent_host || '');

// Whether it can be reached, and what the last test said.
function State({ endpoint: e, zone }) {
  const test = e.last_test;
  return html`<${EndpointPill} endpoint=${e} />
    ${test && test.ok !== null && html`<span class=${test.ok ? 'next' : 'next bad'} title=${test.detail}>
      ${E.testState[test.ok](formatTime(test.ended_at || test.asked_at, zone).slice(0, 16))}</span>`}`;
}

const columnsOf = (zone, list) => [
  { key: 'endpoint', label: E.name, cell: (e) => html`${list
    ? html`<button type="button" class="link" data-main onClick=${() => askEdit(e, list)}>${e.name}</button>`
    : html`<b>${e.name}</b>`} <span class="soft">${e.title}</span>` },
  { key: 'kind', label: E.kind, cell: (e) => T.paths[e.kind] },
  { key: 'user', label: E.place, cell: (e) => html`<span title=${placeOf(e)}>${placeOf(e)}</span>` },
  { key: 'recording', label: E.state, cell: (e) => html`<${State} endpoint=${e} zone=${zone} />` },
  { key: 'size', label: E.version, cell: (e) => e.agent_version || '' },
  { key: 'time', label: E.seen, cell: (e) => seenOf(e, zone) },
  { key: 'end', label: E.last, cell: (e) => formatTime(e.last_session_at, zone) || T.connect.never },
];

function onEvent(name, data, list) {
  if (name === 'endpoint_removed') list.put(data.id, null);
  else if (name === 'endpoint_changed' && list.has(data.id)) list.put(data.id, data);
  else if (name === 'endpoint_changed') list.refreshSoon();
}

export default function Endpoints({ person }) {
  const { query } = useStore(route);
  const { text, kind, access } = query;
  const list = useList('endpoints', { text, kind, access }, onEvent);
  const may = isAdmin(person);
  const isFiltered = FIELDS.some((f) => query[f.name]);
  return html`<${Page} title=${E.title} lead=${E.lead}
      actions=${may && html`<button type="button" class="primary" onClick=${() => askNew(list)}>
        <${Icon} name="add" />${E.add} …</button>`}>
    <${Filters} fields=${FIELDS} />
    <${Table} label=${E.title} list=${list} columns=${columnsOf(knownZone(person.time_zone), may && list)}
      menu=${may && ((e) => endpointMenu(e, list))} nameOf=${(e) => e.name} onOpen=${may && ((e) => askEdit(e, list))}
      empty=${{ title: isFiltered ? T.connect.noneFoundTitle : E.noneTitle,
    text: html`<p>${isFiltered ? E.noneFound : may ? E.none : T.connect.none}</p>` }} />
  <//>`;
}
