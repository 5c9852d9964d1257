#include "ctl/viewer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* By the program's real name: vncviewer may be any of several. */
static bool
is_tigervnc(const char *path)
{
	char *real = realpath(path, NULL);
	const char *slash = strrchr(real != NULL ? real : path, '/');
	const char *base = slash != NULL ? slash + 1 : path;
	bool is =
	    strstr(base, "tigervnc") != NULL || strcmp(base, "vncviewer") == 0;

	free(real);
	return is;
}

static int
find_viewer(const char *name, struct viewer *v)
{
	static const char *const known[] = { "xtigervncviewer", "vncviewer",
		"gvncviewer" };

	if (name != NULL) {
		if (find_program(name, v->path, sizeof(v->path)))
			return 0;
		return ctl_error("there is no viewer \"%s\" here", name);
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (find_program(known[i], v->path, sizeof(v->path)))
			return 0;
	return ctl_error("there is no VNC viewer here: install "
			 "tigervnc-viewer, name one with --viewer, or use "
			 "--browser");
}

/* Two colons: a port, not a display's number. */
void
viewer_place(const struct relay_address *r, char out[VIEWER_PLACE_MAX])
{
	bool v6 = strchr(r->host, ':') != NULL;

	snprintf(out, VIEWER_PLACE_MAX, "%s%s%s::%s", v6 ? "[" : "", r->host,
	    v6 ? "]" : "", r->vnc_port);
}

int
viewer_find(const char *name, const struct relay_address *r,
    const char *ca_file, struct viewer *v)
{
	int n = 0;

	memset(v, 0, sizeof(*v));
	if (find_viewer(name, v) != 0)
		return STATUS_FAILED;
	viewer_place(r, v->place);
	v->takes_environment = is_tigervnc(v->path);
	v->argv[n++] = v->path;
	if (v->takes_environment) {
		v->argv[n++] = "-SecurityTypes";
		v->argv[n++] = "X509Plain";
	}
	if (v->takes_environment && ca_file != NULL && *ca_file != '\0') {
		v->argv[n++] = "-X509CA";
		v->argv[n++] = ca_file;
	}
	v->argv[n] = v->place;
	return 0;
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
	if (v->takes_environment &&
	    (setenv("VNC_USERNAME", user, 1) != 0 ||
		setenv("VNC_PASSWORD", password, 1) != 0))
		return ctl_error("out of memory");
	fflush(stdout);
	execv(v->path, (char *const *)v->argv);
	return ctl_failed(errno, "%s", v->path);
}
