/* relaycam single-sign-on: a team's OpenID provider; user link, unlink. The
 * schema's functions check and audit, as they do for the console. */
#include "ctl/team/single_sign_on.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "ctl/command.h"
#include "ctl/names.h"
#include "ctl/pg.h"
#include "ctl/team/secret.h"
#include "ctl/table.h"

#define CALLBACK "/api/v1/login/single-sign-on/callback"

enum key_kind { KEY_TEXT, KEY_BOOL, KEY_LIST };

/* Columns of single_sign_on; the schema has the last word on values. */
static const struct key {
	const char *name;
	enum key_kind kind;
} keys[] = {
	{ "enabled", KEY_BOOL },
	{ "listed", KEY_BOOL },
	{ "title", KEY_TEXT },
	{ "issuer", KEY_TEXT },
	{ "client_id", KEY_TEXT },
	{ "algorithm", KEY_TEXT },
	{ "scopes", KEY_TEXT },
	{ "name_claim", KEY_TEXT },
	{ "groups_claim", KEY_TEXT },
	{ "owner_groups", KEY_LIST },
	{ "admin_groups", KEY_LIST },
	{ "member_groups", KEY_LIST },
	{ "email_domains", KEY_LIST },
	{ "create_people", KEY_BOOL },
	{ "link_people", KEY_BOOL },
	{ "password_login", KEY_BOOL },
	{ "password_owner", KEY_TEXT },
};

/* ---- KEY=VALUE ---- */

static const struct key *
find_key(const char *name, size_t len)
{
	for (size_t i = 0; i < N_ELEMENTS(keys); i++)
		if (strlen(keys[i].name) == len &&
		    memcmp(keys[i].name, name, len) == 0)
			return &keys[i];
	return NULL;
}

/* "a,b"; "" is an empty list. */
static json_t *
list_value(const char *value)
{
	json_t *list = json_array();

	while (*value != '\0') {
		size_t n = strcspn(value, ",");

		json_array_append_new(list, json_stringn(value, n));
		value += n + (value[n] == ',');
	}
	return list;
}

/* NULL: it is neither. */
static json_t *
bool_value(const char *value)
{
	static const char *const words[] = { "off", "false", "no", "on", "true",
		"yes" };

	for (size_t i = 0; i < N_ELEMENTS(words); i++)
		if (strcmp(words[i], value) == 0)
			return json_boolean(i >= 3);
	return NULL;
}

static int
add(json_t *body, const char *word)
{
	size_t n = strcspn(word, "=");
	const struct key *k = find_key(word, n);
	const char *value = word + n + 1;
	json_t *v;

	if (word[n] == '\0')
		return ctl_usage("\"%s\": expected KEY=VALUE, such as "
				 "enabled=on",
		    word);
	if (k == NULL)
		return ctl_usage("\"%s\": there is no such setting; \"relaycam "
				 "single-sign-on set --help\" lists them",
		    word);
	v = k->kind == KEY_BOOL   ? bool_value(value)
	    : k->kind == KEY_LIST ? list_value(value)
				  : json_string(value);
	if (v == NULL && k->kind == KEY_BOOL)
		return ctl_usage("\"%s\": expected on or off", word);
	if (json_object_set_new(body, k->name, v) != 0)
		return ctl_usage("\"%.*s\": expected UTF-8", (int)n, word);
	return 0;
}

/* The client's secret, sealed. */
static int
add_secret(struct ctl *c, const struct args *a, json_t *body)
{
	struct secret s;
	char *sealed = NULL;
	int rc;

	if (args_has(a, "no-secret"))
		return json_object_set_new(
			   body, "client_secret_sealed", json_null()) == 0
		    ? 0
		    : STATUS_FAILED;
	if (!secret_is_given(a))
		return 0;
	rc = secret_read(a, "the client", 1, &s);
	if (rc == 0)
		sealed = secret_seal(c, &s);
	secret_wipe(&s);
	if (rc == 0 && sealed == NULL)
		rc = STATUS_CONFIG;
	if (rc == 0)
		json_object_set_new(
		    body, "client_secret_sealed", json_string(sealed + 2));
	free(sealed);
	return rc;
}

