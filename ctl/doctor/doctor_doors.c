/* doctor: the relay's doors, and what is behind them. */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/doctor/doctor.h"
#include "ctl/ctl_http.h"
#include "ctl/pg.h"
#include "ctl/endpoint/relay_address.h"

#define TIMEOUT_S 5

/* A wildcard address is tried on the loopback interface. */
static const char *
reachable_host(const char *host)
{
	bool any = *host == '\0' || strcmp(host, "*") == 0 ||
	    strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;

	return any ? "127.0.0.1" : host;
}

/* "host:port" of a setting, as it can be reached from here. */
int
doctor_split_listen(const char *listen, char host[HOST_MAX], char port[8])
{
	char text[HOST_MAX + 16];

	snprintf(text, sizeof(text), "%s%s", *listen == ':' ? "*" : "", listen);
	if (hostport_split(text, host, port) != 0 || port[0] == '\0')
		return -1;
	if (reachable_host(host) != host)
		strcpy(host, reachable_host(host));
	return 0;
}

/* Does something listen? check: the line's name. */
static bool
check_port(
    struct doctor *d, const char *check, const char *host, const char *port)
{
	char why[300], place[HOST_MAX + 16];
	int fd = tcp_connect(host, port, TIMEOUT_S, why, sizeof(why));

	if (fd >= 0) {
		close(fd);
		return true;
	}
	relay_address_print(host, port, place, sizeof(place));
	doctor_no_answer(d, check, "relay", place, why);
	return false;
}

static void
check_door(struct doctor *d, const char *check, const char *setting,
    const char *listen, const char *what)
{
	char host[HOST_MAX], port[8];

	if (doctor_split_listen(listen, host, port) != 0)
		doctor_fail(d, check, "write it as host:port",
		    "[relay] %s = %s is no address", setting, listen);
	else if (check_port(d, check, host, port))
		doctor_ok(d, check, "%s are heard at %s", what, listen);
}

/* A number by SQL; 0 without a database. */
static int
count(struct doctor *d, const char *sql)
{
	PGresult *res;
	int n = 0;

	if (d->ctl->db == NULL)
		return 0;
	res = PG_TRY(d->ctl, sql);
	if (PQresultStatus(res) == PGRES_TUPLES_OK)
		n = atoi(PQgetvalue(res, 0, 0));
	PQclear(res);
	return n;
}

/* --- browsers and agents ------------------------------------------------- */

static void
check_page(struct doctor *d, const char *listen)
{
	char host[HOST_MAX], port[8], place[HOST_MAX + 16], url[URL_MAX];
	char why[CTL_HTTP_WHY_MAX];
	long status;

	if (doctor_split_listen(listen, host, port) != 0) {
		doctor_fail(d, "web", "write it as host:port",
		    "[relay] web_listen = %s is no address", listen);
		return;
	}
	relay_address_print(host, port, place, sizeof(place));
	snprintf(url, sizeof(url), "https://%s/", place);
	status = ctl_http_probe(
	    "GET", url, ctl_http_any_certificate, NULL, 0, TIMEOUT_S, why);
	if (status < 0)
		doctor_no_answer(d, "web", "relay", url, why);
	else if (status == 200)
		doctor_ok(d, "web", "the browser viewer answers at %s", listen);
	else
		doctor_fail(d, "web",
		    "look at [relay] web_dir, then at the relay's log",
		    "%s answers with status %ld", url, status);
}

static void
check_file(struct doctor *d, const char *setting, const char *dir,
    const char *file, const char *remedy)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	if (access(path, R_OK) == 0)
		doctor_ok(d, "page", "[relay] %s = %s", setting, dir);
	else
		doctor_warn(d, "page", remedy,
		    "[relay] %s = %s has no %s that can be read", setting, dir,
		    file);
}

