// Recordings (M5): the files, what they take, and what may be done with them.
import { html, useEffect, useMemo, useState } from '../base/html.js';
import { get } from '../base/api.js';
import { downloads } from '../base/downloads.js';
import { formatBytes, formatDuration, formatTime, knownZone } from '../base/format.js';
import { useList } from '../base/list.js';
import { isStored } from '../base/recordings.js';
import { navigate, route, setQuery } from '../base/router.js';
import { useSelection } from '../base/selection.js';
import { isAdmin } from '../base/session.js';
import { useStore } from '../base/store.js';
import { DiskSpace } from '../parts/disk_space.js';
import { percentOf } from '../parts/downloads.js';
import { Filters, isDate, nextDay } from '../parts/filters.js';
import { Icon } from '../parts/icon.js';
import { Page } from '../parts/page.js';
import { Pill, StatusPill } from '../parts/pill.js';
import { bulkActions, editNotes, menuOf } from '../parts/recording_actions.js';
import { canReview, reviewOne } from '../parts/review.js';
import { Table } from '../parts/table.js';
import { T } from '../texts.js';

const R = T.recordings;
const F = T.filters;
const V = T.review;

const fieldsOf = (names) => [
  { name: 'device', label: F.device, wide: true, suggest: names },
  { name: 'status', label: F.status, options: Object.entries(T.status).filter(([s]) => s !== 'downloading') },
  { name: 'locked', label: F.locked, options: Object.entries(R.locks) },
  { name: 'user', label: F.user },
  { name: 'from', label: F.from, type: 'date' },
  { name: 'to', label: F.to, type: 'date' },
];

// What the tabs ask for; the two queues begin with the oldest.
const REVIEWS = { open: { reviewed: 'false' }, reviewed: { reviewed: 'true' }, unwatched: { watched: 'false' } };
const isQueue = (review) => review === 'open' || review === 'unwatched';

// Does a recording still belong into the list?
const STAYS = {
  open: (r) => isStored(r) && !r.reviewed_at,
  reviewed: (r) => Boolean(r.reviewed_at),
  unwatched: (r) => isStored(r) && !r.watched_at,
};

function recordingQuery({ endpoint, device, status, locked, user, from, to, order, review }) {
  return { ...REVIEWS[review], endpoint, device, status, locked, user, order, from: isDate(from) ? from : '', to: nextDay(to) };
}

// Names for the filter by device.
function useEndpointNames() {
  const [names, setNames] = useState([]);
  useEffect(() => {
    get('endpoints', { limit: 200 }).then((page) => setNames(page.items.map((e) => e.name)), () => {});
  }, []);
  return names;
}

// What will happen to it next, in words.
function nextOf(r, zone) {
  if (isStored(r)) {
    if (r.locked) return R.next.locked;
    return r.expires_at ? R.next.expires(formatTime(r.expires_at, zone).slice(0, 10)) : '';
  }
  return R.next[r.status] || '';
}

