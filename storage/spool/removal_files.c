#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "storage/spool/removal.h"
#include "storage/spool/stop_point.h"

static int
remove_file(int spool, const struct removal_files *f, const char *suffix)
{
	char name[SPOOL_NAME_MAX];

	return unlinkat(spool, spool_name(f->folder, f->id, suffix, name), 0) ==
		    0 ||
		errno == ENOENT
	    ? 0
	    : errno;
}

/* The folder of an earlier one, which is flushed for both. */
static bool
is_flushed(const struct removal_files *f, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (f[k].error == 0 && strcmp(f[k].folder, f[i].folder) == 0)
			return true;
	return false;
}

/*
 * Only the order is made sure of: where a power cut brings a manifest back
 * whose media is gone, its row says that it is stored, and it is removed
 * again.
 */
void
removal_files_remove(int spool, struct removal_files *f, size_t n)
{
	static const char *const rest[] = { ".jpg", ".json.open", ".json" };

	for (size_t i = 0; i < n; i++)
		f[i].error = remove_file(spool, &f[i], ".webm");
	for (size_t i = 0; i < n; i++)
		if (f[i].error == 0 && !is_flushed(f, i) &&
		    spool_folder_sync(spool, f[i].folder) != 0)
			f[i].error = EIO;
	stop_point("media_removed");
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < N_ELEMENTS(rest) && f[i].error == 0; k++)
			f[i].error = remove_file(spool, &f[i], rest[k]);
}
