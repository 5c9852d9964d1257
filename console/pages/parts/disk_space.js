// What recordings take: the team, and each endpoint (M5).
import { html, useEffect, useState } from '../base/html.js';
import { get } from '../base/api.js';
import { formatBytes } from '../base/format.js';
import { useLive } from '../base/live.js';
import { memo } from '../base/memo.js';
import { ProblemBox } from './problem.js';
import { T } from '../texts.js';

const D = T.diskSpace;
const SHOWN = 8;
const EVERY_MS = 5000; // while percentages move

function Bar({ label, part, whole, said }) {
  const percent = whole > 0 ? Math.max(part > 0 ? 1 : 0, Math.round((100 * part) / whole)) : 0;
  return html`<li><div class="bar-text"><span>${label}</span><b>${said}</b></div>
    <div class="bar" aria-hidden="true"><div style=${{ width: `${percent}%` }}></div></div></li>`;
}

function Sums({ space }) {
  const { used_bytes: used, recordings, free_bytes: free } = space;
  return html`<span>${D.used} <b>${formatBytes(used)}</b></span>
    <span>${D.recordings} <b>${D.count(recordings)}</b></span>
    ${free !== null && html`<span>${D.free} <b>${formatBytes(free)}</b></span>`}`;
}

// As wide as style/views.css has it.
const beside = matchMedia('(min-width: 1560px)');

function useBeside() {
  const [is, set] = useState(beside.matches);
  useEffect(() => {
    const onChange = () => set(beside.matches);
    beside.addEventListener('change', onChange);
    return () => beside.removeEventListener('change', onChange);
  }, []);
  return is;
}

export const DiskSpace = memo(() => {
  const isBeside = useBeside();
  const [space, setSpace] = useState(null);
  const [problem, setProblem] = useState(null);
  const [all, setAll] = useState(false);
  const load = () => get('disk-space').then((s) => {
    setSpace(s);
    setProblem(null);
  });
  useEffect(() => { load().catch(setProblem); }, []);
  useLive(load, (name) => name.startsWith('recording'), [], EVERY_MS);
  if (problem && !space) return html`<aside class="space"><${ProblemBox} problem=${problem} onRetry=${() => load().catch(setProblem)} /></aside>`;
  const endpoints = space?.endpoints || [];
  const largest = endpoints[0]?.used_bytes || 0;
  return html`<aside class="space" aria-label=${D.title} aria-busy=${space === null}>
    <details open=${isBeside}>
      <summary><h2>${D.title}</h2>${space && html`<${Sums} space=${space} />`}</summary>
      ${space && space.quota_bytes !== null && html`<ul class="bars">
        <${Bar} label=${D.quota} part=${Math.min(space.used_bytes, space.quota_bytes)} whole=${space.quota_bytes}
          said=${D.of(formatBytes(space.used_bytes), formatBytes(space.quota_bytes))} /></ul>
        ${D.quotaStates[space.quota_state] && html`<p class="notice" role="status">${D.quotaStates[space.quota_state]}</p>`}`}
      ${space && space.total_bytes !== null && html`<ul class="bars">
        <${Bar} label=${D.disk} part=${space.total_bytes - space.free_bytes} whole=${space.total_bytes}
          said=${D.of(formatBytes(space.total_bytes - space.free_bytes), formatBytes(space.total_bytes))} /></ul>`}
      <h3>${D.byEndpoint}</h3>
      ${endpoints.length === 0 ? html`<p class="soft">${space && D.none}</p>` : html`<ul class="bars">
        ${endpoints.slice(0, all ? undefined : SHOWN).map((e) => html`<${Bar} key=${e.id} label=${html`<a
          href=${`/recordings?device=${encodeURIComponent(e.endpoint)}`}>${e.endpoint}</a>`}
          part=${e.used_bytes} whole=${largest} said=${formatBytes(e.used_bytes)} />`)}</ul>`}
      ${endpoints.length > SHOWN && html`<button type="button" onClick=${() => setAll(!all)}>
        ${all ? D.fewer : D.all(endpoints.length)}</button>`}
    </details>
  </aside>`;
});
