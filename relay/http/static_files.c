#include "relay/http/static_files.h"

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
#include "relay/http/http_request.h"

#define DEPTH_MAX 8
#define PATH_LEN  512
#define ETAG_LEN  34 /* 16 bytes in hex, in quotes */

struct file {
	char *path; /* as requested */
	const char *type;
	char etag[ETAG_LEN + 1];
	uint8_t *data;
	size_t len;
};

struct static_files {
	struct file *files; /* by path once loaded */
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
fail(struct static_files *f, int err, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(f->why, f->why_len, format, ap);
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

/* A quoted hash of the content: the same on every relay. */
static int
make_etag(struct file *file)
{
	uint8_t digest[EVP_MAX_MD_SIZE];

	if (EVP_Digest(
		file->data, file->len, digest, NULL, EVP_sha256(), NULL) != 1)
		return ERR_NOMEM;
	file->etag[0] = '"';
	for (size_t i = 0; i < 16; i++)
		snprintf(file->etag + 1 + 2 * i, 3, "%02x", digest[i]);
	memcpy(file->etag + ETAG_LEN - 1, "\"", 2);
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
static struct file *
add_place(struct static_files *f)
{
	size_t cap = f->cap != 0 ? 2 * f->cap : 64;
	struct file *files;

	if (f->n == f->cap) {
		files = reallocarray(f->files, cap, sizeof(*files));
		if (files == NULL)
			return NULL;
		f->files = files;
		f->cap = cap;
	}
	f->files[f->n] = (struct file){ 0 };
	return &f->files[f->n++];
}

/* Reads the open file of len bytes as `path`. */
static int
load_open_file(struct static_files *f, int fd, size_t len, const char *path)
{
	struct file *file;

	if (f->n == STATIC_FILES_MAX || len > STATIC_FILES_MAX_BYTES - f->bytes)
		return fail(f, ERR_LIMIT, "%s is too much", path);
	file = add_place(f);
	if (file == NULL)
		return ERR_NOMEM;
	file->path = strdup(path);
	file->data = malloc(len + 1); /* an empty file is a file */
	file->type = type_of(path);
	file->len = len;
	if (file->path == NULL || file->data == NULL)
		return ERR_NOMEM;
	if (!read_whole(fd, file->data, len))
		return fail(f, ERR_CONFIG, "%s cannot be read", path);
	f->bytes += len;
	return make_etag(file);
}

static int load_folder(
    struct static_files *f, int fd, const char *prefix, unsigned depth);

/* A file or folder `name` of dir, as `path`. */
static int
load_entry(struct static_files *f, int dir, const char *name, const char *path,
    unsigned depth)
{
	struct stat st;
	int fd, rc = 0;

	fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) != 0) {
		rc = fail(f, ERR_CONFIG, "%s: %s", path, strerror(errno));
	} else if (S_ISDIR(st.st_mode)) {
		rc = load_folder(f, fd, path, depth + 1);
		fd = -1; /* transferred */
	} else if (S_ISREG(st.st_mode) && type_of(name) != NULL) {
		rc = load_open_file(f, fd, (size_t)st.st_size, path);
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Everything in a folder. fd: taken. */
static int
load_folder(struct static_files *f, int fd, const char *prefix, unsigned depth)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	char path[PATH_LEN];
	int rc = 0;

	if (dir == NULL) {
		close(fd);
		return fail(f, ERR_CONFIG, "%s/: %s", prefix, strerror(errno));
	}
	if (depth > DEPTH_MAX)
		rc = fail(f, ERR_LIMIT, "%s is too deep", prefix);
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", prefix,
			entry->d_name) >= (int)sizeof(path))
			rc = fail(f, ERR_LIMIT, "%s: a long name", prefix);
		else
			rc = load_entry(
			    f, dirfd(dir), entry->d_name, path, depth);
	}
	closedir(dir);
	return rc;
}