static void
check_web(struct doctor *d)
{
	const struct conf_daemon *r = &d->ctl->relay;

	if (r->web_listen == NULL || *r->web_listen == '\0') {
		doctor_warn(d, "web",
		    "set [relay] web_listen, usually [::]:443",
		    "neither browsers nor agents can come in");
		return;
	}
	check_page(d, r->web_listen);
	doctor_served_certificate(
	    d, "relay TLS", "relay", r->web_listen, r->cert_file);
	check_file(d, "web_dir", r->web_dir != NULL ? r->web_dir : "",
	    "index.html", "install it, or set the folder of the page");
	check_file(d, "novnc_dir", r->novnc_dir != NULL ? r->novnc_dir : "",
	    "core/rfb.js", "install Debian's novnc, or set its folder");
}

/* --- servers that dial out, viewers without VeNCrypt --------------------- */

static void
check_reverse(struct doctor *d)
{
	const char *listen = d->ctl->relay.reverse_listen;
	int n = count(d,
	    "SELECT count(*) FROM endpoints WHERE kind = 'reverse' "
	    "AND deleted_at IS NULL");

	if (listen != NULL && *listen != '\0')
		check_door(d, "reverse", "reverse_listen", listen,
		    "VNC servers that dial in");
	else if (n > 0)
		doctor_fail(d, "reverse",
		    "set [relay] reverse_listen, usually [::]:5500",
		    "%d endpoints of kind reverse cannot dial in", n);
}

static void
check_session_ports(struct doctor *d)
{
	struct session_ports p;
	char port[8];
	int n = count(d, "SELECT count(*) FROM access_settings WHERE vnc_auth");
	bool ok = true;

	if (session_ports_read(d->ctl, &p) != 0) {
		doctor_fail(d, "ports",
		    "write it as host:first-last, as 127.0.0.1:5910-5919",
		    "[relay] session_ports = %s is no range of ports",
		    d->ctl->relay.session_ports);
		return;
	}
	if (p.n == 0 && n > 0)
		doctor_warn(d, "ports",
		    "set [relay] session_ports, as 127.0.0.1:5910-5919",
		    "viewers without VeNCrypt are allowed and have no port");
	for (int i = 0; i < p.n && ok; i += p.n > 1 ? p.n - 1 : 1) {
		snprintf(port, sizeof(port), "%d", p.first + i);
		ok = check_port(d, "ports", reachable_host(p.host), port);
	}
	if (p.n > 0 && ok)
		doctor_ok(d, "ports",
		    "%d ports for viewers without VeNCrypt, from %d", p.n,
		    p.first);
}

/* --- the name ------------------------------------------------------------ */

static X509 *
read_certificate(const char *path)
{
	FILE *f = path != NULL ? fopen(path, "re") : NULL;
	X509 *x = f != NULL ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

	if (f != NULL)
		fclose(f);
	return x;
}

/* Viewers, browsers and agents are all sent to this name. */
static void
check_name(struct doctor *d)
{
	X509 *x = read_certificate(d->ctl->relay.cert_file);
	struct relay_address r;

	if (x == NULL) {
		/* said elsewhere */
	} else if (relay_address_read(d->ctl, &r) != 0) {
		doctor_fail(d, "relay TLS", "see standard error",
		    "the relay's addresses are not right");
	} else if (X509_check_host(x, r.host, 0, 0, NULL) != 1 &&
	    X509_check_ip_asc(x, r.host, 0) != 1) {
		doctor_warn(d, "relay TLS",
		    "set [relay] public_host to a name of the certificate that "
		    "leads to the relay",
		    "technicians and endpoints are sent to %s, and the "
		    "certificate has no such name",
		    r.host);
	}
	X509_free(x);
}

void
doctor_doors(struct doctor *d)
{
	const char *listen = d->ctl->relay.listen;

	check_door(d, "viewers", "listen", listen != NULL ? listen : "",
	    "VNC viewers");
	check_web(d);
	check_reverse(d);
	check_session_ports(d);
	check_name(d);
}
