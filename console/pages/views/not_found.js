// No page has this address.
import { html } from '../base/html.js';
import { Page } from '../parts/page.js';
import { T } from '../texts.js';

export default function NotFound() {
  return html`<${Page} title=${T.notFound.title} lead=${T.notFound.text}>
    <p><a class="button primary" href="/sessions">${T.notFound.home}</a></p>
  <//>`;
}
