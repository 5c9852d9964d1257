// From the login form to the end of the session.
import { Connection } from './connection.js';
import { Desktop } from './desktop.js';
import { Panels, closePanels } from './panels.js';
import { Toolbar } from './toolbar.js';
import {
  byId, recall, remember, sentence, showView, toast, warn,
} from './page.js';

let connection = null;
let desktop = null;
let toolbar = null;
let pointerWasLast = true;
const panels = new Panels();

/* ---- login ---- */

// What a link brings: #ticket=rct_... or #endpoint=desk1&user=alice. It is
// taken out of the address bar and the history at once.
function takeFragment() {
  const link = new URLSearchParams(location.hash.slice(1));

  if (location.hash)
    history.replaceState(null, '', location.pathname + location.search);
  if (link.has('user')) byId('person').value = link.get('user');
  if (link.has('endpoint')) byId('endpoint').value = link.get('endpoint');
  return link.get('ticket');
}

function showLogin(problem) {
  const empty = ['person', 'endpoint', 'password'].map(byId)
    .find((field) => field.value === '');

  byId('login-problem').textContent = sentence(problem || '');
  byId('login-problem').hidden = !problem;
  document.title = 'Relaycam';
  showView('login');
  (empty || byId('password')).focus();
}

// A code is often read and typed in groups: 123 456 789.
function targetName(text) {
  const bare = text.replace(/[\s-]/g, '');

  return /^\d{9}$/.test(bare) ? bare : text.trim();
}

function onLogin(event) {
  event.preventDefault();
  const person = byId('person').value.trim();
  const user = `${person}@${targetName(byId('endpoint').value)}`;
  const password = byId('password').value;

  byId('password').value = '';
  connect({ user, password });
}

/* ---- the way of a connection ---- */

function connect(login) {
  const c = new Connection(login);

  connection = c;
  byId('wait-title').textContent = 'Connecting';
  byId('wait-text').textContent = '';
  showView('wait');
  byId('wait-cancel').focus();
  // what an earlier connection still has to say is of no interest
  const on = (type, handler) => c.addEventListener(type, (event) => {
    if (c === connection) handler(event.detail);
  });
  on('refused', (message) => {
    connection = null;
    showLogin(message.reason);
  });
  on('waiting', showWaiting);
  on('accepted', begin);
  on('status', showStatus);
  on('warning', (message) => warn(sentence(message.text)));
  on('error', (message) => toolbar?.refused(sentence(message.text)));
  on('ended', (message) => end(c, message));
}

function showWaiting(message) {
  byId('wait-title').textContent = message.what === 'consent'
    ? 'Waiting for consent' : 'Please wait';
  byId('wait-text').textContent = sentence(message.text);
}

function begin(status) {
  showView('session');
  byId('view-session').classList.remove('folded');
  toolbar = new Toolbar((message) => connection?.send(message));
  toolbar.setConnected(false);
  const bar = toolbar;
  desktop = new Desktop(byId('desktop'), connection.channel, {
    onConnect: () => {
      bar.setConnected(true);
      desktop?.focus();
    },
    onLost: (text) => connection?.finish('viewer', text),
    onClipboard: (text) => panels.arrived(text),
    onBell: () => bar.bell(),
  });
  desktop.setQuality(byId('quality').value);
  desktop.setScale(byId('scale').value);
  panels.use(desktop);
  showStatus(status);
}

function showStatus(status) {
  toolbar?.show(status);
  desktop?.setViewOnly(status.view_only);
  for (const id of ['ctrl-alt-del', 'keys', 'clip-send', 'clip-type'])
    byId(id).disabled = status.view_only;
  document.title =
    `${status.recording ? '● ' : ''}${status.endpoint} – Relaycam`;
}

function end(c, { code, reason }) {
  const status = toolbar?.status;

  connection = null;
  desktop?.close();
  toolbar?.close();
  desktop = null;
  toolbar = null;
  panels.use(null);
  byId('warning').close();
  byId('toasts').replaceChildren();
  if (document.fullscreenElement) document.exitFullscreen();
  if (!c.isAccepted) {
    showLogin(code === 'left' ? '' : reason);
    return;
  }
  byId('ended-title').textContent = code === 'left'
    ? 'You have disconnected' : 'The session has ended';
  byId('ended-reason').textContent = sentence(reason);
  byId('ended-facts').textContent =
    status ? `${status.endpoint}, session ${status.session}` : '';
  if (status) {
    byId('person').value = status.person;
    byId('endpoint').value = status.endpoint;
  }
  document.title = 'Session ended – Relaycam';
  showView('ended');
  byId('ended-title').focus();
}

