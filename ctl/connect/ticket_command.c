/* relaycam ticket: a one-time login for a technician. */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "ctl/command.h"
#include "ctl/endpoint/relay_address.h"
#include "ctl/table.h"
#include "ctl/connect/ticket.h"

/* Where the ticket is good: "host:port". */
static void
address_of(const struct ctl *c, const struct relay_address *r,
    const struct ticket *k, char *out, size_t len)
{
	struct session_ports ports = { "", 0, 0 };
	char port[8];

	if (k->port == 0) {
		relay_address_print(r->host, r->vnc_port, out, len);
		return;
	}
	session_ports_read(c, &ports);
	snprintf(port, sizeof(port), "%d", k->port);
	relay_address_print(ports.host, port, out, len);
}

static int
print_as_json(const struct ctl *c, const struct relay_address *r,
    const struct target *t, const struct ticket *k)
{
	char address[HOST_MAX + 16], url[URL_MAX], expires[CLOCK_TEXT_MAX];
	json_t *o;

	address_of(c, r, k, address, sizeof(address));
	relay_address_url(r, url);
	clock_format_utc((uint64_t)k->expires_ms * NS_PER_MS, expires);
	o = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "kind",
	    k->port == 0 ? "ticket" : "vnc_auth", "user", t->user, "endpoint",
	    t->endpoint, "password", k->text, "address", address, "expires_at",
	    expires);
	if (o != NULL && k->port == 0 && url[0] != '\0')
		json_object_set_new(
		    o, "url", json_sprintf("%s/#ticket=%s", url, k->text));
	return print_json(o);
}

/* The ticket alone goes to standard output, so that scripts can take it. */
static void
print_people(const struct ctl *c, const struct relay_address *r,
    const struct target *t, const struct ticket *k, int64_t seconds)
{
	char address[HOST_MAX + 16];

	address_of(c, r, k, address, sizeof(address));
	printf("%s\n", k->text);
	fflush(stdout);
	if (k->port == 0)
		fprintf(stderr,
		    "Good once, within %lld s: user name %s and this password "
		    "at %s.\n",
		    (long long)seconds, t->user, address);
	else
		fprintf(stderr,
		    "Good once, within %lld s: this password at %s, which "
		    "leads to %s.\nFrom other machines through TLS only "
		    "(stunnel).\n",
		    (long long)seconds, address, t->user);
}

static int
run(struct ctl *c, const struct args *a)
{
	struct relay_address r;
	struct target t;
	struct ticket k;
	int64_t seconds;
	int rc = args_seconds(
	    a, "valid", 1, TICKET_SECONDS_MAX, TICKET_SECONDS, &seconds);

	if (rc == 0)
		rc = relay_address_read(c, &r);
	if (rc == 0)
		rc = target_find(c, a->words[0], &t);
	if (rc == 0)
		rc = args_has(a, "vnc-auth")
		    ? ticket_new_vnc(c, &t, seconds, &k)
		    : ticket_new(c, &t, seconds, &k);
	if (rc != 0)
		return rc;
	if (args_has(a, "json"))
		rc = print_as_json(c, &r, &t, &k);
	else
		print_people(c, &r, &t, &k, seconds);
	ticket_wipe(&k);
	return rc;
}

static const struct arg_opt opts[] = {
	{ "valid", "TIME", "how long, 1h at most (default: 60s)" },
	{ "vnc-auth", NULL,
	    "8 characters on a port of their own, for viewers without "
	    "VeNCrypt" },
	OPT_JSON,
};

static const struct command commands[] = {
	{ NULL, "PERSON@ENDPOINT[/DISPLAY][+MONITOR]", 1, 1, OPTS(opts),
	    "Makes a one-time login and prints it.\n\nIt stands for the "
	    "person's password, once, for this endpoint only. With --vnc-auth "
	    "it is\na password of VNC authentication at a port of [relay] "
	    "session_ports; the team has to allow\nthat (setting vnc_auth), "
	    "and the seal key is read.",
	    run },
};

const struct command_group group_ticket = { "ticket",
	"one-time logins for technicians", commands, 1 };
