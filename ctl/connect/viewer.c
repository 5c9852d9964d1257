#include "ctl/connect/viewer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"

#define DISPLAY_0_PORT 5900

/* Looks along PATH as a shell does. */
static bool
find_program(const char *name, char *out, size_t len)
{
	const char *path = getenv("PATH");

	if (strchr(name, '/') != NULL) {
		snprintf(out, len, "%s", name);
		return access(out, X_OK) == 0;
	}
	if (path == NULL)
		path = "/usr/local/bin:/usr/bin:/bin";
	while (*path != '\0') {
		size_t n = strcspn(path, ":");

		snprintf(out, len, "%.*s/%s", (int)n, path, name);
		if (n > 0 && access(out, X_OK) == 0)
			return true;
		path += n + (path[n] == ':');
	}
	return false;
}

static int
find_named(const char *name, struct viewer *v)
{
	if (!find_program(name, v->path, sizeof(v->path)))
		return ctl_error("there is no viewer \"%s\" here: install it, "
				 "or give the program's path",
		    name);
	if (v->args_template != NULL)
		return 0;
	v->kind = viewer_kind_of(v->path);
	if (v->kind != NULL)
		return 0;
	return ctl_error("%s is neither %s: say what it takes, such as "
			 "--viewer-args \"{host}::{port}\" or "
			 "--viewer-args \"{uri}\" (\"relaycam connect --help\" "
			 "has all), or use --browser, --url or --vnc-file",
	    v->path, viewer_kind_names());
}

/* The first that needs nothing but the relay's usual port. */
static int
find_any(struct viewer *v)
{
	static const char *const known[] = { "xtigervncviewer", "vncviewer",
		"gvncviewer", "remote-viewer", "remmina" };

	for (size_t i = 0; i < N_ELEMENTS(known); i++) {
		if (!find_program(known[i], v->path, sizeof(v->path)))
			continue;
		v->kind = viewer_kind_of(v->path);
		if (v->kind != NULL && v->kind->login != VIEWER_VNC_PASSWORD)
			return 0;
	}
	return ctl_error("there is no VNC viewer here: install "
			 "tigervnc-viewer, name one with --viewer, or use "
			 "--browser");
}

int
viewer_find(const char *name, const char *args_template, struct viewer *v)
{
	int rc;

	memset(v, 0, sizeof(*v));
	v->args_template = args_template;
	rc = name != NULL ? find_named(name, v) : find_any(v);
	v->login = v->kind != NULL ? v->kind->login : VIEWER_ASKS;
	return rc;
}

/* --- its words ----------------------------------------------------------- */

/* Two colons: a port, not a display's number. */
void
viewer_address(const char *host, const char *port, char out[VIEWER_PLACE_MAX])
{
	bool v6 = strchr(host, ':') != NULL;

	snprintf(out, VIEWER_PLACE_MAX, "%s%s%s::%s", v6 ? "[" : "", host,
	    v6 ? "]" : "", port);
}

/* What a name in braces stands for; false: nothing. */
static bool
lookup(const char *name, size_t len, const struct viewer_place *p, char *out,
    size_t out_len)
{
	bool v6 = strchr(p->host, ':') != NULL;
	char host[HOST_MAX + 2];

	snprintf(host, sizeof(host), "%s%s%s", v6 ? "[" : "", p->host,
	    v6 ? "]" : "");
	if (len == 4 && memcmp(name, "host", 4) == 0)
		snprintf(out, out_len, "%s", host);
	else if (len == 4 && memcmp(name, "port", 4) == 0)
		snprintf(out, out_len, "%s", p->port);
	else if (len == 7 && memcmp(name, "display", 7) == 0)
		snprintf(out, out_len, "%ld",
		    strtol(p->port, NULL, 10) - DISPLAY_0_PORT);
	else if (len == 3 && memcmp(name, "uri", 3) == 0)
		snprintf(out, out_len, "vnc://%s:%s", host, p->port);
	else if (len == 2 && memcmp(name, "ca", 2) == 0)
		snprintf(out, out_len, "%s", p->ca_file);
	else if (len == 4 && memcmp(name, "user", 4) == 0)
		snprintf(out, out_len, "%s", p->user);
	else if (len == 7 && memcmp(name, "profile", 7) == 0)
		snprintf(
		    out, out_len, "%s", p->profile != NULL ? p->profile : "");
	else
		return false;
	return true;
}

