#include "storage/upload/upload_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"
#include "common/json.h"

#define JSON_BYTES_MAX (128 * 1024)

static const char *const suffixes[] = { ".data", ".check", ".capture", ".kept",
	".manifest", ".json.tmp", ".json" };

char *
upload_file_name(const char *id, const char *suffix, char out[UPLOAD_NAME_MAX])
{
	snprintf(out, UPLOAD_NAME_MAX, "%s%s", id, suffix);
	return out;
}

int
upload_file_open(const struct upload_file *f, const char *suffix, int flags)
{
	char name[UPLOAD_NAME_MAX];

	return openat(f->dir, upload_file_name(f->id, suffix, name),
	    flags | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static int
failed(void)
{
	return errno == ENOSPC || errno == EDQUOT ? ERR_NOSPACE : ERR_IO;
}

void
upload_file_remove(int dir, const char *id)
{
	char name[UPLOAD_NAME_MAX];

	for (size_t i = 0; i < N_ELEMENTS(suffixes); i++)
		unlinkat(dir, upload_file_name(id, suffixes[i], name), 0);
	fsync(dir);
}

int
upload_file_unlink(const struct upload_file *f, const char *suffix)
{
	char name[UPLOAD_NAME_MAX];

	return unlinkat(f->dir, upload_file_name(f->id, suffix, name), 0) ==
		    0 ||
		errno == ENOENT
	    ? 0
	    : ERR_IO;
}

/* ---- a new one ---- */

/* A whole file, synced, that replaces one of that name. */
int
upload_file_put(
    const struct upload_file *f, const char *suffix, const char *text)
{
	char temp[UPLOAD_NAME_MAX], name[UPLOAD_NAME_MAX];
	size_t len = strlen(text);
	int fd = upload_file_open(f, ".json.tmp", O_WRONLY | O_CREAT | O_TRUNC);
	int rc = 0;

	if (fd < 0)
		return failed();
	if (write(fd, text, len) != (ssize_t)len || fsync(fd) != 0)
		rc = failed();
	close(fd);
	if (rc == 0 &&
	    renameat(f->dir, upload_file_name(f->id, ".json.tmp", temp), f->dir,
		upload_file_name(f->id, suffix, name)) != 0)
		rc = failed();
	return rc;
}

static char *
print(const struct upload_file *f)
{
	char hex[65];
	json_t *o = json_pack("{s:i s:s s:s s:I s:I s:b s:O}", "version", 1,
	    "capture", f->id, "session", f->session, "endpoint_id",
	    (json_int_t)f->endpoint_id, "length", (json_int_t)f->at.length,
	    "sealed", f->is_sealed, "order", f->order);
	char *text = NULL;

	if (o != NULL &&
	    (!f->has_digest ||
		json_object_set_new(o, "sha256",
		    json_string(http_hex(f->digest, 32, hex))) == 0))
		text = json_dumps(o, JSON_INDENT(1));
	json_decref(o);
	return text;
}

int
upload_file_create(struct upload_file *f)
{
	char *text = print(f);
	int rc;

	if (text == NULL)
		return ERR_NOMEM;
	upload_file_remove(f->dir, f->id);
	rc = upload_file_put(f, ".json", text);
	free(text);
	if (rc != 0)
		return rc;
	f->fd = upload_file_open(f, ".data", O_RDWR | O_CREAT | O_EXCL);
	return f->fd >= 0 && fsync(f->dir) == 0 ? 0 : failed();
}

/* ---- one that is there ---- */

static json_t *
read_json(const struct upload_file *f)
{
	int fd = upload_file_open(f, ".json", O_RDONLY | O_NONBLOCK);
	char *text = NULL;
	json_t *o = NULL;
	ssize_t n = -1;

	if (fd < 0)
		return NULL;
	text = malloc(JSON_BYTES_MAX);
	if (text != NULL)
		n = read(fd, text, JSON_BYTES_MAX);
	if (n > 0)
		o = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	close(fd);
	if (o == NULL)
		errno = EBADMSG;
	return o;
}

static bool
copy_uuid(char out[UUID_TEXT_MAX], const json_t *v)
{
	const char *s = json_string_value(v);

	if (s == NULL || !is_uuid(s))
		return false;
	memcpy(out, s, UUID_TEXT_MAX);
	return true;
}

/* 0 or ERR_CORRUPT. */
static int
take_json(struct upload_file *f, const json_t *o)
{
	const char *sum = json_text(o, "sha256");
	json_t *order = json_object_get(o, "order");
	char id[UUID_TEXT_MAX];

	if (!copy_uuid(id, json_object_get(o, "capture")) ||
	    strcmp(id, f->id) != 0 ||
	    !copy_uuid(f->session, json_object_get(o, "session")) ||
	    !json_is_object(order))
		return ERR_CORRUPT;
	f->endpoint_id = json_int(o, "endpoint_id");
	f->is_sealed = json_is_true(json_object_get(o, "sealed"));
	f->has_digest = sum != NULL && strlen(sum) == 64 &&
	    http_unhex(sum, f->digest, 32) == 0;
	if (sum != NULL && !f->has_digest)
		return ERR_CORRUPT;
	f->order = json_incref(order);
	return 0;
}

/* What a request with a checksum brought before the process died. */
static int
cut_unchecked(const struct upload_file *f, int fd)
{
	char text[24] = "";
	int check = upload_file_open(f, ".check", O_RDONLY | O_NONBLOCK),
	    rc = 0;
	struct stat st;

	if (check < 0)
		return errno == ENOENT ? 0 : ERR_IO;
	if (read(check, text, sizeof(text) - 1) < 0 || fstat(fd, &st) != 0)
		rc = ERR_IO;
	close(check);
	/* an empty one: it was made just before, and nothing has come yet */
	if (rc == 0 && text[0] != '\0' &&
	    strtoll(text, NULL, 10) < (long long)st.st_size &&
	    ftruncate(fd, (off_t)strtoll(text, NULL, 10)) != 0)
		rc = ERR_IO;
	return rc == 0 ? upload_file_unlink(f, ".check") : rc;
}

static int
load_data(struct upload_file *f, uint64_t length)
{
	struct stat st;
	int fd = upload_file_open(f, ".data", O_RDWR | O_NONBLOCK);
	int rc = 0;

	if (fd < 0 && errno == ENOENT) {
		fd = upload_file_open(f, ".kept", O_RDONLY | O_NONBLOCK);
		f->is_kept = fd >= 0;
	}
	if (fd < 0)
		return errno == ENOENT ? ERR_NOTFOUND : ERR_IO;
	if (!f->is_kept)
		rc = cut_unchecked(f, fd);
	if (rc == 0 && fstat(fd, &st) != 0)
		rc = ERR_IO;
	if (rc == 0 && !S_ISREG(st.st_mode))
		rc = ERR_CORRUPT;
	if (rc == 0 && f->is_kept)
		st.st_size = (off_t)length;
	if (rc == 0 &&
	    upload_offset_init(&f->at, length, (uint64_t)st.st_size) != 0)
		rc = ERR_CORRUPT;
	if (rc == 0)
		f->last_s = (uint64_t)st.st_mtim.tv_sec;
	close(fd);
	return rc;
}

int
upload_file_load(struct upload_file *f, int dir, const char *id)
{
	json_t *o;
	int rc;

	memset(f, 0, sizeof(*f));
	f->dir = dir;
	f->fd = -1;
	snprintf(f->id, sizeof(f->id), "%s", id);
	o = read_json(f);
	if (o == NULL)
		return errno == ENOENT ? ERR_NOTFOUND
		    : errno == EBADMSG ? ERR_CORRUPT
				       : ERR_IO;
	rc = take_json(f, o);
	if (rc == 0)
		rc = load_data(f, (uint64_t)json_int(o, "length"));
	json_decref(o);
	if (rc != 0)
		upload_file_release(f);
	return rc;
}

void
upload_file_release(struct upload_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	json_decref(f->order);
	f->order = NULL;
}

/* ---- a request ---- */

/* From here on its bytes do not count until they are checked. */
static int
note_check(const struct upload_file *f)
{
	char text[24];
	int fd = upload_file_open(f, ".check", O_WRONLY | O_CREAT | O_TRUNC);
	int n = snprintf(
	    text, sizeof(text), "%llu", (unsigned long long)f->at.have);
	int rc = fd >= 0 && write(fd, text, (size_t)n) == n ? 0 : failed();

	if (fd >= 0)
		close(fd);
	return rc;
}

int
upload_file_begin(
    struct upload_file *f, uint64_t at, uint64_t n, bool is_checked)
{
	struct upload_offset u = f->at;
	int rc = upload_offset_begin(&u, at, n, is_checked);

	if (rc != 0)
		return rc;
	if (f->fd < 0)
		f->fd = upload_file_open(f, ".data", O_RDWR | O_NONBLOCK);
	if (f->fd < 0)
		return failed();
	if (is_checked && note_check(f) != 0)
		return failed();
	f->at = u;
	return 0;
}

int
upload_file_write(struct upload_file *f, const uint8_t *data, size_t n)
{
	while (n > 0) {
		ssize_t w = pwrite(f->fd, data, n, (off_t)f->at.have);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return failed();
		upload_offset_add(&f->at, (uint64_t)w);
		data += w;
		n -= (size_t)w;
	}
	return 0;
}

int
upload_file_end(struct upload_file *f, bool is_right)
{
	uint64_t before = f->at.have;
	uint64_t counts = upload_offset_end(&f->at, is_right);
	int rc = 0;

	if (f->fd >= 0 && counts < before &&
	    ftruncate(f->fd, (off_t)counts) != 0)
		rc = ERR_IO;
	/* the bytes are cut before the note of them goes */
	if (rc == 0)
		rc = upload_file_unlink(f, ".check");
	return rc;
}
