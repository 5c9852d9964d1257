#include "ctl/team/secret.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/keyfile.h"
#include "common/password.h"

void
secret_wipe(struct secret *s)
{
	wipe(s, sizeof(*s));
}

/* One line into s, without its end; longer than SECRET_MAX is refused. */
static int
read_line(FILE *f, const char *from, struct secret *s)
{
	int ch;

	s->len = 0;
	while ((ch = getc(f)) != EOF && ch != '\n') {
		if (ch == '\0' || s->len == SECRET_MAX)
			return ctl_error("%s: a password is one line of at "
					 "most %d bytes without NUL",
			    from, SECRET_MAX);
		s->text[s->len++] = (char)ch;
	}
	if (ferror(f))
		return ctl_failed(errno, "%s", from);
	if (s->len > 0 && s->text[s->len - 1] == '\r')
		s->len--;
	s->text[s->len] = '\0';
	return 0;
}

static int
read_file(const char *path, struct secret *s)
{
	FILE *f = fopen(path, "re");
	int rc;

	if (f == NULL)
		return ctl_failed(errno, "password file %s", path);
	setvbuf(f, NULL, _IONBF, 0); /* no copy of it stays in a buffer */
	rc = read_line(f, path, s);
	fclose(f);
	return rc;
}

/* The terminal as it was, for a signal that ends us while echo is off. */
static struct termios terminal_was;
static int terminal_fd = -1;

static void
on_signal(int sig)
{
	tcsetattr(terminal_fd, TCSANOW, &terminal_was);
	raise(sig); /* SA_RESETHAND: the default now, which ends us */
}

static void
catch_signals(struct sigaction was[3], bool on)
{
	static const int signals[3] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction act = { .sa_handler = on_signal,
		.sa_flags = (int)(SA_RESETHAND | SA_NODEFER) };

	for (int i = 0; i < 3; i++)
		if (on)
			sigaction(signals[i], &act, &was[i]);
		else
			sigaction(signals[i], &was[i], NULL);
}

/*
 * Asks on the terminal. The echo goes off before the prompt: changing it
 * discards what was typed until then.
 */
static int
ask(FILE *tty, const char *text, const char *whose, struct secret *s)
{
	struct sigaction actions[3];
	struct termios quiet;
	int rc;

	terminal_fd = fileno(tty);
	if (tcgetattr(terminal_fd, &terminal_was) != 0)
		return ctl_failed(errno, "terminal");
	quiet = terminal_was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	catch_signals(actions, true);
	tcsetattr(terminal_fd, TCSAFLUSH, &quiet);
	fprintf(tty, "%s%s: ", text, whose);
	fflush(tty);
	rc = read_line(tty, "terminal", s);
	tcsetattr(terminal_fd, TCSAFLUSH, &terminal_was);
	catch_signals(actions, false);
	fputc('\n', tty);
	return rc;
}

static int
ask_twice(const char *whose, struct secret *s)
{
	FILE *tty = fopen("/dev/tty", "r+e");
	struct secret again = { 0 };
	int rc;

	if (tty == NULL)
		return ctl_usage("no terminal to ask for a password: give "
				 "--password-file or --password-stdin");
	setvbuf(tty, NULL, _IONBF, 0);
	rc = ask(tty, "Password of ", whose, s);
	if (rc == 0)
		rc = ask(tty, "Once more, ", whose, &again);
	if (rc == 0 &&
	    (again.len != s->len || memcmp(again.text, s->text, s->len) != 0))
		rc = ctl_error("the two passwords differ");
	secret_wipe(&again);
	fclose(tty);
	return rc;
}

bool
secret_is_given(const struct args *a)
{
	return args_has(a, "password-file") || args_has(a, "password-stdin");
}

int
secret_read(
    const struct args *a, const char *whose, size_t min, struct secret *s)
{
	const char *path = args_get(a, "password-file");
	int rc;

	memset(s, 0, sizeof(*s));
	if (path != NULL && args_has(a, "password-stdin"))
		return ctl_usage("give one of --password-file and "
				 "--password-stdin");
	if (path != NULL)
		rc = read_file(path, s);
	else if (args_has(a, "password-stdin"))
		rc = read_line(stdin, "standard input", s);
	else
		rc = ask_twice(whose, s);
	if (rc == 0 && s->len < min)
		rc = ctl_error("the password of %s is too short: %zu "
			       "characters or more",
		    whose, min);
	return rc;
}

void
secret_generate(struct secret *s)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

	memset(s, 0, sizeof(*s));
	for (s->len = 0; s->len < 20; s->len++)
		s->text[s->len] = set[randombytes_uniform(sizeof(set) - 1)];
}

char *
secret_seal(const struct ctl *c, const struct secret *s)
{
	uint8_t key[SEAL_KEY_LEN], box[SECRET_MAX + SEAL_OVERHEAD];
	size_t len = s->len + SEAL_OVERHEAD;
	char *text = malloc(2 * len + 3);
	char why[KEYFILE_WHY_MAX];
	int rc = keyfile_read("seal key", c->secrets.seal_key_file, key,
	    sizeof(key), why, sizeof(why));

	if (rc != 0) {
		ctl_config("%s%s", why,
		    rc == ERR_NOTFOUND
			? "; make one with \"head -c 32 /dev/urandom\", mode "
			  "0600, for relay and relaycam"
			: "");
		free(text);
		return NULL;
	}
	if (text == NULL) {
		ctl_error("out of memory");
	} else {
		seal(key, s->text, s->len, box);
		memcpy(text, "\\x", 2);
		sodium_bin2hex(text + 2, 2 * len + 1, box, len);
	}
	wipe(key, sizeof(key));
	return text;
}

int
secret_open(const struct ctl *c, const char *hex, struct secret *s)
{
	uint8_t key[SEAL_KEY_LEN], box[SECRET_MAX + SEAL_OVERHEAD];
	char why[KEYFILE_WHY_MAX];
	size_t len;
	int n,
	    rc = keyfile_read("seal key", c->secrets.seal_key_file, key,
		sizeof(key), why, sizeof(why));

	memset(s, 0, sizeof(*s));
	if (rc == 0 &&
	    sodium_hex2bin(
		box, sizeof(box), hex, strlen(hex), NULL, &len, NULL) != 0)
		rc = ERR_CORRUPT;
	if (rc == 0) {
		n = seal_open(key, box, len, (uint8_t *)s->text);
		if (n < 0)
			rc = ERR_CORRUPT;
		else
			s->len = (size_t)n;
	}
	wipe(key, sizeof(key));
	return rc;
}
