/* Which frame of a <video> is painted: a browser may say that a seek is over
 * before it has painted what it led to. */

const EARLY_MS = 100; /* by which what plays may be painted before its time */

export class Painted {
  constructor(video) {
    this.video = video;
    this.isKnown = Boolean(video.requestVideoFrameCallback);
    this.frameMs = -1;  /* that was painted last */
    this.soughtMs = 0;  /* where the last seek led */
    this.isOver = false;
    video.addEventListener('seeking', () => { this.soughtMs = video.currentTime * 1000; });
    this.note();
  }

  close() {
    this.isOver = true;
  }

  note() {
    if (this.isKnown && !this.isOver)
      this.video.requestVideoFrameCallback((now, {mediaTime}) => {
        this.frameMs = mediaTime * 1000;
        this.note();
      });
  }

  /* The picture is that of where the element is. frameAt(ms): when the frame
   * began that is to be seen at ms; -1: that is not known. */
  isRight(frameAt) {
    const {video} = this, now = video.currentTime * 1000;
    if (video.readyState < 2 || video.seeking)
      return false;
    const wanted = frameAt(this.soughtMs);
    const early = Math.abs(now - this.soughtMs) < 0.1 ? 1 : EARLY_MS * Math.max(1, video.playbackRate);
    return !this.isKnown || wanted < 0 ||
      (this.frameMs <= now + early && this.frameMs >= wanted - 1);
  }
}
