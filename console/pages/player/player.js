/* Puts a player into an element of a page. */
import {connectToFiles} from './files_origin.js';
import {Links} from './links.js';
import {PlayerApi} from './player_api.js';
import {RecordingFile} from './recording_file.js';
import {TimelineModel, beginning, fileOf} from './timeline_model.js';
import './player_element.js';

/* Signed links for a player. api: get() and post() of base/api.js. */
export function newLinks(api) {
  const own = new PlayerApi(api);
  return new Links((id, isAhead) => own.link(id, 'inline', isAhead));
}

/*
 * The first request of a player, for pages that can ask before it is there: when
 * somebody points at a link, for example. api, links: as above; links may hold some
 * already. Returns what mount() takes as asked.
 */
export function askTimeline(api, session, links) {
  const own = new PlayerApi(api);
  const asked = {api: own, timeline: own.timeline(session, false), links, pages: null, file: null};
  asked.timeline.then(pages => { asked.pages = pages; }, () => {}); /* the player says it */
  connectToFiles();
  return asked;
}

/* Calls what(recording, isFromStart) with the one that is shown first, as soon as
 * that is known. recording, hash: where the player will begin. */
function whenFirstIsKnown(asked, recording, hash, what) {
  const look = pages => {
    const {first, ms} = beginning(new TimelineModel(pages), recording, hash);
    if (first)
      what(first, ms !== null && ms <= first.fromMs);
  };
  if (asked.pages) /* at once: otherwise drawing the page comes first */
    look(asked.pages);
  else
    asked.timeline.then(look, () => {});
}

/* For the link that the player will need, while it is not certain that it will. Not
 * where it would say that somebody has watched the recording. */
export function askFirstLink(asked, recording, hash) {
  whenFirstIsKnown(asked, recording, hash, first => {
    if (!first.isLinkWatching)
      asked.links.url(first.id, true).catch(() => {});
  });
}

/* The player comes: the file that it shows first is opened. recording: as the API has
 * it, or null; hash: as above. */
export function openFirstFile(asked, recording, hash) {
  const open = (first, isFromStart) => {
    if (asked.file)
      return;
    asked.file = new RecordingFile(first, asked.links, asked.api, () => {});
    asked.file.open(undefined, isFromStart).catch(() => {}); /* the player opens it again, and says it */
  };
  const first = recording && !hash ? fileOf(recording) : null;
  if (first && first.isPlayable) /* it is known without the timeline */
    open(first, true);
  else
    whenFirstIsKnown(asked, recording?.id, hash, open);
}

/*
 * element: empty. session: its id; about: promise of it; asked: of askTimeline().
 * recording: to begin with its start; null: with the session's. zone: of
 * wall-clock times. Returns what takes the player away.
 */
export function mount(element, {session, recording, asked, about, zone}) {
  const player = document.createElement('rc-player');
  player.api = asked.api;
  player.about = about;
  player.asked = asked;
  player.links = asked.links;
  player.zone = zone;
  player.setAttribute('session', session);
  if (recording)
    player.setAttribute('recording', recording.id);
  element.append(player);
  return () => player.remove();
}
