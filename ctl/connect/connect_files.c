#include "ctl/connect/connect_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/connect/viewer.h"

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

/* One of this name in the session's own folder, else a new one in /tmp. */
static FILE *
open_passing(const char *suffix, char *path, size_t len)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	int fd;

	if (dir != NULL && *dir == '/') {
		snprintf(path, len, "%s/relaycam-connect%s", dir, suffix);
		return open_private(path);
	}
	snprintf(path, len, "/tmp/relaycam-connect-XXXXXX%s", suffix);
	fd = mkstemps(path, (int)strlen(suffix));
	return fd >= 0 ? fdopen(fd, "w") : NULL;
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
int
connect_write_vnc(
    const char *path, const struct relay_address *r, const char *ca_file)
{
	char address[VIEWER_PLACE_MAX];
	FILE *f = open_private(path);

	if (f == NULL)
		return ctl_failed(errno, "%s", path);
	viewer_address(r->host, r->vnc_port, address);
	fprintf(f, "TigerVNC Configuration file Version 1.0\n\n");
	fprintf(f, "ServerName=%s\n", address);
	fprintf(f, "SecurityTypes=X509Plain\n");
	if (ca_file[0] != '\0')
		fprintf(f, "X509CA=%s\n", ca_file);
	return close_file(f, path);
}

/* On the browser's command line everybody on this machine could read the
 * ticket. */
int
connect_write_page(
    const struct relay_address *r, const char *ticket, char *path, size_t len)
{
	char url[URL_MAX];
	FILE *f = open_passing(".html", path, len);

	if (f == NULL)
		return ctl_failed(errno, "%s", path);
	relay_address_url(r, url);
	fprintf(f,
	    "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>Relaycam</title>"
	    "\n<meta name=\"referrer\" content=\"no-referrer\">\n"
	    "<meta http-equiv=\"refresh\" content=\"0;url=%s/#ticket=%s\">\n",
	    url, ticket);
	return close_file(f, path);
}

/* A value as GLib's key files have it. */
static void
put_value(FILE *f, const char *key, const char *value)
{
	fprintf(f, "%s=", key);
	for (; *value != '\0'; value++)
		if (*value == '\\')
			fputs("\\\\", f);
		else if (*value == '\n')
			fputs("\\n", f);
		else
			fputc(*value, f);
	fputc('\n', f);
}

/* With cacert it does not ask for files, with username not for that. */
int
connect_write_profile(const struct relay_address *r, const char *user,
    const char *ca_file, char *path, size_t len)
{
	char address[HOST_MAX + 16];
	FILE *f = open_passing(".remmina", path, len);

	if (f == NULL)
		return ctl_failed(errno, "%s", path);
	relay_address_print(r->host, r->vnc_port, address, sizeof(address));
	fputs("[remmina]\nprotocol=VNC\nquality=9\n", f);
	put_value(f, "name", user);
	put_value(f, "server", address);
	put_value(f, "username", user);
	if (ca_file[0] != '\0')
		put_value(f, "cacert", ca_file);
	return close_file(f, path);
}