function State({ recording, zone, list }) {
  const going = list.find((d) => d.id === recording.id && d.state === 'running');
  return html`${going
    ? html`<${Pill} kind="busy" progress=${percentOf(going)}>${T.downloads.running}<//>`
    : html`<${StatusPill} file=${recording} />`}
    <span class="next">${nextOf(recording, zone)}</span>`;
}

function Device({ recording: r }) {
  return html`<a data-main href=${`/recordings/${r.id}`}>${r.endpoint}</a>
    ${r.locked && html`<span class="mark" title=${R.isLocked}><${Icon} name="lock" /><span class="unseen">${R.isLocked}</span></span>`}
    ${r.reviewed_by && html`<span class="mark done" title=${V.by(r.reviewed_by)}><${Icon} name="check" /><span class="unseen">${V.by(r.reviewed_by)}</span></span>`}
    ${r.notes && html`<span class="mark" title=${r.notes.slice(0, 300)}><${Icon} name="note" /><span class="unseen">${R.hasNotes}</span></span>`}`;
}

const columnsOf = (zone, list) => [
  { key: 'endpoint', label: R.device, cell: (r) => html`<${Device} recording=${r} />` },
  { key: 'user', label: R.user, cell: (r) => r.user },
  { key: 'time', label: R.recorded, sorts: true, cell: (r) => formatTime(r.started_at, zone) },
  { key: 'duration', label: R.length, cell: (r) => formatDuration(r.duration_ms) },
  { key: 'size', label: R.size, cell: (r) => formatBytes(r.bytes) },
  { key: 'monitor', label: R.monitor, cell: (r) => r.monitor_name || T.session.monitor(r.monitor) },
  { key: 'status', label: R.status, cell: (r) => html`<${State} recording=${r} zone=${zone} list=${list} />` },
];

function Bulk({ selection, list }) {
  const n = selection.items.length;
  if (n === 0) return null;
  const bytes = selection.items.reduce((sum, r) => sum + (r.bytes || 0), 0);
  const actions = bulkActions(selection.items, list);
  return html`<div class="bulk" role="region" aria-label=${R.selectedRegion}>
    <b>${R.selected(n, formatBytes(bytes))}</b>
    ${actions.map((a) => html`<button type="button" key=${a.label} class=${a.danger ? 'danger' : ''}
      disabled=${a.disabled} title=${a.disabled ? a.why : undefined} onClick=${a.run}>
      <${Icon} name=${a.icon} />${a.label}</button>`)}
    <button type="button" class="plain" aria-label=${R.clearSelection} title=${R.clearSelection}
      onClick=${selection.clear}><${Icon} name="close" /></button>
    ${actions.filter((a) => a.said).map((a) => html`<p class="hint" role="status" key=${a.why}>${a.why}</p>`)}
  </div>`;
}

function focusRow(at) {
  const rows = document.querySelectorAll('tr[data-row] [data-main]');
  (rows[Math.min(at, rows.length - 1)] || document.querySelector('h1')).focus();
}

// A list whose rows leave it when they no longer belong there. afterReview: what
// follows the review of a row, from where it stands before: the focus goes to
// the one that takes its place.
function leaving(list, review) {
  const stays = STAYS[review];
  if (!stays) return list;
  return {
    ...list,
    put: (id, r) => list.put(id, r && stays(r) ? r : null),
    afterReview(r) {
      const links = [...document.querySelectorAll('tr[data-row] [data-main]')];
      const at = links.findIndex((link) => link.getAttribute('href').endsWith(r.id));
      return () => focusRow(Math.max(0, at));
    },
  };
}

const eventsOf = (review) => (name, data, list) => {
  const stays = STAYS[review] || (() => true);
  if (name === 'recording_removed') list.put(data.id, null);
  else if (name === 'recording_changed' && list.has(data.id)) list.put(data.id, stays(data) ? data : null);
  else if (name === 'recording_changed' && stays(data)) list.refreshSoon();
};

function Tabs({ query }) {
  const { review = '', order, ...rest } = query;
  const to = (name) => {
    const text = new URLSearchParams({ ...rest, ...(name && { review: name }) }).toString();
    return `/recordings${text ? `?${text}` : ''}`;
  };
  return html`<nav class="tabs" aria-label=${V.tabsLabel}>${Object.entries(V.tabs).map(([name, label]) => html`
    <a key=${name} href=${to(name)} aria-current=${name === review ? 'page' : undefined}>${label}</a>`)}</nav>`;
}

const EMPTY = { open: V.nothing, unwatched: V.nothingUnwatched, reviewed: V.nothingReviewed };

function emptyOf(review, isFiltered, person) {
  if (isFiltered) return { title: R.noneFoundTitle, text: html`<p>${R.noneFound}</p>` };
  if (EMPTY[review]) return { title: V.nothingTitle, text: html`<p>${EMPTY[review]}</p>` };
  return { title: R.noneTitle, text: html`<p>${R.none}</p>
    ${isAdmin(person) && html`<a class="button" href="/settings">${R.toSettings}</a>`}` };
}

export default function Recordings({ person }) {
  const { query } = useStore(route);
  const going = useStore(downloads);
  const names = useEndpointNames();
  const zone = knownZone(person.time_zone);
  const review = REVIEWS[query.review] ? query.review : '';
  const order = query.order || (isQueue(review) ? 'asc' : 'desc');
  const asked = recordingQuery({ ...query, review, order });
  const all = useList('recordings', asked, eventsOf(review));
  const list = leaving(all, review);
  const selection = useSelection(list, JSON.stringify(asked));
  const fields = useMemo(() => fieldsOf(names), [names]);
  const columns = useMemo(() => columnsOf(zone, going), [zone, going]);
  const isFiltered = fields.some((f) => query[f.name]);
  const table = html`<${Table} label=${R.title} list=${list} columns=${columns}
    menu=${(r) => menuOf(r, list)} selection=${selection}
    nameOf=${(r) => `${r.endpoint}, ${formatTime(r.started_at, zone)}`}
    order=${order} onOrder=${(to) => setQuery({ ...query, order: to || 'desc' })}
    onOpen=${(r) => editNotes(r, list)}
    keys=${{ r: (r) => { if (canReview(r)) reviewOne(r, list); } }}
    empty=${emptyOf(review, isFiltered, person)} />`;
  return html`<${Page} title=${R.title} lead=${review ? V.leads[review] : R.lead(zone)}>
    <${Tabs} query=${query} />
    <${Filters} fields=${fields} />
    <div class=${isAdmin(person) ? 'beside' : ''}>
      <div class="beside-main">${table}<${Bulk} selection=${selection} list=${list} /></div>
      ${isAdmin(person) && html`<${DiskSpace} />`}
    </div>
  <//>`;
}
