/* Puts a player into an element of a page. */
import {PlayerApi} from './player_api.js';
import './player_element.js';

/*
 * element: empty. api: get() and post() of base/api.js. recording: to begin
 * with its start; null: with the session's. Returns what takes the player away.
 */
export function mount(element, {api, session, recording}) {
  const player = document.createElement('rc-player');
  player.api = new PlayerApi(api);
  player.setAttribute('session', session.id);
  if (recording)
    player.setAttribute('recording', recording.id);
  element.append(player);
  return () => player.remove();
}
