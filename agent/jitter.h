/* Random delays, so that many agents do not come back at one moment. */
#ifndef AGENT_JITTER_H
#define AGENT_JITTER_H

/* From 0 up to max_ms, each as likely ("full jitter"). */
unsigned jitter_ms(unsigned max_ms);

#endif
