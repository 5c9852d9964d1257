#include "ctl/connect/viewer_kind.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "ctl/connect/run_output.h"

#define FILE_MAX    (64u << 20) /* bytes of a program that are searched */
#define PIECE       (256u << 10)
#define MARK_MAX    64
#define VERSION_MS  5000
#define VERSION_MAX 4096

/* Each was run against a relay: docs/connect.md has the versions. */
static const struct viewer_kind kinds[] = {
	{ "TigerVNC", "TigerVNC Viewer", "TigerVNC Viewer", VIEWER_ENVIRONMENT,
	    VIEWER_TIGERVNC },
	{ "gvncviewer", "gvncviewer --help", "gvncviewer --help", VIEWER_ASKS,
	    VIEWER_DISPLAY },
	{ "remote-viewer", "Remote viewer client", "remote-viewer version",
	    VIEWER_ASKS, VIEWER_URI },
	{ "Remmina", "org.remmina.Remmina", "org.remmina.Remmina", VIEWER_ASKS,
	    VIEWER_PROFILE },
	/* no X509 */
	{ "KRDC", "krdc_remote_view_toolbar", "krdc ", VIEWER_VNC_PASSWORD,
	    VIEWER_URI },
	/* sends no more than 8 characters of any password */
	{ "Vinagre", "VinagrePrefs", "(vinagre:", VIEWER_VNC_PASSWORD,
	    VIEWER_URI },
	/* these two know RFB's own passwords only */
	{ "SSVNC", "SSVNC Viewer", "SSVNC Viewer", VIEWER_VNC_PASSWORD,
	    VIEWER_PORT },
	{ "TightVNC", "TightVNC Viewer version", "TightVNC Viewer version",
	    VIEWER_VNC_PASSWORD, VIEWER_PORT },
};

const char *
viewer_kind_names(void)
{
	return "TigerVNC, gvncviewer, remote-viewer, Remmina, KRDC, Vinagre, "
	       "SSVNC or TightVNC";
}

static const struct viewer_kind *
find_mark(const char *data, size_t len)
{
	for (size_t i = 0; i < N_ELEMENTS(kinds); i++)
		if (memmem(data, len, kinds[i].mark, strlen(kinds[i].mark)) !=
		    NULL)
			return &kinds[i];
	return NULL;
}

/* Pieces overlap by a mark's length. A script's text proves nothing. */
static const struct viewer_kind *
search_file(int fd)
{
	const struct viewer_kind *kind = NULL;
	char *data = malloc(MARK_MAX + PIECE);
	size_t kept = 0, total = 0;
	ssize_t n = 0;

	while (data != NULL && kind == NULL && total < FILE_MAX &&
	    (n = read(fd, data + kept, PIECE)) > 0) {
		size_t len = kept + (size_t)n;

		if (total == 0 && n >= 2 && memcmp(data, "#!", 2) == 0)
			break;
		kind = find_mark(data, len);
		total += (size_t)n;
		kept = min_size(len, MARK_MAX);
		memmove(data, data + len - kept, kept);
	}
	free(data);
	return kind;
}

static const struct viewer_kind *
ask(const char *path)
{
	const char *const argv[] = { path, "--version", NULL };
	char said[VERSION_MAX];

	if (run_output(argv, VERSION_MS, said, sizeof(said)) != 0)
		return NULL;
	for (size_t i = 0; i < N_ELEMENTS(kinds); i++)
		if (strstr(said, kinds[i].says) != NULL)
			return &kinds[i];
	return NULL;
}

const struct viewer_kind *
viewer_kind_of(const char *path)
{
	const struct viewer_kind *kind = NULL;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		kind = search_file(fd);
	if (fd >= 0)
		close(fd);
	return kind != NULL ? kind : ask(path);
}
