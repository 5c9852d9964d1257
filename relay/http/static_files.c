#include "relay/http/static_files.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/file_table.h"
#include "relay/http/http_request.h"

#define PATH_LEN 512

struct static_files {
	struct file_table *table;
};

/* ---- reading ---- */

static int
load_novnc(struct file_table *t, const char *folder, char *why, size_t why_len)
{
	static const char *const parts[] = { "core", "vendor" };
	char name[PATH_LEN], prefix[32];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < N_ELEMENTS(parts); i++) {
		snprintf(name, sizeof(name), "%s/%s", folder, parts[i]);
		snprintf(prefix, sizeof(prefix), "/novnc/%s", parts[i]);
		rc = file_table_add(t, name, prefix, why, why_len);
	}
	return rc;
}

static const struct table_file *
find(const struct static_files *f, const char *path)
{
	return file_table_find(
	    f->table, strcmp(path, "/") == 0 ? "/index.html" : path);
}

static int
load(struct static_files *f, const char *web_dir, const char *novnc_dir,
    char *why, size_t why_len)
{
	int rc;

	f->table = file_table_new();
	if (f->table == NULL)
		return ERR_NOMEM;
	rc = file_table_add(f->table, web_dir, "", why, why_len);
	if (rc == 0 && novnc_dir != NULL && novnc_dir[0] != '\0')
		rc = load_novnc(f->table, novnc_dir, why, why_len);
	if (rc != 0)
		return rc;
	file_table_sort(f->table);
	if (find(f, "/") != NULL)
		return 0;
	snprintf(why, why_len, "%s has no index.html", web_dir);
	return ERR_CONFIG;
}

int
static_files_load(struct static_files **files, const char *web_dir,
    const char *novnc_dir, char *why, size_t why_len)
{
	struct static_files *f = calloc(1, sizeof(*f));
	int rc = ERR_NOMEM;

	*files = NULL;
	snprintf(why, why_len, "out of memory");
	if (f != NULL)
		rc = load(f, web_dir, novnc_dir, why, why_len);
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
	file_table_free(files->table);
	free(files);
}

/* ---- answers ---- */

/* Does If-None-Match name what we have? RFC 9110 section 13.1.2; our tags
 * are in quotes and have nothing inside that could hide one in another. */
static bool
is_known(const struct http_request *req, const struct table_file *file)
{
	return req->if_none_match != NULL &&
	    (strcmp(req->if_none_match, "*") == 0 ||
		strstr(req->if_none_match, file->etag) != NULL);
}

int
static_files_answer(const struct static_files *files,
    const struct http_request *req, struct buf *out)
{
	const struct table_file *file = find(files, req->path);
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
