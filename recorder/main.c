/*
 * relaycam-recorder: one session into WebM files, docs/relaycam-recorder.md.
 * Started by the relay's helper with the descriptors of enum tee_fd.
 */
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
#include "common/tee.h"
#include "recorder/intake.h"
#include "recorder/repair.h"
#include "recorder/resume.h"
#include "recorder/sandbox.h"

#define META_MAX (64 * 1024)

static const char usage[] =
    "Usage: relaycam-recorder [OPTION]...\n"
    "       relaycam-recorder [OPTION]... --repair DIR ID\n"
    "\n"
    "Records one session; the relay starts it. With --repair, finishes\n"
    "segment ID in the spool folder DIR, whose recorder died.\n"
    "\n"
    "Options:\n"
    "      --repair             finish a segment that was cut off\n"
    "      --log-level LEVEL    debug, info, warn or error (info)\n"
    "      --log-format FORMAT  text or json (text)\n"
    "      --version            print the version and exit\n"
    "  -h, --help               print this and exit\n";

enum { OPT_REPAIR = 256, OPT_LEVEL, OPT_FORMAT, OPT_VERSION };

static const struct option long_opts[] = {
	{ "repair", no_argument, NULL, OPT_REPAIR },
	{ "log-level", required_argument, NULL, OPT_LEVEL },
	{ "log-format", required_argument, NULL, OPT_FORMAT },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

struct options {
	bool repair;
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

/* Returns 0 to go on, else what to exit with; -1 stands for 0. */
static int
parse_options(int argc, char **argv, struct options *o)
{
	int c;

	while ((c = getopt_long(argc, argv, "h", long_opts, NULL)) != -1)
		switch (c) {
		case OPT_REPAIR:
			o->repair = true;
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
	return argc - optind == (o->repair ? 2 : 0) ? 0 : die_usage();
}

static int
read_meta(struct meta *m, const char **why)
{
	static char text[META_MAX];
	ssize_t n = pread(TEE_FD_META, text, sizeof(text), 0);

	*why = "cannot be read";
	return n <= 0 ? ERR_IO : meta_parse(m, text, (size_t)n, why);
}

static void
on_segment(const struct segment_result *res)
{
	log_info("segment_closed", LOG_S("segment", res->id),
	    LOG_U("frames", res->frames), LOG_U("bytes", res->bytes),
	    LOG_U("duration_ms", res->duration_ms));
	intake_report(TEE_FD_STATUS, TEE_STATUS_SEGMENT, 0, res->frames,
	    res->bytes, res->id);
}

static void
on_session(void *arg, enum session_event ev, const struct segment_result *res)
{
	const struct meta *m = arg;

	switch (ev) {
	case SESSION_READY:
		intake_report(
		    TEE_FD_STATUS, TEE_STATUS_READY, 0, m->first_frame, 0, "");
		break;
	case SESSION_SEGMENT:
		on_segment(res);
		break;
	case SESSION_NOSPACE:
		log_warn("recording_nospace");
		intake_report(TEE_FD_STATUS, TEE_STATUS_NOSPACE, ERR_NOSPACE, 0,
		    0, "too little free disk space");
		break;
	}
}

/* Says to relay and log why recording ended, or did not begin. */
static int
fail(int rc, const char *why)
{
	bool no_space = rc == ERR_NOSPACE;

	log_error("recording_failed", LOG_ERR(rc), LOG_S("why", why));
	intake_report(TEE_FD_STATUS,
	    no_space ? TEE_STATUS_NOSPACE : TEE_STATUS_FAILED, rc, 0, 0, why);
	return no_space ? EX_TEMPFAIL : EX_SOFTWARE;
}

static int
enter_sandbox(const char **why)
{
	struct sandbox box = { .spool_fd = TEE_FD_SPOOL,
		.status_fd = TEE_FD_STATUS };
	int rc = sandbox_enter(&box, why);

	if (rc == 0 && !box.has_landlock)
		log_warn("sandbox_without_landlock");
	return rc;
}

static int
record_session(struct meta *m, struct tee_reader *reader)
{
	struct session *s = session_new(m, TEE_FD_SPOOL, on_session, m);
	int rc = ERR_NOMEM;

	if (s == NULL)
		return fail(rc, "not enough memory for this screen");
	rc = session_start(s);
	if (rc == 0)
		rc = intake_run(s, reader, TEE_FD_DATA_EVENT, TEE_FD_STATUS);
	if (rc != 0) {
		rc = fail(rc, session_why(s));
	} else {
		log_info("recording_done", LOG_S("session", m->session),
		    LOG_U("frames", session_frames(s)),
		    LOG_U("bytes", session_bytes(s)));
		intake_report(TEE_FD_STATUS, TEE_STATUS_DONE, 0,
		    session_frames(s), session_bytes(s), "");
	}
	session_free(s);
	return rc;
}

static void
resume(struct meta *m, const struct tee_reader *reader)
{
	struct tee_note note;

	tee_reader_get_note(reader, &note);
	resume_prepare(m, TEE_FD_SPOOL, &note);
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
	close_range(TEE_FD_SPOOL + 1, ~0u, 0);
	if (intake_signals() != 0)
		return fail(ERR_IO, "signals cannot be set");
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
	rc = enter_sandbox(&why);
	if (rc == 0 && m.is_resumed)
		resume(&m, reader);
	rc = rc != 0 ? fail(rc, why) : record_session(&m, reader);
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
	return live();
}
