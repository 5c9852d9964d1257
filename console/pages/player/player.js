/* Puts a player into an element of a page. */
import {PlayerApi} from './player_api.js';
import './player_element.js';

/* The first request of a player, for pages that can ask before it is there. */
export function askTimeline(api, session) {
  const asked = new PlayerApi(api).timeline(session, false);
  asked.catch(() => {}); /* the player says it */
  return asked;
}

/*
 * element: empty. api: get() and post() of base/api.js. session: its id; about:
 * promise of it; timeline: of askTimeline(). recording: to begin with its start; null: with the session's.
 * zone: of wall-clock times. Returns what takes the player away.
 */
export function mount(element, {api, session, recording, timeline, about, zone}) {
  const player = document.createElement('rc-player');
  player.api = new PlayerApi(api);
  player.about = about;
  player.timelineAsked = timeline;
  player.zone = zone;
  player.setAttribute('session', session);
  if (recording)
    player.setAttribute('recording', recording.id);
  element.append(player);
  return () => player.remove();
}
