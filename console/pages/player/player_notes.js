/* Notes at moments of a session's recordings (M5). */
import {askForText} from './player_dialogs.js';
import {clockText} from './timeline_model.js';

const AT_ONCE = 4; /* requests */

export class Notes {
  /* player: the PlayerElement. */
  constructor(player) {
    this.player = player;
    this.known = new Map(); /* by recording */
  }

  /* At the position. */
  async write() {
    const {player} = this, at = player.positionMs, recording = player.here();
    player.playback.pause();
    const text = await askForText(player, `Note at ${clockText(at)}`,
      'Others who may play this recording see it with your name.', '', 2000);
    if (!text || !recording)
      return;
    try {
      await player.api.addNote(recording.id, at - recording.fromMs, text);
      this.known.delete(recording.id);
      recording.noteCount = (recording.noteCount || 0) + 1;
      await this.load();
    } catch (e) {
      player.say(e.message, 'bad', 5000);
    }
  }

  /* Of all recordings that have more than is known. */
  async load() {
    const {recordings} = this.player.playback.model, {timeline, api} = this.player;
    const due = recordings.filter(
      r => r.noteCount > 0 && (this.known.get(r.id) || []).length !== r.noteCount);
    const work = async () => {
      for (let r = due.shift(); r; r = due.shift())
        this.known.set(r.id, await api.notes(r.id).catch(() => []));
    };
    await Promise.all(Array.from({length: AT_ONCE}, work));
    timeline.notes = recordings.flatMap(r => (this.known.get(r.id) || []).map(
      n => ({...n, recording: r, positionMs: r.fromMs + n.at_ms})));
    timeline.draw();
  }
}
