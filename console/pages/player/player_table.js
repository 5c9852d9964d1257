/* The timeline as a table: files, gaps and activity (WCAG 1.1.1). */
import {el} from './dom.js';
import {GAP_TEXTS, SPLIT_TEXTS, STATUS_TEXTS} from './texts.js';
import {clockText, wallText} from './timeline_model.js';

function activityText(r) {
  if (!r.activity)
    return '';
  const busy = r.activity.filter(a => a[0] > 0).length;
  const input = r.activity.filter(a => a[1] > 0).length;
  return `${busy} of ${r.activity.length} seconds changed, ${input} with input`;
}

function fileRow(model, zone, r) {
  const state = r.isPlayable && r.status === 'available' ? '' : STATUS_TEXTS[r.status] || '';
  return [r.fromMs, el('tr', {},
    el('td', {}, clockText(r.fromMs, true)), el('td', {}, wallText(model.wallMs(r.fromMs), zone)),
    el('td', {}, `File ${r.seq}, monitor ${r.monitor}` + (r.monitorName ? ` (${r.monitorName})` : '')),
    el('td', {}, `${Math.round(model.endOf(r) - r.fromMs)} ms`),
    el('td', {}, [SPLIT_TEXTS[r.splitReason], state].filter(t => t).join('; ')),
    el('td', {}, activityText(r)))];
}

function gapRow(model, zone, g) {
  return [g.fromMs, el('tr.rcp-gap-row', {},
    el('td', {}, clockText(g.fromMs, true)), el('td', {}, wallText(model.wallMs(g.fromMs), zone)),
    el('td', {}, 'Gap'), el('td', {}, `${g.ms} ms`), el('td', {}, GAP_TEXTS[g.why]), el('td'))];
}

export function playerTable(model, zone) {
  const rows = [...model.recordings.map(r => fileRow(model, zone, r)),
    ...model.gaps.map(g => gapRow(model, zone, g))].sort((a, b) => a[0] - b[0]);
  return el('details.rcp-table', {}, el('summary', {}, 'Files, gaps and activity as a table'),
    el('div.rcp-scroll', {tabIndex: 0, role: 'region', 'aria-label': 'Files, gaps and activity'},
      el('table', {}, el('thead', {}, el('tr', {}, ...[
        'Position', 'Time', 'What', 'Length', 'Why it begins', 'Activity'].map(
        t => el('th', {scope: 'col'}, t)))), el('tbody', {}, ...rows.map(r => r[1])))));
}
