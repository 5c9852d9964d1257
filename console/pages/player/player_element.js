/*
 * <rc-player session="UUID">: plays all recordings of a session as one, with
 * its timeline, and checks what it plays against the signed manifests.
 *
 * Properties, set before it is connected: api (a PlayerApi); timelineAsked
 * (promise of its timeline()); about (promise of {endpoint}); zone (of wall-clock times); links (a Links).
 * Attributes: session; recording, to begin with. A link to a time begins without
 * leaving out quiet times, whatever was chosen before: it was shared to show them.
 */
import {checksOf, summary} from './check_summary.js';
import {Clips} from './clip.js';
import {button, el} from './dom.js';
import {findKey} from './keys.js';
import {Playback} from './playback.js';
import {askForText, showHelp} from './player_dialogs.js';
import {copyPlace, downloadFile, saveStill, shareFile} from './player_exports.js';
import {Notes} from './player_notes.js';
import {playerTable} from './player_table.js';
import {RecordingFile} from './recording_file.js';
import {sleep} from './stop.js';
import {GAP_TEXTS, STATUS_TEXTS} from './texts.js';
import {Thumbnails} from './thumbnails.js';
import './timeline_element.js';
import {
  SPEEDS, TimelineModel, beginning, clockText, nextSpeed, parseHash, parsePosition,
  wallText} from './timeline_model.js';

const POLL_MS = 3000;          /* of a running session's timeline */
const POLL_STORED_MS = 10000;  /* of an ended one's whose files are on their way */
const PICTURE_FIRST_MS = 400;  /* the controls wait for the first picture so long */

const setting = {
  get(name, otherwise) {
    try {
      return localStorage.getItem('relaycam-player-' + name) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem('relaycam-player-' + name, value);
    } catch { /* it is for this page only */ }
  },
};

export class PlayerElement extends HTMLElement {
  connectedCallback() {
    if (this.playback || this.isStarting)
      return;
    this.isStarting = true;
    this.savedMs = 0;
    this.thumbnails = new Thumbnails(this);
    this.notes = new Notes(this);
    this.showsWall = setting.get('wall', '') === 'on';
    this.areLettersOn = setting.get('letters', 'on') === 'on';
    this.build();
    this.onKey = e => this.key(e);
    document.addEventListener('keydown', this.onKey);
    this.start().catch(e => this.say(e.message, 'bad'));
  }

  disconnectedCallback() {
    document.removeEventListener('keydown', this.onKey);
    window.removeEventListener('hashchange', this.onHash);
    cancelAnimationFrame(this.frame);
    clearTimeout(this.poll);
    clearInterval(this.renewals);
    this.thumbnails.close();
    if (this.opening)
      this.opening.close();
    this.playback = this.opening = null;
    this.isStarting = false;
  }

  /* ---- building ---- */

  build() {
    this.classList.add('rcp');
    this.video = el('video', {muted: true, playsInline: true, disablePictureInPicture: true});
    this.video.setAttribute('aria-label', 'Recording');
    this.notice = el('div.rcp-notice', {role: 'status', hidden: true});
    this.stage = el('div.rcp-stage', {}, this.video, this.notice);
    this.stage.addEventListener('click', () => this.run({does: 'toggle'}));
    this.timeline = el('rc-timeline');
    this.timeline.addEventListener('seek', e => this.seek(e.detail));
    this.timeline.thumbnails = this.thumbnails;
    this.timeline.showsWall = this.showsWall;
    this.clips = new Clips(this);
    this.check = el('div.rcp-check', {role: 'status'});
    this.below = el('div.rcp-below');
    const sheets = [new URL('player.css', import.meta.url),
      new URL('clip.css', import.meta.url)];
    this.replaceChildren(...sheets.map(url => el('link', {
      rel: 'stylesheet', href: url.href})), this.stage);
    this.controls = [this.timeline, this.buildBar(), this.clips.line, this.check, this.below];
  }

