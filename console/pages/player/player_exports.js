/* What is taken from the player: a still, a link to a time, a link to a file,
 * the file itself. player: the PlayerElement. */
import {el} from './dom.js';
import {askForText} from './player_dialogs.js';
import {formatHash, stillName, wallText} from './timeline_model.js';

export async function saveStill(player) {
  await player.playback.pictured();
  if (!player.playback || !player.video.videoWidth)
    return;
  const name = stillName(player.endpoint, player.playback.model.wallMs(player.positionMs));
  player.canvas().toBlob(blob => {
    const url = URL.createObjectURL(blob);
    el('a', {href: url, download: name}).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
    player.say(`Saved as ${name}`, '', 2500);
  }, 'image/png');
}

async function copy(player, text, done) {
  try {
    await navigator.clipboard.writeText(text);
    player.say(done, '', 2500);
  } catch {
    await askForText(player, 'Copy this link', '', text);
  }
}

/* The page at the position; whoever opens it needs a login. */
export function copyPlace(player) {
  return copy(player, location.href.split('#')[0] + formatHash(player.positionMs),
    'The link to this time was copied.');
}

/* The file that is shown, for anybody until the link dies (T6). */
export async function shareFile(player) {
  const recording = player.here();
  if (!recording)
    return;
  const {url, expires_at} = await player.api.link(recording.id);
  await copy(player, url, `The link was copied. It works until ${
    wallText(Date.parse(expires_at), player.zone).slice(11)}, without a login.`);
}

export async function downloadFile(player) {
  const recording = player.here();
  if (!recording)
    return;
  const {url} = await player.api.link(recording.id, 'attachment');
  el('a', {href: url}).click();
}
