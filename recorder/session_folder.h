/* Sessions by their folders in the spool, for lines of the log. */
#ifndef RECORDER_SESSION_FOLDER_H
#define RECORDER_SESSION_FOLDER_H

#include <string.h>

#include "common/uuid.h"

/* The session whose folder that is: the last part of the path, if it is a UUID;
 * else "". Borrowed from path, or static. */
static inline const char *
session_of_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;

	return is_uuid(name) ? name : "";
}

#endif
