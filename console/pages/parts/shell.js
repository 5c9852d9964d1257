// Around every view of somebody who logged in: navigation, person, colours.
import { html, useEffect, useState } from '../base/html.js';
import { route } from '../base/router.js';
import { isAdmin, logOut } from '../base/session.js';
import { useStore } from '../base/store.js';
import { setTheme, theme } from '../base/theme.js';
import { T } from '../texts.js';
import { Icon } from './icon.js';
import { MenuHost } from './menu.js';

// heading, entries: [path, icon, label, who may]
export const NAVIGATION = [
  ['', [
    ['/connect', 'connect', T.nav.connect],
  ]],
  [T.nav.logs, [
    ['/sessions', 'sessions', T.nav.sessions],
    ['/active-sessions', 'active', T.nav.active],
    ['/recordings', 'recordings', T.nav.recordings],
  ]],
  [T.nav.management, [
    ['/settings', 'settings', T.nav.settings, isAdmin],
    ['/endpoints', 'endpoints', T.nav.endpoints, isAdmin],
    ['/people', 'people', T.nav.people, isAdmin],
    ['/tokens', 'tokens', T.nav.tokens],
    ['/audit', 'audit', T.nav.audit, isAdmin],
  ]],
];

function Entry({ entry: [path, icon, label], now }) {
  const here = now === path || now.startsWith(`${path}/`);
  return html`<li><a href=${path} aria-current=${here ? 'page' : undefined}>
    <${Icon} name=${icon} />${label}</a></li>`;
}

function Group({ heading, entries, person, now }) {
  const shown = entries.filter(([, , , may]) => !may || may(person));
  if (shown.length === 0) return null;
  return html`${heading && html`<h2>${heading}</h2>`}
    <ul>${shown.map((e) => html`<${Entry} key=${e[0]} entry=${e} now=${now} />`)}</ul>`;
}

const THEME_ICONS = { system: 'system', light: 'sun', dark: 'moon' };

function Themes() {
  const now = useStore(theme);
  return html`<div class="themes" role="group" aria-label=${T.nav.theme}>
    ${Object.entries(T.nav.themes).map(([value, text]) => html`<button type="button" key=${value}
      class="plain" aria-pressed=${now === value} title=${text} aria-label=${text}
      onClick=${() => setTheme(value)}><${Icon} name=${THEME_ICONS[value]} /></button>`)}
  </div>`;
}

function Person({ person }) {
  return html`<div class="person">
    <a class="who" href="/account" title=${T.account.title}><b>${person.user}</b>
      <span>${T.nav.roles[person.role]} · ${person.team}</span></a>
    <button type="button" class="plain" title=${T.nav.logOut} aria-label=${T.nav.logOut}
      onClick=${logOut}><${Icon} name="leave" /></button>
  </div>`;
}

export function Shell({ person, children }) {
  const [isOpen, setOpen] = useState(false);
  const { path } = useStore(route);
  useEffect(() => setOpen(false), [path]);
  useEffect(() => {
    if (!isOpen) return undefined;
    const onKey = (e) => e.key === 'Escape' && setOpen(false);
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [isOpen]);
  return html`<div class=${isOpen ? 'frame open' : 'frame'}>
    <a class="skip" href="#main" onClick=${(e) => {
    e.preventDefault();
    document.getElementById('main').focus();
  }}>${T.skip}</a>
    <header class="top">
      <button type="button" class="plain" aria-expanded=${isOpen} aria-controls="side"
        aria-label=${isOpen ? T.nav.shut : T.nav.open}
        onClick=${() => setOpen(!isOpen)}><${Icon} name=${isOpen ? 'close' : 'menu'} /></button>
      <a class="brand" href="/"><${Icon} name="logo" />${T.name}</a>
    </header>
    <div class="shade" onClick=${() => setOpen(false)}></div>
    <nav class="side" id="side" aria-label=${T.nav.label}>
      <a class="brand" href="/"><${Icon} name="logo" />${T.name}</a>
      <div class="side-links">
        ${NAVIGATION.map(([heading, entries]) => html`<${Group} heading=${heading}
          entries=${entries} person=${person} now=${path} />`)}
      </div>
      <div class="side-foot"><${Themes} /><${Person} person=${person} /></div>
    </nav>
    <main id="main" tabindex="-1">${children}<${MenuHost} /></main>
  </div>`;
}
