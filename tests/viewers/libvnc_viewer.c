/*
 * A viewer without a window, on libvncclient's usual interface: stands for
 * the programs that are built on it (Remmina, AVNC, Guacamole).
 *
 * usage: libvnc_viewer HOST PORT CA.pem    VNC_USERNAME, VNC_PASSWORD
 *
 * LIBVNC_LEVEL: compression level 0 to 9, without JPEG.
 * LIBVNC_ALSO: one more encoding to offer, a number.
 *
 * Logs in with VeNCrypt X509Plain, prints "desktop WIDTH HEIGHT NAME", then
 * obeys lines of standard input and answers each with "ok" or "failed":
 *   key KEYSYM...      a chord: numbers in C notation
 *   click X Y          left button, in pixels of the desktop
 *   save FILE          the picture as it stands, as a PPM file
 *   quit
 * Exit status: 0 after quit, 1 when the session could not be had or ended.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rfb/rfbclient.h>

#define LINE_MAX_BYTES 1024
#define WAIT_US        5000

static const char *ca_file;

static char *
copy_of_env(const char *name)
{
	const char *value = getenv(name);

	return strdup(value != NULL ? value : "");
}

/* libvncclient frees what is answered here. */
static rfbCredential *
on_credential(rfbClient *client, int type)
{
	rfbCredential *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	if (type == rfbCredentialTypeUser) {
		c->userCredential.username = copy_of_env("VNC_USERNAME");
		c->userCredential.password = copy_of_env("VNC_PASSWORD");
	} else {
		c->x509Credential.x509CACertFile = strdup(ca_file);
	}
	return c;
}

/* Presses one after the other, and releases them in the same order. */
static rfbBool
send_keys(rfbClient *client, const char *numbers, rfbBool down)
{
	char *end;

	for (;;) {
		uint32_t keysym = strtoul(numbers, &end, 0);

		if (end == numbers)
			return TRUE;
		if (!SendKeyEvent(client, keysym, down))
			return FALSE;
		numbers = end;
	}
}

static rfbBool
send_click(rfbClient *client, const char *position)
{
	int x, y;

	if (sscanf(position, "%d %d", &x, &y) != 2)
		return FALSE;
	return SendPointerEvent(client, x, y, 0) &&
	    SendPointerEvent(client, x, y, rfbButton1Mask) &&
	    SendPointerEvent(client, x, y, 0);
}

/* The default format of rfbGetClient: red in the lowest byte, 4 a pixel. */
static rfbBool
save(rfbClient *client, const char *path)
{
	size_t n = (size_t)client->width * client->height;
	FILE *f = fopen(path, "wb");

	if (f == NULL)
		return FALSE;
	fprintf(f, "P6\n%d %d\n255\n", client->width, client->height);
	for (size_t i = 0; i < n; i++)
		fwrite(client->frameBuffer + 4 * i, 1, 3, f);
	return fclose(f) == 0;
}

static rfbBool
obey(rfbClient *client, const char *line)
{
	if (strncmp(line, "key ", 4) == 0)
		return send_keys(client, line + 4, TRUE) &&
		    send_keys(client, line + 4, FALSE);
	if (strncmp(line, "click ", 6) == 0)
		return send_click(client, line + 6);
	if (strncmp(line, "save ", 5) == 0)
		return save(client, line + 5);
	return FALSE;
}

/* Reads one line if there is one. Returns FALSE at "quit" or the end. */
static rfbBool
take_command(rfbClient *client)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	char line[LINE_MAX_BYTES];

	if (poll(&in, 1, 0) <= 0)
		return TRUE;
	if (fgets(line, sizeof(line), stdin) == NULL)
		return FALSE;
	line[strcspn(line, "\n")] = '\0';
	if (strcmp(line, "quit") == 0)
		return FALSE;
	puts(obey(client, line) ? "ok" : "failed");
	return TRUE;
}

/*
 * Shows updates until told to quit. What was read ahead is in the client's
 * buffer, where a wait on the socket would not see it.
 * Returns the exit status.
 */
static int
watch(rfbClient *client)
{
	while (take_command(client)) {
		int n =
		    client->buffered > 0 ? 1 : WaitForMessage(client, WAIT_US);

		if (n < 0 && errno != EINTR)
			return 1;
		if (n > 0 && !HandleRFBServerMessage(client))
			return 1;
	}
	return 0;
}

/* What a person would set in such a program. */
static void
set_options(rfbClient *client)
{
	static int also[2];
	static rfbClientProtocolExtension extension = { .encodings = also };
	const char *level = getenv("LIBVNC_LEVEL");
	const char *number = getenv("LIBVNC_ALSO");

	if (level != NULL) {
		client->appData.encodingsString = "tight copyrect raw";
		client->appData.compressLevel = atoi(level);
		client->appData.enableJPEG = FALSE;
	}
	if (number != NULL) {
		also[0] = atoi(number);
		rfbClientRegisterExtension(&extension);
	}
}

static rfbClient *
connect_to(const char *host, int port)
{
	static uint32_t schemes[] = { rfbVeNCrypt };
	rfbClient *client = rfbGetClient(8, 3, 4);

	if (client == NULL)
		return NULL;
	client->GetCredential = on_credential;
	client->serverHost = strdup(host);
	client->serverPort = port;
	SetClientAuthSchemes(client, schemes, 1);
	set_options(client);
	/* frees the client when it fails */
	return rfbInitClient(client, NULL, NULL) ? client : NULL;
}

int
main(int argc, char **argv)
{
	rfbClient *client;
	int status;

	if (argc != 4) {
		fprintf(stderr, "usage: libvnc_viewer HOST PORT CA.pem\n");
		return 2;
	}
	/* one line at a time: poll() must not miss what stdio has read */
	setvbuf(stdin, NULL, _IONBF, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	ca_file = argv[3];
	client = connect_to(argv[1], atoi(argv[2]));
	if (client == NULL)
		return 1;
	printf("desktop %d %d %s\n", client->width, client->height,
	    client->desktopName);
	status = watch(client);
	free(client->frameBuffer);
	rfbClientCleanup(client);
	return status;
}
