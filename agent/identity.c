#include "agent/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

#include "common/err.h"
#include "common/keyfile.h"

/* A certificate needs dates; nobody looks at these. */
#define NO_EXPIRY "99991231235959Z" /* RFC 5280 section 4.1.2.5 */

static int
set_serial(X509 *cert)
{
	unsigned char bytes[16];
	BIGNUM *n;
	int ok;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return 0;
	bytes[0] &= 0x7f; /* positive */
	n = BN_bin2bn(bytes, sizeof(bytes), NULL);
	ok = n != NULL &&
	    BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL;
	BN_free(n);
	return ok;
}

static int
fill(X509 *cert, EVP_PKEY *key)
{
	X509_NAME *name = X509_get_subject_name(cert);

	return X509_set_version(cert, X509_VERSION_3) == 1 &&
	    set_serial(cert) &&
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
		(const unsigned char *)"relaycam-agent", -1, -1, 0) == 1 &&
	    X509_set_issuer_name(cert, name) == 1 &&
	    X509_gmtime_adj(X509_getm_notBefore(cert), -86400) != NULL &&
	    ASN1_TIME_set_string_X509(X509_getm_notAfter(cert), NO_EXPIRY) ==
	    1 &&
	    X509_set_pubkey(cert, key) == 1 &&
	    X509_sign(cert, key, EVP_sha256()) > 0;
}

int
identity_make(struct identity *id)
{
	*id = (struct identity){ EVP_EC_gen("P-256"), X509_new() };
	if (id->key != NULL && id->cert != NULL && fill(id->cert, id->key))
		return 0;
	ERR_clear_error();
	identity_release(id);
	return ERR_NOMEM;
}

int
identity_save(const struct identity *id, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *f;
	int ok, error;

	if (fd < 0)
		return ERR_IO;
	f = fdopen(fd, "w");
	if (f == NULL) {
		close(fd);
		return ERR_NOMEM;
	}
	ok = PEM_write_PrivateKey(f, id->key, NULL, NULL, 0, NULL, NULL) == 1 &&
	    PEM_write_X509(f, id->cert) == 1 && fflush(f) == 0 &&
	    fsync(fd) == 0;
	error = errno;
	if (fclose(f) != 0 || !ok) {
		ERR_clear_error();
		unlink(path);
		errno = error;
		return ERR_IO;
	}
	return 0;
}

int
identity_load(
    struct identity *id, const char *path, char *why, size_t why_len)
{
	int fd = keyfile_open("agent identity", path, why, why_len);
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;

	*id = (struct identity){ 0 };
	if (fd < 0)
		return fd;
	if (f == NULL) {
		close(fd);
		snprintf(why, why_len, "%s: out of memory", path);
		return ERR_NOMEM;
	}
	id->key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	id->cert = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	if (id->key != NULL && id->cert != NULL &&
	    X509_check_private_key(id->cert, id->key) == 1)
		return 0;
	ERR_clear_error();
	identity_release(id);
	snprintf(why, why_len, "agent identity %s: no key with its certificate",
	    path);
	return ERR_CORRUPT;
}

void
identity_release(struct identity *id)
{
	EVP_PKEY_free(id->key);
	X509_free(id->cert);
	*id = (struct identity){ 0 };
}
