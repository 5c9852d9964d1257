/*
 * Files that hold a secret: private keys, link key, seal key, access keys.
 * One place decides whether their owner and mode are safe, the way OpenSSH
 * and PostgreSQL do, so that programs and "relaycam doctor" agree.
 * Blocking. keyfile_trust before threads start; the rest any thread.
 */
#ifndef COMMON_KEYFILE_H
#define COMMON_KEYFILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define KEYFILE_WHY_MAX  512
#define KEYFILE_ACCOUNTS 4

/*
 * A further account that may own key files, besides root and the account of
 * the process: the one that the process will become, or that the daemons run
 * as. At most KEYFILE_ACCOUNTS; more are ignored.
 */
void keyfile_trust(uid_t uid);
/* The same by name; NULL, "" and unknown names are ignored. */
void keyfile_trust_name(const char *account);

/*
 * Decides by owner and mode. mode: as in struct stat. euid: of the process.
 * what: names the file in the sentence ("link key /etc/..."), path: the file
 * in its remedy. Returns 0, or ERR_CONFIG and a sentence with its remedy in
 * why. The owner is root, euid or a trusted account. Group and others have
 * no access, with one exception: a file of root may be read by its group
 * (mode 0640 or 0440), because a daemon that is not root cannot read it
 * otherwise (Kubernetes secrets, Debian's ssl-cert group).
 */
int keyfile_judge(uid_t owner, mode_t mode, uid_t euid, const char *what,
    const char *path, char *why, size_t why_len);

/*
 * Opens path for reading after owner and mode were checked on the open file;
 * symbolic links are followed. what: a word for the sentence, "link key".
 * Returns a descriptor, or ERR_NOTFOUND, ERR_IO (errno), ERR_CONFIG; then
 * why has a sentence that names the file, and where one helps, the remedy.
 */
int keyfile_open(const char *what, const char *path, char *why, size_t why_len);

/*
 * Reads a file of exactly len bytes (1 to 64) into key. Returns 0 or the
 * errors of keyfile_open; ERR_CONFIG also for another length.
 */
int keyfile_read(const char *what, const char *path, uint8_t *key, size_t len,
    char *why, size_t why_len);

#endif
