/*
 * What storage makes of files in the spool (docs/spool.md), over a temporary
 * folder: names, folders of sessions, the next step of a segment, and what is
 * set aside. Database, transfers and repairs are stand-ins that note the call.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/evidence/signing.h"
#include "storage/node.h"
#include "storage/rows.h"
#include "storage/spool/quarantine.h"
#include "storage/spool/removal.h"
#include "storage/spool/spool.h"
#include "storage/spool/transfer_lock.h"

#define SESSION "00000000-0000-4000-8000-00000000000a"
#define OTHER   "00000000-0000-4000-8000-00000000000b"
#define ID      "00000000-0000-4000-8000-000000000001"

static struct daemon d = { .conf = { .retry_seconds = 300 },
	.actor = "storage@test" };
static struct spool spool;
static char root[] = "/tmp/storage-spool-XXXXXX";

/* ---- stand-ins ---- */

static struct {
	unsigned n_repairs, n_transfers, n_rows, n_queries;
	char status[24], params[4][64];
	db_result_cb *cb;
	void *arg;
	bool is_refused; /* by the database */
} seen;

void
spool_repair_start(struct spool_segment *sg)
{
	seen.n_repairs++;
}

void
transfer_start(struct spool_segment *sg)
{
	seen.n_transfers++;
}

void
signing_forget(struct spool_segment *sg)
{
}

void
removal_start(struct removal *r, struct spool_segment *sg)
{
	struct removal_files f = { .error = 0 };

	strcpy(f.folder, sg->row.folder);
	strcpy(f.id, sg->row.id);
	removal_files_remove(sg->row.dir, &f, 1);
	spool_segment_files_removed(sg, f.error);
}

void
spool_look_at(struct spool_segment *sg)
{
}

void
spool_drop(struct spool_segment *sg)
{
	TAILQ_REMOVE(&sg->row.d->spool->segments, sg, link);
	spool_segment_free(sg);
}

void
spool_kick(struct spool *s, bool retry)
{
}

void
spool_watch_later(struct spool_watch *w)
{
}

void
vanished_soon(struct vanished *v)
{
}

const char *
node_id(const struct node *n)
{
	return "";
}

bool
db_is_connected(const struct db *db)
{
	return true;
}

bool
db_ok(PGresult *res, const char *what)
{
	return !seen.is_refused;
}

const char *
db_sqlstate(const PGresult *res)
{
	return "";
}

int
db_query_now(struct db *db, const char *sql, int n, const char *const *params,
    db_result_cb *cb, void *arg)
{
	seen.n_queries++;
	for (int i = 0; i < n && i < 4; i++)
		snprintf(
		    seen.params[i], sizeof(seen.params[i]), "%s", params[i]);
	seen.cb = cb;
	seen.arg = arg;
	return 0;
}

int
rows_upsert(struct db *db, const struct manifest *m,
    const struct rows_state *state, db_result_cb *cb, void *arg)
{
	seen.n_rows++;
	snprintf(seen.status, sizeof(seen.status), "%s", state->status);
	return ERR_UNAVAILABLE; /* it is asked again */
}

void
transfer_lock_release(struct spool_segment *sg)
{
}

bool
rows_is_seq_taken(const PGresult *res)
{
	return false;
}

void
rows_progress(struct db *db, const char *segment, int percent)
{
}

int
rows_free_seq(struct db *db, const struct manifest *m, bool is_capture,
    bool may_wait, db_result_cb *cb, void *arg)
{
	return ERR_UNAVAILABLE;
}

/* The answer to the last query. */
static void
answer(bool is_refused)
{
	PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_COMMAND_OK);

	assert_non_null(res);
	seen.is_refused = is_refused;
	seen.cb(seen.arg, res);
	seen.is_refused = false;
	PQclear(res);
}

/* ---- files ---- */

