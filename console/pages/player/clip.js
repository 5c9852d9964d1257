/*
 * Clips in the player: two marks, the line that says where they are, and the
 * dialog that asks why and saves what was made (M5, docs/clips.md).
 */
import {CLIPS_MAX, clipParts, fileName, isWhole, keyBefore, madeText, moveMark, rangeText, whyNot}
  from './clip_range.js';
import {button, el} from './dom.js';
import {open} from './player_dialogs.js';
import {STATUS_TEXTS} from './texts.js';
import {clockText, parsePosition} from './timeline_model.js';

const NO_MARKS = {fromMs: null, toMs: null};
const REASON_MAX = 1000;

export class Clips {
  /* player: the element; its playback is there when something is done. */
  constructor(player) {
    this.player = player;
    this.range = NO_MARKS;
    this.text = el('span', {});
    this.make = el('button.rcp-primary', {
      type: 'button', title: 'Make a clip (C)', onclick: () => this.ask()}, 'Make a clip');
    this.line = el('div.rcp-clip', {hidden: true},
      el('span', {role: 'status'}, this.text), this.make,
      el('button', {type: 'button', onclick: () => this.clear()}, 'Clear marks'));
  }

  buttons() {
    return el('span.rcp-clip-marks', {},
      button('clipFrom', 'A clip begins here', () => this.mark('fromMs'), '['),
      button('clipTo', 'A clip ends here', () => this.mark('toMs'), ']'));
  }

  mark(end) {
    this.set(moveMark(this.range, end, this.player.positionMs));
  }

  clear() {
    const hadFocus = this.line.contains(document.activeElement);
    this.set(NO_MARKS);
    if (hadFocus)
      this.player.timeline.track.focus();
  }

  set(range) {
    this.range = range;
    this.text.textContent = rangeText(range);
    this.make.hidden = !isWhole(range);
    this.line.hidden = range.fromMs === null && range.toMs === null;
    this.player.timeline.setClip(range);
  }

  /* C, or the button. */
  ask() {
    if (!isWhole(this.range)) {
      this.player.say('Mark where a clip begins with [ and where it ends with ].', '', 4000);
      return;
    }
    this.player.playback.pause();
    new ClipDialog(this).open();
  }
}

class ClipDialog {
  constructor(clips) {
    this.clips = clips;
    this.player = clips.player;
    this.model = this.player.playback.model;
  }

  open() {
    const {fromMs, toMs} = this.clips.range;
    const field = (label, ms, id) => {
      const input = el('input', {id, value: clockText(ms, true), autocomplete: 'off',
                                 oninput: () => this.look()});
      return [input, el('label', {htmlFor: id}, label, input)];
    };
    const [from, fromLabel] = field('From', fromMs, 'rcp-clip-from');
    const [to, toLabel] = field('To', toMs, 'rcp-clip-to');
    this.from = from;
    this.to = to;
    this.reason = el('textarea', {id: 'rcp-clip-reason', required: true,
      'aria-describedby': 'rcp-clip-who'});
    this.what = el('p.rcp-clip-what', {role: 'status'});
    this.problem = el('p.rcp-clip-problem', {role: 'alert', hidden: true});
    this.go = el('button', {type: 'submit', className: 'rcp-primary'}, 'Make and save');
    this.form = el('form', {noValidate: true, onsubmit: e => {
      e.preventDefault();
      this.submit();
    }}, el('h2', {id: 'rcp-clip-title'}, 'Make a clip'),
    el('div.rcp-clip-times', {}, fromLabel, toLabel), this.what,
    el('label', {htmlFor: 'rcp-clip-reason'}, 'Reason', this.reason),
    el('p', {id: 'rcp-clip-who'},
      'It stands with your name in the clip’s manifest and in the audit log.'),
    this.problem,
    el('div.rcp-dialog-buttons', {}, this.go,
      el('button', {type: 'button', onclick: () => this.dialog.close()}, 'Cancel')));
    this.dialog = el('dialog.rcp-dialog.rcp-clip-dialog', {'aria-labelledby': 'rcp-clip-title'},
      this.form);
    open(this.player, this.dialog);
    this.reason.focus();
    this.look();
  }

  /* The range of the fields; null: there is none. */
  read() {
    const zone = this.player.zone;
    const fromMs = parsePosition(this.from.value, this.model, zone);
    const toMs = parsePosition(this.to.value, this.model, zone);
    if (fromMs === null || toMs === null || fromMs < 0 || fromMs >= toMs)
      return null;
    return {fromMs, toMs};
  }

