#include "storage/upload/site_key.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/keyfile.h"
#include "common/write_all.h"

#define PATH_LEN_MAX 4096

_Static_assert(crypto_box_PUBLICKEYBYTES == SEALED_KEY_LEN &&
	crypto_box_SECRETKEYBYTES == SEALED_KEY_LEN,
    "the pair of sealed files");

/* Agents encrypt to it soon: its name has to survive a loss of power, too. */
static void
sync_folder_of(const char *path)
{
	char folder[PATH_LEN_MAX];
	int fd;

	snprintf(folder, sizeof(folder), "%s", path);
	fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

/* A new seed in path: the file is there whole or not at all, and of several
 * that make it at once one succeeds. 0, or -1 with errno. */
static int
make(const char *path)
{
	uint8_t seed[crypto_box_SEEDBYTES];
	char temp[PATH_LEN_MAX];
	int fd, rc = -1;

	if (snprintf(temp, sizeof(temp), "%s.XXXXXX", path) >=
	    (int)sizeof(temp)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return -1;
	randombytes_buf(seed, sizeof(seed));
	if (write_all(fd, seed, sizeof(seed)) == 0 && fsync(fd) == 0 &&
	    (link(temp, path) == 0 || errno == EEXIST))
		rc = 0;
	wipe(seed, sizeof(seed));
	close(fd);
	unlink(temp);
	if (rc == 0)
		sync_folder_of(path);
	return rc;
}

int
site_key_read(struct site_key *key, const char *path, char *err, size_t err_len)
{
	uint8_t seed[crypto_box_SEEDBYTES];
	int rc;

	if (sodium_init() < 0)
		return ERR_NOMEM;
	if (path == NULL || path[0] == '\0') {
		snprintf(err, err_len,
		    "storage.captures needs storage.capture_key_file");
		return ERR_CONFIG;
	}
	if (access(path, F_OK) != 0 && errno == ENOENT && make(path) != 0) {
		snprintf(err, err_len, "storage.capture_key_file %s: %s", path,
		    strerror(errno));
		return ERR_CONFIG;
	}
	rc = keyfile_read(
	    "storage.capture_key_file", path, seed, sizeof(seed), err, err_len);
	if (rc == 0 &&
	    crypto_box_seed_keypair(key->public_key, key->secret_key, seed) !=
		0)
		rc = ERR_NOMEM;
	wipe(seed, sizeof(seed));
	return rc == 0 || rc == ERR_NOMEM ? rc : ERR_CONFIG;
}
