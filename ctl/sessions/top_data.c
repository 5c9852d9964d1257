/* relaycam top: where its numbers come from. */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "ctl/doctor/doctor.h"
#include "ctl/ctl_http.h"
#include "ctl/pg.h"
#include "ctl/sessions/top.h"

#define PAGE_MAX  65536
#define TIMEOUT_S 2

static const char sql[] =
    "SELECT jsonb_build_object("
    "'n_sessions', (SELECT count(*) FROM sessions WHERE ended_at IS NULL), "
    "'sessions', (SELECT coalesce(jsonb_agg(x), '[]') FROM (SELECT s.id, "
    "e.name AS endpoint, p.name AS technician, s.access, s.recording, "
    "n.host, extract(epoch FROM clock_timestamp() - s.started_at)::bigint AS "
    "seconds FROM sessions s JOIN endpoints e ON e.id = s.endpoint_id JOIN "
    "people p ON p.id = s.person_id LEFT JOIN nodes n ON n.id = s.node_id "
    "WHERE s.ended_at IS NULL ORDER BY s.started_at, s.id LIMIT 500) x), "
    "'nodes', (SELECT coalesce(jsonb_agg(x), '[]') FROM (SELECT program, "
    "host, version, stopped_at IS NOT NULL AS stopped, greatest(0, "
    "extract(epoch FROM clock_timestamp() - heartbeat_at))::bigint AS "
    "heartbeat_age FROM nodes WHERE stopped_at IS NULL OR stopped_at > "
    "now() - interval '1 day' ORDER BY program, host, id LIMIT 500) x), "
    "'recordings', (SELECT coalesce(jsonb_object_agg(status, n), '{}') FROM "
    "(SELECT status, count(*) AS n FROM segments WHERE status IN "
    "('recording', 'transfer', 'downloaded', 'encoding') GROUP BY 1) x))";

static const char *const relay_names[] = { "endpoint_bytes_total",
	"technician_bytes_total", "sessions_active", "logins", "agents",
	"parked", "ring_fill_ratio", "recorder_memory_bytes",
	"recorder_behind_seconds", "live_recorders", "live_cpu_permille",
	"recorder_failures_total", "login_failures_total", NULL };
static const char *const storage_names[] = { "spool_waiting_bytes",
	"spool_free_bytes", "spool_oldest_seconds", "encode_lag_seconds",
	"captures_waiting", "captures_encoding", "captures_failed",
	"stored_bytes_total", "files_active", NULL };
static const char *const console_names[] = { "workers_ready", "event_streams",
	"logins_total", "login_failures_total", "links_total", NULL };

/* The value of "PREFIXNAME VALUE" at a line's beginning. */
static bool
find_value(
    const char *page, const char *prefix, const char *name, double *value)
{
	size_t n = strlen(prefix), m = strlen(name);

	for (const char *line = page; line != NULL && *line != '\0';) {
		if (strncmp(line, prefix, n) == 0 &&
		    strncmp(line + n, name, m) == 0 && line[n + m] == ' ') {
			*value = strtod(line + n + m, NULL);
			return true;
		}
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
	return false;
}

/* JSON null: the daemon does not answer on this machine. */
static json_t *
ask_daemon(const struct conf_daemon *conf, const char *prefix,
    const char *const *names)
{
	static char page[PAGE_MAX];
	char url[300];
	struct ctl_http_request rq = { .method = "GET",
		.url = url,
		.timeout_s = TIMEOUT_S,
		.is_direct = true,
		.answer = page,
		.answer_len = sizeof(page) };
	json_t *o;
	double value;

	if (conf->metrics_listen == NULL || *conf->metrics_listen == '\0')
		return json_null();
	doctor_health_url(conf->metrics_listen, "/metrics", url, sizeof(url));
	if (ctl_http_request(&rq) != 200)
		return json_null();
	o = json_object();
	for (; *names != NULL; names++)
		if (find_value(page, prefix, *names, &value))
			json_object_set_new(o, *names, json_real(value));
	return o;
}

json_t *
top_ask(struct ctl *c)
{
	PGresult *res = PG_QUERY(c, sql);
	json_t *o;

	if (res == NULL)
		return NULL;
	o = json_loads(PQgetvalue(res, 0, 0), 0, NULL);
	PQclear(res);
	if (o == NULL) {
		ctl_error("out of memory");
		return NULL;
	}
	json_object_set_new(
	    o, "relay", ask_daemon(&c->relay, "relaycam_relay_", relay_names));
	json_object_set_new(o, "storage",
	    ask_daemon(&c->storage, "relaycam_storage_", storage_names));
	json_object_set_new(o, "console",
	    ask_daemon(&c->console, "relaycam_console_", console_names));
	return o;
}
