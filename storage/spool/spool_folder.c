#include "storage/spool/spool_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"

char *
spool_name(const char *folder, const char *id, const char *suffix,
    char out[SPOOL_NAME_MAX])
{
	snprintf(out, SPOOL_NAME_MAX, "%s%s%s%s", folder,
	    folder[0] != '\0' ? "/" : "", id, suffix);
	return out;
}

int
spool_folder_open(int spool, const char *folder)
{
	return openat(spool, folder[0] != '\0' ? folder : ".",
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

char *
spool_folder_path(const char *spool, const char *folder, char *out, size_t len)
{
	snprintf(
	    out, len, "%s%s%s", spool, folder[0] != '\0' ? "/" : "", folder);
	return out;
}

int
spool_folder_sync(int spool, const char *folder)
{
	int fd = spool_folder_open(spool, folder);
	int rc = fd >= 0 && fsync(fd) == 0 ? 0 : ERR_IO;

	if (fd >= 0)
		close(fd);
	return rc;
}

bool
spool_folder_remove(int spool, const char *folder)
{
	int fd = spool_folder_open(spool, folder);
	bool is_gone;

	if (fd < 0)
		return false;
	is_gone = flock(fd, LOCK_EX | LOCK_NB) == 0 &&
	    unlinkat(spool, folder, AT_REMOVEDIR) == 0;
	close(fd);
	return is_gone;
}

/* ---- what is in it ---- */

static DIR *
open_list(int spool, const char *folder)
{
	int fd = spool_folder_open(spool, folder);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (dir == NULL && fd >= 0)
		close(fd);
	return dir;
}

bool
spool_name_has_id(const char *name, char id[SPOOL_FOLDER_MAX])
{
	if (strnlen(name, UUID_LEN + 2) < UUID_LEN + 2 || name[UUID_LEN] != '.')
		return false;
	memcpy(id, name, UUID_LEN);
	id[UUID_LEN] = '\0';
	return is_uuid(id);
}

bool
spool_name_is_of(const struct spool_suffix *kinds, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name + UUID_LEN, kinds[i].suffix) == 0)
			return true;
	return false;
}

static void
look_at_file(const struct spool_walk *w, const char *folder, const char *name)
{
	char id[SPOOL_FOLDER_MAX];

	if (spool_name_has_id(name, id) &&
	    spool_name_is_of(w->kinds, w->n_kinds, name))
		w->found(w->arg, folder, id);
}

static bool
is_self_or_parent(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* False: it is no folder. */
static bool
walk_folder(int spool, const struct spool_walk *w, const char *folder)
{
	const struct dirent *e;
	bool is_empty = true;
	DIR *dir;

	/* told before, so that nothing that comes later is missed */
	if (w->enter != NULL)
		w->enter(w->arg, folder);
	dir = open_list(spool, folder);
	if (dir == NULL)
		return false;
	while ((e = readdir(dir)) != NULL) {
		if (is_self_or_parent(e->d_name))
			continue;
		is_empty = false;
		look_at_file(w, folder, e->d_name);
	}
	closedir(dir);
	if (is_empty && w->empty != NULL)
		w->empty(w->arg, folder);
	return true;
}

/* Of the system, or of people who set something aside. */
static bool
is_others(const char *name)
{
	return name[0] == '.' || strcmp(name, "lost+found") == 0 ||
	    strcmp(name, SPOOL_QUARANTINE) == 0 ||
	    strcmp(name, SPOOL_UPLOADS) == 0;
}

static void
look_at_entry(int spool, struct spool_walk *w, const char *name)
{
	char id[SPOOL_FOLDER_MAX];

	if (is_others(name))
		return;
	if (spool_name_has_id(name, id))
		look_at_file(w, "", name);
	else if (!is_uuid(name) ||
	    (!walk_folder(spool, w, name) && errno != ENOENT)) {
		if (w->n_foreign++ == 0)
			snprintf(w->foreign, sizeof(w->foreign), "%s", name);
	}
}

int
spool_walk(int spool, struct spool_walk *w)
{
	DIR *dir = open_list(spool, "");
	const struct dirent *e;

	w->n_foreign = 0;
	w->foreign[0] = '\0';
	if (dir == NULL)
		return ERR_IO;
	while ((e = readdir(dir)) != NULL)
		look_at_entry(spool, w, e->d_name);
	closedir(dir);
	return 0;
}
