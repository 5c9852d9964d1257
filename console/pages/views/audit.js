// Management > Audit log (X7).
import { html, useMemo } from '../base/html.js';
import { urlOf } from '../base/api.js';
import { formatTime, knownZone } from '../base/format.js';
import { useList } from '../base/list.js';
import { route, setQuery } from '../base/router.js';
import { useStore } from '../base/store.js';
import { closeDialog, Dialog, openDialog } from '../parts/dialog.js';
import { Filters, isDate, nextDay } from '../parts/filters.js';
import { Icon } from '../parts/icon.js';
import { Page } from '../parts/page.js';
import { Table } from '../parts/table.js';
import { T } from '../texts.js';

const A = T.audit;
const F = T.filters;

const FIELDS = [
  { name: 'text', label: F.text, type: 'search', wide: true },
  { name: 'actor', label: A.actor },
  { name: 'action', label: A.action },
  { name: 'object', label: A.object },
  { name: 'from', label: F.from, type: 'date' },
  { name: 'to', label: F.to, type: 'date' },
];

const textOf = (value) => (typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value));

const summaryOf = (entry) => Object.entries(entry.detail)
  .map(([name, value]) => `${name}: ${textOf(value)}`).join(', ');

function show(entry, zone) {
  const facts = [[A.time, formatTime(entry.at, zone)], [A.actor, entry.actor], [A.action, entry.action],
    [A.object, entry.object], ...Object.entries(entry.detail).map(([n, v]) => [n, textOf(v)])];
  openDialog(() => html`<${Dialog} title=${A.entry(entry.id)} wide>
    <dl class="properties">${facts.filter(([, v]) => v).map(([name, value]) => html`<div key=${name}>
      <dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    <footer><button type="button" class="primary" onClick=${closeDialog}>${T.close}</button></footer>
  <//>`);
}

const columnsOf = (zone) => [
  { key: 'time', label: A.time, sorts: true, cell: (e) => html`<button type="button" class="link" data-main
    onClick=${() => show(e, zone)}>${formatTime(e.at, zone)}</button>` },
  { key: 'actor', label: A.actor, cell: (e) => e.actor },
  { key: 'action', label: A.action, cell: (e) => e.action },
  { key: 'object', label: A.object, cell: (e) => html`<span title=${e.object}>${e.object}</span>` },
  { key: 'end', label: A.detail, cell: (e) => html`<span class="soft" title=${summaryOf(e)}>${summaryOf(e)}</span>` },
];

export default function Audit({ person }) {
  const { query } = useStore(route);
  const zone = knownZone(person.time_zone);
  const { text, actor, action, object, from, to, order } = query;
  const asked = { text, actor, action, object, order, from: isDate(from) ? from : '', to: nextDay(to) };
  const list = useList('audit', asked);
  const columns = useMemo(() => columnsOf(zone), [zone]);
  return html`<${Page} title=${A.title} lead=${A.lead(zone)}
      actions=${html`<a class="button" href=${urlOf('audit.csv', asked)} download><${Icon} name="download" />${T.sessions.csv}</a>`}>
    <${Filters} fields=${FIELDS} />
    <${Table} label=${A.title} list=${list} columns=${columns} nameOf=${(e) => A.entry(e.id)}
      order=${order} onOrder=${(next) => setQuery({ ...query, order: next })}
      onOpen=${(e) => show(e, zone)} empty=${{ title: A.noneTitle, text: html`<p>${A.none}</p>` }} />
  <//>`;
}
