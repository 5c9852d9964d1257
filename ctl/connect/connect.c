/*
 * relaycam connect: a one-time ticket, and a viewer that is started with it.
 * For those who can reach the database; people use the console.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/connect/connect_files.h"
#include "ctl/ctl_hostport.h"
#include "ctl/endpoint/relay_address.h"
#include "ctl/connect/ticket.h"
#include "ctl/connect/viewer.h"

struct connection {
	struct relay_address relay;
	struct target target;
	struct ticket ticket;
	struct viewer viewer;
	char ca_file[4096]; /* "": the system's CAs */
	char profile[4096]; /* Remmina's */
	char vnc_host[16];  /* where a one-time VNC password is good */
	int64_t seconds;
};

/* --- what can be done with a ticket -------------------------------------- */

/* RFC 7869 names the two parameters; "@" is the only byte to be written
 * otherwise in them, the names have no other. */
static void
print_links(const struct connection *n)
{
	char address[HOST_MAX + 16], url[URL_MAX];
	const char *user = n->target.user;

	relay_address_print(
	    n->relay.host, n->relay.vnc_port, address, sizeof(address));
	printf("vnc://%s?VncUsername=%.*s%%40", address,
	    (int)strcspn(user, "@"), user);
	for (const char *p = strchr(user, '@') + 1; *p != '\0'; p++)
		if (*p == '/' || *p == '+')
			printf("%%%02X", (unsigned char)*p);
		else
			putchar(*p);
	printf("&VncPassword=%s\n", n->ticket.text);
	relay_address_url(&n->relay, url);
	if (url[0] != '\0')
		printf("%s/#ticket=%s\n", url, n->ticket.text);
	fflush(stdout);
	fprintf(stderr, "One of them, once, within %lld s.\n",
	    (long long)n->seconds);
}

/* What a person types into the viewer's dialog. */
static void
print_login(const struct connection *n, FILE *f)
{
	if (n->ticket.port == 0)
		fprintf(f, "user name: %s\n", n->target.user);
	fprintf(f, "password: %s\n", n->ticket.text);
}

static bool
takes_environment(const struct viewer *v)
{
	return v->kind != NULL && v->kind->words == VIEWER_TIGERVNC;
}

static void
print_command(const struct connection *n)
{
	if (takes_environment(&n->viewer)) {
		fputs("VNC_USERNAME=", stdout);
		viewer_quote(stdout, n->target.user);
		printf(" VNC_PASSWORD=%s ", n->ticket.text);
	} else {
		print_login(n, stderr);
	}
	viewer_print(&n->viewer, stdout);
}

static int
save(const struct connection *n, const char *path)
{
	int rc = connect_write_vnc(path, &n->relay, n->ca_file);

	if (rc != 0)
		return rc;
	printf("%s leads to the relay; it asks for\n", path);
	print_login(n, stdout);
	fflush(stdout);
	fprintf(stderr, "Good once, within %lld s.\n", (long long)n->seconds);
	return 0;
}

static int
open_browser(struct connection *n)
{
	char page[4096];
	int rc =
	    connect_write_page(&n->relay, n->ticket.text, page, sizeof(page));

	n->viewer.argv[1] = page;
	if (rc == 0)
		rc = viewer_run(&n->viewer, "", "");
	n->viewer.argv[1] = NULL;
	return rc;
}

static int
start_viewer(struct connection *n)
{
	if (!takes_environment(&n->viewer)) {
		fprintf(stderr, "When the viewer asks, within %lld s:\n",
		    (long long)n->seconds);
		print_login(n, stderr);
	}
	return viewer_run(&n->viewer, n->target.user, n->ticket.text);
}

/* --- the command --------------------------------------------------------- */

static bool
needs_viewer(const struct args *a)
{
	return !args_has(a, "url") && !args_has(a, "vnc-file");
}

