/*
 * What rows of the spool (storage/spool/spool_row.h) and the database say to
 * each other: segments and captures over a temporary folder, and a database
 * whose answers the test gives. Transfers and encoders are stand-ins.
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
#include "storage/daemon.h"
#include "storage/encode/encode_queue.h"
#include "storage/evidence/signing.h"
#include "storage/node.h"
#include "storage/rows.h"
#include "storage/spool/removal.h"
#include "storage/spool/spool.h"
#include "storage/spool/transfer_lock.h"

#define SESSION "00000000-0000-4000-8000-00000000000a"
#define ONE     "00000000-0000-4000-8000-000000000001"
#define TWO     "00000000-0000-4000-8000-000000000002"

static struct daemon d = { .conf = { .retry_seconds = 300 },
	.actor = "storage@test" };
static struct spool spool;
static struct encode_queue queue;
static char root[] = "/tmp/spool-row-XXXXXX";

/* ---- the database ---- */

enum question { ASKED_NOTHING, ASKED_UPSERT, ASKED_SEQ, ASKED_OTHER };

static struct {
	enum question what; /* waits for its answer */
	unsigned n_upserts, n_transfers, n_encodes, n_discards;
	char status[24], detail[STORE_DETAIL_MAX], progress_of[40];
	int64_t seq;
	int percent;
	bool is_provisional, may_wait, is_away;
	bool is_refused, is_taken; /* what the answer is */
	enum rows_column says;     /* "t" in it; ROWS_STATUS: in none */
	bool is_locked;            /* transfer_lock.h */
	db_result_cb *cb;
	void *arg;
} db;

const char *
node_id(const struct node *n)
{
	return "";
}

bool
db_is_connected(const struct db *x)
{
	return !db.is_away;
}

bool
db_ok(PGresult *res, const char *what)
{
	return !db.is_refused;
}

const char *
db_sqlstate(const PGresult *res)
{
	return db.is_refused ? "57014" : "";
}

static void
ask(enum question what, db_result_cb *cb, void *arg)
{
	assert_int_equal(db.what, ASKED_NOTHING); /* one at a time */
	db.what = what;
	db.cb = cb;
	db.arg = arg;
}

int
db_query_now(struct db *x, const char *sql, int n, const char *const *params,
    db_result_cb *cb, void *arg)
{
	ask(ASKED_OTHER, cb, arg);
	return 0;
}

int
rows_upsert(struct db *x, const struct manifest *m,
    const struct rows_state *state, db_result_cb *cb, void *arg)
{
	ask(ASKED_UPSERT, cb, arg);
	db.n_upserts++;
	db.seq = m->seq;
	db.is_provisional = state->is_provisional;
	snprintf(db.status, sizeof(db.status), "%s", state->status);
	snprintf(db.detail, sizeof(db.detail), "%s", state->detail);
	return 0;
}

bool
rows_is_seq_taken(const PGresult *res)
{
	return db.is_taken;
}

int
rows_free_seq(struct db *x, const struct manifest *m, bool is_capture,
    bool may_wait, db_result_cb *cb, void *arg)
{
	ask(ASKED_SEQ, cb, arg);
	db.may_wait = may_wait;
	return 0;
}

void
rows_progress(struct db *x, const char *segment, int percent)
{
	snprintf(db.progress_of, sizeof(db.progress_of), "%s", segment);
	db.percent = percent;
}

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"

/* A row as rows_upsert's answer, is_*: db.says of it; first NULL: no row. */
static PGresult *
make_result(const char *first, const char *second)
{
	static char name[] = "x";
	static char no[] = "f", yes[] = "t";
	PGresAttDesc columns[ROWS_COLUMNS];
	PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);

	assert_non_null(res);
	for (int i = 0; i < ROWS_COLUMNS; i++)
		columns[i] = (PGresAttDesc){ .name = name };
	assert_int_equal(PQsetResultAttrs(res, ROWS_COLUMNS, columns), 1);
	if (first != NULL) {
		char a[40], b[40], c[] = TRACE;

		snprintf(a, sizeof(a), "%s", first);
		snprintf(b, sizeof(b), "%s", second);
		PQsetvalue(res, 0, 0, a, (int)strlen(a));
		PQsetvalue(res, 0, 1, b, (int)strlen(b));
		PQsetvalue(res, 0, ROWS_TRACE, c, (int)strlen(c));
		for (enum rows_column i = ROWS_IS_LONGER; i < ROWS_COLUMNS; i++)
			PQsetvalue(res, 0, (int)i, db.says == i ? yes : no, 1);
	}
	return res;
}

