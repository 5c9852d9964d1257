/* Whether a whole upload is what was sent and what was ordered. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/sha256.h"
#include "common/uuid.h"
#include "common/write_all.h"
#include "storage/hash.h"
#include "storage/upload/capture_order.h"
#include "storage/upload/upload_file.h"

struct check {
	const struct upload_file *f;
	const struct site_key *key;
	const atomic_bool *stopping;
	char *why;
	size_t why_len;
	int err;
};

static enum upload_outcome
later(struct check *c, int err)
{
	c->err = err;
	snprintf(c->why, c->why_len, "%s", err_text(err));
	return UPLOAD_LATER;
}

static enum upload_outcome
say(const struct check *c, enum upload_outcome outcome, const char *text)
{
	snprintf(c->why, c->why_len, "%s", text);
	return outcome;
}

static enum upload_outcome
check_digest(struct check *c, int fd, uint8_t digest[32])
{
	struct sha256 *sum = sha256_new();
	uint64_t at = 0;
	int rc = ERR_NOMEM;

	if (sum != NULL)
		rc = hash_bytes(fd, &at, c->f->at.length, sum, c->stopping);
	if (rc == 0)
		rc = sha256_end(sum, digest);
	sha256_free(sum);
	if (rc != 0)
		return later(c, rc);
	if (c->f->has_digest && memcmp(digest, c->f->digest, 32) != 0)
		return say(c, UPLOAD_DIFFERS,
		    "what arrived is not what was sent: its SHA-256 differs");
	return UPLOAD_RIGHT;
}

/* All chunks of r into `to`. */
static enum upload_outcome
copy_clear(struct check *c, struct sealed_reader *r, int to)
{
	const uint8_t *data;
	size_t len;
	int rc;

	while ((rc = sealed_reader_next(r, &data, &len)) > 0) {
		if (c->stopping != NULL && atomic_load(c->stopping))
			rc = ERR_CANCELLED;
		else
			rc = write_all(to, data, len);
		if (rc != 0)
			return later(c, rc);
	}
	if (rc != 0)
		return later(c, rc);
	if (sealed_reader_end(r) == SEALED_END_DAMAGED)
		return say(c, UPLOAD_UNREADABLE,
		    "it cannot be decrypted: a chunk was changed");
	return UPLOAD_RIGHT;
}

static enum upload_outcome
decrypt(struct check *c, int from, int to)
{
	struct sealed_reader *r = NULL;
	uint8_t id[SEALED_ID_LEN];
	enum upload_outcome outcome;
	int rc;

	uuid_bytes(c->f->id, id);
	if (lseek(from, 0, SEEK_SET) != 0)
		return later(c, ERR_IO);
	rc = sealed_reader_new(
	    &r, from, c->key->public_key, c->key->secret_key, id);
	if (rc == ERR_CORRUPT || rc == ERR_DENIED)
		return say(c, UPLOAD_UNREADABLE,
		    "it is not encrypted to this site's key");
	if (rc != 0)
		return later(c, rc);
	outcome = copy_clear(c, r, to);
	sealed_reader_free(r);
	if (outcome == UPLOAD_RIGHT && fdatasync(to) != 0)
		return later(c, ERR_IO);
	return outcome;
}

static enum upload_outcome
check_order(struct check *c, int fd)
{
	char detail[128] = "", text[200];
	int rc = capture_order_matches(c->f->order, fd, detail, sizeof(detail));

	if (rc == ERR_CORRUPT) {
		snprintf(text, sizeof(text),
		    "it is not the capture that was ordered: %s", detail);
		return say(c, UPLOAD_NOT_ORDERED, text);
	}
	return rc != 0 ? later(c, rc) : UPLOAD_RIGHT;
}

static enum upload_outcome
check_clear(struct check *c, int fd)
{
	enum upload_outcome outcome;
	int clear;

	if (!c->f->is_sealed)
		return check_order(c, fd);
	clear = upload_file_open(c->f, ".capture", O_RDWR | O_CREAT | O_TRUNC);
	if (clear < 0)
		return later(c, ERR_IO);
	outcome = decrypt(c, fd, clear);
	if (outcome == UPLOAD_RIGHT)
		outcome = check_order(c, clear);
	close(clear);
	return outcome;
}

enum upload_outcome
upload_file_check(const struct upload_file *f, const struct site_key *key,
    const atomic_bool *stopping, uint8_t digest[32], int *err, char *why,
    size_t why_len)
{
	struct check c = { f, key, stopping, why, why_len, 0 };
	int fd = upload_file_open(f, ".data", O_RDWR | O_NONBLOCK);
	enum upload_outcome outcome;

	why[0] = '\0';
	if (fd < 0 || fdatasync(fd) != 0)
		outcome = later(&c, ERR_IO);
	else
		outcome = check_digest(&c, fd, digest);
	if (outcome == UPLOAD_RIGHT)
		outcome = check_clear(&c, fd);
	if (fd >= 0)
		close(fd);
	*err = c.err;
	return outcome;
}
