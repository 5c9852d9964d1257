#include "common/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"

int
privileges_drop(const char *user)
{
	struct passwd *pw;

	if (user == NULL || *user == '\0')
		return 0;
	pw = getpwnam(user);
	if (pw == NULL) {
		log_error("no_such_account", LOG_S("user", user));
		return ERR_CONFIG;
	}
	if (pw->pw_uid == geteuid())
		return 0;
	if (initgroups(user, pw->pw_gid) != 0 || setgid(pw->pw_gid) != 0 ||
	    setuid(pw->pw_uid) != 0 || setuid(0) == 0) {
		log_error(
		    "cannot_change_account", LOG_S("user", user), LOG_ERRNO());
		return ERR_DENIED;
	}
	return 0;
}
