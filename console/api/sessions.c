/* sessions: who was connected to what, and orders to those that run (T5). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "console/api/enter.h"
#include "console/api/handlers.h"
#include "console/api/list.h"
#include "console/api/request.h"
#include "console/api/rows.h"

/* T5: uploaded, under way with its percentage, or failed. */
#define RECORDING                                                              \
	"CASE WHEN g.n = 0 THEN CASE WHEN NOT s.recorded THEN 'off' "          \
	"WHEN s.ended_at IS NULL THEN 'under_way' ELSE 'none' END "            \
	"WHEN g.failed > 0 THEN 'failed' WHEN g.busy > 0 THEN 'under_way' "    \
	"ELSE 'uploaded' END"

#define ROW                                                                    \
	"json_build_object('id', s.id, 'state', CASE WHEN s.ended_at IS NULL " \
	"THEN 'active' ELSE 'ended' END, 'endpoint', e.name, 'user', p.name, " \
	"'started_at', utc_text(s.started_at), 'ended_at', "                   \
	"utc_text(s.ended_at), 'duration_ms', floor(extract(epoch FROM "       \
	"coalesce(s.ended_at, now()) - s.started_at) * 1000)::bigint, "        \
	"'access', s.access, 'path', s.path, 'door', s.door, 'recorded', "     \
	"s.recorded, 'recording', " RECORDING ", 'recording_progress', "       \
	"g.progress, 'recording_now', s.recording, 'segments', g.n, "          \
	"'bytes', g.bytes, 'view_only', s.view_only, 'consent', s.consent, "   \
	"'monitor', s.monitor, 'frame_rate', s.frame_rate, 'client_addr', "    \
	"s.client_addr, 'viewer', s.viewer, 'desktop_name', s.desktop_name, "  \
	"'end_code', s.end_code, 'end_reason', s.end_reason)"

#define LOCAL(at)                                                              \
	"csv_text(to_char(" at " AT TIME ZONE $3::text, 'YYYY-MM-DD "          \
	"HH24:MI:SS'))"

#define CSV                                                                    \
	"concat_ws(',', s.id, csv_text(e.name), csv_text(p.name), " LOCAL(     \
	    "s.started_at") ", " LOCAL("s.ended_at") ", "                      \
						     "csv_text(floor(extract(" \
						     "epoch FROM "             \
						     "coalesce(s.ended_at, "   \
						     "now()) - "               \
						     "s.started_at))::text), " \
						     "s.access, s.path, "      \
						     "s.door, " RECORDING ", " \
						     "g.n, g.bytes, "          \
						     "csv_text(s.client_addr)" \
						     ", csv_text(s.viewer), "  \
						     "csv_text(s.desktop_"     \
						     "name), "                 \
						     "csv_text(s.end_code), "  \
						     "csv_text(s.end_reason))"

/* LATERAL: the sums are made for the rows that are shown, not for all. */
#define FROM                                                                   \
	"FROM sessions s JOIN endpoints e ON e.id = s.endpoint_id "            \
	"JOIN people p ON p.id = s.person_id "                                 \
	"LEFT JOIN LATERAL (SELECT count(*) AS n, "                            \
	"coalesce(sum(x.bytes), 0)::bigint AS bytes, "                         \
	"count(*) FILTER (WHERE x.status IN "                                  \
	"('missing', 'encoding_failed', 'corrupted')) AS failed, "             \
	"count(*) FILTER (WHERE x.status IN "                                  \
	"('recording', 'transfer', 'downloaded', 'encoding')) AS busy, "       \
	"min(x.progress) FILTER (WHERE x.status IN ('transfer', 'encoding')) " \
	"AS progress FROM segments x WHERE x.session_id = s.id) g ON true"

const char session_row_sql[] = "SELECT " ROW " " FROM " WHERE s.id = ";

static const struct list_filter filters[] = {
	{ "state", "(s.ended_at IS NULL) = (? = 'active')", "active|ended" },
	{ "endpoint", "e.name = ?", NULL },
	{ "user", "p.name = ?", NULL },
	{ "access", "s.access = ?", "attended|unattended" },
	{ "from", "s.started_at >= console_time(?, $3)", NULL },
	{ "to", "s.started_at < console_time(?, $3)", NULL },
	{ "recording", RECORDING " = ?", "off|none|under_way|failed|uploaded" },
	{ "text",
	    "position(lower(?) IN lower(concat_ws(' ', e.name, e.title, "
	    "p.name, "
	    "p.title, s.desktop_name, s.viewer, s.client_addr, s.end_reason))) "
	    "> 0",
	    NULL },
};

