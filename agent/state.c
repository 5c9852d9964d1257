#include "agent/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/keyfile.h"

#define PATH_LEN 4096

static const struct conf_opt enrolment_opts[] = {
	{ "relay", CONF_STR, offsetof(struct enrolment, relay) },
	{ "endpoint", CONF_STR, offsetof(struct enrolment, endpoint) },
	{ "team", CONF_STR, offsetof(struct enrolment, team) },
	{ "pin", CONF_STR, offsetof(struct enrolment, pin) },
	{ "ca_file", CONF_STR, offsetof(struct enrolment, ca_file) },
};

static char *
path_of(const struct settings *s, const char *name, char out[PATH_LEN])
{
	snprintf(out, PATH_LEN, "%s/%s", s->conf.state_dir, name);
	return out;
}

static int
fail(const char *path, char *why, size_t why_len)
{
	snprintf(why, why_len, "%s: %s", path, strerror(errno));
	return ERR_IO;
}

/* mkdir -p, private at the end. */
static int
make_folder(const char *path)
{
	char part[PATH_LEN];
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(part)) {
		errno = ENAMETOOLONG;
		return ERR_IO;
	}
	for (size_t i = 1; i < len; i++) {
		if (path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0755) != 0 && errno != EEXIST)
			return ERR_IO;
	}
	return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : ERR_IO;
}

/* Root enrols for a service with an account of its own: files belong to who
 * owns the folder. */
static void
give_to_owner(const struct settings *s, const char *path)
{
	struct stat st;

	if (geteuid() == 0 && stat(s->conf.state_dir, &st) == 0 &&
	    lchown(path, st.st_uid, st.st_gid) != 0)
		return; /* as good as it gets; the service will say so */
}

/* Root may run what belongs to the service's account. */
static void
trust_owner(const struct settings *s)
{
	struct stat st;

	if (stat(s->conf.state_dir, &st) == 0)
		keyfile_trust(st.st_uid);
}

/* Copies a small file. */
static int
copy_file(const char *from, const char *to)
{
	char data[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = -1, rc = ERR_IO;
	ssize_t n = -1;

	if (in >= 0)
		n = read(in, data, sizeof(data));
	if (n == (ssize_t)sizeof(data))
		errno = EFBIG;
	else if (n >= 0)
		out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out >= 0 && write(out, data, (size_t)n) == n && fsync(out) == 0)
		rc = 0;
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return rc;
}

int
state_prepare(const struct settings *s, const struct identity *id, char *why,
    size_t why_len)
{
	char path[PATH_LEN];

	if (make_folder(s->conf.state_dir) != 0)
		return fail(s->conf.state_dir, why, why_len);
	path_of(s, "identity.pem.new", path);
	unlink(path);
	if (identity_save(id, path) != 0)
		return fail(path, why, why_len);
	give_to_owner(s, path);
	if (s->conf.ca_file == NULL)
		return 0;
	path_of(s, "ca.pem.new", path);
	if (copy_file(s->conf.ca_file, path) != 0)
		return fail(path, why, why_len);
	give_to_owner(s, path);
	return 0;
}

void
state_abandon(const struct settings *s)
{
	static const char *const names[] = { "identity.pem.new", "ca.pem.new",
		"enrolment.conf.new" };
	char path[PATH_LEN];

	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		unlink(path_of(s, names[i], path));
}

static void
write_value(FILE *f, const char *name, const char *value)
{
	if (value != NULL && *value != '\0')
		fprintf(f, "%s = %s\n", name, value);
}

static int
write_enrolment(const char *path, const struct enrolment *e)
{
	FILE *f = fopen(path, "we");
	int ok;

	if (f == NULL)
		return ERR_IO;
	fprintf(f, "; written by relaycam-agent enroll\n[enrolment]\n");
	write_value(f, "relay", e->relay);
	write_value(f, "endpoint", e->endpoint);
	write_value(f, "team", e->team);
	write_value(f, "pin", e->pin);
	write_value(f, "ca_file", e->ca_file);
	ok = fflush(f) == 0 && fsync(fileno(f)) == 0;
	return fclose(f) == 0 && ok ? 0 : ERR_IO;
}

static int
put_in_force(
    const struct settings *s, const char *name, char *why, size_t why_len)
{
	char from[PATH_LEN], to[PATH_LEN], fresh[64];

	snprintf(fresh, sizeof(fresh), "%s.new", name);
	if (rename(path_of(s, fresh, from), path_of(s, name, to)) != 0)
		return fail(to, why, why_len);
	return 0;
}

int
state_commit(const struct settings *s, const struct enrolment *e, char *why,
    size_t why_len)
{
	char path[PATH_LEN];
	int rc;

	path_of(s, "enrolment.conf.new", path);
	if (write_enrolment(path, e) != 0)
		return fail(path, why, why_len);
	give_to_owner(s, path);
	rc = put_in_force(s, "identity.pem", why, why_len);
	if (rc == 0 && s->conf.ca_file != NULL)
		rc = put_in_force(s, "ca.pem", why, why_len);
	if (rc == 0)
		rc = put_in_force(s, "enrolment.conf", why, why_len);
	return rc;
}

static int
read_enrolment(
    const struct settings *s, struct enrolment *e, char *why, size_t why_len)
{
	const struct conf_section section = { "enrolment", "", enrolment_opts,
		N_ELEMENTS(enrolment_opts), e };
	char path[PATH_LEN];
	int rc;

	*e = (struct enrolment){ 0 };
	path_of(s, "enrolment.conf", path);
	rc = conf_read(path, &section, 1, why, why_len);
	if (rc == ERR_NOTFOUND)
		snprintf(why, why_len,
		    "this endpoint is not enrolled (%s is missing): run "
		    "relaycam-agent enroll first",
		    path);
	return rc;
}

/* The setting wins; value moves or is freed. */
static void
fill_in(char **setting, char *value)
{
	if (*setting == NULL)
		*setting = value;
	else
		free(value);
}

int
state_load(struct settings *s, struct identity *id, char *why, size_t why_len)
{
	struct enrolment e;
	char path[PATH_LEN];
	int rc;

	*id = (struct identity){ 0 };
	rc = read_enrolment(s, &e, why, why_len);
	if (rc == 0) {
		path_of(s, "identity.pem", path);
		trust_owner(s);
		rc = identity_load(id, path, why, why_len);
	}
	free(e.endpoint);
	free(e.team);
	/* a CA given now replaces a pin remembered then */
	if (s->conf.ca_file != NULL) {
		free(e.pin);
		e.pin = NULL;
	}
	fill_in(&s->conf.relay, e.relay);
	fill_in(&s->conf.pin, e.pin);
	fill_in(&s->conf.ca_file, e.ca_file);
	return rc;
}
