/*
 * relaycam-recorder: one session into WebM files, docs/relaycam-recorder.md.
 * Started by the relay's helper with the descriptors of enum tee_fd.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/spool_flush.h"
#include "common/tee.h"
#include "recorder/capture/capture_run.h"
#include "recorder/capture/handover.h"
#include "recorder/ring_reader.h"
#include "recorder/frame/zero_pages.h"
#include "recorder/recorder_repair.h"
#include "recorder/replay.h"
#include "recorder/resume.h"
#include "recorder/sandbox.h"
#include "recorder/sandbox_check.h"

#define META_MAX         (64 * 1024)
#define CAPTURE_FILE_MAX (UINT64_C(1) << 40) /* free space is the limit */

static const char usage[] =
    "Usage: relaycam-recorder [OPTION]...\n"
    "       relaycam-recorder [OPTION]... --repair DIR ID\n"
    "       relaycam-recorder [OPTION]... --replay DIR ID\n"
    "       relaycam-recorder [OPTION]... --check-sandbox DIR\n"
    "\n"
    "Records one session; the relay starts it. With --repair, finishes\n"
    "segment ID in the spool folder DIR, whose recorder died. With\n"
    "--replay, encodes capture ID there into the folder ID.encode. With\n"
    "--check-sandbox, says whether it could lock itself into DIR.\n"
    "\n"
    "Options:\n"
    "      --repair             finish a segment that was cut off\n"
    "      --replay             encode a capture\n"
    "      --check-sandbox      does the sandbox hold on this machine?\n"
    "      --first-seq N        number of its first segment\n"
    "      --first-frame N      number of its first frame\n"
    "      --gap-start NS       when what came before it ended\n"
    "      --log-level LEVEL    debug, info, warn or error (info)\n"
    "      --log-format FORMAT  text or json (text)\n"
    "      --version            print the version and exit\n"
    "  -h, --help               print this and exit\n";

enum {
	OPT_REPAIR = 256,
	OPT_REPLAY,
	OPT_CHECK,
	OPT_SEQ,
	OPT_FRAME,
	OPT_GAP,
	OPT_LEVEL,
	OPT_FORMAT,
	OPT_VERSION
};

