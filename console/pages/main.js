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

// Who points at a link will follow it: its view is loaded ahead.
for (const type of ['pointerover', 'focusin'])
  document.addEventListener(type, (event) => {
    const link = event.target.closest?.('a[href]');
    const load = link?.origin === location.origin && match(link.pathname, VIEWS)?.value;
    if (load) loadView(load).catch(() => {});
  });

// A view fetches its data before it is drawn by its ahead(params).
setOnNavigate((path) => {
  const found = match(path, VIEWS);
  if (found) views.get(found.value)?.ahead?.(found.params);
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
