// The bar over the desktop: shows the relay's status and sends commands.
import { byId, fillSelect, toast } from './page.js';

const RATES = [0, 1, 2, 5, 10, 15, 20, 30, 60];
const HOUR_S = 3600;
const SOON_S = 300;

const RECORD_FORBIDDEN = 'You have no right to record this computer.';
const VIEW_ONLY_FORCED =
  'View only: the person there or an administrator allows no typing or pointing.';

// Of the frame rate's picker, which its title explains.
function rateText(rate) {
  return rate === 0 ? 'As it comes' : `${rate} frames/s`;
}

function monitorText(monitor) {
  const name = monitor.name ? ` ${monitor.name}` : '';

  return `Monitor ${monitor.index}${name} (${monitor.w}×${monitor.h})`;
}

function clockText(seconds) {
  const minutes = Math.floor(seconds / 60);

  return seconds > SOON_S
    ? `${Math.ceil(seconds / 60)} min`
    : `${minutes}:${String(seconds % 60).padStart(2, '0')}`;
}

export class Toolbar {
  // send(message): to the relay
  constructor(send) {
    this.send = send;
    this.status = null;
    this.endsAt = null;
    byId('record').onclick = () => this.toggleRecording();
    byId('view-only').onclick = () =>
      this.send({ type: 'view_only', on: !this.status.view_only });
    byId('monitor').onchange = (event) =>
      this.send({ type: 'monitor', index: Number(event.target.value) });
    byId('frame-rate').onchange = (event) =>
      this.send({ type: 'frame_rate', fps: Number(event.target.value) });
    this.timer = setInterval(() => this.showTime(), 500);
  }

  close() {
    clearInterval(this.timer);
  }

  toggleRecording() {
    const what = this.status.recording ? 'stop' : 'start';

    this.send({ type: 'recording', do: what });
  }

  setConnected(connected) {
    const state = byId('state');

    state.classList.toggle('connected', connected);
    state.setAttribute('aria-label', connected ? 'Connected' : 'Connecting');
    state.title = connected ? 'Connected' : 'Connecting';
  }

  show(status) {
    this.status = status;
    byId('endpoint-name').textContent = status.endpoint;
    byId('endpoint-name').title = `${status.endpoint}, session ${status.session}`;
    byId('whose').textContent =
      `${status.person}${status.team ? `, ${status.team}` : ''}`;
    this.showRecording(status);
    this.showViewOnly(status);
    this.showMonitors(status);
    this.showRates(status);
    this.endsAt = typeof status.time_left_s === 'number'
      ? performance.now() / 1000 + status.time_left_s : null;
    this.showTime();
  }

  showRecording(status) {
    const button = byId('record');

    byId('recording').textContent =
      status.recording ? 'Recording' : 'Not recorded';
    byId('recording').classList.toggle('on', status.recording);
    byId('unfold-recording').classList.toggle('on', status.recording);
    button.hidden = status.recording_policy !== 'manual';
    button.disabled = !status.may_record;
    button.textContent = status.recording ? 'Stop' : 'Start';
    button.setAttribute('aria-label',
      status.recording ? 'Stop recording' : 'Start recording');
    button.title = status.may_record
      ? button.getAttribute('aria-label') : RECORD_FORBIDDEN;
  }

  showViewOnly(status) {
    const button = byId('view-only');

    button.setAttribute('aria-pressed', String(status.view_only));
    button.disabled = status.view_only_forced;
    button.title = status.view_only_forced
      ? VIEW_ONLY_FORCED : 'Look without typing or pointing';
  }

  showMonitors(status) {
    const monitors = status.monitors || [];
    const choices = [[0, 'All monitors']];

    for (const monitor of monitors)
      choices.push([monitor.index, monitorText(monitor)]);
    byId('monitor-label').hidden = monitors.length < 2 && !status.monitor;
    fillSelect(byId('monitor'), choices, status.monitor,
      (index) => `Monitor ${index}`);
  }

  showRates(status) {
    fillSelect(byId('frame-rate'), RATES.map((rate) => [rate, rateText(rate)]),
      status.frame_rate, rateText);
  }

  showTime() {
    const left = this.endsAt === null
      ? Infinity
      : Math.max(0, Math.round(this.endsAt - performance.now() / 1000));
    const element = byId('time-left');

    element.hidden = left > HOUR_S;
    if (left > HOUR_S) return;
    element.querySelector('span').textContent = clockText(left);
    element.classList.toggle('soon', left <= SOON_S);
  }

  // A command was refused: the controls go back to what holds.
  refused(text) {
    toast(text);
    if (this.status) this.show({
      ...this.status,
      time_left_s: this.endsAt === null
        ? null : this.endsAt - performance.now() / 1000,
    });
  }

  bell() {
    const bar = byId('bar');

    bar.classList.add('bell');
    setTimeout(() => bar.classList.remove('bell'), 250);
  }
}
