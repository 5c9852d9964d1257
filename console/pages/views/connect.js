// Connect: finds an endpoint, and opens it.
import { html } from '../base/html.js';
import { isReachable } from '../base/connect.js';
import { formatTime, knownZone } from '../base/format.js';
import { useList } from '../base/list.js';
import { navigate, route } from '../base/router.js';
import { isAdmin } from '../base/session.js';
import { useStore } from '../base/store.js';
import { connectMenu } from '../parts/connect_actions.js';
import { Filters } from '../parts/filters.js';
import { Icon } from '../parts/icon.js';
import { Page } from '../parts/page.js';
import { EndpointPill } from '../parts/pill.js';
import { Table } from '../parts/table.js';
import { T } from '../texts.js';

const C = T.connect;

const FIELDS = [{ name: 'text', label: C.search, type: 'search', wide: true }];

function Name({ endpoint: e }) {
  return html`<b>${e.name}</b>${e.title && html` <span class="soft">${e.title}</span>`}`;
}

function Go({ endpoint: e }) {
  if (!isReachable(e))
    return html`<button type="button" data-main disabled title=${T.endpointHelp[e.state]}>
      <${Icon} name="connect" />${C.go}</button>`;
  return html`<a class="button primary" data-main href=${`/connect/${e.name}`}
    aria-label=${C.goTo(e.name)}><${Icon} name="connect" />${C.go}</a>`;
}

const columnsOf = (zone) => [
  { key: 'endpoint', label: C.endpoint, cell: (e) => html`<${Name} endpoint=${e} />` },
  { key: 'kind', label: C.kind, cell: (e) => T.paths[e.kind] },
  { key: 'recording', label: C.state, cell: (e) => html`<${EndpointPill} endpoint=${e} />` },
  { key: 'time', label: C.last, cell: (e) => formatTime(e.last_session_at, zone) || C.never },
  { key: 'watch', label: C.go, unseen: true, cell: (e) => html`<${Go} endpoint=${e} />` },
];

function onEvent(name, data, list) {
  if (name === 'endpoint_removed') list.put(data.id, null);
  else if (name === 'endpoint_changed' && list.has(data.id)) list.put(data.id, data);
  else if (name === 'endpoint_changed' || name === 'session_started') list.refreshSoon();
}

export default function Connect({ person }) {
  const { query } = useStore(route);
  const list = useList('endpoints', { text: query.text }, onEvent);
  return html`<${Page} title=${C.title} lead=${C.lead}>
    <${Filters} fields=${FIELDS} />
    <${Table} label=${C.title} list=${list} columns=${columnsOf(knownZone(person.time_zone))}
      nameOf=${(e) => e.name} menu=${connectMenu}
      onOpen=${(e) => isReachable(e) && navigate(`/connect/${e.name}`)}
      empty=${query.text
    ? { title: C.noneFoundTitle, text: html`<p>${C.noneFound}</p>` }
    : { title: C.noneTitle, text: html`<p>${isAdmin(person) ? C.noneAdmin : C.none}</p>` }} />
  <//>`;
}
