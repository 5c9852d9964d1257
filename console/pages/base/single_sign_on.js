// A team's single sign-on (docs/single-sign-on.md) in the API.
import { get } from './api.js';

export const PATH = 'settings/single-sign-on';

// Its settings; null: the team has none. Settings that do not exist are not requested,
// because the browser would log the answer 404 as an error.
export async function singleSignOn() {
  const { single_sign_on: isSetUp } = await get('settings/logins');
  return isSetUp ? get(PATH) : null;
}