  buildBar() {
    const act = does => () => this.run({does});
    const skip = by => () => this.run({does: 'skip', by});
    this.playButton = button('play', 'Play', act('toggle'), 'space');
    this.clock = el('output.rcp-clock', {}, '0:00');
    this.speed = el('select.rcp-speed', {
      'aria-label': 'Speed', onchange: () => this.setSpeed(Number(this.speed.value))},
    ...SPEEDS.map(s => el('option', {value: String(s)}, s + '×')));
    this.speed.value = '1';
    this.idleBox = el('input', {type: 'checkbox', onchange: () => this.setIdle(this.idleBox.checked)});
    this.idleText = el('span', {}, 'Skip quiet times');
    this.live = el('button.rcp-live', {type: 'button', hidden: true, onclick: act('end')}, 'Go live');
    this.monitors = el('select.rcp-monitor', {
      hidden: true, 'aria-label': 'Monitor', onchange: () => this.setMonitor(Number(this.monitors.value))});
    return el('div.rcp-bar', {role: 'group', 'aria-label': 'Player'},
      this.playButton, button('back', '10 seconds back', skip(-10000), 'J'),
      button('on', '10 seconds on', skip(10000), 'L'), this.clock, this.live,
      el('span.rcp-space'), this.monitors, this.speed,
      el('label.rcp-idle', {}, this.idleBox, this.idleText),
      this.clips.buttons(), button('still', 'Save a still', act('still'), 'S'), button('note', 'Write a note', act('note'), 'N'),
      button('link', 'Copy a link to this time', act('copy')),
      button('share', 'Copy a link to this file that works without a login until it expires', act('share')),
      button('download', 'Download this file', act('download')),
      button('full', 'Full screen', act('full'), 'F'), button('help', 'Keys', act('help'), '?'));
  }

  /* ---- starting ---- */

  async start() {
    this.timeline.zone = this.zone;
    this.endpoint = '';
    this.about.then(session => { this.endpoint = session.endpoint; }, () => {});
    const playback = this.opening = new Playback(this.video, new TimelineModel([]), r => this.openFile(r));
    this.activity = new Map();
    this.pages = await this.asked.timeline;
    const model = new TimelineModel(this.pages);
    if (this.opening !== playback)
      return;
    if (model.recordings.length === 0 && model.state === 'ended') {
      this.say('Nothing of this session was recorded.');
      return;
    }
    this.playback = playback;
    playback.model = model;
    this.listen();
    this.begin(model);
    /* building what is around it would hold up the picture */
    await Promise.race([playback.shown(), sleep(PICTURE_FIRST_MS, playback.closing.signal)]).catch(() => {});
    if (!this.playback)
      return;
    this.takeModel(model);
    this.setSpeed(Number(setting.get('speed', '1')));
    this.showIdleChoice(setting.get('idle', '') === 'on' && parseHash(location.hash, model) === null);
    this.sayIfNothingPlays(model);
    this.loop();
    this.schedulePoll();
    this.renewals = setInterval(() => this.renewLinks(), 1000);
    this.dispatchEvent(new CustomEvent('ready'));
    await playback.shown();
    if (!this.playback)
      return;
    this.loadActivity(this.playback.model).catch(() => {});
    this.notes.load();
  }

  /* The one that was opened before the player was there, or a new one. */
  openFile(recording) {
    const onCheck = () => this.showChecks(), early = this.asked.file;
    if (early?.id !== recording.id)
      return new RecordingFile(recording, this.links, this.api, onCheck);
    early.onCheck = onCheck;
    early.recording = recording;
    return early;
  }

  begin(model) {
    const {ms} = beginning(model, this.getAttribute('recording'), location.hash);
    if (ms === null)
      this.playback.goLive();
    else
      this.playback.seek(ms);
  }

  sayIfNothingPlays(model) {
    const [first] = model.recordings;
    if (first && !model.recordings.some(r => r.isPlayable))
      this.say(`This recording ${STATUS_TEXTS[first.status]}` +
        (first.statusDetail ? ` (${first.statusDetail}).` : '.'));
  }

  listen() {
    const p = this.playback;
    p.addEventListener('change', () => this.showState());
    p.addEventListener('gap', e => this.showGap(e.detail));
    p.addEventListener('skipped', e => {
      this.savedMs += e.detail;
      this.showIdle();
    });
    p.addEventListener('left-out', () => this.say(
      'A part of this recording cannot be decoded, and is left out.', 'bad', 6000));
    p.addEventListener('problem', e => this.showProblem(e.detail));
    p.addEventListener('model', () => this.timeline.setModel(this.playback.model));
    this.onHash = () => {
      const ms = parseHash(location.hash, p.model);
      if (ms !== null)
        this.seek(ms);
    };
    window.addEventListener('hashchange', this.onHash);
  }

  takeModel(model) {
    const many = model.monitors.length > 1;
    this.monitors.hidden = !many;
    if (this.monitors.options.length !== model.monitors.length + 1)
      this.monitors.replaceChildren(el('option', {value: '0'}, 'All monitors'),
        ...model.monitors.map(m => el('option', {value: String(m.monitor)},
          m.name ? `${m.monitor}: ${m.name}` : `Monitor ${m.monitor}`)));
    this.showTable(model);
    if (!this.timeline.isConnected) /* all at once, so that nothing moves */
      this.append(...this.controls);
    this.timeline.setModel(model);
    this.showState();
    this.showIdle();
    this.showChecks();
  }

