// Passkeys: what the browser's own dialog makes of the console's options.
import { post, Problem } from './api.js';
import { T } from '../texts.js';

export const knowsPasskeys = () => !!window.PublicKeyCredential?.parseRequestOptionsFromJSON;

// The dialog was closed, or there is no passkey for this console.
function refused(error) {
  const known = { NotAllowedError: T.passkeys.notAllowed, InvalidStateError: T.passkeys.already };
  return new Problem(1, { detail: known[error.name] || T.passkeys.broken });
}

// path: where the options come from. Returns a credential as the API takes it.
export async function getPasskey(path) {
  const { publicKey } = await post(path, undefined, { quiet: true });
  const options = PublicKeyCredential.parseRequestOptionsFromJSON(publicKey);
  const credential = await navigator.credentials.get({ publicKey: options })
    .catch((error) => { throw refused(error); });
  return credential.toJSON();
}

export async function createPasskey() {
  const { publicKey } = await post('me/passkeys/options');
  const options = PublicKeyCredential.parseCreationOptionsFromJSON(publicKey);
  const credential = await navigator.credentials.create({ publicKey: options })
    .catch((error) => { throw refused(error); });
  return credential.toJSON();
}
