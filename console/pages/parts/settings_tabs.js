// The pages of Management > Settings.
import { html } from '../base/html.js';
import { T } from '../texts.js';

export const SettingsTabs = ({ at }) => html`<nav class="tabs" aria-label=${T.settings.pagesLabel}>
  ${Object.entries(T.settings.pages).map(([path, label]) => html`
    <a key=${path} href=${path} aria-current=${path === at ? 'page' : undefined}>${label}</a>`)}</nav>`;
