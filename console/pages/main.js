// From the address to a view.
import { html, render, useEffect, useErrorBoundary, useLayoutEffect, useState } from './base/html.js';
import { match, navigate, route, setOnNavigate } from './base/router.js';
import { loadMe, me } from './base/session.js';
import { useStore } from './base/store.js';
import { closeDialog, DialogHost } from './parts/dialog.js';
import { Downloads } from './parts/downloads.js';
import { explain } from './parts/problem.js';
import { Reauthentication } from './parts/reauthentication.js';
import { Shell } from './parts/shell.js';
import { Toasts } from './parts/toast.js';
import { T } from './texts.js';

// path, the module of its view
const VIEWS = [
  ['/sessions', () => import('./views/sessions.js')],
  ['/sessions/:id', () => import('./views/session.js')],
  ['/sessions/:id/play', () => import('./views/play.js')],
  ['/active-sessions', () => import('./views/active_sessions.js')],
  ['/connect', () => import('./views/connect.js')],
  ['/connect/:endpoint', () => import('./views/viewer.js')],
  ['/settings', () => import('./views/settings.js')],
  ['/settings/single-sign-on', () => import('./views/single_sign_on.js')],
  ['/settings/webhooks', () => import('./views/webhooks.js')],
  ['/endpoints', () => import('./views/endpoints.js')],
  ['/people', () => import('./views/people.js')],
  ['/tokens', () => import('./views/tokens.js')],
  ['/audit', () => import('./views/audit.js')],
  ['/account', () => import('./views/account.js')],
  ['/recordings', () => import('./views/recordings.js')],
  ['/recordings/:recording', () => import('./views/play.js')],
];
const notFound = () => import('./views/not_found.js');
// for nobody in particular
const OPEN = {
  '/login': () => import('./views/login.js'),
  '/first-run': () => import('./views/first_run.js'),
};

const views = new Map(); // modules that are here, by their load

const loadView = (load) => load().then((module) => {
  views.set(load, module);
  return module;
});

// Who points at a link may follow it: its view is loaded ahead, and where the data
// takes long it is asked for by its prepare(params, address, isLikely), once a moment
// after, and once when it is likely.
const DWELL_MS = 60; // who only passes over links asks for nothing
const LIKELY_MS = 300;
let timers = [];
let pointed = null;

function pointAt(event) {
  const link = event.target.closest?.('a[href]');
  if (event.type === 'pointerover' && link === pointed) return; // another part of it
  pointed = link;
  timers.forEach(clearTimeout);
  const found = link?.origin === location.origin ? match(link.pathname, VIEWS) : null;
  if (!found) return;
  const loaded = views.has(found.value) ? Promise.resolve() : loadView(found.value);
  const prepare = (isLikely) => loaded.then(() => {
    if (pointed === link) // it may have been followed meanwhile
      views.get(found.value).prepare?.(found.params, new URL(link.href), isLikely);
  }, () => {});
  if (event.type === 'pointerdown' && event.button === 0) prepare(true);
  else timers = [setTimeout(prepare, DWELL_MS, false), setTimeout(prepare, LIKELY_MS, true)];
}

document.addEventListener('pointerover', pointAt);
document.addEventListener('focusin', pointAt);
document.addEventListener('pointerdown', (event) => {
  if (event.pointerType === 'mouse') pointAt(event); // a finger may be about to scroll
});

// A view fetches its data before it is drawn by its ahead(params, address).
setOnNavigate((address) => {
  timers.forEach(clearTimeout); // of the link that was followed
  pointed = null;
  const found = match(address.pathname, VIEWS);
  if (found) views.get(found.value)?.ahead?.(found.params, address);
});

// The console was updated: modules of the page's version are gone. Once only.
function reloadForNewVersion(error) {
  if (sessionStorage.getItem('reloaded') === location.href) throw error;
  sessionStorage.setItem('reloaded', location.href);
  location.reload();
}

function useModule(load) {
  const [shown, setShown] = useState({});
  useLayoutEffect(() => {
    let stale = false;
    loadView(load).then((module) => {
      sessionStorage.removeItem('reloaded');
      if (!stale) setShown({ load, View: module.default });
    }, reloadForNewVersion);
    return () => { stale = true; };
  }, [load]);
  return views.has(load) ? { load, View: views.get(load).default } : shown;
}

function View({ load, params }) {
  const { View: Shown, load: of } = useModule(load);
  const { path } = useStore(route);
  // the old one stays until the new one is here
  if (!Shown || of !== load) return null;
  return html`<${Shown} key=${path} ...${params} />`;
}

function Routed({ person }) {
  const { path } = useStore(route);
  // until there is one, the API answers nothing else
  const found = match(person.second_factor_missing ? '/account' : path, VIEWS);
  return html`<${Shell} person=${person}>
    <${View} load=${found ? found.value : notFound} params=${{ person, ...found?.params }} />
  <//>`;
}

// A path of this console to go on with after the login.
const isOwnPath = (next) => /^\/(?![/\\])/.test(next || '');

// Logged in or not decides before the path does.
function Entrance() {
  const person = useStore(me);
  const { path, query } = useStore(route);
  useEffect(() => {
    if (person === null && !OPEN[path]) {
      const next = location.pathname + location.search;
      navigate(next === '/' ? '/login' : `/login?next=${encodeURIComponent(next)}`, { replace: true });
    } else if (person && (path === '/login' || path === '/')) {
      navigate(isOwnPath(query.next) ? query.next : '/sessions', { replace: true });
    }
  }, [person, path]);
  // a dialog of before would cover the login
  useEffect(() => { if (person === null) closeDialog(); }, [person]);
  if (person === undefined) return null;
  if (path === '/first-run') return html`<${View} load=${OPEN[path]} />`;
  if (person === null) return OPEN[path] ? html`<${View} load=${OPEN[path]} />` : null;
  return path === '/login' || path === '/' ? null : html`<${Routed} person=${person} />`;
}

function Start() {
  const [problem, setProblem] = useState(null);
  const [broken] = useErrorBoundary((error) => console.error(error));
  const load = () => {
    setProblem(null);
    loadMe().catch(setProblem);
  };
  useEffect(load, []);
  if (problem || broken)
    return html`<main class="sheet"><div class="card"><h1>${T.problem.start}</h1>
      <p>${problem ? explain(problem) : T.problem.unknown}</p>
      <button type="button" class="primary" onClick=${problem ? load : () => location.reload()}>${T.tryAgain}</button>
    </div></main>`;
  return html`<${Entrance} /><${DialogHost} /><${Reauthentication} /><div class="corner"><${Downloads} /><${Toasts} /></div>`;
}

render(html`<${Start} />`, document.getElementById('app'));
