#include "ctl/schema/schema.h"

#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/file.h"

#define MIGRATION_MAX (4u << 20)

/* 001_init.sql -> 1; 0: no migration's name. */
static int
version_of(const char *file)
{
	size_t len = strlen(file);
	int version = 0;

	if (len < 9 || file[3] != '_' || strcmp(file + len - 4, ".sql") != 0)
		return 0;
	for (int i = 0; i < 3; i++) {
		if (file[i] < '0' || file[i] > '9')
			return 0;
		version = version * 10 + file[i] - '0';
	}
	return version;
}

static int
add(struct schema *s, const char *file, const void *bytes, size_t len)
{
	unsigned char digest[crypto_hash_sha256_BYTES];
	struct migration *m;
	void *list = realloc(s->list, (s->n + 1) * sizeof(*s->list));

	if (list == NULL)
		return ctl_error("out of memory");
	s->list = list;
	m = &s->list[s->n++];
	memset(m, 0, sizeof(*m));
	m->version = version_of(file);
	m->name = strndup(file, strlen(file) - 4);
	m->sql = strndup(bytes, len);
	if (m->name == NULL || m->sql == NULL)
		return ctl_error("out of memory");
	if (strlen(m->sql) != len)
		return ctl_error("%s has a NUL byte", file);
	crypto_hash_sha256(digest, bytes, len);
	sodium_bin2hex(m->sha256, sizeof(m->sha256), digest, sizeof(digest));
	return 0;
}

static int
load_file(struct schema *s, const char *dir, const char *file)
{
	char path[4096];
	char *text;
	size_t len;
	int rc;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	rc = file_read(path, MIGRATION_MAX, &text, &len);
	if (rc == 0)
		rc = add(s, file, text, len);
	free(text);
	return rc;
}

static int
load_dir(struct schema *s, const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int rc = 0;

	if (d == NULL)
		return ctl_failed(errno, "schema folder %s", dir);
	while (rc == 0 && (e = readdir(d)) != NULL)
		if (version_of(e->d_name) > 0)
			rc = load_file(s, dir, e->d_name);
	closedir(d);
	return rc;
}

/* The rights that go with these migrations. */
static int
load_grants(struct schema *s, const char *dir)
{
	char path[4096];
	size_t len;

	if (dir == NULL) {
		s->grants = strdup((const char *)schema_grants);
		return s->grants != NULL ? 0 : ctl_error("out of memory");
	}
	snprintf(path, sizeof(path), "%s/grants.sql", dir);
	if (access(path, F_OK) != 0)
		return 0;
	return file_read(path, MIGRATION_MAX, &s->grants, &len);
}

static int
by_version(const void *a, const void *b)
{
	return ((const struct migration *)a)->version -
	    ((const struct migration *)b)->version;
}

/* 1, 2, 3, ... without holes or twins. */
static int
check_numbers(const struct schema *s, const char *dir)
{
	if (s->n == 0)
		return ctl_error("no migrations (NNN_name.sql) in %s", dir);
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].version != (int)i + 1)
			return ctl_error("migrations in %s: number %zu is "
					 "missing or there twice (found %s)",
			    dir, i + 1, s->list[i].name);
	return 0;
}

int
schema_load(struct schema *s, const char *dir)
{
	int rc = 0;

	memset(s, 0, sizeof(*s));
	if (dir != NULL)
		rc = load_dir(s, dir);
	for (size_t i = 0; dir == NULL && rc == 0 && i < n_schema_files; i++)
		rc = add(s, schema_files[i].name, schema_files[i].bytes,
		    schema_files[i].len);
	if (rc == 0)
		rc = load_grants(s, dir);
	if (rc == 0 && s->n > 1)
		qsort(s->list, s->n, sizeof(*s->list), by_version);
	return rc != 0 ? rc
		       : check_numbers(s, dir != NULL ? dir : "the program");
}

void
schema_release(struct schema *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->list[i].name);
		free(s->list[i].sql);
	}
	free(s->list);
	free(s->grants);
	memset(s, 0, sizeof(*s));
}

int
schema_newest(void)
{
	int newest = 0;

	for (size_t i = 0; i < n_schema_files; i++)
		if (version_of(schema_files[i].name) > newest)
			newest = version_of(schema_files[i].name);
	return newest;
}