static const struct list list = {
	.row = ROW,
	.csv_row = CSV,
	.csv_head =
	    "id,endpoint,user,started_at,ended_at,duration_s,access,path,door,"
	    "recording,segments,bytes,client_addr,viewer,desktop_name,end_code,"
	    "end_reason",
	.from = FROM,
	.where = "s.team_id = $2::bigint AND (s.person_id = $1::bigint OR "
		 "s.endpoint_id IN (SELECT r.endpoint_id FROM "
		 "endpoint_rights_all($1::bigint) r WHERE r.control))",
	.filters = filters,
	.n_filters = N_ELEMENTS(filters),
	.key = "s.started_at",
	.key_type = "timestamptz",
	.id = "s.id",
	.id_type = "uuid",
};

void
sessions_list_run(struct request *r)
{
	list_run(r, &list);
}

void
sessions_csv_run(struct request *r)
{
	list_csv_run(r, &list);
}

static void
on_row(struct request *r, PGresult *res)
{
	if (PQntuples(res) == 1)
		request_json_text(r, 200, PQgetvalue(res, 0, 0));
	else
		request_not_found(r);
}

static void
show(struct request *r)
{
	const char *params[] = { r->id };

	request_query(r, "SELECT " ROW "::text " FROM " WHERE s.id = $1::uuid",
	    1, params, on_row);
}

void
sessions_get_run(struct request *r)
{
	show(r);
}

/* ---- orders ---- */

/* One order: its text is NULL for those that are not given. */
static const struct {
	const char *name;
	bool is_number;
} orders[] = { { "frame_rate", true }, { "monitor", true },
	{ "recording", false }, { "view_only", false }, { "warn", false } };

/* Why session_command() did not take the order. */
static void
refuse(struct request *r, const char *why)
{
	if (strcmp(why, "you may not do that") == 0)
		request_problem(r, 403, "forbidden", "You may not do that.");
	else
		request_problem(r, 409, "not-done", why);
}

static void
on_ordered(struct request *r, PGresult *res)
{
	for (int i = 0; i < PQntuples(res); i++)
		if (!PQgetisnull(res, i, 1)) {
			refuse(r, PQgetvalue(res, i, 1));
			return;
		}
	show(r);
}

/* The value of a member as the database takes it; false: another kind. */
static bool
order_value(const json_t *v, bool is_number, char *out, size_t len)
{
	if (is_number && json_is_integer(v))
		snprintf(out, len, "%lld", (long long)json_integer_value(v));
	else if (!is_number && json_is_string(v) &&
	    strlen(json_string_value(v)) < len)
		snprintf(out, len, "%s", json_string_value(v));
	else
		return false;
	return true;
}

/* All are given to the relay by session_command(), in one statement. */
void
sessions_patch_run(struct request *r)
{
	static char values[N_ELEMENTS(orders)][600];
	const char *params[2 + N_ELEMENTS(orders)] = { r->person.id_text,
		r->id };
	size_t n = 0, i;

	for (i = 0; i < N_ELEMENTS(orders); i++) {
		const json_t *v = json_object_get(r->body, orders[i].name);
		char pointer[32];

		if (v == NULL)
			continue;
		n++;
		params[2 + i] = values[i];
		if (order_value(
			v, orders[i].is_number, values[i], sizeof(values[i])))
			continue;
		snprintf(pointer, sizeof(pointer), "/%s", orders[i].name);
		request_invalid(r, pointer,
		    orders[i].is_number ? "A whole number is expected."
					: "A text is expected.");
		return;
	}
	if (n == 0 || n != json_object_size(r->body)) {
		request_invalid(r, "",
		    "frame_rate, monitor, recording, view_only or warn are "
		    "expected, and nothing else.");
		return;
	}
	request_query(r,
	    "SELECT what, session_command($1::bigint, $2::uuid, what, value) "
	    "FROM (VALUES ('frame_rate', $3::text), ('monitor', $4), "
	    "('recording', $5), ('view_only', $6), ('warn', $7)) v (what, "
	    "value) WHERE value IS NOT NULL",
	    2 + (int)N_ELEMENTS(orders), params, on_ordered);
}

static void
on_ended(struct request *r, PGresult *res)
{
	if (!PQgetisnull(res, 0, 0))
		refuse(r, PQgetvalue(res, 0, 0));
	else
		request_json_text(r, 202, "{}");
}

void
sessions_delete_run(struct request *r)
{
	char reason[512] = "";
	const char *params[] = { r->person.id_text, r->id, reason };

	request_param(r, "reason", reason, sizeof(reason));
	request_query(r,
	    "SELECT session_command($1::bigint, $2::uuid, 'end', $3)", 3,
	    params, on_ended);
}
