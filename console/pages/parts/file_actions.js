// Play, copy link, download: what every list of files offers.
import { html } from '../base/html.js';
import { formatTime, knownZone } from '../base/format.js';
import { isStored, newLink } from '../base/recordings.js';
import { me } from '../base/session.js';
import { closeDialog, Dialog, openDialog } from './dialog.js';
import { say, sayProblem } from './toast.js';
import { T } from '../texts.js';

const F = T.files;

// Where the clipboard is closed, the link is shown.
function showLink(link) {
  openDialog(() => html`<${Dialog} title=${F.link}>
    <p>${F.linkText}</p>
    <label for="link">${F.link}</label>
    <textarea id="link" rows="5" readonly class="mono" onFocus=${(e) => e.target.select()}>${link.url}</textarea>
    <footer><button type="button" class="primary" onClick=${closeDialog}>${T.close}</button></footer>
  <//>`);
}

export async function copyLink(recording) {
  let link;
  try {
    link = await newLink(recording.id);
  } catch (problem) {
    sayProblem(problem);
    return;
  }
  try {
    await navigator.clipboard.writeText(link.url);
    say(F.copied(formatTime(link.expires_at, knownZone(me.get().time_zone)).slice(11)));
  } catch {
    showLink(link);
  }
}

export const whyNotStored = (recording) => (isStored(recording) ? '' : F.notStored);