/* ---- the bar's own controls ---- */

function onQuality() {
  remember('quality', byId('quality').value);
  desktop?.setQuality(byId('quality').value);
}

function onScale() {
  remember('scale', byId('scale').value);
  desktop?.setScale(byId('scale').value);
}

async function onFullScreen() {
  try {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await document.documentElement.requestFullscreen();
  } catch {
    toast('The browser does not allow full screen here.');
  }
}

function onFullScreenChange() {
  const on = Boolean(document.fullscreenElement);

  byId('full-screen').setAttribute('aria-pressed', String(on));
  // Alt-Tab, Escape and the like then reach the computer, where the browser
  // can do that
  if (on) navigator.keyboard?.lock?.().catch(() => {});
  else navigator.keyboard?.unlock?.();
}

function fold(on) {
  closePanels();
  byId('view-session').classList.toggle('folded', on);
  if (!pointerWasLast) byId(on ? 'unfold' : 'fold').focus();
  else desktop?.focus();
}

/*
 * The keyboard's way from the desktop, which takes every key, to the bar:
 * Ctrl-Alt-Shift alone. It counts when all three are up again, so that the
 * computer has seen them go up, too.
 */
function watchForChord() {
  let armed = false;

  const down = (event) => {
    if (!(event.ctrlKey && event.altKey && event.shiftKey)) return;
    armed = ['Control', 'Alt', 'Shift', 'Meta'].includes(event.key);
  };
  const up = (event) => {
    if (!armed || event.ctrlKey || event.altKey || event.shiftKey) return;
    armed = false;
    if (document.body.dataset.view !== 'session') return;
    byId('view-session').classList.remove('folded');
    byId('view-only').disabled
      ? byId('clipboard').focus() : byId('view-only').focus();
  };
  // capture: noVNC lets no key through
  window.addEventListener('keydown', down, true);
  window.addEventListener('keyup', up, true);
}

// Escape in the bar or a panel goes back to the desktop; so does a choice
// that was made by pointing.
function watchFocus() {
  window.addEventListener('pointerdown', () => { pointerWasLast = true; }, true);
  window.addEventListener('keydown', () => { pointerWasLast = false; }, true);
  for (const id of ['bar', 'clipboard-panel', 'keys-panel', 'picture-panel'])
    byId(id).addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      closePanels();
      desktop?.focus();
    });
  byId('bar').addEventListener('change', () => {
    if (pointerWasLast) desktop?.focus();
  });
  byId('desktop').addEventListener('pointerdown', closePanels, true);
}

function start() {
  byId('login').addEventListener('submit', onLogin);
  byId('login').querySelector('button').disabled = false;
  byId('wait-cancel').onclick = () => connection?.leave();
  byId('disconnect').onclick = () => connection?.leave();
  byId('again').onclick = () => showLogin();
  byId('ctrl-alt-del').onclick = () => {
    desktop?.ctrlAltDel();
    if (pointerWasLast) desktop?.focus();
  };
  byId('quality').value = recall('quality', 'medium');
  byId('scale').value = recall('scale', 'fit');
  byId('quality').onchange = onQuality;
  byId('scale').onchange = onScale;
  byId('full-screen').onclick = onFullScreen;
  document.addEventListener('fullscreenchange', onFullScreenChange);
  byId('fold').onclick = () => fold(true);
  byId('unfold').onclick = () => fold(false);
  byId('warning').addEventListener('close', () => desktop?.focus());
  // Ctrl-W is meant for the computer more often than not
  window.addEventListener('beforeunload', (event) => {
    if (desktop) event.preventDefault();
  });
  // kept for the way back, the page would go on with its session
  window.addEventListener('pagehide', () => connection?.finish('left', ''));
  watchForChord();
  watchFocus();
  const open = () => {
    const ticket = takeFragment();

    if (connection) return;
    if (ticket) connect({ ticket });
    else showLogin();
  };
  window.addEventListener('hashchange', () => { if (location.hash) open(); });
  open();
}

start();