/* ---- the schema's functions ---- */

/* Prints why nothing was done. Takes res; 0 when it was done. */
static int
finish(PGresult *res, const char *none)
{
	const char *problem, *pointer;
	int rc = 0;

	if (res == NULL)
		return STATUS_FAILED;
	problem = pg_text(res, 0, 0);
	pointer = pg_text(res, 0, 1);
	if (problem != NULL && strcmp(problem, "not-found") == 0)
		rc = ctl_error("%s", none);
	else if (problem != NULL)
		rc = ctl_error("%s%s%s", pointer != NULL ? pointer + 1 : "",
		    pointer != NULL ? ": " : "", pg_text(res, 0, 2));
	PQclear(res);
	return rc;
}

#define ME                                                                     \
	"current_setting('relaycam.actor'), "                                  \
	"jsonb_build_object('system_account', "                                \
	"current_setting('relaycam.system_account'))"

static int
run_set(struct ctl *c, const struct args *a)
{
	json_t *body = json_object();
	struct team_ref team;
	char *text = NULL;
	int rc = 0;

	for (size_t i = 0; i < a->n_words && rc == 0; i++)
		rc = add(body, a->words[i]);
	if (rc == 0)
		rc = add_secret(c, a, body);
	if (rc == 0 && json_object_size(body) == 0)
		rc = ctl_usage("nothing to change: give KEY=VALUE");
	if (rc == 0)
		rc = team_find(c, a, &team);
	if (rc == 0)
		rc = pg_introduce(c);
	text = rc == 0 ? json_dumps(body, JSON_COMPACT) : NULL;
	json_decref(body);
	if (rc == 0)
		rc = finish(
		    PG_QUERY(c,
			"SELECT r.problem, r.pointer, r.detail FROM "
			"single_sign_on_set($1::bigint, " ME ", $2::jsonb) r",
			team.id, text),
		    "");
	free(text);
	if (rc == 0)
		printf("single sign-on of team %s changed\n", team.name);
	return rc;
}

static int
run_remove(struct ctl *c, const struct args *a)
{
	struct team_ref team;
	int rc = team_find(c, a, &team);

	if (rc == 0)
		rc = pg_introduce(c);
	if (rc == 0)
		rc = finish(PG_QUERY(c,
				"SELECT r.problem, r.pointer, r.detail FROM "
				"single_sign_on_remove($1::bigint, " ME ") r",
				team.id),
		    "the team has no single sign-on");
	if (rc == 0)
		printf("single sign-on of team %s removed\n", team.name);
	return rc;
}

static void
print_value(const char *name, const json_t *v)
{
	const json_t *item;
	size_t i;

	printf("%s: ", name);
	if (json_is_boolean(v))
		printf("%s", json_is_true(v) ? "on" : "off");
	else if (json_is_string(v))
		printf("%s", json_string_value(v));
	json_array_foreach(v, i, item)
		printf("%s%s", i > 0 ? "," : "", json_string_value(item));
	putchar('\n');
}

static int
show(struct ctl *c, const struct args *a, json_t *o)
{
	const char *url = c->console.public_url;
	json_t *uri =
	    url != NULL ? json_sprintf("%s" CALLBACK, url) : json_null();

	json_object_set_new(o, "redirect_uri", uri);
	if (args_has(a, "json"))
		return print_json(o);
	for (size_t i = 0; i < N_ELEMENTS(keys); i++)
		print_value(keys[i].name, json_object_get(o, keys[i].name));
	print_value(
	    "has_client_secret", json_object_get(o, "has_client_secret"));
	if (url != NULL)
		print_value("redirect_uri", uri);
	else
		printf("redirect_uri: [console] public_url is not set\n");
	json_decref(o);
	return 0;
}

