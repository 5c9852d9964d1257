/* doctor: the console as it runs. */
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/doctor/doctor.h"
#include "ctl/ctl_http.h"
#include "ctl/pg.h"
#include "ctl/endpoint/relay_address.h"
#include "ctl/connect/run_output.h"

#define TIMEOUT_S       5
#define DPKG_TIMEOUT_MS 10000

/* Until then evhttp let smuggled requests through. */
#define LIBEVENT_FIXED        "2.1.13"
#define LIBEVENT_FIXED_DEBIAN "2.1.12-stable-8+deb12u1"

/* ---- libevent ---- */

/* The version of Debian's package; "" when it is not known. */
static void
installed_libevent(char *out, size_t len)
{
	static const char *const names[] = { "libevent-2.1-7",
		"libevent-2.1-7t64" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *const argv[] = { "dpkg-query", "-W", "-f",
			"<${Version}>", names[i], NULL };

		if (run_output(argv, DPKG_TIMEOUT_MS, out, len) == 0 &&
		    out[0] == '<' && out[1] != '>') {
			memmove(out, out + 1, strlen(out));
			out[strcspn(out, ">")] = '\0';
			return;
		}
	}
	out[0] = '\0';
}

/* dpkg says it by its status, the shell by a word. */
static bool
is_older(const char *version, const char *than)
{
	char out[64];
	const char *const argv[] = { "sh", "-c",
		"dpkg --compare-versions \"$1\" lt \"$2\" && echo older", "sh",
		version, than, NULL };

	return run_output(argv, DPKG_TIMEOUT_MS, out, sizeof(out)) == 0 &&
	    strncmp(out, "older", 5) == 0;
}

static void
check_libevent(struct doctor *d)
{
	char version[128];

	installed_libevent(version, sizeof(version));
	if (version[0] == '\0')
		doctor_warn(d, "libevent",
		    "see to it that it is " LIBEVENT_FIXED
		    " or newer, or has the fixes of "
		    "Debian's " LIBEVENT_FIXED_DEBIAN,
		    "no Debian package says which libevent the console uses");
	else if (is_older(version, LIBEVENT_FIXED_DEBIAN))
		doctor_fail(d, "libevent",
		    "apt-get install --only-upgrade libevent-2.1-7, and start "
		    "the console again",
		    "%s lets smuggled HTTP requests "
		    "through; " LIBEVENT_FIXED_DEBIAN " or newer is needed",
		    version);
	else
		doctor_ok(d, "libevent", "%s", version);
}

/* ---- its port ---- */

static void
check_door(struct doctor *d)
{
	const char *listen = d->ctl->console.listen;
	char host[HOST_MAX], port[8], place[HOST_MAX + 16], url[URL_MAX];
	char why[CTL_HTTP_WHY_MAX];
	long status;

	if (doctor_split_listen(listen, host, port) != 0) {
		doctor_fail(d, "console API", "write it as address:port",
		    "[console] listen = %s is no address", listen);
		return;
	}
	relay_address_print(host, port, place, sizeof(place));
	snprintf(url, sizeof(url), "https://%s/api/v1/login/methods", place);
	status = ctl_http_probe(
	    "GET", url, ctl_http_any_certificate, NULL, 0, TIMEOUT_S, why);
	if (status == 200)
		doctor_ok(d, "console API", "answers at %s", listen);
	else if (status < 0)
		doctor_no_answer(d, "console API", "console", url, why);
	else
		doctor_fail(d, "console API", "look at the console's log",
		    "%s answers with status %ld", url, status);
}

static void
check_public_url(struct doctor *d)
{
	const char *url = d->ctl->console.public_url;

	if (url == NULL || *url == '\0')
		doctor_warn(d, "console TLS",
		    "set [console] public_url to the https://host[:port] that "
		    "browsers use",
		    "without [console] public_url there are neither passkeys "
		    "nor single sign-on");
	else
		doctor_certificate_name(d, "console TLS",
		    d->ctl->console.cert_file, "[console] public_url", url);
}

/* ---- is it meant to run here? ---- */

/* A site need not have one: a line that says so is enough there. */
static bool
is_used(struct doctor *d)
{
	char url[300], why[CTL_HTTP_WHY_MAX];
	PGresult *res;
	bool was_here = true;

	doctor_health_url(
	    d->ctl->console.metrics_listen, "/healthz", url, sizeof(url));
	if (ctl_http_probe("GET", url, NULL, NULL, 0, TIMEOUT_S, why) >= 0)
		return true;
	if (d->ctl->db != NULL) {
		res = PG_TRY(d->ctl,
		    "SELECT EXISTS (SELECT FROM nodes WHERE program = "
		    "'console')");
		was_here = PQresultStatus(res) != PGRES_TUPLES_OK ||
		    PQgetvalue(res, 0, 0)[0] == 't';
		PQclear(res);
	}
	if (!was_here)
		doctor_warn(d, "console",
		    "start relaycam-console; without it recordings are seen "
		    "by \"relaycam\" alone",
		    "no console runs here (%s), nor did one ever", why);
	return was_here;
}

void
doctor_console(struct doctor *d)
{
	const struct conf_daemon *conf = &d->ctl->console;

	if (conf->metrics_listen != NULL && *conf->metrics_listen != '\0' &&
	    !is_used(d))
		return;
	doctor_daemon(d, "console", conf);
	doctor_certificate(d, "console TLS", conf);
	check_public_url(d);
	check_door(d);
	doctor_served_certificate(
	    d, "console TLS", "console", conf->listen, conf->cert_file);
	check_libevent(d);
}
