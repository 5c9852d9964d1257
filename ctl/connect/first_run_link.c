/* relaycam console: one-time links that open the console's first-run page. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/token.h"
#include "ctl/command.h"
#include "ctl/names.h"
#include "ctl/pg.h"
#include "ctl/table.h"

#define LINK_SECONDS 3600 /* and at most: schema/ */
#define LINK_URL_MAX 1024

/* Links of no team are for the first owner of all. */
static int
check_no_owner(struct ctl *c)
{
	PGresult *res = PG_QUERY(c, "SELECT has_owner()");
	bool has_owner;

	if (res == NULL)
		return STATUS_FAILED;
	has_owner = pg_text(res, 0, 0)[0] == 't';
	PQclear(res);
	return has_owner
	    ? ctl_error("there is an owner already; --team NAME makes a link "
			"for another owner of that team")
	    : 0;
}

/* Its end in milliseconds, or -1 after a message. */
static int64_t
add_row(struct ctl *c, const struct team_ref *team, const char *hash,
    const char *seconds)
{
	const char *id = team->id[0] != '\0' ? team->id : NULL;
	PGresult *res = PG_QUERY(c,
	    "WITH old AS (DELETE FROM first_run_links "
	    "  WHERE expires_at < now() - interval '1 day') "
	    "INSERT INTO first_run_links (hash, team_id, expires_at) "
	    "VALUES ($1, $2, now() + $3::integer * interval '1 second') "
	    "RETURNING floor(extract(epoch FROM expires_at) * 1000)::bigint",
	    hash, id, seconds);
	int64_t end_ms = -1;

	if (res != NULL &&
	    pg_audit(c, id, "first_run_link", team->name,
		json_pack("{s:s}", "seconds", seconds)) == 0)
		end_ms = strtoll(pg_text(res, 0, 0), NULL, 10);
	PQclear(res);
	return end_ms;
}

/* [console] public_url; else the address that it listens on, or this
 * machine's name. */
static void
console_url(const struct ctl *c, char *out, size_t len)
{
	const char *listen = c->console.listen;
	const char *port = strrchr(listen, ':');
	int n = port != NULL ? (int)(port - listen) : 0;
	char name[HOST_NAME_MAX + 1] = "localhost";

	if (c->console.public_url != NULL) {
		snprintf(out, len, "%s", c->console.public_url);
		return;
	}
	if (n == 0 || strncmp(listen, "0.0.0.0:", 8) == 0 ||
	    strncmp(listen, "[::]:", 5) == 0)
		gethostname(name, sizeof(name) - 1);
	else if (strncmp(listen, "127.", 4) != 0)
		snprintf(name, sizeof(name), "%.*s", n, listen);
	snprintf(out, len, "https://%s%s", name, port != NULL ? port : "");
}

/* The token is in the fragment, which browsers keep to themselves. */
static void
make_url(const struct ctl *c, const struct team_ref *team, const char *token,
    char url[LINK_URL_MAX])
{
	char base[LINK_URL_MAX / 2];
	size_t n;

	console_url(c, base, sizeof(base));
	n = strlen(base);
	while (n > 0 && base[n - 1] == '/')
		n--;
	snprintf(url, LINK_URL_MAX, "%.*s/first-run#token=%s%s%s", (int)n, base,
	    token, team->name[0] != '\0' ? "&team=" : "", team->name);
}

static int
print(const struct args *a, const char *url, int64_t end_ms)
{
	char expires[CLOCK_TEXT_MAX];

	if (!args_has(a, "json")) {
		printf("%s\n", url);
		return 0;
	}
	clock_format_utc((uint64_t)end_ms * NS_PER_MS, expires);
	return print_json(
	    json_pack("{s:s,s:s}", "url", url, "expires_at", expires));
}

static int
run_first_run_link(struct ctl *c, const struct args *a)
{
	struct team_ref team = { 0 };
	char url[LINK_URL_MAX], text[24];
	struct token token;
	int64_t seconds, end_ms = -1;
	int rc =
	    args_seconds(a, "valid", 1, LINK_SECONDS, LINK_SECONDS, &seconds);

	if (rc == 0)
		rc = args_has(a, "team") ? team_find(c, a, &team)
					 : check_no_owner(c);
	if (rc == 0)
		rc = PG_RUN(c, "BEGIN");
	if (rc != 0)
		return rc;
	token_new(&token, "rcf_");
	snprintf(text, sizeof(text), "%lld", (long long)seconds);
	end_ms = add_row(c, &team, token.hash, text);
	make_url(c, &team, token.text, url);
	token_wipe(&token);
	rc = end_ms < 0 ? STATUS_FAILED : PG_RUN(c, "COMMIT");
	return rc == 0 ? print(a, url, end_ms) : rc;
}

static const struct arg_opt first_run_opts[] = {
	{ "team", "NAME", "an owner of this team, in place of a new one" },
	{ "valid", "TIME", "how long, 1h at most (default: 1h)" },
	OPT_JSON,
};

static const struct command commands[] = {
	{ "first-run-link", "", 0, 0, OPTS(first_run_opts),
	    "Makes a one-time link to the console's first-run page and prints "
	    "it.\n\nWho opens it chooses a name and a password and becomes an "
	    "owner. Without --team the\npage makes a team too; that is for an "
	    "installation that has no owner yet.",
	    run_first_run_link },
};

const struct command_group group_console = { "console",
	"the console: links to its first-run page", commands, 1 };