static const struct option long_opts[] = {
	{ "repair", no_argument, NULL, OPT_REPAIR },
	{ "replay", no_argument, NULL, OPT_REPLAY },
	{ "check-sandbox", no_argument, NULL, OPT_CHECK },
	{ "first-seq", required_argument, NULL, OPT_SEQ },
	{ "first-frame", required_argument, NULL, OPT_FRAME },
	{ "gap-start", required_argument, NULL, OPT_GAP },
	{ "log-level", required_argument, NULL, OPT_LEVEL },
	{ "log-format", required_argument, NULL, OPT_FORMAT },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

struct options {
	bool repair, replay, check;
	struct replay_start start;
	enum log_level level;
	enum log_format format;
};

#ifdef RELAYCAM_SANITIZE
/* The leak check starts a thread at exit, which the sandbox forbids. */
int __lsan_is_turned_off(void);
int
__lsan_is_turned_off(void)
{
	return 1; /* not an option: the environment would have the last word */
}
#endif

static int
die_usage(void)
{
	fputs("relaycam-recorder: try --help\n", stderr);
	return EX_USAGE;
}

/* A whole number from 1 on. */
static int
parse_start(int c, struct replay_start *start)
{
	char *end;
	unsigned long long v = strtoull(optarg, &end, 10);

	if (*end != '\0' || !isdigit((unsigned char)optarg[0]) || v == 0 ||
	    v > INT64_MAX)
		return ERR_CONFIG;
	if (c == OPT_SEQ)
		start->first_seq = v;
	else if (c == OPT_FRAME)
		start->first_frame = v;
	else
		start->gap_start_ns = v;
	return 0;
}

/* Returns 0 to go on, else what to exit with; -1 stands for 0. */
static int
parse_options(int argc, char **argv, struct options *o)
{
	int c, wanted;

	while ((c = getopt_long(argc, argv, "h", long_opts, NULL)) != -1)
		switch (c) {
		case OPT_REPAIR:
			o->repair = true;
			break;
		case OPT_REPLAY:
			o->replay = true;
			break;
		case OPT_CHECK:
			o->check = true;
			break;
		case OPT_SEQ:
		case OPT_FRAME:
		case OPT_GAP:
			if (parse_start(c, &o->start) != 0)
				return die_usage();
			break;
		case OPT_LEVEL:
			if (log_level_parse(optarg, &o->level) != 0)
				return die_usage();
			break;
		case OPT_FORMAT:
			o->format = strcmp(optarg, "json") == 0
			    ? LOG_FORMAT_JSON
			    : LOG_FORMAT_TEXT;
			break;
		case OPT_VERSION:
			puts("relaycam-recorder " RELAYCAM_VERSION);
			return -1;
		case 'h':
			fputs(usage, stdout);
			return -1;
		default:
			return die_usage();
		}
	if (o->repair + o->replay + o->check > 1)
		return die_usage();
	wanted = o->check ? 1 : o->repair || o->replay ? 2 : 0;
	return argc - optind == wanted ? 0 : die_usage();
}

static const struct spool_flush_page *flush_page; /* NULL: there is none */
static char meta_text[META_MAX];
static size_t meta_len;

static int
read_meta(struct meta *m, const char **why)
{
	ssize_t n = pread(TEE_FD_META, meta_text, sizeof(meta_text), 0);

	*why = "cannot be read";
	if (n <= 0)
		return ERR_IO;
	meta_len = (size_t)n;
	return meta_parse(m, meta_text, meta_len, why);
}

static void
on_segment(const struct segment_result *res)
{
	log_info("segment_closed", LOG_S("segment", res->id),
	    LOG_U("frames", res->frames), LOG_U("bytes", res->bytes),
	    LOG_U("duration_ms", res->duration_ms));
	ring_reader_report(TEE_FD_STATUS, TEE_STATUS_SEGMENT, 0, res->frames,
	    res->bytes, res->id);
}

static void
on_session(
    void *arg, enum recorder_session_event ev, const struct segment_result *res)
{
	const struct meta *m = arg;

	switch (ev) {
	case RECORDER_SESSION_READY:
		ring_reader_report(
		    TEE_FD_STATUS, TEE_STATUS_READY, 0, m->first_frame, 0, "");
		break;
	case RECORDER_SESSION_SEGMENT:
		on_segment(res);
		break;
	case RECORDER_SESSION_NOSPACE:
		log_warn("recording_nospace");
		ring_reader_report(TEE_FD_STATUS, TEE_STATUS_NOSPACE,
		    ERR_NOSPACE, 0, 0, "too little free disk space");
		break;
	}
}

/* Says to relay and log why recording ended, or did not begin. */
static int
fail(int rc, const char *why)
{
	bool no_space = rc == ERR_NOSPACE;

	log_error("recording_failed", LOG_ERR(rc), LOG_S("why", why));
	ring_reader_report(TEE_FD_STATUS,
	    no_space ? TEE_STATUS_NOSPACE : TEE_STATUS_FAILED, rc, 0, 0, why);
	return no_space ? EX_TEMPFAIL : EX_SOFTWARE;
}

/* Now or later. */
static bool
may_capture(const struct meta *m)
{
	return m->is_capture || !m->is_manual;
}

static int
enter_sandbox(const struct meta *m, const char **why)
{
	struct sandbox box = { .spool_fd = TEE_FD_SPOOL,
		.status_fd = TEE_FD_STATUS,
		.max_file_bytes = may_capture(m) ? CAPTURE_FILE_MAX : 0,
		.will_narrow = true,
		.max_pixels = m->max_pixels };
	int rc = sandbox_enter(&box, why);

	if (rc == 0 && !box.has_landlock && !box.has_root)
		log_warn("sandbox_without_file_rules");
	return rc;
}

static struct capture_run
capture_of(const struct meta *m, struct tee_reader *reader)
{
	return (struct capture_run){
		.meta = m,
		.json = meta_text,
		.json_len = meta_len,
		.reader = reader,
		.spool_fd = TEE_FD_SPOOL,
		.event_fd = TEE_FD_DATA_EVENT,
		.status_fd = TEE_FD_STATUS,
		.flush = flush_page,
	};
}

static int
finish_capture(
    const struct meta *m, int rc, const struct capture_run_result *res)
{
	if (rc != 0)
		return fail(rc, res->why);
	log_info("capture_done", LOG_S("session", m->session),
	    LOG_S("capture", res->id), LOG_U("bytes", res->bytes));
	ring_reader_report(
	    TEE_FD_STATUS, TEE_STATUS_SEGMENT, 0, 0, res->bytes, res->id);
	ring_reader_report(
	    TEE_FD_STATUS, TEE_STATUS_DONE, 0, 0, res->bytes, "");
	return 0;
}

/* To be encoded later. */
static int
capture_session(struct meta *m, struct tee_reader *reader)
{
	const struct capture_run c = capture_of(m, reader);
	struct capture_run_result res;
	int rc = capture_run(&c, &res);

	return finish_capture(m, rc, &res);
}

/* What is left of it is encoded later. Frees s. */
static int
hand_over(struct recorder_session *s, struct meta *m, struct tee_reader *reader)
{
	const struct capture_run c = capture_of(m, reader);
	struct capture_run_result res;
	int rc = handover_run(s, &c, &res);

	return finish_capture(m, rc, &res);
}

static int
finish_live(const struct recorder_session *s, const struct meta *m, int rc)
{
	if (rc != 0)
		return fail(rc, recorder_session_why(s));
	log_info("recording_done", LOG_S("session", m->session),
	    LOG_U("frames", recorder_session_frames(s)),
	    LOG_U("bytes", recorder_session_bytes(s)));
	ring_reader_report(TEE_FD_STATUS, TEE_STATUS_DONE, 0,
	    recorder_session_frames(s), recorder_session_bytes(s), "");
	return 0;
}

static int
record_session(struct meta *m, struct tee_reader *reader)
{
	struct recorder_session *s =
	    recorder_session_new(m, TEE_FD_SPOOL, on_session, m);
	int rc = ERR_NOMEM;

	if (s == NULL)
		return fail(rc, "not enough memory for this screen");
	recorder_session_set_flush(s, flush_page);
	rc = recorder_session_start(s);
	if (rc == 0)
		rc = ring_reader_run(s, reader, m->behind_seconds,
		    TEE_FD_DATA_EVENT, TEE_FD_STATUS);
	if (rc == RING_READER_BEHIND)
		return hand_over(s, m, reader);
	rc = finish_live(s, m, rc);
	recorder_session_free(s);
	return rc;
}

static void
resume(struct meta *m, const struct tee_reader *reader)
{
	struct tee_checkpoint checkpoint;

	tee_reader_read_checkpoint(reader, &checkpoint);
	resume_prepare(m, TEE_FD_SPOOL, &checkpoint);
	log_info("recorder_joins", LOG_S("session", m->session),
	    LOG_U("segment", m->first_seq), LOG_U("frame", m->first_frame));
}

static int
live(void)
{
	static struct meta m;
	struct tee_reader *reader;
	const char *why = "";
	int rc;

	/* whatever else was inherited by mistake */
	close_range(TEE_FD_FLUSH + 1, ~0u, 0);
	flush_page = spool_flush_map(TEE_FD_FLUSH);
	close(TEE_FD_FLUSH);
	if (ring_reader_block_signals() != 0)
		return fail(ERR_IO, "signals cannot be set");
	ring_reader_watch_memory();
	rc = read_meta(&m, &why);
	if (rc != 0)
		return fail(rc, why);
	/* loaded once: the sandbox keeps the zone's file out of reach */
	setenv("TZ", m.time_zone, 1);
	tzset();
	rc = tee_reader_new(&reader, TEE_FD_DATA, TEE_FD_CTL, TEE_FD_READER,
	    TEE_FD_DATA_EVENT, TEE_FD_SPACE_EVENT);
	if (rc != 0)
		return fail(rc, "the tee ring cannot be mapped");
	zero_pages_prepare();
	rc = enter_sandbox(&m, &why);
	if (rc == 0 && m.is_resumed)
		resume(&m, reader);
	if (rc == 0) {
		why = "the system call filter could not be narrowed";
		rc = sandbox_narrow();
	}
	if (rc != 0)
		rc = fail(rc, why);
	else
		rc = m.is_capture ? capture_session(&m, reader)
				  : record_session(&m, reader);
	tee_reader_free(reader);
	return rc;
}

int
main(int argc, char **argv)
{
	struct options o = { .level = LOG_LEVEL_INFO };
	int rc = parse_options(argc, argv, &o);

	if (rc != 0)
		return rc < 0 ? 0 : rc;
	log_setup("relaycam-recorder", o.level, o.format);
	if (o.repair)
		return repair_main(argv[optind], argv[optind + 1]);
	if (o.replay)
		return replay_main(argv[optind], argv[optind + 1], &o.start);
	if (o.check)
		return sandbox_check(argv[optind]);
	return live();
}