static int
check_options(const struct args *a)
{
	static const char *const ways[] = { "browser", "vnc-file", "url",
		"print" };
	static const char *const of_viewers[] = { "viewer", "viewer-args",
		"vnc-auth" };
	int n = 0;

	for (size_t i = 0; i < 4; i++)
		n += args_has(a, ways[i]);
	if (n > 1)
		return ctl_usage("give one of --browser, --vnc-file, --url and "
				 "--print");
	for (size_t i = 0; i < 3; i++)
		if (args_has(a, of_viewers[i]) && n > 0 &&
		    !args_has(a, "print"))
			return ctl_usage(
			    "--%s goes with --print or alone", of_viewers[i]);
	if (args_has(a, "viewer-args") && !args_has(a, "viewer"))
		return ctl_usage("--viewer-args needs --viewer PROGRAM");
	return 0;
}

/* Absolute, because a viewer's file may be opened from anywhere. */
static int
take_ca(struct connection *n, const char *given)
{
	const char *path = given != NULL ? given : n->relay.ca_file;
	char *full = *path != '\0' ? realpath(path, NULL) : NULL;

	if (given != NULL && (full == NULL || access(full, R_OK) != 0)) {
		free(full);
		return ctl_failed(errno, "--ca %s", given);
	}
	snprintf(
	    n->ca_file, sizeof(n->ca_file), "%s", full != NULL ? full : "");
	free(full);
	return 0;
}

/*
 * A one-time VNC password goes over a port that speaks without TLS to this
 * machine only, so the relay has to be here.
 */
static int
check_vnc_auth(const struct ctl *c, struct connection *n)
{
	struct session_ports ports;
	char port[8], why[256];
	const char *who =
	    n->viewer.kind != NULL ? n->viewer.kind->name : "this viewer";
	int fd;

	if (session_ports_read(c, &ports) != 0 || ports.n == 0)
		return ctl_config("%s can send a VNC password only, and "
				  "[relay] session_ports, where such passwords "
				  "are taken, is not set",
		    who);
	snprintf(n->vnc_host, sizeof(n->vnc_host), "%s",
	    strchr(ports.host, ':') != NULL && strcmp(ports.host, "::") != 0
		? "::1"
		: "127.0.0.1");
	snprintf(port, sizeof(port), "%d", ports.first);
	fd = tcp_connect(n->vnc_host, port, 5, why, sizeof(why));
	if (fd < 0)
		return ctl_error(
		    "%s can send a VNC password only, over a port that speaks "
		    "TLS from other machines (%s): run this on the relay's "
		    "machine, or use \"relaycam ticket --vnc-auth\" and "
		    "stunnel as docs/connect.md shows",
		    who, why);
	close(fd);
	return 0;
}

static int
find_viewer(struct ctl *c, const struct args *a, struct connection *n)
{
	int rc = viewer_find(
	    args_get(a, "viewer"), args_get(a, "viewer-args"), &n->viewer);

	if (rc == 0 && args_has(a, "vnc-auth"))
		n->viewer.login = VIEWER_VNC_PASSWORD;
	if (rc == 0 && n->viewer.login == VIEWER_VNC_PASSWORD)
		rc = check_vnc_auth(c, n);
	return rc;
}

/* The viewer's words, which may name the ticket's port. */
static int
fill_viewer(struct connection *n)
{
	struct viewer_place place = { .host = n->relay.host,
		.port = n->relay.vnc_port,
		.user = n->target.user,
		.ca_file = n->ca_file,
		.profile = n->profile };
	char port[8];
	int rc = 0;

	if (n->ticket.port != 0) {
		snprintf(port, sizeof(port), "%d", n->ticket.port);
		place.host = n->vnc_host;
		place.port = port;
	} else if (n->viewer.kind != NULL &&
	    n->viewer.kind->words == VIEWER_PROFILE &&
	    n->viewer.args_template == NULL)
		rc = connect_write_profile(&n->relay, n->target.user,
		    n->ca_file, n->profile, sizeof(n->profile));
	return rc != 0 ? rc : viewer_fill(&n->viewer, &place);
}

