#include "storage/store/folder_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/store_mark.h"
#include "storage/storage_worker.h"
#include "storage/store/folder_mark.h"

#define NAME_BYTES 256
#define DEPTH_MAX  16

/* An entry as it sorts among keys: folders end in a slash. */
struct name {
	char text[NAME_BYTES + 1];
	uint64_t bytes;
	bool is_folder;
};

/* The first names of a folder behind a key, sorted. */
struct names {
	struct name list[STORE_LIST_MAX];
	size_t n;
	bool has_more;
};

struct folder_list {
	struct worker_job work;
	const char *path;
	char id[UUID_TEXT_MAX]; /* of the store */
	char why[STORE_DETAIL_MAX];
	int root;
	int64_t *n_jobs;
	char after[STORE_LIST_KEY_MAX + 1];
	struct store_entry *entries;
	size_t n;
	int error; /* errno */
	store_list_cb *cb;
	void *arg;
};

/*
 * Nothing in it is behind the key. A folder that the key leads into has
 * something behind it.
 */
static bool
is_before(const char *text, bool is_folder, const char *after)
{
	size_t len = strlen(text);

	if (is_folder && strncmp(after, text, len) == 0)
		return false;
	return strcmp(text, after) <= 0;
}

/* Keeps the smallest ones. */
static void
insert(struct names *m, const struct name *new)
{
	size_t at = m->n;

	while (at > 0 && strcmp(new->text, m->list[at - 1].text) < 0)
		at--;
	if (at == STORE_LIST_MAX) {
		m->has_more = true;
		return;
	}
	if (m->n == STORE_LIST_MAX) {
		m->has_more = true;
		m->n--;
	}
	memmove(
	    &m->list[at + 1], &m->list[at], (m->n - at) * sizeof(m->list[0]));
	m->list[at] = *new;
	m->n++;
}

/* What an entry of the folder is; false: gone, or neither file nor folder. */
static bool
take_name(int dir, const struct dirent *e, struct name *out)
{
	struct stat st;
	int len;

	if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
	    fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode) &&
	    !S_ISLNK(st.st_mode))
		return false;
	out->is_folder = S_ISDIR(st.st_mode);
	out->bytes = (uint64_t)st.st_size;
	len = snprintf(out->text, sizeof(out->text), "%s%s", e->d_name,
	    out->is_folder ? "/" : "");
	return len > 0 && (size_t)len < sizeof(out->text);
}

/* dir: taken. after: the rest of the key, below this folder. 0 or an errno. */
static int
read_names(int dir, const char *after, struct names *m)
{
	DIR *d = fdopendir(dir);
	struct dirent *e;
	struct name name;

	m->n = 0;
	m->has_more = false;
	if (d == NULL) {
		close(dir);
		return errno;
	}
	while ((errno = 0, e = readdir(d)) != NULL)
		if (take_name(dirfd(d), e, &name) &&
		    (after[0] == '\0' ||
			!is_before(name.text, name.is_folder, after)))
			insert(m, &name);
	closedir(d);
	return errno;
}

static void
add_file(struct folder_list *l, const char *prefix, const struct name *name)
{
	struct store_entry *e = &l->entries[l->n];
	int len = snprintf(e->key, sizeof(e->key), "%s%s", prefix, name->text);

	if (len < 0 || (size_t)len >= sizeof(e->key) ||
	    strcmp(e->key, STORE_MARK_NAME) == 0)
		return;
	e->bytes = name->bytes;
	l->n++;
}

static int walk(
    struct folder_list *l, const char *prefix, const char *after, int depth);

/* One name of a folder. 0 or an errno. */
static int
visit(struct folder_list *l, const char *prefix, const struct name *name,
    const char *after, int depth)
{
	char below[STORE_LIST_KEY_MAX + 1];
	size_t len = strlen(name->text);
	int n;

	if (!name->is_folder) {
		add_file(l, prefix, name);
		return 0;
	}
	n = snprintf(below, sizeof(below), "%s%s", prefix, name->text);
	if (n < 0 || (size_t)n >= sizeof(below) || depth == DEPTH_MAX)
		return 0;
	return walk(l, below,
	    strncmp(after, name->text, len) == 0 ? after + len : "", depth + 1);
}

/* All below prefix ("" or with a slash at its end), as long as there is room.
 */
static int
walk(struct folder_list *l, const char *prefix, const char *after, int depth)
{
	struct names *m = malloc(sizeof(*m));
	char last[NAME_BYTES + 1];
	int dir, rc = m != NULL ? 0 : ENOMEM;

	snprintf(last, sizeof(last), "%s", "");
	for (bool more = true; rc == 0 && more && l->n < STORE_LIST_MAX;) {
		dir = openat(l->root, prefix[0] != '\0' ? prefix : ".",
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (dir < 0) { /* removed meanwhile */
			rc = errno == ENOENT ? 0 : errno;
			break;
		}
		rc = read_names(dir, last[0] != '\0' ? last : after, m);
		for (size_t i = 0; rc == 0 && i < m->n && l->n < STORE_LIST_MAX;
		     i++) {
			/* the folder that was entered before */
			if (strcmp(m->list[i].text, last) != 0)
				rc =
				    visit(l, prefix, &m->list[i], after, depth);
		}
		more = m->has_more;
		if (m->n > 0)
			snprintf(
			    last, sizeof(last), "%s", m->list[m->n - 1].text);
	}
	free(m);
	return rc;
}

static void
run(struct worker_job *work)
{
	struct folder_list *l = (struct folder_list *)work;

	l->root = store_mark_open(l->path, l->id, l->why, sizeof(l->why));
	if (l->root < 0)
		return;
	l->error = walk(l, "", l->after, 0);
	snprintf(l->why, sizeof(l->why), "%s",
	    l->error != 0 ? strerror(l->error) : "");
	close(l->root);
}

static void
done(struct worker_job *work)
{
	struct folder_list *l = (struct folder_list *)work;
	struct store_listing page = {
		.err = l->why[0] != '\0' ? ERR_UNAVAILABLE : 0,
		.detail = l->why,
		.entries = l->entries,
		.n = l->n,
		.is_end = l->n < STORE_LIST_MAX,
	};

	--*l->n_jobs;
	l->cb(l->arg, &page);
	free(l->entries);
	free(l);
}

int
folder_list_start(const struct folder_mark *mark, struct workers *workers,
    int64_t *n_jobs, const char *after, store_list_cb *cb, void *arg)
{
	struct folder_list *l = calloc(1, sizeof(*l));

	if (l != NULL)
		l->entries = calloc(STORE_LIST_MAX, sizeof(*l->entries));
	if (l == NULL || l->entries == NULL) {
		free(l);
		return ERR_NOMEM;
	}
	l->work.run = run;
	l->work.done = done;
	l->path = folder_mark_path(mark);
	strcpy(l->id, folder_mark_id(mark));
	l->n_jobs = n_jobs;
	snprintf(l->after, sizeof(l->after), "%s", after);
	l->cb = cb;
	l->arg = arg;
	++*n_jobs;
	workers_submit(workers, &l->work);
	return 0;
}
