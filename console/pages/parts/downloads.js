// The downloads that were begun, in a corner.
import { html } from '../base/html.js';
import { cancelDownload, clearDownloads, downloads, tryAgain } from '../base/downloads.js';
import { formatBytes } from '../base/format.js';
import { useStore } from '../base/store.js';
import { Icon } from './icon.js';
import { explain } from './problem.js';
import { T } from '../texts.js';

const D = T.downloads;

export const percentOf = (d) => (d.total ? Math.min(100, Math.floor((100 * d.bytes) / d.total)) : 0);

function Item({ item }) {
  const isBusy = item.state === 'running' || item.state === 'waiting';
  const said = item.state === 'running' ? D.soFar(formatBytes(item.bytes), formatBytes(item.total))
    : item.state === 'failed' ? explain(item.problem) : D.states[item.state];
  return html`<li class=${item.state}>
    <div class="download-name">${item.name}</div>
    <progress max="100" value=${item.state === 'done' ? 100 : percentOf(item)}
      aria-label=${D.progressOf(item.name)}></progress>
    <div class="download-state"><span>${said}</span>
      ${isBusy && html`<button type="button" class="plain" aria-label=${D.cancel(item.name)}
        title=${T.cancel} onClick=${() => cancelDownload(item.id)}><${Icon} name="close" /></button>`}
      ${(item.state === 'failed' || item.state === 'cancelled') && html`<button type="button"
        onClick=${() => tryAgain(item)}>${T.tryAgain}</button>`}</div>
  </li>`;
}

export function Downloads() {
  const list = useStore(downloads);
  if (list.length === 0) return null;
  const busy = list.filter((d) => d.state === 'running' || d.state === 'waiting').length;
  return html`<section class="downloads" aria-label=${D.title}>
    <header><h2>${busy > 0 ? D.busy(busy) : D.title}</h2>
      <button type="button" class="plain" disabled=${busy === list.length} title=${D.clear} aria-label=${D.clear}
        onClick=${clearDownloads}><${Icon} name="close" /></button></header>
    <ul>${list.map((item) => html`<${Item} key=${item.id} item=${item} />`)}</ul>
  </section>`;
}
