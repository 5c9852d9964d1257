// Who is logged in: undefined while it is not known yet, null for nobody.
import { get, post, setCsrf, setOnLoggedOut } from './api.js';
import { startLive, stopLive } from './live.js';
import { createStore } from './store.js';

export const me = createStore(undefined);

function take(person) {
  setCsrf(person ? person.csrf_token : '');
  if (person && !me.get()) startLive(() => loadMe().catch(() => {}));
  if (!person) stopLive();
  me.set(person);
}

setOnLoggedOut(() => take(null));

// Asks the console; rejects with a Problem when it cannot say.
export async function loadMe() {
  try {
    take(await get('me', {}, { quiet: true }));
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    take(null);
  }
}

export const logIn = (person) => take(person);

export async function logOut() {
  await post('logout', undefined, { quiet: true }).catch(() => {});
  take(null);
}

// What a role may do; the server has the last word.
export const isAdmin = (person) => person.role === 'owner' || person.role === 'admin';
export const isOwner = (person) => person.role === 'owner';