/* Returns it, open. */
static int
make(const char *folder, const char *suffix, size_t len)
{
	char name[SPOOL_NAME_MAX];
	int fd;

	if (folder[0] != '\0')
		mkdirat(spool.dir, folder, 0700);
	fd = openat(spool.dir, spool_name(folder, ID, suffix, name),
	    O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	return fd;
}

static void
put(const char *folder, const char *suffix, size_t len)
{
	close(make(folder, suffix, len));
}

static bool
is_there(const char *folder, const char *suffix)
{
	char name[SPOOL_NAME_MAX];

	return faccessat(spool.dir, spool_name(folder, ID, suffix, name), F_OK,
		   AT_SYMLINK_NOFOLLOW) == 0;
}

static void
put_manifest(const char *folder, const char *suffix, const char *session)
{
	char json[2048];
	int fd = make(folder, suffix, 0);
	int n = snprintf(json, sizeof(json),
	    "{\"version\": 1, \"segment\": \"" ID "\", \"session\": \"%s\", "
	    "\"seq\": 1, \"team\": \"t\", \"endpoint\": \"e\", "
	    "\"technician\": \"a\", \"team_id\": 1, \"endpoint_id\": 1, "
	    "\"person_id\": 1, \"access\": \"attended\", "
	    "\"time_zone\": \"UTC\", "
	    "\"object_key\": \"t/e/%s/monitor-1/x.webm\", "
	    "\"split_reason\": \"start\", \"monitor\": 1, "
	    "\"monitor_name\": \"\", \"frame_rate\": 10, \"width\": 640, "
	    "\"height\": 480, \"codec\": \"vp9\", \"start_mono_ns\": 1, "
	    "\"start_wall_ns\": 1, \"end_mono_ns\": 2, \"end_wall_ns\": 2, "
	    "\"first_frame\": 1, \"last_frame\": 1, \"frames\": 1, "
	    "\"duration_ms\": 1, \"bytes\": 10, \"recovered\": false, "
	    "\"end\": \"normal\", \"retention_days\": 1}",
	    session, session);

	assert_int_equal(write(fd, json, (size_t)n), n);
	close(fd);
}

static struct spool_segment *
add_item(const char *folder)
{
	struct spool_segment *sg = calloc(1, sizeof(*sg));

	assert_non_null(sg);
	sg->row.d = &d;
	sg->row.kind = &spool_segment_kind;
	sg->row.dir = spool.dir;
	sg->fd = sg->poster_fd = -1;
	strcpy(sg->row.folder, folder);
	strcpy(sg->row.id, ID);
	TAILQ_INSERT_TAIL(&spool.segments, sg, link);
	return sg;
}

/* The segment of that folder, as of now; it stays for the next look. */
static struct spool_segment *
look(const char *folder)
{
	struct spool_segment *sg = TAILQ_FIRST(&spool.segments);

	if (sg == NULL)
		sg = add_item(folder);
	spool_segment_update(sg);
	return sg;
}

static int
setup(void **state)
{
	memset(&seen, 0, sizeof(seen));
	TAILQ_INIT(&spool.segments);
	strcpy(root, "/tmp/storage-spool-XXXXXX");
	if (mkdtemp(root) == NULL)
		return -1;
	spool.d = &d;
	spool.dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d.spool = &spool;
	return spool.dir < 0;
}

static int
teardown(void **state)
{
	char command[64];
	struct spool_segment *sg;

	while ((sg = TAILQ_FIRST(&spool.segments)) != NULL) {
		TAILQ_REMOVE(&spool.segments, sg, link);
		spool_segment_free(sg);
	}
	clock_offset_set(0);
	assert_int_equal(d.counters.illegal_moves, 0);
	close(spool.dir);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

/* ---- the table of docs/spool.md ---- */

enum { LOCKED = 1 << 16 };

static const struct row {
	unsigned files; /* ITEM_*, LOCKED: .webm.part is */
	size_t bytes;   /* of the media; the manifest says 10 */
	enum spool_state state;
	const char *status; /* "": the row is not told */
	bool repairs, renames;
} table[] = {
	{ SPOOL_SEGMENT_PART | SPOOL_SEGMENT_OPEN | LOCKED, 5, SPOOL_RECORDING,
	    "recording" },
	{ SPOOL_SEGMENT_PART | SPOOL_SEGMENT_OPEN, 5, SPOOL_REPAIR, "",
	    .repairs = true },
	{ SPOOL_SEGMENT_PART | SPOOL_SEGMENT_OPEN | SPOOL_SEGMENT_JSON | LOCKED,
	    10, SPOOL_RECORDING, "" },
	{ SPOOL_SEGMENT_PART | SPOOL_SEGMENT_OPEN | SPOOL_SEGMENT_JSON, 10,
	    SPOOL_NEW, "", .renames = true },
	{ SPOOL_SEGMENT_PART | SPOOL_SEGMENT_JSON, 9, SPOOL_REPAIR, "",
	    .repairs = true },
	{ SPOOL_SEGMENT_WEBM | SPOOL_SEGMENT_JSON, 10, SPOOL_CLOSED,
	    "transfer" },
	{ SPOOL_SEGMENT_WEBM | SPOOL_SEGMENT_JSON | SPOOL_SEGMENT_OPEN |
		SPOOL_SEGMENT_JPG,
	    10, SPOOL_CLOSED, "transfer" },
	{ SPOOL_SEGMENT_WEBM | SPOOL_SEGMENT_JSON, 11, SPOOL_BAD, "corrupted" },
	{ SPOOL_SEGMENT_JSON, 0, SPOOL_MISSING, "missing" },
	{ SPOOL_SEGMENT_OPEN, 0, SPOOL_MISSING, "missing" },
	{ SPOOL_SEGMENT_PART | LOCKED, 0, SPOOL_NEW, "" },
	{ SPOOL_SEGMENT_PART, 0, SPOOL_NEW, "" },
	{ SPOOL_SEGMENT_PART | SPOOL_SEGMENT_TMP | LOCKED, 0, SPOOL_NEW, "" },
	{ SPOOL_SEGMENT_TMP, 0, SPOOL_NEW, "" },
	{ SPOOL_SEGMENT_JPG, 0, SPOOL_NEW, "" },
	{ SPOOL_SEGMENT_WEBM, 10, SPOOL_NEW, "" },
};

/* Returns the descriptor that holds the lock, or -1. */
static int
place(const struct row *r, const char *folder)
{
	int held = -1;

	for (size_t i = 0; i < SPOOL_SEGMENT_KINDS; i++) {
		const char *suffix = spool_segment_suffixes[i].suffix;
		unsigned bit = spool_segment_suffixes[i].bit;

		if ((r->files & bit) == 0)
			continue;
		if (bit == SPOOL_SEGMENT_JSON || bit == SPOOL_SEGMENT_OPEN)
			put_manifest(folder, suffix, SESSION);
		else if (bit == SPOOL_SEGMENT_PART && (r->files & LOCKED)) {
			held = make(folder, suffix, r->bytes);
			assert_int_equal(flock(held, LOCK_EX), 0);
		} else
			put(folder, suffix, r->bytes);
	}
	return held;
}

static void
check_row(const struct row *r, const char *folder)
{
	int held = place(r, folder);
	const struct spool_segment *sg = look(folder);

	assert_int_equal(sg->row.state, r->state);
	assert_string_equal(seen.status, r->status);
	assert_int_equal(seen.n_repairs, r->repairs);
	assert_int_equal(seen.n_transfers, 0); /* its row comes first */
	assert_int_equal(is_there(folder, ".webm"),
	    r->renames || (r->files & SPOOL_SEGMENT_WEBM) != 0);
	if (held >= 0)
		close(held);
}

static void
files_say_what_is_next(void **state)
{
	static const char *const folders[] = { SESSION, "" };

	for (size_t i = 0; i < N_ELEMENTS(table); i++)
		for (size_t k = 0; k < N_ELEMENTS(folders); k++) {
			check_row(&table[i], folders[k]);
			teardown(state);
			setup(state);
		}
}

/* The log's lines since it was diverted to a file. */
static unsigned
count_log(int log, const char *word)
{
	static char text[1 << 16];
	ssize_t n = pread(log, text, sizeof(text) - 1, 0);
	unsigned found = 0;

	text[n > 0 ? n : 0] = '\0';
	for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
		found++;
	return found;
}

static void
remnant_is_what_nobody_is_at(void **state)
{
	FILE *file = tmpfile();
	int old = dup(STDERR_FILENO), log = fileno(file);
	int held = make(SESSION, ".webm.part", 5);

	dup2(log, STDERR_FILENO);
	assert_int_equal(flock(held, LOCK_EX), 0);
	clock_offset_set((int64_t)(3600 * NS_PER_S));
	/* a recorder may take its time between two files */
	assert_int_equal(look(SESSION)->row.state, SPOOL_NEW);
	assert_int_equal(flock(held, LOCK_UN), 0);
	clock_offset_set((int64_t)(30 * NS_PER_S));
	assert_int_equal(look(SESSION)->row.state, SPOOL_NEW);
	assert_int_equal(count_log(log, "spool_remnant"), 0);
	clock_offset_set((int64_t)(70 * NS_PER_S));
	assert_int_equal(look(SESSION)->row.state, SPOOL_BAD);
	look(SESSION);
	assert_int_equal(count_log(log, "spool_remnant"), 1); /* once */
	/* a manifest makes a segment of it */
	put_manifest(SESSION, ".json.open", SESSION);
	assert_int_equal(look(SESSION)->row.state, SPOOL_REPAIR);
	dup2(old, STDERR_FILENO);
	close(old);
	close(held);
	fclose(file);
}

static void
remnant_goes_after_a_day(void **state)
{
	put(SESSION, ".webm.part", 5);
	put(SESSION, ".json.tmp", 5);
	put(SESSION, ".jpg", 5);
	clock_offset_set((int64_t)(86390 * NS_PER_S));
	look(SESSION);
	assert_true(is_there(SESSION, ".webm.part"));
	clock_offset_set((int64_t)(86500 * NS_PER_S));
	look(SESSION);
	assert_false(is_there(SESSION, ".webm.part"));
	assert_false(is_there(SESSION, ".json.tmp"));
	assert_false(is_there(SESSION, ".jpg"));
	look(SESSION);
	assert_true(TAILQ_EMPTY(&spool.segments));
}

/* ---- files that name another session ---- */

static bool
is_aside(const char *suffix)
{
	return is_there(SPOOL_QUARANTINE "/" SESSION, suffix);
}

static void
other_session_is_set_aside(void **state)
{
	put_manifest(SESSION, ".json", OTHER);
	put(SESSION, ".webm", 10);
	put(SESSION, ".jpg", 3);
	look(SESSION);
	/* the audit log first */
	assert_int_equal(seen.n_queries, 1);
	assert_string_equal(seen.params[0], SESSION);
	assert_string_equal(seen.params[1], ID);
	assert_string_equal(seen.params[2], OTHER);
	assert_true(is_there(SESSION, ".json"));
	answer(false);
	assert_int_equal(seen.n_rows, 0);
	assert_true(is_aside(".json") && is_aside(".webm") && is_aside(".jpg"));
	assert_false(is_there(SESSION, ".json") || is_there(SESSION, ".webm"));
	look(SESSION);
	assert_true(TAILQ_EMPTY(&spool.segments));
}

static void
nothing_is_set_aside_without_audit(void **state)
{
	put_manifest(SESSION, ".json", OTHER);
	put(SESSION, ".webm", 10);
	look(SESSION);
	answer(true);
	assert_true(is_there(SESSION, ".json") && is_there(SESSION, ".webm"));
	/* and asked again, later */
	look(SESSION);
	assert_int_equal(seen.n_queries, 1);
	clock_offset_set((int64_t)(301 * NS_PER_S));
	look(SESSION);
	assert_int_equal(seen.n_queries, 2);
	answer(false);
	assert_true(is_aside(".json"));
}

static void
living_recorder_is_waited_for(void **state)
{
	int held = make(SESSION, ".webm.part", 5);

	assert_int_equal(flock(held, LOCK_EX), 0);
	put_manifest(SESSION, ".json.open", OTHER);
	assert_int_equal(look(SESSION)->row.state, SPOOL_BAD);
	assert_int_equal(seen.n_queries, 0);
	assert_int_equal(seen.n_rows, 0);
	close(held);
	clock_offset_set((int64_t)(301 * NS_PER_S));
	look(SESSION);
	assert_int_equal(seen.n_queries, 1);
	answer(false);
	assert_true(is_aside(".webm.part") && is_aside(".json.open"));
}

/* Killed after any file: the manifest is left, so the rest follows. */
static void
cut_short_it_is_finished(void **state)
{
	put_manifest(SESSION, ".json", OTHER);
	put(SESSION, ".webm", 10);
	mkdirat(spool.dir, SPOOL_QUARANTINE, 0700);
	mkdirat(spool.dir, SPOOL_QUARANTINE "/" SESSION, 0700);
	assert_int_equal(renameat(spool.dir, SESSION "/" ID ".webm", spool.dir,
			     SPOOL_QUARANTINE "/" SESSION "/" ID ".webm"),
	    0);
	look(SESSION);
	answer(false);
	assert_true(is_aside(".json") && is_aside(".webm"));
	assert_int_equal(seen.n_rows, 0);
}

/* Older versions had one folder for all sessions. */
static void
any_session_is_right_beside_the_folders(void **state)
{
	put_manifest("", ".json", OTHER);
	put("", ".webm", 10);
	assert_int_equal(look("")->row.state, SPOOL_CLOSED);
	assert_int_equal(seen.n_queries, 0);
}

/* ---- the walk ---- */

static struct {
	char found[8][SPOOL_NAME_MAX], empty[8][SPOOL_FOLDER_MAX];
	unsigned n_found, n_empty, n_entered;
} walked;

static void
on_found(void *arg, const char *folder, const char *id)
{
	spool_name(folder, id, "", walked.found[walked.n_found++]);
}

static void
on_enter(void *arg, const char *folder)
{
	walked.n_entered++;
}

static void
on_empty(void *arg, const char *folder)
{
	strcpy(walked.empty[walked.n_empty++], folder);
}

static unsigned
walk(void)
{
	struct spool_walk w = { .kinds = spool_segment_suffixes,
		.n_kinds = SPOOL_SEGMENT_KINDS,
		.found = on_found,
		.enter = on_enter,
		.empty = on_empty };

	memset(&walked, 0, sizeof(walked));
	assert_int_equal(spool_walk(spool.dir, &w), 0);
	return w.n_foreign;
}

static void
walk_finds_both_places(void **state)
{
	put("", ".webm", 1);
	assert_int_equal(walk(), 0);
	assert_int_equal(walked.n_found, 1);
	assert_string_equal(walked.found[0], ID);
	unlinkat(spool.dir, ID ".webm", 0);
	put(SESSION, ".json", 1);
	put(SESSION, ".capture", 1); /* not of the kinds */
	mkdirat(spool.dir, OTHER, 0700);
	assert_int_equal(walk(), 0);
	assert_int_equal(walked.n_found, 1);
	assert_string_equal(walked.found[0], SESSION "/" ID);
	assert_int_equal(walked.n_entered, 2);
	assert_int_equal(walked.n_empty, 1);
	assert_string_equal(walked.empty[0], OTHER);
}

static void
walk_tells_what_is_no_folder(void **state)
{
	mkdirat(spool.dir, "x" SESSION, 0700);
	mkdirat(spool.dir, "00000000-0000-4000-8000-00000000000A", 0700);
	assert_int_equal(symlinkat("/tmp", spool.dir, OTHER), 0);
	close(openat(spool.dir, SESSION, O_CREAT | O_WRONLY, 0600));
	/* of the system, of people, of somebody's editor */
	mkdirat(spool.dir, "lost+found", 0700);
	mkdirat(spool.dir, SPOOL_QUARANTINE, 0700);
	mkdirat(spool.dir, ".hidden", 0700);
	assert_int_equal(walk(), 4);
	assert_int_equal(walked.n_found, 0);
	assert_int_equal(walked.n_empty, 0);
}

static void
only_an_empty_folder_without_recorder_goes(void **state)
{
	int fd;

	put(SESSION, ".webm", 1);
	assert_false(spool_folder_remove(spool.dir, SESSION));
	unlinkat(spool.dir, SESSION "/" ID ".webm", 0);
	fd = spool_folder_open(spool.dir, SESSION);
	assert_int_equal(flock(fd, LOCK_SH), 0);
	assert_false(spool_folder_remove(spool.dir, SESSION));
	close(fd);
	assert_true(spool_folder_remove(spool.dir, SESSION));
	assert_false(spool_folder_remove(spool.dir, SESSION));
	assert_int_equal(symlinkat(root, spool.dir, OTHER), 0);
	assert_false(spool_folder_remove(spool.dir, OTHER));
}

#define WITH_SPOOL(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SPOOL(files_say_what_is_next),
		WITH_SPOOL(remnant_is_what_nobody_is_at),
		WITH_SPOOL(remnant_goes_after_a_day),
		WITH_SPOOL(other_session_is_set_aside),
		WITH_SPOOL(nothing_is_set_aside_without_audit),
		WITH_SPOOL(living_recorder_is_waited_for),
		WITH_SPOOL(cut_short_it_is_finished),
		WITH_SPOOL(any_session_is_right_beside_the_folders),
		WITH_SPOOL(walk_finds_both_places),
		WITH_SPOOL(walk_tells_what_is_no_folder),
		WITH_SPOOL(only_an_empty_folder_without_recorder_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
