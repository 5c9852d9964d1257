/*
 * relaycam sessions, recordings and top: what can be ordered, in which status
 * a recording can be opened, and what people read otherwise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "ctl/sessions/top.h"
#include "scripted_ctl.h"

#define ID "0123abcd-0000-4000-8000-000000000001"
#define SESSION                                                                \
	{                                                                      \
		"FROM sessions WHERE id::text LIKE", "0123", ID "\n"           \
	}
#define SEGMENT                                                                \
	{                                                                      \
		"FROM segments WHERE id::text LIKE", "0123", ID "\n"           \
	}
/* status, store, key, url of the node, is it a capture */
#define RECORDING(status, store, key, url, detail, percent, is_capture)        \
	{                                                                      \
		"FROM segments g JOIN sessions s", ID,                         \
		    ID "|7|" status "|" store "|" key "|1000||" url "|" detail \
		       "|" percent "|" is_capture "\n"                         \
	}
#define INTRODUCE                                                              \
	{                                                                      \
		"set_config('relaycam.actor'", NULL, "a|b\n"                   \
	}
#define ALICE                                                                  \
	{                                                                      \
		"FROM people WHERE name = $1", "alice", "3|7|alice|owner|f\n"  \
	}

static const struct ctl_case sessions[] = {
	{ "sessions list --state active --device desk", STATUS_OK,
	    "no sessions", { { "s.ended_at IS NULL", "desk|50", "" } } },
	{ "sessions list --state sleeping", STATUS_USAGE,
	    "expected active, ended or all" },
	{ "sessions show 012", STATUS_USAGE, "first 4 characters" },
	{ "sessions show 0123", STATUS_USAGE, "several sessions begin with",
	    { { "LIKE", "0123", "a\nb\n" } } },
	{ "sessions show " ID, STATUS_FAILED, "there is no session",
	    { { "id = $1::uuid", ID, "" } } },
	{ "sessions end 0123 lunch", STATUS_OK, "session 0123abcd: ended",
	    { SESSION, INTRODUCE,
		{ "session_command(NULL, $1, $2, $3)", ID "|end|lunch",
		    "~|2026-01-01\n" },
		{ "s.ended_at IS NOT NULL", ID "|lunch", "t|t|x\n" } } },
	{ "sessions monitor 0123 2", STATUS_OK, "shows monitor 2",
	    { SESSION, INTRODUCE,
		{ "session_command", ID "|monitor|2", "~|2026-01-01\n" },
		{ "s.monitor = $2", ID "|2", "f|f|x\n" },
		{ "session_command_refused", ID "|monitor|2|2026-01-01", "" },
		{ "s.monitor = $2", ID "|2", "t|f|x\n" } } },
	{ "sessions recording 0123 start", STATUS_FAILED,
	    "the team does not allow it",
	    { SESSION, INTRODUCE,
		{ "session_command", ID "|recording|start",
		    "the team does not allow it|2026-01-01\n" } } },
	{ "sessions view-only 0123 off", STATUS_FAILED, "only to be watched",
	    { SESSION, INTRODUCE, { "session_command", NULL, "~|2026\n" },
		{ "s.view_only", NULL, "f|f|x\n" },
		{ "session_command_refused", NULL, "only to be watched\n" } } },
	{ "sessions frame-rate 0123 20", STATUS_FAILED, "has ended meanwhile",
	    { SESSION, INTRODUCE, { "session_command", NULL, "~|2026\n" },
		{ "s.frame_rate", NULL, "f|t|x\n" } } },
	/* there is nothing to wait for */
	{ "sessions warn 0123 soon", STATUS_OK, "is shown the warning",
	    { SESSION, INTRODUCE,
		{ "session_command", ID "|warn|soon", "~|2026\n" } } },
};

