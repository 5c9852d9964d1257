/* doctor: does a daemon serve the certificate that is in its file? After a
 * renewal it does once it was told to read it again. */
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "ctl/doctor/doctor.h"

#define TIMEOUT_S 5

/* Without a look at who it is of; NULL: there is none. */
static X509 *
served_at(const char *host, const char *port)
{
	const struct timeval tv = { TIMEOUT_S, 0 };
	char why[300];
	int fd = tcp_connect(host, port, TIMEOUT_S, why, sizeof(why));
	SSL_CTX *ctx = fd >= 0 ? SSL_CTX_new(TLS_client_method()) : NULL;
	SSL *ssl = ctx != NULL ? SSL_new(ctx) : NULL;
	X509 *x = NULL;

	if (ssl != NULL && SSL_set_fd(ssl, fd) == 1 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0 &&
	    SSL_connect(ssl) == 1) {
		x = SSL_get1_peer_certificate(ssl);
		SSL_shutdown(ssl);
	}
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	if (fd >= 0)
		close(fd);
	return x;
}

void
doctor_served_certificate(struct doctor *d, const char *check,
    const char *program, const char *listen, const char *cert_file)
{
	FILE *f = cert_file != NULL ? fopen(cert_file, "re") : NULL;
	X509 *x = f != NULL ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
	X509 *served = NULL;
	char host[HOST_MAX], port[8];

	if (f != NULL)
		fclose(f);
	if (x != NULL && listen != NULL &&
	    doctor_split_listen(listen, host, port) == 0)
		served = served_at(host, port);
	if (served != NULL && X509_cmp(x, served) != 0)
		doctor_warn(d, check,
		    "have the daemon read it again: systemctl reload (SIGHUP); "
		    "deploy/certificate-install checks, installs and reloads",
		    "relaycam-%s serves another certificate at %s than the one "
		    "in %s",
		    program, listen, cert_file);
	else if (served != NULL)
		doctor_ok(
		    d, check, "relaycam-%s serves it at %s", program, listen);
	X509_free(x);
	X509_free(served);
}