/* The folder `name` as prefix. */
static int
load_tree(struct static_files *f, const char *name, const char *prefix)
{
	int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return fail(f, ERR_CONFIG, "%s: %s", name, strerror(errno));
	return load_folder(f, fd, prefix, 0);
}

static int
load_novnc(struct static_files *f, const char *folder)
{
	static const char *const parts[] = { "core", "vendor" };
	char name[PATH_LEN], prefix[32];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < N_ELEMENTS(parts); i++) {
		snprintf(name, sizeof(name), "%s/%s", folder, parts[i]);
		snprintf(prefix, sizeof(prefix), "/novnc/%s", parts[i]);
		rc = load_tree(f, name, prefix);
	}
	return rc;
}

/* ---- the table ---- */

static int
compare_paths(const void *a, const void *b)
{
	return strcmp(
	    ((const struct file *)a)->path, ((const struct file *)b)->path);
}

static const struct file *
find(const struct static_files *f, const char *path)
{
	struct file wanted = { .path = (char *)path };

	if (strcmp(path, "/") == 0)
		wanted.path = (char *)"/index.html";
	return bsearch(
	    &wanted, f->files, f->n, sizeof(*f->files), compare_paths);
}

int
static_files_load(struct static_files **files, const char *web_dir,
    const char *novnc_dir, char *why, size_t why_len)
{
	struct static_files *f = calloc(1, sizeof(*f));
	int rc;

	*files = NULL;
	snprintf(why, why_len, "out of memory");
	if (f == NULL)
		return ERR_NOMEM;
	f->why = why;
	f->why_len = why_len;
	rc = load_tree(f, web_dir, "");
	if (rc == 0 && novnc_dir != NULL && novnc_dir[0] != '\0')
		rc = load_novnc(f, novnc_dir);
	if (rc == 0) {
		if (f->n > 0)
			qsort(f->files, f->n, sizeof(*f->files), compare_paths);
		if (f->n == 0 || find(f, "/") == NULL)
			rc = fail(
			    f, ERR_CONFIG, "%s has no index.html", web_dir);
	}
	f->why = NULL;
	if (rc != 0) {
		static_files_free(f);
		return rc;
	}
	*files = f;
	return 0;
}

void
static_files_free(struct static_files *files)
{
	if (files == NULL)
		return;
	for (size_t i = 0; i < files->n; i++) {
		free(files->files[i].path);
		free(files->files[i].data);
	}
	free(files->files);
	free(files);
}

/* ---- answers ---- */

/* Does If-None-Match name what we have? RFC 9110 section 13.1.2; our tags
 * are in quotes and have nothing inside that could hide one in another. */
static bool
is_known(const struct http_request *req, const struct file *file)
{
	return req->if_none_match != NULL &&
	    (strcmp(req->if_none_match, "*") == 0 ||
		strstr(req->if_none_match, file->etag) != NULL);
}

int
static_files_answer(const struct static_files *files,
    const struct http_request *req, struct buf *out)
{
	const struct file *file = find(files, req->path);
	bool is_same;
	char head[512];
	size_t body;

	if (file == NULL)
		return http_answer_error(out, 404, NULL, req);
	is_same = is_known(req, file);
	body = is_same || req->is_head ? 0 : file->len;
	/* all or nothing */
	if (buf_reserve(out, STATIC_FILES_HEAD_MAX + body) == NULL)
		return ERR_LIMIT;
	if (is_same)
		snprintf(head, sizeof(head), "HTTP/1.1 304 Not Modified\r\n");
	else
		snprintf(head, sizeof(head),
		    "HTTP/1.1 200 OK\r\n"
		    "Content-Type: %s\r\n"
		    "Content-Length: %zu\r\n",
		    file->type, file->len);
	buf_append(out, head, strlen(head));
	snprintf(head, sizeof(head),
	    "ETag: %s\r\n"
	    "Cache-Control: no-cache\r\n",
	    file->etag);
	buf_append(out, head, strlen(head));
	http_answer_end_head(out, req);
	return buf_append(out, file->data, body);
}
