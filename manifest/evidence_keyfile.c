#include "manifest/evidence_keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"

#define PUB_MAX (EVIDENCE_KEYS_MAX * 200)

/* Bytes of a new file, synced; it is removed when that fails. */
static int
fill(int fd, const char *path, mode_t mode, const void *data, size_t len)
{
	bool ok = fchmod(fd, mode) == 0 &&
	    write(fd, data, len) == (ssize_t)len && fsync(fd) == 0;
	int e = errno;

	close(fd);
	if (ok)
		return 0;
	unlink(path);
	errno = e;
	return ERR_IO;
}

/* Beside path, under a name of its own in temp. */
static int
write_temp(const char *path, mode_t mode, const void *data, size_t len,
    char temp[EVIDENCE_KEYFILE_PATH_MAX])
{
	int fd;

	if (snprintf(temp, EVIDENCE_KEYFILE_PATH_MAX, "%s.XXXXXX", path) >=
	    EVIDENCE_KEYFILE_PATH_MAX)
		return ERR_LIMIT;
	fd = mkostemp(temp, O_CLOEXEC);
	return fd < 0 ? ERR_IO : fill(fd, temp, mode, data, len);
}

/* A name in a folder lasts once the folder is synced. */
static void
sync_folder(const char *path)
{
	char folder[EVIDENCE_KEYFILE_PATH_MAX];
	char *slash;
	int fd;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (slash != NULL)
		slash[slash == folder ? 1 : 0] = '\0';
	fd = open(
	    slash != NULL ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

/* ---- the public halves ---- */

/* What path.pub says now: heap, "" when there is none. NULL and errno. */
static char *
read_public(const char *path)
{
	char *text = calloc(1, PUB_MAX + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t n = 0;

	while (text != NULL && fd >= 0 && have < PUB_MAX &&
	    (n = read(fd, text + have, PUB_MAX - have)) > 0)
		have += (size_t)n;
	if (text != NULL && n < 0) {
		free(text);
		text = NULL;
	}
	if (fd >= 0)
		close(fd);
	return text;
}

static bool
has_key(const char *text, const struct evidence_key *k)
{
	char line[EVIDENCE_KEY_TEXT_MAX];

	return strstr(text, evidence_key_print(k, line)) != NULL;
}

static int
replace_public(const char *path, const struct evidence_key *k, const char *old)
{
	char temp[EVIDENCE_KEYFILE_PATH_MAX], line[EVIDENCE_KEY_TEXT_MAX];
	char *text;
	int len = asprintf(
	    &text, "%s # %s\n%s", evidence_key_print(k, line), k->id, old);
	int rc;

	if (len < 0)
		return ERR_NOMEM;
	rc = write_temp(path, 0644, text, (size_t)len, temp);
	free(text);
	if (rc == 0 && rename(temp, path) != 0) {
		unlink(temp);
		rc = ERR_IO;
	}
	return rc;
}

int
evidence_keyfile_publish(const char *path, const struct evidence_key *k)
{
	char public[EVIDENCE_KEYFILE_PATH_MAX];
	char *old;
	int rc = 0;

	if (snprintf(public, sizeof(public), "%s.pub", path) >=
	    (int)sizeof(public))
		return ERR_LIMIT;
	old = read_public(public);
	if (old == NULL)
		return errno == ENOMEM ? ERR_NOMEM : ERR_IO;
	if (!has_key(old, k))
		rc = replace_public(public, k, old);
	free(old);
	return rc;
}

/* ---- the secret half ---- */

static void
make(uint8_t seed[EVIDENCE_SEED_LEN], struct evidence_key *k)
{
	uint8_t secret[crypto_sign_SECRETKEYBYTES];

	randombytes_buf(seed, EVIDENCE_SEED_LEN);
	crypto_sign_seed_keypair(k->bytes, secret, seed);
	evidence_key_name(k);
	wipe(secret, sizeof(secret));
}

int
evidence_keyfile_create(const char *path, struct evidence_key *k)
{
	char temp[EVIDENCE_KEYFILE_PATH_MAX];
	uint8_t seed[EVIDENCE_SEED_LEN];
	int rc, e;

	if (sodium_init() < 0)
		return ERR_NOMEM;
	make(seed, k);
	rc = write_temp(path, 0600, seed, sizeof(seed), temp);
	wipe(seed, sizeof(seed));
	if (rc != 0)
		return rc;
	/* unlike a rename, this never takes another one's place */
	rc = link(temp, path) == 0 ? 0 : ERR_IO;
	e = errno;
	unlink(temp);
	errno = e;
	if (rc != 0)
		return rc;
	sync_folder(path);
	(void)evidence_keyfile_publish(path, k); /* made again when needed */
	return 0;
}
