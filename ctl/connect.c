/*
 * relaycam connect: a one-time ticket, and a viewer that is started with it.
 * For those who can reach the database; people use the console.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/relay_address.h"
#include "ctl/ticket.h"
#include "ctl/viewer.h"

struct connection {
	struct relay_address relay;
	struct target target;
	struct ticket ticket;
	struct viewer viewer;
	char ca_file[4096]; /* "": the system's CAs */
	int64_t seconds;
};

/* --- files --------------------------------------------------------------- */

/* Replaces a file of ours; nobody else can read it at any moment. */
static FILE *
open_private(const char *path)
{
	int fd;
	FILE *f;

	if (unlink(path) != 0 && errno != ENOENT)
		return NULL;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (f == NULL && fd >= 0)
		close(fd);
	return f;
}

static int
close_file(FILE *f, const char *path)
{
	bool failed = ferror(f) != 0;

	if (fclose(f) != 0 || failed)
		return ctl_failed(errno, "%s", path);
	return 0;
}

/* One line a setting; TigerVNC's own files begin like this. */
static int
write_vnc_file(const struct connection *n, const char *path)
{
	char place[VIEWER_PLACE_MAX];
	FILE *f = open_private(path);

	if (f == NULL)
		return ctl_failed(errno, "%s", path);
	viewer_place(&n->relay, place);
	fprintf(f, "TigerVNC Configuration file Version 1.0\n\n");
	fprintf(f, "ServerName=%s\n", place);
	fprintf(f, "SecurityTypes=X509Plain\n");
	if (n->ca_file[0] != '\0')
		fprintf(f, "X509CA=%s\n", n->ca_file);
	return close_file(f, path);
}

/*
 * The link goes to the browser in a page of our own: on its command line
 * everybody on this machine could read the ticket.
 */
static int
write_page(const struct connection *n, char *path, size_t len)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	char url[URL_MAX];
	FILE *f;
	int fd;

	relay_address_url(&n->relay, url);
	if (dir != NULL && *dir == '/') {
		snprintf(path, len, "%s/relaycam-connect.html", dir);
		f = open_private(path);
	} else {
		snprintf(path, len, "/tmp/relaycam-connect-XXXXXX.html");
		fd = mkstemps(path, 5);
		f = fd >= 0 ? fdopen(fd, "w") : NULL;
	}
	if (f == NULL)
		return ctl_failed(errno, "%s", path);
	fprintf(f,
	    "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>Relaycam</title>"
	    "\n<meta name=\"referrer\" content=\"no-referrer\">\n"
	    "<meta http-equiv=\"refresh\" content=\"0;url=%s/#ticket=%s\">\n",
	    url, n->ticket.text);
	return close_file(f, path);
}

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

static void
print_login(const struct connection *n, FILE *f)
{
	fprintf(
	    f, "user name: %s\npassword: %s\n", n->target.user, n->ticket.text);
}

static void
print_command(const struct connection *n)
{
	if (n->viewer.takes_environment) {
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
	int rc = write_vnc_file(n, path);

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
	int rc = write_page(n, page, sizeof(page));

	n->viewer.argv[1] = page;
	return rc != 0 ? rc : viewer_run(&n->viewer, "", "");
}

static int
start_viewer(struct connection *n)
{
	if (!n->viewer.takes_environment) {
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
	int n = 0;

	for (size_t i = 0; i < 4; i++)
		n += args_has(a, ways[i]);
	if (n > 1)
		return ctl_usage("give one of --browser, --vnc-file, --url and "
				 "--print");
	if (args_has(a, "viewer") && n > 0 && !args_has(a, "print"))
		return ctl_usage("--viewer goes with --print or alone");
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
		rc = viewer_find(
		    args_get(a, "viewer"), &n->relay, n->ca_file, &n->viewer);
	if (rc == 0)
		rc = target_find(c, a->words[0], &n->target);
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

	if (rc == 0)
		rc = ticket_new(c, &n.target, n.seconds, &n.ticket);
	if (rc == 0)
		rc = use(&n, a);
	ticket_wipe(&n.ticket);
	return rc;
}

static const struct arg_opt opts[] = {
	{ "viewer", "PROGRAM", "this one, not the first that is found" },
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
	    "the first of xtigervncviewer, vncviewer and gvncviewer\nwith it. "
	    "TigerVNC gets it by its environment; other viewers ask, and what "
	    "to type is\nprinted.",
	    run },
};

const struct command_group group_connect = { "connect",
	"connect to an endpoint with a viewer of this machine", commands, 1 };
