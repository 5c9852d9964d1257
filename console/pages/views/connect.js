// Connect: finds an endpoint, and opens it.
import { html, useMemo } from '../base/html.js';
import { isReachable, sessionCode, spokenName, viewerPath } from '../base/connect.js';
import { formatTime, knownZone } from '../base/format.js';
import { useList } from '../base/list.js';
import { navigate, route } from '../base/router.js';
import { isAdmin } from '../base/session.js';
import { useStore } from '../base/store.js';
import { connectHere, connectMenu, hasChoice } from '../parts/connect_actions.js';
import { Filters } from '../parts/filters.js';
import { Icon } from '../parts/icon.js';
import { Page } from '../parts/page.js';
import { EndpointPill } from '../parts/pill.js';
import { Table } from '../parts/table.js';
import { T } from '../texts.js';

const C = T.connect;

const FIELDS = [{ name: 'text', label: C.search, type: 'search', wide: true }];

function Name({ endpoint: e }) {
  return html`<b>${spokenName(e.name)}</b>${e.title && html` <span class="soft">${e.title}</span>`}`;
}

function Go({ endpoint: e }) {
  if (!isReachable(e))
    return html`<button type="button" data-main disabled title=${T.endpointHelp[e.state]}>
      <${Icon} name="connect" />${C.go}</button>`;
  if (hasChoice(e))
    return html`<button type="button" class="primary" data-main aria-label=${C.goTo(e.name)}
      onClick=${() => connectHere(e)}><${Icon} name="connect" />${C.go}</button>`;
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

// Attended access: the nine digits that an end user reads out.
function CodeForm() {
  const submit = (event) => {
    event.preventDefault();
    const code = sessionCode(new FormData(event.target).get('code'));
    if (code) navigate(viewerPath(code));
  };
  return html`<form class="code-form" onSubmit=${submit}>
    <label for="code">${C.code}</label>
    <input id="code" name="code" class="mono" inputmode="numeric" autocomplete="off" required size="11"
      pattern="\\s*(\\d[\\s.\\-]*){9}" placeholder="123 456 789" title=${C.codeHint} />
    <button>${C.byCode}</button>
  </form>`;
}

export default function Connect({ person }) {
  const { query } = useStore(route);
  const list = useList('endpoints', { text: query.text }, onEvent);
  const zone = knownZone(person.time_zone);
  const columns = useMemo(() => columnsOf(zone), [zone]);
  return html`<${Page} title=${C.title} lead=${C.lead} actions=${html`<${CodeForm} />`}>
    <${Filters} fields=${FIELDS} />
    <${Table} label=${C.title} list=${list} columns=${columns}
      nameOf=${(e) => e.name} menu=${connectMenu}
      onOpen=${(e) => isReachable(e) && connectHere(e)}
      empty=${query.text
    ? { title: C.noneFoundTitle, text: html`<p>${C.noneFound}</p>` }
    : { title: C.noneTitle, text: html`<p>${isAdmin(person) ? C.noneAdmin : C.none}</p>` }} />
  <//>`;
}
