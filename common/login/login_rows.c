#include "common/login/login_rows.h"

#define COUNTED                                                                \
	" ON CONFLICT (client_addr) DO UPDATE SET failed = CASE WHEN "         \
	"l.last_at < now() - interval '15 minutes' THEN 1 ELSE l.failed + 1 "  \
	"END, last_at = now()"

const char login_address_wrong_statement[] =
    "INSERT INTO login_failures AS l (client_addr, failed) VALUES ($1, "
    "1)" COUNTED;

const char login_address_query[] =
    "SELECT coalesce(max(failed), 0), coalesce(max(extract(epoch FROM "
    "now() - last_at)), 0) FROM login_failures WHERE client_addr = $1";

const char login_wrong_statement[] =
    "WITH p AS (UPDATE people SET failed_logins = failed_logins + 1, "
    "last_failed_at = now() WHERE name = $1 RETURNING team_id), "
    "f AS (INSERT INTO login_failures AS l (client_addr, failed) "
    "SELECT what, 1 FROM (VALUES ($2, true), "
    "('name tried: ' || $1, $5::boolean), "
    "('codes tried by ' || $1, $6::boolean)) k(what, counts) "
    "WHERE counts" COUNTED ") "
    "INSERT INTO audit (team_id, actor, action, object, detail) "
    "SELECT (SELECT team_id FROM p), $1, 'login_failed', $4, "
    "jsonb_build_object('client', $3::text)";
