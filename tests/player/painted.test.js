/* painted.js: is the picture that of the position? */
import assert from 'node:assert/strict';
import test from 'node:test';
import {Painted} from '../painted.js';

class Video extends EventTarget {
  constructor() {
    super();
    Object.assign(this, {currentTime: 0, readyState: 4, seeking: false, playbackRate: 1});
  }

  requestVideoFrameCallback(callback) {
    this.callback = callback;
  }

  paint(ms) {
    this.callback(0, {mediaTime: ms / 1000});
  }

  seek(ms) {
    this.seeking = true;
    this.currentTime = ms / 1000;
    this.dispatchEvent(new Event('seeking'));
  }
}

const FRAMES = [0, 100, 200, 5000];
const frameAt = ms => FRAMES.findLast(t => t <= ms) ?? -1;

test('a seek that is over has not painted yet', () => {
  const video = new Video(), painted = new Painted(video);
  video.paint(0);
  assert.ok(painted.isRight(frameAt));
  video.seek(5500);
  assert.ok(!painted.isRight(frameAt));
  video.seeking = false;
  assert.ok(!painted.isRight(frameAt));
  video.paint(5000);
  assert.ok(painted.isRight(frameAt));
  video.seek(150);
  video.seeking = false;
  assert.ok(!painted.isRight(frameAt));
  video.paint(100);
  assert.ok(painted.isRight(frameAt));
});

test('it may be painted before the seek is over, and a repeat will do', () => {
  const video = new Video(), painted = new Painted(video);
  video.seek(4500);
  video.paint(3200);
  assert.ok(!painted.isRight(frameAt));
  video.seeking = false;
  assert.ok(painted.isRight(frameAt));
});

test('what plays on is right, also a little before its time', () => {
  const video = new Video(), painted = new Painted(video);
  video.seek(100);
  video.seeking = false;
  video.paint(100);
  video.currentTime = 4.95;
  video.paint(5000);
  assert.ok(painted.isRight(frameAt));
});

test('a browser that does not tell is believed', () => {
  const video = new Video();
  video.requestVideoFrameCallback = undefined;
  assert.ok(new Painted(video).isRight(frameAt));
});
