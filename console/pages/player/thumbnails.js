/* Pictures of places for the timeline: the frame of the place, one that was played near
 * to it, or the recording's poster. */
import {RecordingFile} from './recording_file.js';

const SLOT_MS = 5000;       /* a picture is kept of each of these that was played */
const PLAYED_MAX = 400;
const PLAYED_WIDTH = 200;

export class Thumbnails {
  constructor(player) {
    this.player = player;
    this.played = new Map(); /* slot -> URL */
    this.hover = null;       /* a HoverFrames, once one is wanted */
    this.nWanted = 0;
    this.beside = null;      /* the RecordingFile of one that does not play */
  }

  close() {
    this.hover?.close();
  }

  /* What is at hand: a URL, or null. recording: may be undefined; ms: of the session. */
  of(recording, ms) {
    const frame = recording && this.hover?.get(recording.id, ms - recording.fromMs);
    return frame || this.played.get(Math.floor(ms / SLOT_MS)) ||
      (recording?.hasPoster ? this.player.api.posterUrl(recording.id) : null);
  }

  /* Calls done() when of() has the frame of the place; the call before is void. Without
   * a recording nothing is wanted any more. */
  async want(recording, ms, done) {
    const nth = ++this.nWanted;
    if (!recording?.isPlayable || !this.player.playback) {
      this.hover?.close();
      return;
    }
    const {HoverFrames} = await import('./hover_frames.js');
    if (nth !== this.nWanted || !HoverFrames.isPossible() || !this.player.playback)
      return;
    this.hover ??= new HoverFrames(r => this.fileOf(r));
    const at = ms - recording.fromMs;
    if (this.hover.get(recording.id, at) !== null || !this.mayRead(recording))
      this.hover.close();
    else
      await this.hover.want(recording, at, done);
  }

  /* A link to a recording in S3 says that it was watched: one is asked for here only if
   * the player had one, to play it. */
  mayRead(recording) {
    return !recording.isLinkWatching || Boolean(this.player.playback.files.get(recording.id)?.header);
  }

  /* Recordings whose links are in use. */
  usedIds() {
    return this.hover?.usedId ? [this.hover.usedId] : [];
  }

  /* The file that plays, or one beside it: the player shows no checks of that. */
  fileOf(recording) {
    const playing = this.player.playback.files.get(recording.id);
    if (playing?.header)
      return playing;
    if (this.beside?.id !== recording.id)
      this.beside = new RecordingFile(recording, this.player.links, this.player.api, () => {});
    return this.beside;
  }

  /* The position is ms. */
  keepPlayed(ms) {
    const slot = Math.floor(ms / SLOT_MS);
    if (this.played.has(slot) || this.played.size >= PLAYED_MAX ||
        !this.player.playback.isPictureRight)
      return;
    this.played.set(slot, this.player.canvas(PLAYED_WIDTH).toDataURL('image/jpeg', 0.6));
  }
}
