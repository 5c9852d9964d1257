#include "recorder/sandbox_check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "recorder/sandbox.h"

#define CHECK_PIXELS (3840 * 2160)

static int
refused(const char *why)
{
	log_error("sandbox_refused", LOG_S("why", why),
	    LOG_S("remedy",
		"recorders need the system calls seccomp, prctl and setrlimit; "
		"use the container runtime's default seccomp profile, or add "
		"them to yours"));
	return EX_OSERR;
}

int
sandbox_check(const char *dir)
{
	struct sandbox box = {
		.status_fd = -1, .max_pixels = CHECK_PIXELS, .will_narrow = true
	};
	const char *why = "";

	box.spool_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (box.spool_fd < 0) {
		log_error("sandbox_folder", LOG_S("dir", dir), LOG_ERRNO());
		return EX_NOINPUT;
	}
	if (sandbox_enter(&box, &why) != 0)
		return refused(why);
	if (sandbox_narrow() != 0)
		return refused("the system call filter could not be narrowed");
	log_info("sandbox",
	    LOG_S("file_rules",
		box.has_landlock   ? "landlock"
		    : box.has_root ? "root folder"
				   : "none"));
	if (!box.has_landlock && !box.has_root)
		log_warn("sandbox_without_file_rules",
		    LOG_S("remedy",
			"allow landlock_create_ruleset, landlock_add_rule and "
			"landlock_restrict_self (Linux 5.13 or newer); until "
			"then the system call filter alone keeps recorders "
			"from files"));
	return 0;
}
