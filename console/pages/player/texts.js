/* What the player says. */

export const GAP_TEXTS = {
  recorder_restart: 'the recorder was restarted',
  crash: 'the recorder failed',
  node_lost: 'the server was lost',
  manual: 'recording was stopped by hand',
  nospace: 'there was too little disk space',
  segment_lost: 'a recording never arrived',
  unexplained: 'the reason is not known',
};

export const SPLIT_TEXTS = {
  start: 'the session began',
  size: 'the file was full',
  monitor: 'another monitor was shown',
  frame_rate: 'the frame rate was changed',
  orientation: 'the screen was turned',
  resolution: 'the screen got another size',
  manual: 'recording was started by hand',
  recorder_restart: 'the recorder was restarted',
};

export const PROBLEM_TEXTS = {
  unsigned: 'This recording is not signed.',
  unknown_key: 'This recording was signed with a key that is not known here.',
  signature: 'The signature of this recording is wrong: its manifest was changed.',
  other_recording: 'The manifest is that of another recording.',
  manifest: 'The manifest of this recording contradicts itself.',
  unreachable: 'The manifest could not be read, so nothing can be checked.',
};

export const STATUS_TEXTS = {
  recording: 'is being recorded',
  transfer: 'is being stored',
  downloaded: 'waits to be encoded',
  encoding: 'is being encoded',
  missing: 'is missing',
  encoding_failed: 'could not be encoded',
  corrupted: 'is corrupted',
  expired: 'has expired',
  deleted: 'was deleted',
};
