// A view's frame: heading, actions beside it, content.
import { html, useEffect, useRef } from '../base/html.js';
import { route } from '../base/router.js';
import { T } from '../texts.js';

export function Page({ title, lead, actions, children, className = '' }) {
  const heading = useRef(null);
  useEffect(() => {
    document.title = `${title} · ${T.name}`;
  }, [title]);
  // whoever came by a link is told where; not at the first load
  useEffect(() => {
    if (route.get().key > 0) heading.current.focus({ preventScroll: true });
  }, []);
  return html`<div class=${`page ${className}`}>
    <header class="page-head">
      <div><h1 ref=${heading} tabindex="-1">${title}</h1>${lead && html`<p class="lead">${lead}</p>`}</div>
      ${actions && html`<div class="actions">${actions}</div>`}
    </header>
    ${children}
  </div>`;
}