static int
run_show(struct ctl *c, const struct args *a)
{
	struct team_ref team;
	PGresult *res;
	json_t *o;

	if (team_find(c, a, &team) != 0)
		return STATUS_FAILED;
	res = PG_QUERY(c, "SELECT single_sign_on_show($1::bigint)", team.id);
	if (res == NULL)
		return STATUS_FAILED;
	o = pg_text(res, 0, 0) != NULL ? json_loads(pg_text(res, 0, 0), 0, NULL)
				       : NULL;
	PQclear(res);
	return o != NULL ? show(c, a, o)
			 : ctl_error("team %s has no single sign-on; "
				     "\"relaycam single-sign-on set\" sets it "
				     "up",
			       team.name);
}

/* ---- people ---- */

static int
set_identity(struct ctl *c, const char *name, const char *subject)
{
	struct person_ref p;
	int rc = person_find(c, name, &p);

	if (rc == 0)
		rc = pg_introduce(c);
	if (rc == 0)
		rc = finish(PG_QUERY(c,
				"SELECT r.problem, r.pointer, r.detail FROM "
				"identity_set($1::bigint, " ME ", $2) r",
				p.id, subject),
		    "this person is linked to nobody");
	if (rc == 0)
		printf("user %s %s\n", name,
		    subject != NULL ? "linked" : "unlinked");
	return rc;
}

int
user_run_link(struct ctl *c, const struct args *a)
{
	const char *subject = args_get(a, "subject");

	if (subject == NULL || *subject == '\0' || strlen(subject) > 255)
		return ctl_usage(
		    "give --subject TEXT: the claim sub, 1 to 255 bytes");
	return set_identity(c, a->words[0], subject);
}

int
user_run_unlink(struct ctl *c, const struct args *a)
{
	return set_identity(c, a->words[0], NULL);
}

/* ---- the commands ---- */

static const struct arg_opt show_opts[] = { OPT_TEAM, OPT_JSON };
static const struct arg_opt remove_opts[] = { OPT_TEAM };
static const struct arg_opt set_opts[] = {
	OPT_TEAM,
	OPTS_SECRET,
	{ "no-secret", NULL, "the client has no secret" },
};

static const struct command commands[] = {
	{ "show", "", 0, 0, OPTS(show_opts),
	    "Shows a team's OpenID provider, but never the client's secret.",
	    run_show },
	{ "set", "KEY=VALUE...", 0, ARGS_WORDS_MAX, OPTS(set_opts),
	    "Sets up or changes a team's OpenID provider.\n\n"
	    "--password-file or --password-stdin has the client's secret. KEY "
	    "is one of\n"
	    "  enabled         on or off\n"
	    "  listed          on or off: on the login page for everybody\n"
	    "  title           what the login page calls it\n"
	    "  issuer          https://..., as the provider writes it\n"
	    "  client_id       as the provider knows this console\n"
	    "  algorithm       of ID tokens: RS256 to RS512, PS256 to PS512, "
	    "ES256 to ES512\n"
	    "  scopes          openid and others, with spaces\n"
	    "  name_claim      the claim that names new people\n"
	    "  groups_claim    the claim with groups\n"
	    "  owner_groups, admin_groups, member_groups\n"
	    "                  who gets which role: A,B,...\n"
	    "  email_domains   whose verified addresses may log in: A,B,...\n"
	    "  create_people   on or off: make people who are not there\n"
	    "  link_people     on or off: link people of the same name\n"
	    "  password_login  on or off: other ways to log in to the console\n"
	    "  password_owner  the owner who always may log in with a "
	    "password\n"
	    "docs/single-sign-on.md explains each. All changes are made, or "
	    "none.",
	    run_set },
	{ "remove", "", 0, 0, OPTS(remove_opts),
	    "Removes a team's OpenID provider, and forgets the secret.",
	    run_remove },
};

const struct command_group group_single_sign_on = { "single-sign-on",
	"a team's OpenID provider", commands, 3 };