static const struct ctl_case recordings[] = {
	{ "recordings list --unwatched --session 0123", STATUS_OK,
	    "no recordings",
	    { SESSION, { "g.watched_at IS NULL", ID "|available|100", "" } } },
	{ "recordings link 0123", STATUS_CONFIG, "[store] kind is folder",
	    { SEGMENT,
		RECORDING("available", "s3", "k", "", "", "100", "f") } },
	{ "recordings link 0123", STATUS_FAILED, "its file is gone",
	    { SEGMENT, RECORDING("expired", "s3", "k", "", "", "0", "f") } },
	{ "recordings link 0123", STATUS_FAILED, "is missing, not stored",
	    { SEGMENT, RECORDING("missing", "", "", "", "", "0", "f") } },
	{ "recordings link 0123", STATUS_FAILED, "its session goes on",
	    { SEGMENT,
		RECORDING("recording", "", "", "https://n", "", "0", "t") } },
	{ "recordings link 0123", STATUS_FAILED,
	    "is being sent by its device, "
	    "41 %",
	    { SEGMENT, RECORDING("transfer", "", "", "u", "", "41", "t") } },
	{ "recordings link 0123", STATUS_FAILED, "is being encoded, 12 %",
	    { SEGMENT, RECORDING("encoding", "", "", "u", "", "12", "t") } },
	{ "recordings link 0123", STATUS_FAILED,
	    "waits to be encoded: three before it",
	    { SEGMENT,
		RECORDING(
		    "downloaded", "", "", "u", "three before it", "0", "t") } },
	{ "recordings fetch 0123 --output x", STATUS_FAILED,
	    "recordings encode 0123abcd",
	    { SEGMENT,
		RECORDING(
		    "encoding_failed", "", "", "u", "killed", "0", "t") } },
	{ "recordings link 0123 --for alice", STATUS_FAILED,
	    "alice may not watch",
	    { SEGMENT,
		RECORDING("available", "folder", "k", "", "", "100", "f"),
		ALICE, { "file_refusal", "k|3", "denied\n" } } },
	{ "recordings encode 0123", STATUS_FAILED, "only a capture",
	    { SEGMENT,
		RECORDING("available", "folder", "k", "", "", "100", "f") } },
	{ "recordings encode 0123", STATUS_OK, "its storage encodes it again",
	    { SEGMENT, RECORDING("encoding_failed", "", "", "", "", "0", "t"),
		{ "SET status = 'downloaded'", ID, ID "\n" },
		{ "INSERT INTO audit", "7|*|recording_encode|" ID "|*",
		    "" } } },
	{ "recordings encode 0123", STATUS_FAILED, "changed meanwhile",
	    { SEGMENT, RECORDING("encoding_failed", "", "", "", "", "0", "t"),
		{ "SET status = 'downloaded'", ID, "" } } },
	{ "recordings captions 0123", STATUS_OK, "WEBVTT",
	    { SEGMENT,
		RECORDING("available", "folder", "k", "", "", "100", "f"),
		{ "segment_captions", ID, "WEBVTT\n" },
		{ "INSERT INTO audit", "7|*|captions|" ID "|*", "" } } },
	{ "recordings captions 0123", STATUS_FAILED, "has not ended",
	    { SEGMENT, RECORDING("recording", "", "", "u", "", "0", "f"),
		{ "segment_captions", ID, "~\n" } } },
	{ "recordings review 0123", STATUS_USAGE, "--by is needed" },
	{ "recordings review 0123 --by alice --remark fine", STATUS_OK,
	    "reviewed by alice",
	    { SEGMENT, ALICE, INTRODUCE,
		{ "console_review(",
		    "3|{\"id\":\"" ID "\",\"remark\":\"fine\"}", "~|~\n" } } },
	{ "recordings unreview 0123 --by alice", STATUS_FAILED,
	    "it belongs to another team",
	    { SEGMENT, ALICE, INTRODUCE,
		{ "console_review_undo(", NULL, "not-found|~\n" } } },
	{ "recordings timeline 0123", STATUS_OK, "gaps: 2, 1500 ms in all",
	    { SESSION,
		{ "FROM timeline t", ID,
		    "1|segment|1|x|0|1000|0|1|1000|1|9|9|0|[]|start|available|"
		    "available|100|UTC\n" },
		{ "FROM gaps", ID, "2|1500\n" },
		{ "merged_seconds(g.merged) WHERE", ID, "~|0\n" } } },
	{ "recordings zip 0123", STATUS_USAGE, "--output" },
	{ "recordings zip 0123 --output /nowhere/x.zip", STATUS_FAILED,
	    "this session has no recordings",
	    { SESSION, INTRODUCE,
		{ "archive_new", ID,
		    "f|this session has no recordings|~|~|~|~|\n" } } },
};

/* What a clip needs is said before anything is asked. */
static const struct ctl_case clips[] = {
	{ "recordings clip 0123 --from x", STATUS_USAGE, "--from: expected" },
	{ "recordings clip 0123 --from 1:2:3:4 --to 9", STATUS_USAGE,
	    "--from: expected" },
	{ "recordings clip 0123 --from 1.5:00 --to 9", STATUS_USAGE,
	    "--from: expected" },
	{ "recordings clip 0123 --from 1:03 --to 63", STATUS_USAGE,
	    "behind --from" },
	{ "recordings clip 0123 --from 0 --to 25:00:00", STATUS_USAGE,
	    "behind --from" },
	{ "recordings clip 0123 --from 1:02 --to 63", STATUS_USAGE,
	    "--reason" },
	{ "recordings clip 0123 --from 1:02 --to 63 --reason why", STATUS_USAGE,
	    "ends in .webm" },
	{ "recordings clip 0123 --from 1:02 --to 63 --reason why --output "
	  "/nowhere/a.mkv",
	    STATUS_USAGE, "ends in .webm" },
};

