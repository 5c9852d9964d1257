#include "common/file_table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"

#define DEPTH_MAX 8
#define PATH_LEN  512

struct file_table {
	struct table_file *files; /* by path once sorted */
	size_t n, cap, bytes;
	char *why; /* borrowed while loading */
	size_t why_len;
};

static const struct {
	const char *ending, *type;
} types[] = {
	{ ".html", "text/html; charset=utf-8" },
	{ ".css", "text/css; charset=utf-8" },
	{ ".js", "text/javascript; charset=utf-8" },
	{ ".mjs", "text/javascript; charset=utf-8" },
	{ ".json", "application/json" },
	{ ".svg", "image/svg+xml" },
	{ ".png", "image/png" },
	{ ".ico", "image/x-icon" },
	{ ".txt", "text/plain; charset=utf-8" },
	{ ".woff2", "font/woff2" },
};

/* ---- reading ---- */

/* Sets the sentence of a failure and returns its number. */
static int __attribute__((format(printf, 3, 4)))
fail(struct file_table *t, int err, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(t->why, t->why_len, format, ap);
	va_end(ap);
	return err;
}

/* The type of a file that a page may use, or NULL. */
static const char *
type_of(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < N_ELEMENTS(types); i++) {
		size_t n = strlen(types[i].ending);

		if (len > n && strcmp(name + len - n, types[i].ending) == 0)
			return types[i].type;
	}
	return NULL;
}

/* A quoted hash of the content: the same on every machine. */
static int
make_etag(struct table_file *file)
{
	uint8_t digest[EVP_MAX_MD_SIZE];

	if (EVP_Digest(
		file->data, file->len, digest, NULL, EVP_sha256(), NULL) != 1)
		return ERR_NOMEM;
	file->etag[0] = '"';
	for (size_t i = 0; i < 16; i++)
		snprintf(file->etag + 1 + 2 * i, 3, "%02x", digest[i]);
	memcpy(file->etag + FILE_ETAG_LEN - 1, "\"", 2);
	return 0;
}

/* Reads exactly len bytes. */
static bool
read_whole(int fd, uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = read(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

/* One more place in the table, or NULL. */
static struct table_file *
add_place(struct file_table *t)
{
	size_t cap = t->cap != 0 ? 2 * t->cap : 64;
	struct table_file *files;

	if (t->n == t->cap) {
		files = reallocarray(t->files, cap, sizeof(*files));
		if (files == NULL)
			return NULL;
		t->files = files;
		t->cap = cap;
	}
	t->files[t->n] = (struct table_file){ 0 };
	return &t->files[t->n++];
}

/* Reads the open file of len bytes as `path`. */
static int
load_open_file(struct file_table *t, int fd, size_t len, const char *path)
{
	struct table_file *file;

	if (t->n == FILE_TABLE_MAX || len > FILE_TABLE_MAX_BYTES - t->bytes)
		return fail(t, ERR_LIMIT, "%s is too much", path);
	file = add_place(t);
	if (file == NULL)
		return ERR_NOMEM;
	file->path = strdup(path);
	file->data = malloc(len + 1); /* an empty file is a file */
	file->type = type_of(path);
	file->len = len;
	if (file->path == NULL || file->data == NULL)
		return ERR_NOMEM;
	if (!read_whole(fd, file->data, len))
		return fail(t, ERR_CONFIG, "%s cannot be read", path);
	t->bytes += len;
	return make_etag(file);
}

static int load_folder(
    struct file_table *t, int fd, const char *prefix, unsigned depth);

/* A file or folder `name` of dir, as `path`. */
static int
load_entry(struct file_table *t, int dir, const char *name, const char *path,
    unsigned depth)
{
	struct stat st;
	int fd, rc = 0;

	fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) != 0) {
		rc = fail(t, ERR_CONFIG, "%s: %s", path, strerror(errno));
	} else if (S_ISDIR(st.st_mode)) {
		rc = load_folder(t, fd, path, depth + 1);
		fd = -1; /* transferred */
	} else if (S_ISREG(st.st_mode) && type_of(name) != NULL) {
		rc = load_open_file(t, fd, (size_t)st.st_size, path);
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Everything in a folder. fd: taken. */
static int
load_folder(struct file_table *t, int fd, const char *prefix, unsigned depth)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	char path[PATH_LEN];
	int rc = 0;

	if (dir == NULL) {
		close(fd);
		return fail(t, ERR_CONFIG, "%s/: %s", prefix, strerror(errno));
	}
	if (depth > DEPTH_MAX)
		rc = fail(t, ERR_LIMIT, "%s is too deep", prefix);
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", prefix,
			entry->d_name) >= (int)sizeof(path))
			rc = fail(t, ERR_LIMIT, "%s: a long name", prefix);
		else
			rc = load_entry(
			    t, dirfd(dir), entry->d_name, path, depth);
	}
	closedir(dir);
	return rc;
}

struct file_table *
file_table_new(void)
{
	return calloc(1, sizeof(struct file_table));
}

void
file_table_free(struct file_table *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n; i++) {
		free(t->files[i].path);
		free(t->files[i].data);
	}
	free(t->files);
	free(t);
}

int
file_table_add(struct file_table *t, const char *folder, const char *prefix,
    char *why, size_t why_len)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	snprintf(why, why_len, "out of memory");
	t->why = why;
	t->why_len = why_len;
	rc = fd < 0 ? fail(t, ERR_CONFIG, "%s: %s", folder, strerror(errno))
		    : load_folder(t, fd, prefix, 0);
	t->why = NULL;
	return rc;
}

/* ---- the table ---- */

static int
compare_paths(const void *a, const void *b)
{
	return strcmp(((const struct table_file *)a)->path,
	    ((const struct table_file *)b)->path);
}

void
file_table_sort(struct file_table *t)
{
	if (t->n > 0)
		qsort(t->files, t->n, sizeof(*t->files), compare_paths);
}

size_t
file_table_count(const struct file_table *t)
{
	return t->n;
}

const struct table_file *
file_table_at(const struct file_table *t, size_t i)
{
	return &t->files[i];
}

const struct table_file *
file_table_find(const struct file_table *t, const char *path)
{
	struct table_file wanted = { .path = (char *)(uintptr_t)path };

	if (t->n == 0)
		return NULL;
	return bsearch(
	    &wanted, t->files, t->n, sizeof(*t->files), compare_paths);
}
