/* sessions: who was connected to what, and orders to those that run (T5). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "console/api/change.h"
#include "console/api/enter.h"
#include "console/api/handlers.h"
#include "console/api/list.h"
#include "console/api/request.h"
#include "console/api/rows.h"

/* clang-format off */

/* Of the segments that are on their way. */
#define PROGRESS \
	"CASE WHEN s.n_busy > 0 THEN (SELECT min(g.progress) FROM segments g " \
	"WHERE g.session_id = s.id AND g.status IN ('transfer', 'encoding')) " \
	"END"

#define ROW \
	"json_build_object('id', s.id, 'state', CASE WHEN s.ended_at IS NULL " \
	"THEN 'active' ELSE 'ended' END, 'endpoint', e.name, 'user', p.name, " \
	"'started_at', utc_text(s.started_at), 'ended_at', " \
	"utc_text(s.ended_at), 'duration_ms', floor(extract(epoch FROM " \
	"coalesce(s.ended_at, now()) - s.started_at) * 1000)::bigint, " \
	"'access', s.access, 'path', s.path, 'door', s.door, 'recorded', " \
	"s.recorded, 'recording', s.recording_state, 'recording_progress', " \
	PROGRESS ", 'recording_now', s.recording, 'segments', s.n_segments, " \
	"'bytes', s.bytes, 'view_only', s.view_only, 'consent', s.consent, " \
	"'monitor', s.monitor, 'frame_rate', s.frame_rate, 'client_addr', " \
	"s.client_addr, 'viewer', s.viewer, 'desktop_name', s.desktop_name, " \
	"'end_code', s.end_code, 'end_reason', s.end_reason)"

#define LOCAL(at) \
	"csv_text(to_char(" at " AT TIME ZONE $3::text, " \
	"'YYYY-MM-DD HH24:MI:SS'))"

#define CSV \
	"concat_ws(',', s.id, csv_text(e.name), csv_text(p.name), " \
	LOCAL("s.started_at") ", " LOCAL("s.ended_at") ", " \
	"csv_text(floor(extract(epoch FROM coalesce(s.ended_at, now()) - " \
	"s.started_at))::text), s.access, s.path, s.door, s.recording_state, " \
	"s.n_segments, s.bytes, csv_text(s.client_addr), csv_text(s.viewer), " \
	"csv_text(s.desktop_name), csv_text(s.end_code), " \
	"csv_text(s.end_reason))"

#define JOINS \
	"JOIN endpoints e ON e.id = s.endpoint_id " \
	"JOIN people p ON p.id = s.person_id"

#define HAS_TEXT(texts) \
	"position(lower(?) IN lower(concat_ws(' ', " texts "))) > 0"

#define NAMED(table) \
	"(SELECT id FROM " table " WHERE team_id = $2::bigint AND " \
	HAS_TEXT("name, title") ")"

#define TEXT \
	HAS_TEXT("s.desktop_name, s.viewer, s.client_addr, s.end_reason") \
	" OR s.endpoint_id IN " NAMED("endpoints") \
	" OR s.person_id IN " NAMED("people")

/* clang-format on */

const char session_row_sql[] =
    "SELECT " ROW " FROM sessions s " JOINS " WHERE s.id = ";

static const struct list_filter filters[] = {
	{ "endpoint",
	    "s.endpoint_id IN (SELECT id FROM endpoints WHERE team_id = "
	    "$2::bigint AND name = ?)",
	    .access = LIST_ENDPOINT },
	{ "device", "s.endpoint_id IN (" LIST_DEVICES ")",
	    .access = LIST_DEVICE },
	{ "user",
	    "s.person_id = (SELECT id FROM people WHERE team_id = $2::bigint "
	    "AND name = ?)",
	    .access = LIST_INDEX },
	{ "state", "(s.ended_at IS NULL) = (? = 'active')", "active|ended",
	    LIST_WIDE, "active", "s.ended_at IS NULL" },
	{ "recording",
	    "team_key(s.team_id, s.recording_state) = team_key($2::bigint, ?)",
	    "off|none|under_way|failed|uploaded", LIST_WIDE },
	{ "access", "team_key(s.team_id, s.access) = team_key($2::bigint, ?)",
	    "attended|unattended", LIST_WIDE },
	{ "from", "s.started_at >= console_time(?, $3)", .access = LIST_RANGE },
	{ "to", "s.started_at < console_time(?, $3)", .access = LIST_RANGE },
	{ "text", TEXT },
};

static const struct list list = {
	.row = ROW,
	.csv_row = CSV,
	.csv_head =
	    "id,endpoint,user,started_at,ended_at,duration_s,access,path,door,"
	    "recording,segments,bytes,client_addr,viewer,desktop_name,end_code,"
	    "end_reason",
	.table = "sessions s",
	.alias = "s",
	.team = "s.team_id = $2::bigint",
	.from = JOINS,
	.where = "EXISTS (SELECT FROM endpoint_rights_of($1::bigint, "
		 "s.endpoint_id) r WHERE r.control OR s.person_id = "
		 "$1::bigint)",
	.mine = "SELECT er.endpoint_id FROM endpoint_rights er CROSS JOIN "
		"LATERAL endpoint_rights_of($1::bigint, er.endpoint_id) r "
		"WHERE er.person_id = $1::bigint AND r.control",
	.own = "s.person_id = $1::bigint",
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
show(struct request *r)
{
	const char *params[] = { r->id };

	request_query(r,
	    "SELECT " ROW "::text FROM sessions s " JOINS
	    " WHERE s.id = $1::uuid",
	    1, params, change_show);
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
		request_refuse(r, "You may not do that.");
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
	char origin[REQUEST_ORIGIN_MAX];
	const char *params[3 + N_ELEMENTS(orders)] = { r->person.id_text, r->id,
		request_origin(r, origin) };
	size_t n = 0, i;

	for (i = 0; i < N_ELEMENTS(orders); i++) {
		const json_t *v = json_object_get(r->body, orders[i].name);
		char pointer[32];

		if (v == NULL)
			continue;
		n++;
		params[3 + i] = values[i];
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
	    "SELECT what, console_session_command($1::bigint, $2::uuid, what, "
	    "value, $3::jsonb) "
	    "FROM (VALUES ('frame_rate', $4::text), ('monitor', $5), "
	    "('recording', $6), ('view_only', $7), ('warn', $8)) v (what, "
	    "value) WHERE value IS NOT NULL",
	    3 + (int)N_ELEMENTS(orders), params, on_ordered);
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
	char reason[512] = "", origin[REQUEST_ORIGIN_MAX];
	const char *params[] = { r->person.id_text, r->id, reason,
		request_origin(r, origin) };

	request_param(r, "reason", reason, sizeof(reason));
	request_query(r,
	    "SELECT console_session_command($1::bigint, $2::uuid, 'end', $3, "
	    "$4::jsonb)",
	    4, params, on_ended);
}