/* The connection breaks: no answer. */
static void
lose(void)
{
	assert_int_not_equal(db.what, ASKED_NOTHING);
	db.what = ASKED_NOTHING;
	db.cb(db.arg, NULL);
}

static void
answer(const char *first, const char *second)
{
	PGresult *res = make_result(first, second);

	assert_int_not_equal(db.what, ASKED_NOTHING);
	db.what = ASKED_NOTHING;
	db.cb(db.arg, res);
	PQclear(res);
}

static void
answer_with_error(void)
{
	db.is_refused = true;
	answer(NULL, NULL);
	db.is_refused = false;
}

static void
answer_taken(void)
{
	db.is_taken = true;
	answer(NULL, NULL);
	db.is_taken = false;
}

/* ---- other stand-ins ---- */

void
spool_repair_start(struct spool_segment *sg)
{
}

void
transfer_start(struct spool_segment *sg)
{
	db.n_transfers++;
}

void
transfer_lock_release(struct spool_segment *sg)
{
	db.is_locked = false;
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

void
encode_queue_kick(struct encode_queue *q, bool retry)
{
}

void
encode_job_start(struct capture *c)
{
	db.n_encodes++;
}

void
encode_job_remove(struct capture *c, const char *suffix)
{
}

void
encode_check_free(struct capture *c)
{
}

void
encode_publish(struct capture *c)
{
}

void
encode_discard(struct capture *c)
{
	db.n_discards++;
	spool_row_forget(&c->row);
}

/* ---- files ---- */

static int
make(const char *id, const char *suffix, size_t len)
{
	char name[SPOOL_NAME_MAX];
	int fd;

	mkdirat(spool.dir, SESSION, 0700);
	fd = openat(spool.dir, spool_name(SESSION, id, suffix, name),
	    O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	return fd;
}

static void
put(const char *id, const char *suffix, size_t len)
{
	close(make(id, suffix, len));
}

static bool
is_there(const char *id, const char *suffix)
{
	char name[SPOOL_NAME_MAX];

	return faccessat(spool.dir, spool_name(SESSION, id, suffix, name), F_OK,
		   AT_SYMLINK_NOFOLLOW) == 0;
}

/* start: when it began; its media has 10 bytes. */
static void
put_manifest_of(
    const char *session, const char *id, const char *suffix, int start)
{
	char json[2048];
	int fd = make(id, suffix, 0);
	int n = snprintf(json, sizeof(json),
	    "{\"version\": 1, \"segment\": \"%s\", \"session\": \"%s"
	    "\", \"seq\": 1, \"team\": \"t\", \"endpoint\": \"e\", "
	    "\"technician\": \"a\", \"team_id\": 1, \"endpoint_id\": 1, "
	    "\"person_id\": 1, \"access\": \"attended\", "
	    "\"time_zone\": \"UTC\", "
	    "\"object_key\": \"t/e/%s/monitor-1/x.webm\", "
	    "\"split_reason\": \"start\", \"monitor\": 1, "
	    "\"monitor_name\": \"\", \"frame_rate\": 10, \"width\": 640, "
	    "\"height\": 480, \"codec\": \"vp9\", \"start_mono_ns\": %d, "
	    "\"start_wall_ns\": 1, \"end_mono_ns\": 9, \"end_wall_ns\": 9, "
	    "\"first_frame\": 1, \"last_frame\": 1, \"frames\": 1, "
	    "\"duration_ms\": 1, \"bytes\": 10, \"recovered\": false, "
	    "\"end\": \"normal\", \"retention_days\": 1}",
	    id, session, session, start);

	assert_int_equal(write(fd, json, (size_t)n), n);
	close(fd);
}

static void
put_manifest(const char *id, const char *suffix, int start)
{
	put_manifest_of(SESSION, id, suffix, start);
}

static struct spool_segment *
add_segment(void)
{
	struct spool_segment *sg = calloc(1, sizeof(*sg));

	assert_non_null(sg);
	sg->row.d = &d;
	sg->row.kind = &spool_segment_kind;
	sg->row.dir = spool.dir;
	sg->fd = sg->poster_fd = -1;
	strcpy(sg->row.folder, SESSION);
	strcpy(sg->row.id, ONE);
	TAILQ_INSERT_TAIL(&spool.segments, sg, link);
	return sg;
}

static struct spool_segment *
closed_segment(void)
{
	struct spool_segment *sg = add_segment();

	put_manifest(ONE, ".json", 1);
	put(ONE, ".webm", 10);
	spool_segment_update(sg);
	return sg;
}

static struct capture *
add_capture(const char *id, int start)
{
	struct capture *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	put_manifest(id, ".capture.json", start);
	c->q = &queue;
	c->row.d = &d;
	c->row.kind = &capture_kind;
	c->row.dir = spool.dir;
	c->out = -1;
	strcpy(c->row.folder, SESSION);
	strcpy(c->row.id, id);
	TAILQ_INSERT_TAIL(&queue.captures, c, link);
	return c;
}

static struct capture *
closed_capture(const char *id, int start)
{
	struct capture *c = add_capture(id, start);

	put(id, ".capture", 10);
	return c;
}

static void
pass(unsigned seconds)
{
	static int64_t offset;

	offset = seconds == 0 ? 0 : offset + (int64_t)(seconds * NS_PER_S);
	clock_offset_set(offset);
}

static int
setup(void **state)
{
	memset(&db, 0, sizeof(db));
	memset(&queue, 0, sizeof(queue));
	TAILQ_INIT(&spool.segments);
	TAILQ_INIT(&queue.captures);
	strcpy(root, "/tmp/spool-row-XXXXXX");
	if (mkdtemp(root) == NULL)
		return -1;
	spool.d = queue.d = &d;
	spool.dir = queue.dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d.spool = &spool;
	d.encode_queue = &queue;
	return spool.dir < 0;
}

static int
teardown(void **state)
{
	char command[64];
	struct spool_segment *sg;
	struct capture *c;

	while ((sg = TAILQ_FIRST(&spool.segments)) != NULL) {
		TAILQ_REMOVE(&spool.segments, sg, link);
		spool_segment_free(sg);
	}
	while ((c = TAILQ_FIRST(&queue.captures)) != NULL) {
		TAILQ_REMOVE(&queue.captures, c, link);
		capture_free(c);
	}
	pass(0);
	assert_int_equal(d.counters.illegal_moves, 0);
	close(spool.dir);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

/* ---- the row comes first ---- */

static void
its_row_comes_before_its_transfer(void **state)
{
	struct spool_segment *sg = closed_segment();

	assert_string_equal(db.status, "transfer");
	assert_int_equal(db.n_transfers, 0);
	spool_segment_update(sg); /* nothing new while an answer is awaited */
	assert_int_equal(db.n_upserts, 1);
	answer("transfer", "1");
	assert_int_equal(db.n_transfers, 1);
	assert_int_equal(sg->row.state, SPOOL_CLOSED);
	assert_true(sg->row.is_registered);
	assert_string_equal(sg->row.d->traces.entry[0].trace, TRACE);
	assert_string_equal(
	    sg->row.d->traces.entry[0].session, sg->row.m.session);
}

static void
a_lost_answer_is_asked_again(void **state)
{
	struct spool_segment *sg = closed_segment();

	lose();
	assert_int_equal(db.n_transfers, 0);
	db.is_away = true;
	spool_row_sync(&sg->row);
	assert_int_equal(db.n_upserts, 1);
	db.is_away = false;
	spool_row_sync(&sg->row);
	assert_int_equal(db.n_upserts, 2);
	answer("transfer", "1");
	assert_int_equal(db.n_transfers, 1);
}

static void
a_refused_row_waits(void **state)
{
	struct spool_segment *sg = closed_segment();

	answer_with_error();
	assert_int_equal(sg->row.state, SPOOL_WAIT);
	pass(299);
	spool_row_sync(&sg->row);
	spool_segment_update(sg);
	assert_int_equal(db.n_upserts, 1);
	pass(2);
	spool_segment_update(sg);
	assert_int_equal(db.n_upserts, 2);
	answer("transfer", "1");
	assert_int_equal(db.n_transfers, 1);
}

/* Of a segment that was recovered for its lost node. */
static void
a_shorter_copy_never_replaces_a_recording(void **state)
{
	struct spool_segment *sg = closed_segment();

	db.says = ROWS_IS_LONGER;
	db.is_locked = true;
	answer("available", "1");
	assert_int_equal(db.n_transfers, 0);
	assert_int_equal(db.what, ASKED_OTHER); /* the audit log's row */
	assert_false(is_there(ONE, ".webm"));
	assert_false(db.is_locked);
	db.what = ASKED_NOTHING;
	spool_segment_update(sg); /* nothing is left of it */
	assert_int_equal(db.n_transfers, 0);
}

static void
a_copy_waits_for_the_node_that_is_back(void **state)
{
	struct spool_segment *sg = closed_segment();

	db.says = ROWS_MUST_WAIT;
	db.is_locked = true;
	answer("transfer", "1");
	assert_int_equal(db.n_transfers, 0);
	assert_int_equal(sg->row.state, SPOOL_WAIT);
	assert_false(db.is_locked);
	assert_true(is_there(ONE, ".webm"));
	/* that one is lost again */
	db.says = ROWS_IS_CONTESTED;
	pass(301);
	spool_segment_update(sg);
	answer("transfer", "1");
	assert_int_equal(db.n_transfers, 1);
	assert_true(sg->row.is_contested);
}

static void
a_row_of_another_session_waits(void **state)
{
	struct spool_segment *sg = closed_segment();

	answer(NULL, NULL); /* no row: it belongs to another session */
	assert_int_equal(sg->row.state, SPOOL_WAIT);
	assert_false(sg->row.is_registered);
	assert_int_equal(db.n_transfers, 0);
	assert_true(is_there(ONE, ".webm"));
}

/* Its recorder names another session's recording when it closes its own: who
 * has a link to that one does not get these bytes (X4). */
static void
a_refused_manifest_names_no_recording(void **state)
{
	static const char other[] = "00000000-0000-4000-8000-00000000000b";
	struct spool_segment *sg = add_segment();
	int held = make(ONE, ".webm.part", 10);

	assert_int_equal(flock(held, LOCK_EX), 0);
	put_manifest(ONE, ".json.open", 1);
	spool_segment_update(sg);
	answer("recording", "1");
	assert_true(
	    spool_segment_is_key(sg, "t/e/" SESSION "/monitor-1/x.webm"));
	put_manifest_of(other, ONE, ".json", 1);
	spool_segment_update(sg);
	assert_false(spool_segment_is_key(
	    sg, "t/e/00000000-0000-4000-8000-00000000000b/monitor-1/x.webm"));
	close(held);
}

static void
deleted_while_it_waits_its_files_go(void **state)
{
	closed_segment();
	answer("deleted", "1");
	assert_int_equal(db.n_transfers, 0);
	assert_false(is_there(ONE, ".webm") || is_there(ONE, ".json"));
}

static void
killed_after_the_media_went(void **state)
{
	struct spool_segment *sg = closed_segment();

	answer("transfer", "1");
	assert_int_equal(spool_row_unlink(&sg->row, ".webm"), 0);
	spool_segment_update(sg);
	assert_string_equal(db.status, "missing");
	answer("available", "1"); /* the row keeps what it says */
	assert_false(is_there(ONE, ".json"));
}

/* A folder is in the way, say, or the disk is read-only. */
static void
what_cannot_be_renamed_waits(void **state)
{
	struct spool_segment *sg = add_segment();
	struct capture *c = add_capture(TWO, 1);

	put_manifest(ONE, ".json", 1);
	put(ONE, ".webm.part", 10);
	put(TWO, ".capture.part", 10);
	assert_int_equal(mkdirat(spool.dir, SESSION "/" ONE ".webm", 0700), 0);
	assert_int_equal(
	    mkdirat(spool.dir, SESSION "/" TWO ".capture", 0700), 0);
	spool_segment_update(sg);
	assert_int_equal(sg->row.state, SPOOL_WAIT);
	capture_update(c);
	assert_int_equal(c->row.state, SPOOL_WAIT);
	assert_true(c->row.retry_ns > clock_mono_ns());
}

/* ---- numbers ---- */

static void
a_taken_number_is_waited_for_then_changed(void **state)
{
	struct spool_segment *sg = closed_segment();

	for (int i = 0; i < ROWS_SEQ_TRIES; i++) {
		answer_taken();
		assert_int_equal(db.what, ASKED_SEQ);
		assert_true(db.may_wait);
		answer("0", ""); /* who has it is being repaired */
		assert_int_equal(sg->row.state, SPOOL_WAIT);
		pass(301);
		spool_segment_update(sg);
	}
	answer_taken();
	assert_false(db.may_wait);
	answer("7", "");
	assert_int_equal(db.seq, 7);
	assert_false(db.is_provisional);
	answer("transfer", "7");
	assert_int_equal(db.n_transfers, 1);
}

static void
a_capture_takes_a_provisional_number(void **state)
{
	struct capture *c = closed_capture(ONE, 1);

	capture_update(c);
	assert_false(db.is_provisional);
	answer_taken();
	assert_false(db.may_wait);
	answer("10001", "");
	assert_int_equal(db.seq, 10001);
	assert_true(db.is_provisional);
	answer("downloaded", "10001");
	assert_int_equal(db.n_encodes, 1);
}

/* ---- failed for now, or by hand ---- */

static void
a_failed_one_asks_whether_it_was_deleted(void **state)
{
	struct spool_segment *sg = closed_segment();

	answer("transfer", "1");
	sg->row.state = SPOOL_TRANSFER;
	spool_row_retry(&sg->row, CAUSE_GIVEN_UP, "the store damages it");
	assert_string_equal(db.status, "corrupted");
	answer("corrupted", "1");
	pass(301);
	spool_segment_update(sg);
	assert_int_equal(db.n_upserts, 3);
	answer_with_error();
	assert_int_equal(sg->row.state, SPOOL_FAILED);
	pass(301);
	spool_segment_update(sg);
	answer("deleted", "1");
	assert_false(is_there(ONE, ".webm"));
}

static void
a_failed_one_is_tried_again_by_hand(void **state)
{
	struct spool_segment *sg = closed_segment();

	answer("transfer", "1");
	sg->row.state = SPOOL_TRANSFER;
	spool_row_retry(&sg->row, CAUSE_GIVEN_UP, "the store damages it");
	answer("corrupted", "1");
	spool_row_again(&sg->row, false); /* PostgreSQL is back, say */
	assert_int_equal(sg->row.state, SPOOL_FAILED);
	spool_row_again(&sg->row, true);
	spool_segment_update(sg);
	assert_string_equal(db.status, "transfer");
	answer("transfer", "1");
	assert_int_equal(db.n_transfers, 2);
}

static void
an_illegal_move_is_counted(void **state)
{
	struct spool_segment *sg = closed_segment();

	answer("transfer", "1");
	spool_row_move(&sg->row, CAUSE_ENCODER_RUNS, NULL);
	assert_int_equal(d.counters.illegal_moves, 1);
	d.counters.illegal_moves = 0;
}

static void
progress_is_told_when_it_changes(void **state)
{
	struct spool_segment *sg = closed_segment();

	answer("transfer", "1");
	sg->row.percent = 40;
	spool_row_tick(&sg->row);
	assert_int_equal(db.percent, 0); /* it has not begun */
	sg->row.state = SPOOL_TRANSFER;
	spool_row_tick(&sg->row);
	assert_int_equal(db.percent, 40);
	assert_string_equal(db.progress_of, ONE);
	db.percent = 0;
	spool_row_tick(&sg->row);
	assert_int_equal(db.percent, 0);
}

/* ---- captures ---- */

static void
a_capture_that_grows_is_recording(void **state)
{
	struct capture *c = add_capture(ONE, 1);
	int held = make(ONE, ".capture.part", 5);

	assert_int_equal(flock(held, LOCK_EX), 0);
	capture_update(c);
	assert_string_equal(db.status, "recording");
	assert_int_equal(c->row.state, SPOOL_RECORDING);
	answer("deleted", "1"); /* for now its recorder has it */
	assert_int_equal(db.n_discards, 0);
	close(held);
	capture_update(c);
	assert_true(is_there(ONE, ".capture"));
	assert_false(is_there(ONE, ".capture.part"));
	capture_update(c);
	assert_string_equal(db.status, "downloaded");
	answer("deleted", "1");
	assert_int_equal(db.n_discards, 1);
}

static void
captures_of_a_session_take_turns(void **state)
{
	struct capture *one = closed_capture(ONE, 1);
	struct capture *two = closed_capture(TWO, 2);

	capture_update(one);
	answer("downloaded", "1");
	assert_int_equal(db.n_encodes, 1);
	capture_update(two);
	assert_string_equal(db.detail, encode_waits);
	answer("downloaded", "2");
	assert_int_equal(db.n_encodes, 1);
	/* what comes of the first one is not waited for */
	one->row.state = SPOOL_ENCODING;
	spool_row_retry(&one->row, CAUSE_ENCODE_FAILED, "status 1");
	assert_string_equal(db.status, "encoding_failed");
	answer("encoding_failed", "1");
	capture_update(two);
	assert_string_equal(db.detail, "");
	answer("downloaded", "2");
	assert_int_equal(db.n_encodes, 2);
}

static void
a_capture_without_its_file_is_missing(void **state)
{
	struct capture *c = add_capture(ONE, 1);

	capture_update(c);
	assert_string_equal(db.status, "missing");
	answer("missing", "1");
	put(ONE, ".capture", 10); /* put back */
	capture_update(c);
	assert_string_equal(db.status, "downloaded");
}

static void
an_encoder_of_before_is_waited_for(void **state)
{
	struct capture *c = add_capture(ONE, 1);
	int held = make(ONE, ".capture", 10);

	assert_int_equal(flock(held, LOCK_SH), 0);
	capture_update(c);
	assert_int_equal(db.n_upserts, 0);
	close(held);
	capture_update(c);
	assert_int_equal(db.n_upserts, 1);
}

/* ---- turns of teams ---- */

static void
places_go_to_teams_in_turn(void **state)
{
	struct capture *a = closed_capture(ONE, 1);
	struct capture *b = closed_capture(TWO, 2);

	a->row.m.team_id = 1;
	b->row.m.team_id = 2;
	a->row.state = b->row.state = SPOOL_CLOSED;
	a->may_begin = true;
	assert_true(encode_turns_is_next(&queue, a));
	/* equals: who began longest ago */
	encode_turns_note(&queue.turns, 1);
	b->may_begin = true;
	assert_false(encode_turns_is_next(&queue, a));
	assert_true(encode_turns_is_next(&queue, b));
	encode_turns_note(&queue.turns, 2);
	assert_true(encode_turns_is_next(&queue, a));
	assert_false(encode_turns_is_next(&queue, b));
	/* one that cannot begin stops nobody */
	a->may_begin = false;
	assert_true(encode_turns_is_next(&queue, b));
}

static void
more_teams_than_are_remembered(void **state)
{
	struct encode_turns t = { 0 };

	for (int64_t i = 1; i <= 3 * ENCODE_TEAMS; i++)
		encode_turns_note(&t, i);
	assert_int_equal(t.n, 3 * ENCODE_TEAMS);
	/* the latest ones are */
	for (size_t i = 0; i < ENCODE_TEAMS; i++)
		assert_true(t.teams[i].team_id > 2 * ENCODE_TEAMS);
}

static void
processor_time_follows_the_capture(void **state)
{
	assert_int_equal(encode_limit_s(0, 0, 300), 300);
	assert_int_equal(encode_limit_s(5 * NS_PER_S, 15 * NS_PER_S, 300), 330);
	/* what a hostile recorder writes */
	assert_int_equal(encode_limit_s(9, 8, 300), 300);
	assert_int_equal(encode_limit_s(0, UINT64_MAX, 300), 300 + 3 * 90000);
}

#define WITH_SPOOL(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SPOOL(its_row_comes_before_its_transfer),
		WITH_SPOOL(a_lost_answer_is_asked_again),
		WITH_SPOOL(a_refused_row_waits),
		WITH_SPOOL(a_row_of_another_session_waits),
		WITH_SPOOL(a_shorter_copy_never_replaces_a_recording),
		WITH_SPOOL(a_copy_waits_for_the_node_that_is_back),
		WITH_SPOOL(a_refused_manifest_names_no_recording),
		WITH_SPOOL(deleted_while_it_waits_its_files_go),
		WITH_SPOOL(killed_after_the_media_went),
		WITH_SPOOL(what_cannot_be_renamed_waits),
		WITH_SPOOL(a_taken_number_is_waited_for_then_changed),
		WITH_SPOOL(a_capture_takes_a_provisional_number),
		WITH_SPOOL(a_failed_one_asks_whether_it_was_deleted),
		WITH_SPOOL(a_failed_one_is_tried_again_by_hand),
		WITH_SPOOL(an_illegal_move_is_counted),
		WITH_SPOOL(progress_is_told_when_it_changes),
		WITH_SPOOL(a_capture_that_grows_is_recording),
		WITH_SPOOL(captures_of_a_session_take_turns),
		WITH_SPOOL(a_capture_without_its_file_is_missing),
		WITH_SPOOL(an_encoder_of_before_is_waited_for),
		WITH_SPOOL(places_go_to_teams_in_turn),
		WITH_SPOOL(more_teams_than_are_remembered),
		cmocka_unit_test(processor_time_follows_the_capture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
