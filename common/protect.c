#include "common/protect.h"

#include <sys/prctl.h>
#include <sys/resource.h>

void
protect_process(void)
{
	const struct rlimit none = { 0, 0 };

	/* neither can fail: a limit may always be lowered */
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