/* All that can fail without a ticket comes before there is one. */
static int
prepare(struct ctl *c, const struct args *a, struct connection *n)
{
	int rc = check_options(a);

	if (rc == 0)
		rc = args_seconds(a, "valid", 1, TICKET_SECONDS_MAX,
		    TICKET_SECONDS, &n->seconds);
	if (rc == 0)
		rc = relay_address_read(c, &n->relay);
	if (rc == 0)
		rc = take_ca(n, args_get(a, "ca"));
	if (rc == 0 && n->relay.vnc_port[0] == '\0')
		rc = ctl_config("the relay has no [relay] listen address");
	if (rc == 0 && args_has(a, "browser") && n->relay.web_port[0] == '\0')
		rc = ctl_config("the relay does not listen for browsers: set "
				"[relay] web_listen, usually [::]:443");
	if (rc == 0 && args_has(a, "browser"))
		rc = viewer_find_browser(&n->viewer, "");
	else if (rc == 0 && needs_viewer(a))
		rc = find_viewer(c, a, n);
	if (rc == 0)
		rc = target_find(c, a->words[0], &n->target);
	if (rc == 0 && needs_viewer(a) && !args_has(a, "browser"))
		rc = fill_viewer(n);
	return rc;
}

static int
use(struct connection *n, const struct args *a)
{
	if (args_has(a, "vnc-file"))
		return save(n, args_get(a, "vnc-file"));
	if (args_has(a, "browser"))
		return open_browser(n);
	if (args_has(a, "url")) {
		print_links(n);
		return 0;
	}
	if (args_has(a, "print")) {
		print_command(n);
		return 0;
	}
	return start_viewer(n);
}

static int
run(struct ctl *c, const struct args *a)
{
	struct connection n = { 0 };
	int rc = prepare(c, a, &n);

	if (rc == 0 && n.viewer.login == VIEWER_VNC_PASSWORD) {
		rc = ticket_new_vnc(c, &n.target, n.seconds, &n.ticket);
		if (rc == 0)
			rc = fill_viewer(&n);
	} else if (rc == 0)
		rc = ticket_new(c, &n.target, n.seconds, &n.ticket);
	if (rc == 0)
		rc = use(&n, a);
	ticket_wipe(&n.ticket);
	return rc;
}

static const struct arg_opt opts[] = {
	{ "viewer", "PROGRAM", "this one, not the first that is found" },
	{ "viewer-args", "WORDS",
	    "what PROGRAM takes, where relaycam does not know it; {host}, "
	    "{port}, {display}, {uri}, {user} and {ca} are filled in" },
	{ "vnc-auth", NULL,
	    "with a VNC password of 8 characters; on the relay's machine" },
	{ "browser", NULL, "open the relay's own viewer in the browser" },
	{ "vnc-file", "FILE",
	    "write a file that TigerVNC opens; start nothing" },
	{ "url", NULL, "print links; start nothing" },
	{ "print", NULL, "print the command; start nothing" },
	{ "ca", "FILE", "PEM: who signed the relay's certificate" },
	{ "valid", "TIME", "of the ticket, 1h at most (default: 60s)" },
};

static const struct command commands[] = {
	{ NULL, "PERSON@ENDPOINT[/DISPLAY][+MONITOR]", 1, 1, OPTS(opts),
	    "Connects to an endpoint.\n\nMakes a one-time ticket and starts "
	    "the first of xtigervncviewer, vncviewer, gvncviewer,\n"
	    "remote-viewer and remmina with it. TigerVNC gets it by its "
	    "environment; other viewers ask,\nand what to type is printed. "
	    "KRDC, Vinagre, SSVNC and TightVNC get a one-time VNC password\n"
	    "on a port of [relay] session_ports.",
	    run },
};

const struct command_group group_connect = { "connect",
	"connect to an endpoint with a viewer of this machine", commands, 1 };