  /* Anew only when it changed, so that somebody can read it. */
  showTable(model) {
    const key = JSON.stringify([model.gaps, model.recordings.map(
      r => [r.id, r.status, r.toMs, r.activity !== null])]);
    if (key === this.tableKey)
      return;
    this.tableKey = key;
    const wasOpen = this.below.firstChild !== null && this.below.firstChild.open;
    const table = playerTable(model, this.zone);
    table.open = wasOpen;
    this.below.replaceChildren(table);
  }

  /* Each link is an entry in the audit log: only those that are being used are
   * renewed. After a pause the next one is asked for when it is needed. */
  renewLinks() {
    this.links.keep([...this.playback.usedIds(), ...this.thumbnails.usedIds()]);
    if (this.playback.isPlaying)
      this.links.renew();
  }

  schedulePoll() {
    const {model} = this.playback;
    const isOnItsWay = model.recordings.some(r => ['recording', 'transfer', 'downloaded', 'encoding']
      .includes(r.status));
    if (model.state !== 'active' && !isOnItsWay)
      return;
    this.poll = setTimeout(() => this.refresh().catch(() => {}).then(
      () => this.playback && this.schedulePoll()),
    model.state === 'active' ? POLL_MS : POLL_STORED_MS);
  }

  async refresh() {
    this.pages = await this.api.timeline(this.getAttribute('session'), false);
    const model = this.setPages();
    if (model)
      await Promise.all([this.loadActivity(model), this.notes.load()]);
  }

  /* The model of what is known by now; null: the player was taken away. */
  setPages() {
    if (!this.playback)
      return null;
    const model = new TimelineModel(this.pages, this.activity);
    this.playback.setModel(model);
    this.takeModel(model);
    return model;
  }

  /* Activity of recordings that were stored since it was asked for: after the
   * first picture, as it is long. */
  async loadActivity(model) {
    const stored = model.recordings.filter(r => r.status === 'available');
    if (stored.every(r => this.activity.has(r.id)))
      return;
    const pages = await this.api.timeline(this.getAttribute('session'), true);
    for (const r of new TimelineModel(pages).recordings)
      if (r.status === 'available')
        this.activity.set(r.id, r.activity);
    this.setPages();
  }

  /* ---- what is done ---- */

  get positionMs() {
    return this.playback ? this.playback.positionMs : 0;
  }

  seek(ms) {
    this.playback.seek(ms);
    this.timeline.setPosition(ms);
  }

  setSpeed(speed) {
    const known = SPEEDS.includes(speed) ? speed : 1;
    this.playback.setRate(known);
    this.speed.value = String(known);
    setting.set('speed', String(known));
  }

  setIdle(on) {
    setting.set('idle', on ? 'on' : 'off');
    this.showIdleChoice(on);
  }

  showIdleChoice(on) {
    this.playback.skipsIdle = on;
    this.idleBox.checked = on;
    this.timeline.showsIdle = on;
    this.timeline.draw();
    this.showIdle();
  }

  setMonitor(monitor) {
    this.playback.monitor = monitor;
  }

  key(e) {
    const row = this.playback && !document.querySelector('dialog[open]') &&
      findKey(e, this.areLettersOn);
    if (!row)
      return;
    /* arrows belong to a select or to a slider of the page */
    if (e.target.closest && e.target.closest('select, [role=menu], [role=listbox], [role=grid]'))
      return;
    e.preventDefault();
    this.run(row);
  }

  run(row) {
    const p = this.playback, now = this.positionMs;
    if (!p)
      return;
    switch (row.does) {
    case 'toggle': p.isPlaying ? p.pause() : p.play(); break;
    case 'skip': this.seek(now + row.by); break;
    case 'frame': p.step(row.by); break;
    case 'speed': this.setSpeed(nextSpeed(p.rate, row.by)); break;
    case 'tenth': this.seek(p.model.durationMs * (row.to ?? Number(row.key)) / 10); break;
    case 'jump': this.jump(row.kind, row.by); break;
    case 'end': this.end(); break;
    case 'mark': this.clips.mark(row.end); break;
    case 'clip': this.clips.ask(); break;
    case 'still': saveStill(this); break;
    case 'note': this.notes.write(); break;
    case 'wall': this.toggleWall(); break;
    case 'goto': this.goTo(); break;
    case 'idle': this.setIdle(!p.skipsIdle); break;
    case 'copy': copyPlace(this); break;
    case 'share': shareFile(this).catch(e => this.say(e.message, 'bad', 5000)); break;
    case 'download': downloadFile(this).catch(e => this.say(e.message, 'bad', 5000)); break;
    case 'full': this.toggleFull(); break;
    case 'help': showHelp(this, this.areLettersOn, on => {
      this.areLettersOn = on;
      setting.set('letters', on ? 'on' : 'off');
    }); break;
    }
  }

