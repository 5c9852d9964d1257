/*
 * <rc-timeline>: a lane per monitor with recordings, gaps to scale, split
 * marks, quiet times, activity, what was checked, notes; a head that is moved
 * by pointer or keys.
 *
 * Events: 'seek' (detail: ms), 'note' (detail: a note).
 */
import {el, button} from './dom.js';
import {activityColumns, clockText, spokenText, wallText} from './timeline_model.js';
import {GAP_TEXTS, SPLIT_TEXTS, STATUS_TEXTS} from './texts.js';

const ZOOM_MAX = 512;

export class TimelineElement extends HTMLElement {
  constructor() {
    super();
    this.model = null;
    this.positionMs = 0;
    this.zoom = 1;
    this.fromMs = 0;
    this.checks = [];   /* {recording, fromMs, toMs, state} */
    this.notes = [];    /* {recording, positionMs, text, author} */
    this.showsIdle = false;
    this.showsWall = false;
    this.zone = 'UTC';
    this.thumbnails = null; /* a Thumbnails */
  }

  connectedCallback() {
    if (this.lanes)
      return;
    this.classList.add('rct');
    this.lanes = el('div.rct-lanes');
    this.head = el('div.rct-head', {hidden: true});
    this.clipMark = el('div.rct-clip', {hidden: true});
    this.tip = el('div.rct-tip', {hidden: true, role: 'tooltip'});
    this.scale = el('div.rct-scale', {'aria-hidden': 'true'});
    this.zoomOut = button('minus', 'Zoom out', () => this.zoomBy(0.5));
    this.zoomIn = button('plus', 'Zoom in', () => this.zoomBy(2));
    this.track = el('div.rct-track', {
      role: 'slider', tabIndex: 0, 'aria-label': 'Position', 'aria-valuemin': '0'},
    this.lanes, this.clipMark, this.head);
    this.append(el('div.rct-side', {}, this.labels = el('div.rct-labels'),
      el('div.rct-zoom', {}, this.zoomOut, this.zoomIn)),
    el('div.rct-main', {}, this.marks = el('div.rct-marks'), this.track, this.scale, this.tip));
    this.track.addEventListener('pointerdown', e => this.onDown(e));
    this.track.addEventListener('pointermove', e => this.onMove(e));
    this.track.addEventListener('pointerleave', () => this.hideTip());
    this.track.addEventListener('wheel', e => this.onWheel(e), {passive: false});
    this.onEscape = e => {
      if (e.key === 'Escape')
        this.hideTip();
    };
    document.addEventListener('keydown', this.onEscape);
    this.resizes = new ResizeObserver(() => this.draw());
    this.resizes.observe(this.track);
  }

  disconnectedCallback() {
    document.removeEventListener('keydown', this.onEscape);
    if (this.resizes)
      this.resizes.disconnect();
  }

  /* ---- what is shown ---- */

  get spanMs() {
    return Math.max(this.model ? this.model.durationMs : 0, 1000) / this.zoom;
  }

  /* Percent of the width. */
  x(ms) {
    return 100 * (ms - this.fromMs) / this.spanMs;
  }

  place(e, fromMs, toMs) {
    const left = Math.max(this.x(fromMs), 0), right = Math.min(this.x(toMs), 100);
    e.hidden = right < 0 || left > 100 || right < left;
    e.style.left = left + '%';
    e.style.width = Math.max(right - left, 0) + '%';
    return e;
  }

  setModel(model) {
    this.model = model;
    this.draw();
  }

  setPosition(ms) {
    this.positionMs = ms;
    if (this.zoom > 1 && !this.isDragging &&
        (ms < this.fromMs || ms > this.fromMs + this.spanMs)) {
      this.fromMs = Math.max(0, ms - this.spanMs * 0.1);
      this.draw();
      return;
    }
    this.drawHead();
  }

