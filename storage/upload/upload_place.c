/* What becomes of an upload that came whole: into the spool, a copy, or
 * aside. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "storage/spool/spool_folder.h"
#include "storage/upload/upload_file.h"

/* A folder below dir, made if need be with that mode; or -1. */
static int
open_folder(int dir, const char *name, mode_t mode)
{
	int fd;
	bool is_new = mkdirat(dir, name, mode) == 0;

	if (!is_new && errno != EEXIST)
		return -1;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && is_new && fchmod(fd, mode) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int
move(const struct upload_file *f, const char *from, int to, const char *suffix)
{
	char old[UPLOAD_NAME_MAX], new[UPLOAD_NAME_MAX];

	return renameat(f->dir, upload_file_name(f->id, from, old), to,
		   upload_file_name(f->id, suffix, new)) == 0
	    ? 0
	    : ERR_IO;
}

static void
close_data(struct upload_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

int
upload_file_place(struct upload_file *f, int spool, const char *manifest)
{
	struct stat st;
	int to = -1, rc = fstat(spool, &st) == 0 ? 0 : ERR_IO;

	close_data(f);
	if (rc == 0)
		rc = upload_file_put(f, ".manifest", manifest);
	/* of the spool's mode, less what others may do there */
	if (rc == 0 &&
	    (to = open_folder(spool, f->session, st.st_mode & 02770)) < 0)
		rc = ERR_IO;
	if (rc == 0)
		rc = move(f, ".manifest", to, ".capture.json");
	if (rc == 0)
		rc = move(
		    f, f->is_sealed ? ".capture" : ".data", to, ".capture");
	if (rc == 0 && (fsync(to) != 0 || fsync(spool) != 0))
		rc = ERR_IO;
	if (to >= 0)
		close(to);
	if (rc == 0)
		upload_file_remove(f->dir, f->id);
	return rc;
}

int
upload_file_keep(struct upload_file *f)
{
	int rc;

	close_data(f);
	rc = move(f, f->is_sealed ? ".capture" : ".data", f->dir, ".kept");
	if (rc == 0 && f->is_sealed)
		rc = upload_file_unlink(f, ".data");
	if (rc == 0 && fsync(f->dir) != 0)
		rc = ERR_IO;
	f->is_kept = rc == 0;
	return rc;
}

int
upload_file_set_aside(struct upload_file *f, int spool)
{
	int all = open_folder(spool, SPOOL_QUARANTINE, 0700), one = -1;
	int rc = ERR_IO;

	close_data(f);
	if (all >= 0)
		one = open_folder(all, f->session, 0700);
	if (one >= 0 && move(f, ".data", one, ".upload") == 0 &&
	    move(f, ".json", one, ".upload.json") == 0 && fsync(one) == 0 &&
	    fsync(all) == 0)
		rc = 0;
	if (one >= 0)
		close(one);
	if (all >= 0)
		close(all);
	if (rc == 0)
		upload_file_remove(f->dir, f->id);
	return rc;
}