  jump(kind, direction) {
    const to = this.playback.model.jump(kind, this.positionMs, direction);
    if (to !== null)
      this.seek(to);
    else
      this.say(`There is no ${direction > 0 ? 'next' : 'earlier'} ${kind}.`, '', 1500);
  }

  end() {
    if (this.playback.model.state === 'active')
      this.playback.goLive();
    else
      this.seek(this.playback.model.durationMs - 1);
  }

  toggleWall() {
    this.showsWall = this.timeline.showsWall = !this.showsWall;
    setting.set('wall', this.showsWall ? 'on' : 'off');
    this.timeline.draw();
    this.shownMs = null; /* the clock is drawn anew, also while nothing moves */
  }

  toggleFull() {
    if (document.fullscreenElement)
      document.exitFullscreen();
    else if (this.requestFullscreen)
      this.requestFullscreen().catch(() => {});
  }

  async goTo() {
    const text = await askForText(this, 'Go to a time', 'Such as 12:03, 1:02:03.5, or ' +
      wallText(this.playback.model.wallMs(this.positionMs), this.zone), clockText(this.positionMs));
    if (text === null)
      return;
    const ms = parsePosition(text, this.playback.model, this.zone);
    if (ms === null || ms < 0 || ms > this.playback.model.durationMs)
      this.say('This time is not in the recording.', 'bad', 3000);
    else
      this.seek(ms);
  }

  canvas(width) {
    const v = this.video, c = document.createElement('canvas');
    c.width = width || v.videoWidth;
    c.height = Math.round(c.width * v.videoHeight / v.videoWidth);
    c.getContext('2d').drawImage(v, 0, 0, c.width, c.height);
    return c;
  }

  /* The recording of the position, or the one behind it. */
  here() {
    const {recording} = this.playback.model.at(this.positionMs);
    return recording || this.playback.model.playableFrom(this.positionMs);
  }

  /* ---- what is shown ---- */

  /* kind: '', 'gap' or 'bad'; without ms it stays. */
  say(text, kind = '', ms = 0) {
    clearTimeout(this.noticeTimer);
    this.notice.textContent = text || '';
    this.notice.dataset.kind = kind;
    this.notice.hidden = !text;
    this.isProblem = false;
    if (ms > 0)
      this.noticeTimer = setTimeout(() => { this.notice.hidden = true; }, ms);
  }

  showGap(gap) {
    this.stage.classList.toggle('rcp-gap', gap !== null);
    if (gap)
      this.say(`Nothing was recorded here for ${gap.ms} ms: ${GAP_TEXTS[gap.why]}.`, 'gap');
    else if (this.notice.dataset.kind === 'gap')
      this.say('');
  }

  showProblem(text) {
    if (text) {
      this.say(text, 'bad');
      this.isProblem = true;
    } else if (this.isProblem) {
      this.say('');
    }
  }

  showState() {
    const p = this.playback;
    if (!p)
      return;
    const name = p.isPlaying ? 'pause' : 'play';
    if (this.playButton.dataset.is !== name) {
      const fresh = button(name, name === 'play' ? 'Play' : 'Pause', null, 'space');
      this.playButton.replaceChildren(...fresh.childNodes);
      this.playButton.setAttribute('aria-label', fresh.getAttribute('aria-label'));
      this.playButton.title = fresh.title;
      this.playButton.dataset.is = name;
    }
    this.live.hidden = p.model.state !== 'active';
    this.live.textContent = p.isLive ? 'Live' : 'Go live';
    this.live.setAttribute('aria-pressed', String(p.isLive));
  }

  showIdle() {
    const all = this.playback.model.idleMs();
    this.idleText.textContent = 'Skip quiet times' +
      (this.savedMs > 0 ? ` (saved ${clockText(this.savedMs)})` :
        all > 0 ? ` (${clockText(all)})` : '');
  }

  loop() {
    const now = this.positionMs;
    if (now !== this.shownMs) {
      this.shownMs = now;
      const model = this.playback.model;
      this.clock.textContent = this.showsWall ? wallText(model.wallMs(now), this.zone) :
        `${clockText(now)} / ${clockText(model.durationMs)}`;
      this.timeline.setPosition(now);
      this.thumbnails.keepPlayed(now);
    }
    this.frame = requestAnimationFrame(() => this.loop());
  }

  showChecks() {
    if (!this.playback)
      return;
    const files = [...this.playback.files.values()], {model} = this.playback;
    const checks = checksOf(files, model), {state, text} = summary(files, checks, model);
    this.timeline.setChecks(checks);
    if (this.check.textContent !== text)
      this.check.textContent = text;
    this.check.dataset.state = state;
  }
}

customElements.define('rc-player', PlayerElement);
