#include "common/login/login_delay.h"

uint32_t
login_delay_ms(uint64_t failures, double age_s)
{
	uint32_t ms = 500;

	if (failures == 0 || age_s > LOGIN_FORGET_S)
		return 0;
	for (uint64_t i = 1; i < failures && ms < LOGIN_DELAY_MAX_MS; i++)
		ms *= 2;
	return ms;
}
