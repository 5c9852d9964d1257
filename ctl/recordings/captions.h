/* relaycam recordings captions: WebVTT for a file beside a recording. */
#ifndef CTL_RECORDINGS_CAPTIONS_H
#define CTL_RECORDINGS_CAPTIONS_H

struct args;
struct ctl;

int captions_run(struct ctl *c, const struct args *a);

#endif