  say(text) {
    this.problem.textContent = text;
    this.problem.hidden = !text;
  }

  /* What the clip will be. */
  look() {
    const range = this.read();
    const parts = range ? clipParts(this.model, range) : [];
    const why = range ? whyNot(parts, STATUS_TEXTS) :
      'Give two times such as 12:03 or 1:02:03.5, the first before the second.';
    this.say(why);
    this.go.disabled = why !== '';
    const turn = this.turn = (this.turn || 0) + 1;
    if (why) {
      this.what.textContent = '';
      return;
    }
    this.clips.set(range);
    this.tell(parts, null);
    this.snapped(parts[0]).then(ms => {
      if (turn === this.turn)
        this.tell(parts, ms);
    }).catch(() => {});
  }

  tell(parts, ms) {
    const many = parts.length > 1 ?
      `The range goes over ${parts.length} files; each is a clip of its own. ` : '';
    const begin = ms === null ? 'the key frame before that' :
      `the key frame at ${clockText(parts[0].recording.fromMs + ms, true)}`;
    this.what.textContent = `${many}Pictures are not encoded again: it begins with ${begin}, ` +
      'and ends up to a few seconds after its end mark.';
  }

  /* Where the first clip will begin, in its recording. */
  async snapped(part) {
    const file = this.player.playback.fileOf(part.recording);
    await file.open();
    await file.loadCues();
    return keyBefore(file.cues, part.fromMs);
  }

  async submit() {
    const reason = this.reason.value.trim();
    if (this.go.disabled)
      return;
    if (!reason || new TextEncoder().encode(reason).length > REASON_MAX) {
      this.say(reason ? 'The reason is too long.' : 'Say what the clip is for.');
      this.reason.setAttribute('aria-invalid', 'true');
      this.reason.focus();
      return;
    }
    this.reason.removeAttribute('aria-invalid');
    this.say('');
    this.go.disabled = true;
    this.go.textContent = 'Making…';
    try {
      const made = [];
      for (const part of clipParts(this.model, this.read()).slice(0, CLIPS_MAX))
        if (this.dialog.open)
          made.push(await this.makeOne(part, reason));
      if (this.dialog.open) /* else nobody wants them any more */
        this.show(made);
    } catch (e) {
      this.say(e.message);
      this.go.disabled = false;
      this.go.textContent = 'Try again';
      this.go.focus();
    }
  }

  async makeOne(part, reason) {
    const clip = await this.player.api.clip(part.recording.id, part.fromMs, part.toMs, reason);
    const text = await (await fetchFile(clip.manifest_url)).text();
    const media = await (await fetchFile(clip.url)).blob();
    return {part, clip, text, media, manifest: JSON.parse(text)};
  }

  /* The ranges that came out; then both files are saved. */
  show(made) {
    const rows = made.map(m => {
      const media = saveLink('Save the clip', m.media, fileName(m.clip.url, '.webm'));
      const manifest = saveLink('Save the manifest',
        new Blob([m.text], {type: 'application/json'}), fileName(m.clip.url, '.json'));
      return {media, manifest, item: el('li', {},
        el('span', {}, madeText(m.part.recording, m.manifest, made.length > 1)), media, manifest)};
    });
    const title = el('h2', {id: 'rcp-clip-title', tabIndex: -1},
      made.length > 1 ? 'The clips are made' : 'The clip is made');
    this.dialog.replaceChildren(title,
      el('ul.rcp-clip-made', {}, ...rows.map(r => r.item)),
      el('p', {}, 'Both files are being saved. Keep them together: the manifest proves that the ' +
        'clip is a part of this recording.'),
      el('div.rcp-dialog-buttons', {}, el('button', {
        type: 'button', className: 'rcp-primary', onclick: () => this.dialog.close()}, 'Close')));
    const links = rows.flatMap(r => [r.media, r.manifest]);
    this.dialog.addEventListener('close', () => setTimeout(
      () => links.forEach(a => URL.revokeObjectURL(a.href)), 10000));
    title.focus();
    for (const link of links)
      link.click();
  }
}

async function fetchFile(url) {
  let answer;
  try {
    answer = await fetch(url, {credentials: 'omit', cache: 'no-store'});
  } catch {
    throw new Error('The storage server cannot be reached, or does not let this page read ' +
      'its files (storage.cors_origin).');
  }
  if (!answer.ok)
    throw new Error((await answer.text()).trim());
  return answer;
}

function saveLink(text, blob, name) {
  return el('a.rcp-clip-save', {href: URL.createObjectURL(blob), download: name}, text);
}
