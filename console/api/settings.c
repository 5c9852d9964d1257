/* settings/access: what a team chose for each kind of access (T2, T3). The
 * relay reads it when a session begins, so that running ones keep theirs. */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "console/api/body.h"
#include "console/api/change.h"
#include "console/api/handlers.h"
#include "console/api/request.h"

/* What a number of JSON still has exactly: 9 PB. */
#define QUOTA_MAX ((int64_t)1 << 53)

/* The columns of access_settings, with the ranges that the schema has. */
static const struct member members[] = {
	{ "recording", .kind = MEMBER_BOOL },
	{ "playback_role", .kind = MEMBER_CHOICE,
	    .choices = "owner|admin|member" },
	{ "on_record_failure", .kind = MEMBER_CHOICE,
	    .choices = "end|continue" },
	{ "manual_recording", .kind = MEMBER_BOOL },
	{ "consent", .kind = MEMBER_CHOICE, .choices = "off|ask" },
	{ "consent_seconds", .kind = MEMBER_INT, .lo = 5, .hi = 300 },
	{ "vnc_auth", .kind = MEMBER_BOOL },
	{ "clipboard", .kind = MEMBER_CHOICE,
	    .choices = "both|to_endpoint|to_technician|off" },
	{ "frame_rate", .kind = MEMBER_INT, .lo = 1, .hi = 60 },
	{ "min_visible_ms", .kind = MEMBER_INT, .lo = 40, .hi = 100 },
	{ "quality", .kind = MEMBER_CHOICE, .choices = "text|small|lossless" },
	{ "max_session_s", .kind = MEMBER_INT, .lo = 1, .hi = 86400 },
	{ "warn_seconds", .kind = MEMBER_INT, .lo = 0, .hi = 86400 },
	{ "segment_bytes", .kind = MEMBER_INT, .lo = 1 << 20, .hi = 512 << 20 },
	{ "retention_days", .kind = MEMBER_INT, .lo = 1, .hi = 36500 },
};

static const struct member team[] = {
	{ "time_zone", .kind = MEMBER_TEXT, .lo = 1, .hi = 100 },
	{ "quota_bytes", .kind = MEMBER_INT, .lo = 1, .hi = QUOTA_MAX,
	    .may_be_null = true },
	{ "quota_warn_percent", .kind = MEMBER_INT, .lo = 1, .hi = 100 },
};

void
settings_get_run(struct request *r)
{
	const char *params[] = { r->person.team_text };

	request_query(r, "SELECT console_settings($1::bigint)::text", 1, params,
	    change_show);
}

/* T12: says before a change what it would delete, and when. */
void
settings_retention_run(struct request *r)
{
	char access[16], days[8];
	const char *params[] = { r->person.team_text, access, days };

	if (!request_param(r, "access", access, sizeof(access)) ||
	    (strcmp(access, "attended") != 0 &&
		strcmp(access, "unattended") != 0)) {
		request_invalid(r, "?access", "attended|unattended");
		return;
	}
	if (!request_param(r, "days", days, sizeof(days)) || *days == '\0' ||
	    strspn(days, "0123456789") != strlen(days) || atoi(days) < 1 ||
	    atoi(days) > 36500) {
		request_invalid(
		    r, "?days", "A number from 1 to 36500 is expected.");
		return;
	}
	request_query(r,
	    "SELECT retention_preview($1::bigint, $2, $3::integer)::text", 3,
	    params, change_show);
}

static void
check_access(json_t *body, const char *name, const char *at, json_t *errors)
{
	json_t *v = json_object_get(body, name);

	if (v != NULL && !json_is_object(v))
		body_wrong(errors, at, "An object is expected.");
	else
		body_check(v, at, members, N_ELEMENTS(members), errors);
}

void
settings_patch_run(struct request *r)
{
	json_t *errors = json_array(), *rest = json_copy(r->body);

	check_access(r->body, "attended", "/attended", errors);
	check_access(r->body, "unattended", "/unattended", errors);
	json_object_del(rest, "attended");
	json_object_del(rest, "unattended");
	body_check(rest, "", team, N_ELEMENTS(team), errors);
	json_decref(rest);
	if (json_object_size(r->body) == 0)
		body_wrong(errors, "", "The body has nothing in it.");
	if (json_array_size(errors) > 0) {
		request_invalid_all(r, errors);
		return;
	}
	json_decref(errors);
	change_run(r, "console_settings_set", 200);
}