/* T12: what a shorter time deletes is said first, and takes --yes. */
static const struct ctl_case retention[] = {
	{ "settings set unattended.retention_days=30", STATUS_FAILED,
	    "give --yes",
	    { { "FROM teams WHERE", NULL, "7|alpha|UTC\n" },
		{ "retention_preview", "7|unattended|30",
		    "12|3 GB|2026-01-01 00:00|0|0|~|5|1|UTC\n" } } },
	{ "settings set unattended.retention_days=30 --dry-run", STATUS_OK,
	    "12 recordings (3 GB) are deleted earlier",
	    { { "FROM teams WHERE", NULL, "7|alpha|UTC\n" },
		{ "retention_preview", NULL,
		    "12|3 GB|2026-01-01 00:00|0|0|~|5|1|UTC\n" },
		{ "SET retention_days", "7|unattended|30", "90|30\n" },
		{ "INSERT INTO audit", NULL, "" } } },
	{ "settings set unattended.retention_days=365", STATUS_OK,
	    "no recording is deleted earlier",
	    { { "FROM teams WHERE", NULL, "7|alpha|UTC\n" },
		{ "retention_preview", NULL, "0|0|~|0|0|~|5|0|UTC\n" },
		{ "SET retention_days", "7|unattended|365", "90|365\n" },
		{ "INSERT INTO audit", NULL, "" } } },
};

#define CASES(name)                                                            \
	static void test_##name(void **state)                                  \
	{                                                                      \
		ctl_run_cases(name, N_ELEMENTS(name));                         \
	}

CASES(sessions)
CASES(recordings)
CASES(clips)
CASES(retention)

/* ---- top ---- */

#define NOW                                                                    \
	"{\"n_sessions\":1,\"sessions\":[{\"id\":\"0123abcd-1\",\"seconds\":"  \
	"3723,\"recording\":true,\"endpoint\":\"desk\\u00e91\","               \
	"\"technician\":\"alice\",\"access\":\"attended\",\"host\":null}],"    \
	"\"nodes\":[{\"program\":\"relay\",\"host\":\"a\",\"version\":\"1\","  \
	"\"stopped\":false,\"heartbeat_age\":31},{\"program\":\"storage\","    \
	"\"host\":\"b\",\"version\":\"1\",\"stopped\":true,"                   \
	"\"heartbeat_age\":99}],\"recordings\":{\"recording\":2},"             \
	"\"relay\":{\"sessions_active\":1,\"endpoint_bytes_total\":5242880},"  \
	"\"storage\":null}"

static char *
top_text(const char *before, double seconds, struct top_layout layout)
{
	json_t *now = json_loads(NOW, 0, NULL);
	json_t *old = before != NULL ? json_loads(before, 0, NULL) : NULL;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(now);
	top_print(f, now, old, seconds, &layout);
	fclose(f);
	json_decref(now);
	json_decref(old);
	return text;
}

static void
test_top(void **state)
{
	static const char before[] =
	    "{\"relay\":{\"endpoint_bytes_total\":3145728}}";
	static const char anew[] =
	    "{\"relay\":{\"endpoint_bytes_total\":9999999}}";
	char *text = top_text(before, 2, (struct top_layout){ 200, 0, false });

	assert_non_null(strstr(text, "from endpoints 1.0M/s"));
	assert_non_null(strstr(text, "storage  no answer on this machine"));
	/* silent for 31 s; the other said that it stops */
	assert_non_null(strstr(text, "SILENT, 31 s ago"));
	assert_non_null(strstr(text, "stopped, 99 s ago"));
	/* a name from outside does not reach the terminal as it is */
	assert_non_null(strstr(text, "desk??1"));
	assert_non_null(strstr(text, "   1:02:03 rec"));
	free(text);

	/* a daemon that started anew gained nothing yet */
	text = top_text(anew, 2, (struct top_layout){ 200, 0, false });
	assert_non_null(strstr(text, "from endpoints 0B/s"));
	free(text);

	/* 40 columns, 5 lines */
	text = top_text(NULL, 0, (struct top_layout){ 40, 5, false });
	for (const char *line = text; *line != '\0';) {
		size_t n = strcspn(line, "\n");

		assert_in_range(n, 0, 40 + strlen("\033[K"));
		line += n + 1;
	}
	free(text);
}

static int
set_up(void **state)
{
	static char folder[] = "folder";

	scripted_ctl.store.kind = folder;
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_recordings),
		cmocka_unit_test(test_clips),
		cmocka_unit_test(test_retention),
		cmocka_unit_test(test_top),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
