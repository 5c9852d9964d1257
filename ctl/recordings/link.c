#include "ctl/recordings/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/links.h"
#include "ctl/pg.h"
#include "ctl/table.h"

/*
 * Stored files are where the store is, others at their node (X1). A link that
 * this program uses itself leads to the S3 server, whose key it has.
 */
static int
make(struct ctl *c, const struct recording *r, const struct person_ref *person,
    bool is_ours, struct signed_link *out)
{
	static char direct[] = "direct";
	struct conf_store node = c->store;
	struct link_signer *signer;
	uint64_t now_s = clock_wall_ns() / NS_PER_S;
	uint64_t expires_s;
	char err[512] = "out of memory";
	int rc;

	if (recording_is_on_node(r)) {
		node.kind = "folder"; /* not in S3 yet */
		node.public_url = (char *)(uintptr_t)r->node_url;
	}
	if (is_ours)
		node.s3_links = direct;
	rc = link_signer_new(&signer, &node, err, sizeof(err));
	if (rc != 0)
		return ctl_config(
		    "%s; the storage daemon must use the same", err);
	if (person != NULL)
		link_signer_set_person(signer, strtoll(person->id, NULL, 10));
	link_signer_set_download(signer, is_ours);
	rc = link_make(signer, r->object_key, now_s, out->url, sizeof(out->url),
	    &expires_s);
	link_signer_free(signer);
	if (rc != 0)
		return ctl_error("no link can be made to %s: the key is too "
				 "long",
		    r->object_key);
	out->expires_ns = expires_s * NS_PER_S;
	clock_format_utc(out->expires_ns, out->expires_at);
	return 0;
}

int
link_to_daemon(struct ctl *c, const struct recording *r, const char *files_url,
    struct signed_link *out)
{
	struct conf_store store = c->store;
	struct recording made = *r;
	int rc;

	made.node_url[0] = '\0'; /* it is stored */
	if (link_is_direct(&store)) {
		if (files_url[0] == '\0')
			return ctl_error(
			    "no storage daemon runs that makes it");
		c->store.kind = "folder";
		c->store.public_url = (char *)(uintptr_t)files_url;
	}
	rc = make(c, &made, NULL, false, out);
	c->store = store;
	return rc;
}

int
link_save(const struct signed_link *link, const char *ca_file, const char *path,
    const char *what)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct ctl_http_get g = { .url = link->url,
		.ca_file = ca_file,
		.total = -1,
		.progress = true,
		.on_data = ctl_http_to_file,
		.arg = &fd };
	int rc = 0;

	if (fd < 0)
		return ctl_failed(errno, "cannot write %s", path);
	if (ctl_http_get(&g) != 0)
		rc = ctl_error("cannot read %s: %s", what, g.why);
	if (close(fd) != 0 && rc == 0)
		rc = ctl_failed(errno, "cannot write %s", path);
	if (rc != 0)
		unlink(path);
	return rc;
}

/* Its links would be refused anyway, once they are dead. */
static int
person_must_watch(
    struct ctl *c, const struct recording *r, const struct person_ref *person)
{
	PGresult *res = PG_QUERY(c, "SELECT file_refusal($1, $2::bigint)",
	    r->object_key, person->id);
	int rc;

	if (res == NULL)
		return STATUS_FAILED;
	rc = PQgetisnull(res, 0, 0)
	    ? 0
	    : ctl_error("%s may not watch this recording", person->name);
	PQclear(res);
	return rc;
}

int
link_new(struct ctl *c, const struct recording *r,
    const struct person_ref *person, const char *action,
    struct signed_link *out)
{
	json_t *detail;
	int rc;

	if (!recording_is_on_node(r) && strcmp(r->store, c->store.kind) != 0)
		return ctl_config("recording %s is kept in the store \"%s\", "
				  "[store] kind is %s",
		    r->id, r->store, c->store.kind);
	rc = person != NULL ? person_must_watch(c, r, person) : 0;
	if (rc == 0)
		rc = make(c, r, person, strcmp(action, "link") != 0, out);
	if (rc != 0)
		return rc;
	detail = json_pack("{s:s,s:s}", "object_key", r->object_key,
	    "expires_at", out->expires_at);
	if (person != NULL)
		json_object_set_new(
		    detail, "person", json_string(person->name));
	return pg_audit(c, r->team_id, action, r->id, detail);
}

const char *
link_ca_file(const struct ctl *c, const struct recording *r, const char *given)
{
	if (given != NULL)
		return given;
	return strcmp(r->store, "s3") == 0 ? c->store.s3_ca_file : NULL;
}

int
recordings_run_link(struct ctl *c, const struct args *a)
{
	const char *name = args_get(a, "for");
	struct signed_link link;
	struct person_ref person;
	struct recording r;
	int rc = recording_find(c, a->words[0], &r);

	if (rc == 0 && !recording_is_on_node(&r))
		rc = recording_must_be_stored(&r);
	if (rc == 0 && name != NULL)
		rc = person_find(c, name, &person);
	if (rc == 0)
		rc = link_new(
		    c, &r, name != NULL ? &person : NULL, "link", &link);
	if (rc != 0)
		return rc;
	if (args_has(a, "json"))
		return print_json(json_pack("{s:s,s:s,s:s}", "recording", r.id,
		    "url", link.url, "expires_at", link.expires_at));
	printf("%s\n", link.url);
	fprintf(stderr, "dies at %s\n", link.expires_at);
	return STATUS_OK;
}