  zoomBy(factor) {
    const at = this.positionMs, share = (at - this.fromMs) / this.spanMs;
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), ZOOM_MAX);
    const most = this.model ? this.model.durationMs - this.spanMs : 0;
    this.fromMs = Math.min(Math.max(at - share * this.spanMs, 0), Math.max(most, 0));
    this.draw();
  }

  onWheel(e) {
    if (!e.ctrlKey && !e.metaKey)
      return;
    e.preventDefault();
    this.zoomBy(e.deltaY < 0 ? 1.5 : 1 / 1.5);
  }

  /* ---- drawing ---- */

  draw() {
    if (!this.model || !this.lanes)
      return;
    const monitors = this.model.monitors;
    this.labels.replaceChildren(...monitors.map(m => el('div.rct-label', {
      title: m.name || ''}, monitors.length > 1 || m.monitor > 1 ? 'Monitor ' + m.monitor : 'Screen')));
    this.lanes.replaceChildren(...monitors.map(m => this.lane(m)));
    this.zoomOut.disabled = this.zoom <= 1;
    this.zoomIn.disabled = this.zoom >= ZOOM_MAX;
    this.drawMarks();
    this.drawChecks();
    this.drawScale();
    this.drawActivity();
    this.drawClip();
    this.drawHead();
  }

  /* range: {fromMs, toMs}, of which any may be null. */
  setClip(range) {
    this.clip = range;
    this.drawClip();
  }

  drawClip() {
    const {fromMs, toMs} = this.clip || {fromMs: null, toMs: null};
    if (!this.lanes || !this.model || (fromMs === null && toMs === null)) {
      if (this.clipMark)
        this.clipMark.hidden = true;
      return;
    }
    this.clipMark.dataset.marks = toMs === null ? 'from' : fromMs === null ? 'to' : 'both';
    this.place(this.clipMark, fromMs ?? toMs, toMs ?? fromMs);
  }

  lane(m) {
    const lane = el('div.rct-lane', {}, el('canvas.rct-activity'));
    const recordings = this.model.recordings.filter(r => r.monitor === m.monitor);
    lane.dataset.monitor = m.monitor;
    for (const r of recordings)
      lane.append(this.recording(r));
    for (const g of this.model.gaps.filter(g => g.monitors.includes(m.monitor)))
      lane.append(this.place(el('div.rct-gap'), g.fromMs, g.toMs));
    if (this.showsIdle)
      for (const [a, b] of this.model.idle)
        if (recordings.some(r => a >= r.fromMs && a < this.model.endOf(r)))
          lane.append(this.place(el('div.rct-idle'), a, b));
    return lane;
  }

  setChecks(checks) {
    this.checks = checks;
    this.drawChecks();
  }

  drawChecks() {
    for (const lane of this.lanes ? this.lanes.children : []) {
      lane.querySelectorAll('.rct-check').forEach(e => e.remove());
      for (const c of this.checks)
        if (c.recording.monitor === Number(lane.dataset.monitor))
          lane.append(this.place(el(`div.rct-check.rct-${c.state}`), c.fromMs, c.toMs));
    }
  }

  /* Names of gaps, and notes. They can have the focus, so they stay as long as
   * they are the same. */
  drawMarks() {
    const key = JSON.stringify([this.fromMs, this.spanMs, this.track.clientWidth,
      this.model.gaps, this.notes.map(n => n.id)]);
    if (key === this.marksKey)
      return;
    this.marksKey = key;
    this.marks.replaceChildren(...this.gapNames(), ...this.notes.map(n => this.note(n)));
  }

  recording(r) {
    const e = this.place(el('div.rct-recording'), r.fromMs, this.model.endOf(r));
    e.classList.toggle('rct-growing', r.isGrowing);
    e.classList.toggle('rct-away', !r.isPlayable);
    e.classList.toggle('rct-split', r.seq > 1);
    return e;
  }

  note(n) {
    const e = this.place(el('button.rct-note', {
      type: 'button', title: `${n.author}: ${n.text}`,
      'aria-label': `Note at ${clockText(n.positionMs)}: ${n.text}`,
      onclick: () => this.dispatchEvent(new CustomEvent('seek', {detail: n.positionMs}))}),
    n.positionMs, n.positionMs);
    e.style.width = '';
    return e;
  }

  /* Above the lanes, as far as there is room for them. */
  gapNames() {
    const buttons = [], width = this.track.clientWidth || 800;
    let free = 0;
    for (const g of this.model.gaps) {
      const at = this.x((Math.max(g.fromMs, this.fromMs) + Math.min(g.toMs, this.fromMs + this.spanMs)) / 2);
      const px = at * width / 100;
      if (this.x(g.toMs) < 0 || this.x(g.fromMs) > 100 || px < free)
        continue;
      const e = el('button.rct-gap-name', {
        type: 'button', 'aria-label': `Gap of ${g.ms} ms at ${clockText(g.fromMs)}: ${GAP_TEXTS[g.why]}`,
        title: GAP_TEXTS[g.why],
        onclick: () => this.dispatchEvent(new CustomEvent('seek', {detail: g.fromMs}))}, `${g.ms} ms`);
      e.style.left = `clamp(34px, ${at}%, calc(100% - 34px))`;
      buttons.push(e);
      free = px + 80;
    }
    return buttons;
  }

  drawScale() {
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
    const width = this.track.clientWidth || 800, most = Math.max(2, Math.floor(width / 110));
    const step = 1000 * (steps.find(s => this.spanMs / 1000 / s <= most) || 21600);
    const marks = [];
    for (let ms = Math.ceil(this.fromMs / step) * step; ms <= this.fromMs + this.spanMs; ms += step) {
      const mark = el('span', {}, this.showsWall ?
        wallText(this.model.wallMs(ms), this.zone).slice(11) : clockText(ms));
      mark.style.left = this.x(ms) + '%';
      if (this.x(ms) > 93)
        mark.className = 'rct-last';
      marks.push(mark);
    }
    this.scale.replaceChildren(...marks);
  }

  drawActivity() {
    if (!this.model || !this.lanes)
      return;
    for (const lane of this.lanes.children) {
      const canvas = lane.querySelector('canvas');
      const columns = Math.max(1, Math.floor(lane.clientWidth / 2));
      const height = Math.max(1, lane.clientHeight);
      canvas.width = columns * 2;
      canvas.height = height;
      const g = canvas.getContext('2d');
      const changedColour = this.colour('--rct-changed'), eventsColour = this.colour('--rct-events');
      const all = activityColumns(this.model, this.fromMs, this.fromMs + this.spanMs,
        columns, Number(lane.dataset.monitor));
      all.forEach((c, i) => {
        const changed = c.changed > 0 ? 3 + Math.sqrt(c.changed) * (height - 8) : 0;
        g.fillStyle = changedColour;
        g.fillRect(i * 2, height - changed, 1.5, changed);
        if (c.events > 0) {
          const events = 2 + c.events * (height / 3);
          g.fillStyle = eventsColour;
          g.fillRect(i * 2, height - events, 1.5, events);
        }
      });
    }
  }

  /* As a canvas takes it: light-dark() is resolved by the element's scheme. */
  colour(name) {
    this.labels.style.color = `var(${name})`;
    const colour = getComputedStyle(this.labels).color;
    this.labels.style.color = '';
    return colour;
  }

  drawHead() {
    if (!this.model || !this.lanes)
      return;
    const x = this.x(this.positionMs);
    this.head.hidden = x < 0 || x > 100;
    this.head.style.left = x + '%';
    this.track.setAttribute('aria-valuemax', Math.round(this.model.durationMs / 1000));
    this.track.setAttribute('aria-valuenow', Math.round(this.positionMs / 1000));
    this.track.setAttribute('aria-valuetext', this.describe(this.positionMs));
  }

  describe(ms) {
    const {gap} = this.model.at(ms);
    const text = `${spokenText(ms)} of ${spokenText(this.model.durationMs)}`;
    return gap ? `${text}, in a gap of ${gap.ms} milliseconds` : text;
  }

  /* ---- pointer ---- */

  msAt(e) {
    const box = this.track.getBoundingClientRect();
    const share = Math.min(Math.max((e.clientX - box.left) / box.width, 0), 1);
    return this.fromMs + share * this.spanMs;
  }

  onDown(e) {
    if (!this.model || e.button !== 0 || !e.isPrimary) /* a second finger moves nothing */
      return;
    this.isDragging = true;
    this.track.setPointerCapture(e.pointerId);
    this.seekTo(e);
    this.showTip(e); /* a finger that rests shows it, too */
    const end = up => {
      if (up.pointerId !== e.pointerId)
        return;
      this.isDragging = false;
      this.track.removeEventListener('pointerup', end);
      this.track.removeEventListener('pointercancel', end);
      if (up.type === 'pointerup' && up.clientX !== e.clientX) /* moves may have been */
        this.seekTo(up);                                       /* too quick for onMove() */
      if (up.pointerType === 'touch')
        this.hideTip();
    };
    this.track.addEventListener('pointerup', end);
    this.track.addEventListener('pointercancel', end);
  }

  seekTo(e) {
    this.dispatchEvent(new CustomEvent('seek', {detail: this.msAt(e)}));
  }

  onMove(e) {
    if (!this.model || !e.isPrimary)
      return;
    if (this.isDragging && performance.now() - (this.draggedAt || 0) > 120) {
      this.draggedAt = performance.now();
      this.seekTo(e);
    }
    this.showTip(e);
  }

  showTip(e) {
    const ms = this.msAt(e), box = this.track.getBoundingClientRect();
    const {recording, gap} = this.model.at(ms);
    const lines = [el('strong', {}, clockText(ms)),
      el('span', {}, wallText(this.model.wallMs(ms), this.zone))];
    if (gap)
      lines.push(el('span', {}, `Gap of ${gap.ms} ms: ${GAP_TEXTS[gap.why]}`));
    if (recording && recording.seq > 1 && Math.abs(this.x(ms) - this.x(recording.fromMs)) < 1)
      lines.push(el('span', {}, `File ${recording.seq}: ${SPLIT_TEXTS[recording.splitReason]}`));
    if (recording && !recording.isPlayable)
      lines.push(el('span', {}, `This file ${STATUS_TEXTS[recording.status]}`));
    this.tip.replaceChildren(...lines);
    this.showTipImage(recording, ms);
    this.tipMs = ms;
    this.thumbnails.want(this.isDragging ? null : recording, ms, () => {
      if (this.tipMs === ms)
        this.showTipImage(recording, ms);
    }).catch(() => {}); /* the one that is at hand stays */
    this.tip.hidden = false;
    const half = this.tip.offsetWidth / 2, x = e.clientX - box.left;
    this.tip.style.left = Math.min(Math.max(x, half), Math.max(box.width - half, half)) + 'px';
  }

  showTipImage(recording, ms) {
    const src = this.thumbnails.of(recording, ms), image = this.tip.querySelector('img');
    if (image && src)
      image.src = src;
    else if (src)
      this.tip.prepend(el('img', {src, alt: ''}));
  }

  hideTip() {
    this.tip.hidden = true;
    this.tipMs = null;
    this.thumbnails.want(null);
  }
}

customElements.define('rc-timeline', TimelineElement);