static int
put(struct viewer *v, const char *text, size_t len)
{
	if (len >= sizeof(v->text) - v->text_len)
		return ctl_usage("the viewer's arguments are too long");
	memcpy(v->text + v->text_len, text, len);
	v->text_len += len;
	v->text[v->text_len] = '\0';
	return 0;
}

/* One word of the template, with its names in braces filled in. */
static int
add_word(struct viewer *v, int n, const char *word, size_t len,
    const struct viewer_place *p)
{
	const char *end = word + len;
	char value[4096];
	int rc = 0;

	if (n == VIEWER_ARGS_MAX)
		return ctl_usage("the viewer gets more than %d arguments",
		    VIEWER_ARGS_MAX - 1);
	v->argv[n] = v->text + v->text_len;
	while (rc == 0 && word < end) {
		const char *open = memchr(word, '{', (size_t)(end - word));
		const char *close = open != NULL
		    ? memchr(open, '}', (size_t)(end - open))
		    : NULL;

		if (close == NULL)
			return put(v, word, (size_t)(end - word));
		rc = put(v, word, (size_t)(open - word));
		if (rc == 0 &&
		    !lookup(open + 1, (size_t)(close - open - 1), p, value,
			sizeof(value)))
			return ctl_usage("--viewer-args: %.*s is not known: "
					 "{host}, {port}, {display}, {uri}, "
					 "{user} and {ca} are",
			    (int)(close - open + 1), open);
		if (rc == 0)
			rc = put(v, value, strlen(value));
		word = close + 1;
	}
	return rc;
}

/* What each kind takes, as --viewer-args would say it. */
static const char *
template_of(const struct viewer *v, const struct viewer_place *p)
{
	if (v->args_template != NULL)
		return v->args_template;
	switch (v->kind->words) {
	case VIEWER_TIGERVNC:
		if (v->login == VIEWER_VNC_PASSWORD)
			return "-SecurityTypes VncAuth {host}::{port}";
		return p->ca_file[0] != '\0'
		    ? "-SecurityTypes X509Plain -X509CA {ca} {host}::{port}"
		    : "-SecurityTypes X509Plain {host}::{port}";
	case VIEWER_DISPLAY:
		return "{host}:{display}";
	case VIEWER_PROFILE:
		return "-c {profile}";
	case VIEWER_URI:
		return "{uri}";
	case VIEWER_PORT:
		break;
	}
	return "{host}::{port}";
}

int
viewer_fill(struct viewer *v, const struct viewer_place *place)
{
	const char *at = template_of(v, place);
	int rc = 0, n = 0;

	v->text_len = 0;
	v->argv[n++] = v->path;
	while (rc == 0 && at[strspn(at, " ")] != '\0') {
		size_t len;

		at += strspn(at, " ");
		len = strcspn(at, " ");
		rc = add_word(v, n++, at, len, place);
		v->text_len++; /* the NUL */
		at += len;
	}
	if (rc == 0)
		v->argv[n] = NULL;
	return rc;
}

int
viewer_find_browser(struct viewer *v, const char *what)
{
	memset(v, 0, sizeof(*v));
	if (!find_program("xdg-open", v->path, sizeof(v->path)))
		return ctl_error("there is no xdg-open here to start a "
				 "browser: --url prints the link");
	v->argv[0] = v->path;
	v->argv[1] = what;
	return 0;
}

void
viewer_quote(FILE *f, const char *text)
{
	if (*text != '\0' &&
	    strspn(text,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789@%+=:,./_-") == strlen(text)) {
		fputs(text, f);
		return;
	}
	fputc('\'', f);
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			fputs("'\\''", f);
		else
			fputc(*text, f);
	}
	fputc('\'', f);
}

void
viewer_print(const struct viewer *v, FILE *f)
{
	for (int i = 0; v->argv[i] != NULL; i++) {
		if (i > 0)
			fputc(' ', f);
		viewer_quote(f, v->argv[i]);
	}
	fputc('\n', f);
}

int
viewer_run(struct viewer *v, const char *user, const char *password)
{
	bool is_tigervnc = v->kind != NULL && v->kind->words == VIEWER_TIGERVNC;

	if (is_tigervnc &&
	    (setenv("VNC_USERNAME", user, 1) != 0 ||
		setenv("VNC_PASSWORD", password, 1) != 0))
		return ctl_error("out of memory");
	fflush(stdout);
	execv(v->path, (char *const *)v->argv);
	return ctl_failed(errno, "%s", v->path);
}
