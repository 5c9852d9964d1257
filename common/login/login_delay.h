/* How wrong passwords slow down. A pure function. */
#ifndef COMMON_LOGIN_LOGIN_DELAY_H
#define COMMON_LOGIN_LOGIN_DELAY_H

#include <stdint.h>

/*
 * How long an attempt waits: 0 after no failure, 0.5 s after the first,
 * doubling to LOGIN_DELAY_MAX_MS. Failures older than LOGIN_FORGET_S do not
 * count. failures: in a row; age_s: seconds since the last one.
 */
#define LOGIN_DELAY_MAX_MS 16000
#define LOGIN_FORGET_S     900
uint32_t login_delay_ms(uint64_t failures, double age_s);

#endif
