/* doctor: certificates and keys of daemons. */
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "common/tls.h"
#include "ctl/endpoint/certificate.h"
#include "ctl/doctor/doctor.h"
#include "ctl/ctl_hostport.h"

#define WARN_DAYS 30

static void
check_dates(struct doctor *d, const char *check, const char *path,
    const struct certificate_info *info)
{
	static const char remedy[] =
	    "put a new certificate there and restart the daemon";

	if (info->not_yet_valid)
		doctor_fail(d, check, "is the clock right?",
		    "certificate %s is not valid yet", path);
	else if (info->days_left < 0)
		doctor_fail(d, check, remedy, "certificate %s ended at %s",
		    path, info->expires_at);
	else if (info->days_left < WARN_DAYS)
		doctor_warn(d, check, remedy,
		    "certificate %s ends in %lld days, at %s", path,
		    (long long)info->days_left, info->expires_at);
	else
		doctor_ok(d, check, "certificate %s, %s, until %s", path,
		    info->subject, info->expires_at);
}

/* "https://host:8444/..." -> host */
static int
url_host(const char *url, char host[HOST_MAX])
{
	const char *begin = strstr(url, "://");
	char authority[HOST_MAX + 8], port[8];

	if (begin == NULL)
		return -1;
	begin += 3;
	snprintf(authority, sizeof(authority), "%.*s",
	    (int)strcspn(begin, "/?#"), begin);
	return hostport_split(authority, host, port);
}

void
doctor_certificate_name(struct doctor *d, const char *check, const char *path,
    const char *setting, const char *url)
{
	FILE *f = path != NULL ? fopen(path, "re") : NULL;
	X509 *x = f != NULL ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
	char host[HOST_MAX];

	if (f != NULL)
		fclose(f);
	if (x == NULL)
		return; /* said elsewhere */
	if (url_host(url, host) != 0)
		doctor_fail(d, check, "write it as https://host:port",
		    "%s = %s is no URL", setting, url);
	else if (X509_check_host(x, host, 0, 0, NULL) != 1 &&
	    X509_check_ip_asc(x, host, 0) != 1)
		doctor_fail(d, check,
		    "use a name of the certificate there, or a certificate "
		    "with that name",
		    "%s points at %s, and the certificate has no such name",
		    setting, host);
	X509_free(x);
}

void
doctor_certificate(
    struct doctor *d, const char *check, const struct conf_daemon *conf)
{
	struct certificate_info info;
	char err[512];
	SSL_CTX *ctx;

	if (conf->cert_file == NULL || conf->key_file == NULL) {
		doctor_fail(d, check, "set tls_cert_file and tls_key_file",
		    "no certificate is set");
		return;
	}
	ctx = tls_server_new(conf->cert_file, conf->key_file, err, sizeof(err));
	if (ctx == NULL) {
		doctor_fail(d, check,
		    "tls_cert_file is the chain in PEM form, leaf first; "
		    "tls_key_file "
		    "its key, readable by this account",
		    "%s", err);
		return;
	}
	certificate_describe(SSL_CTX_get0_certificate(ctx), &info);
	check_dates(d, check, conf->cert_file, &info);
	SSL_CTX_free(ctx);
}

void
doctor_certificates(struct doctor *d)
{
	const struct conf_store *store = &d->ctl->store;

	doctor_certificate(d, "relay TLS", &d->ctl->relay);
	doctor_certificate(d, "storage TLS", &d->ctl->storage);
	if (strcmp(store->kind, "folder") == 0) /* links point there */
		doctor_certificate_name(d, "storage TLS",
		    d->ctl->storage.cert_file, "[store] public_url",
		    store->public_url);
}
