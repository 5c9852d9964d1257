/*
 * relaycam-storage: takes closed segments from the spool into the object
 * store, keeps their rows, serves signed files, deletes what has expired.
 * One event loop; threads hash and copy.
 */
#include <errno.h>
#include <event2/event.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/connection_limit.h"
#include "common/db.h"
#include "common/db_url.h"
#include "common/err.h"
#include "common/keyfile.h"
#include "common/links.h"
#include "common/log.h"
#include "common/protect.h"
#include "storage/scrub/scrub.h"
#include "storage/clips/clip_set.h"
#include "storage/daemon.h"
#include "storage/encode/encode_queue.h"
#include "storage/expiry.h"
#include "storage/files/files.h"
#include "storage/hold.h"
#include "storage/evidence/prefix_hash.h"
#include "storage/node.h"
#include "storage/rows.h"
#include "storage/evidence/signing.h"
#include "storage/scrub/scrub_spool.h"
#include "storage/spool/early.h"
#include "storage/spool/lost_nodes.h"
#include "storage/spool/spool.h"
#include "storage/spool/transfer_db.h"
#include "storage/storage_status.h"
#include "storage/store/store.h"
#include "storage/upload/receiver.h"
#include "storage/storage_worker.h"

#define PROGRAM "relaycam-storage"

static const char usage[] =
    "usage: relaycam-storage [OPTION]... [states | moves]\n"
    "\n"
    "Moves recordings from the spool into the object store, serves signed\n"
    "files and deletes what has expired. Runs in the foreground.\n"
    "\n"
    "  states                   print the state table of recordings, as in\n"
    "                           docs/recording-states.md\n"
    "  moves                    print it as rows of segment_moves\n";

static struct daemon daemon_;

static struct conf_section sections[] = {
	CONF_LOG(&daemon_.log),
	CONF_DATABASE(&daemon_.database),
	CONF_SPOOL(&daemon_.spool_conf),
	CONF_STORE(&daemon_.store_conf),
	CONF_SECRETS(&daemon_.secrets),
	{ "storage", "The storage daemon.", conf_storage_opts,
	    N_ELEMENTS(conf_storage_opts), &daemon_.conf },
};

static _Noreturn void
die(const char *text)
{
	log_error("start_failed", LOG_S("why", text));
	exit(EX_CONFIG);
}

/* ---- stopping ---- */

struct stop {
	struct event *timer;
	uint64_t deadline_ns;
	bool was_noted;
};
static struct stop stop_;

static bool
is_idle(const struct daemon *d)
{
	return spool_busy(d->spool) == 0 &&
	    encode_queue_busy(d->encode_queue) == 0 &&
	    receiver_busy(d->receiver) == 0 && d->counters.files_active == 0 &&
	    d->counters.store_jobs == 0;
}

static void
on_stop_timer(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;
	bool idle = is_idle(d);

	if (!idle && clock_mono_ns() < stop_.deadline_ns)
		return;
	if (!stop_.was_noted) {
		node_stop(d->node);
		stop_.was_noted = true; /* one more turn to send it */
		return;
	}
	log_info("stopped", LOG_U("unfinished", spool_busy(d->spool)));
	event_base_loopbreak(d->base);
}

static void
on_term(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;
	struct timeval tv = { 0, 100000 };

	if (d->stopping) { /* asked twice: at once */
		event_base_loopbreak(d->base);
		return;
	}
	log_info("stopping", LOG_I("signal", (int)sig),
	    LOG_I("stop_seconds", d->conf.stop_seconds));
	d->stopping = true;
	stop_.deadline_ns =
	    clock_mono_ns() + (uint64_t)d->conf.stop_seconds * NS_PER_S;
	d->store->ops->stop(d->store);
	signing_stop(d->signing);
	receiver_stop(d->receiver);
	files_stop(d->files);
	encode_queue_stop(d->encode_queue);
	event_add(stop_.timer, &tv);
}

static void
on_hup(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;

	files_reload(d->files);
	spool_again(d->spool);
	encode_queue_kick(d->encode_queue, true);
	receiver_kick(d->receiver);
	expiry_kick(d->expiry);
}

/* ---- starting ---- */

static void
on_database(void *arg, bool connected)
{
	struct daemon *d = arg;

	if (!connected || d->exiting)
		return;
	d->n_connects++;
	if (d->store->ops->announce != NULL)
		d->store->ops->announce(d->store);
	node_announce(d->node);
	signing_announce(d->signing);
	receiver_announce(d->receiver);
	spool_kick(d->spool, true);
	encode_queue_kick(d->encode_queue, false);
}

/* A row changed: it may have been deleted in the console. */
static void
on_segment(void *arg, const char *channel, const char *payload)
{
	struct daemon *d = arg;

	expiry_soon(d->expiry);
	hold_kick(d->hold);
	if (d->encode_queue != NULL)
		encode_queue_notified(d->encode_queue, payload);
}

/* "relaycam storage check" asks for a comparison. */
static void
on_check(void *arg, const char *channel, const char *payload)
{
	struct daemon *d = arg;

	/* first: what it finds is there when the comparison has ended */
	scrub_spool_look(d->scrub_spool);
	scrub_kick(d->scrub);
}

static void
become_user(const char *name)
{
	const struct passwd *pw;

	if (name == NULL || geteuid() != 0)
		return;
	pw = getpwnam(name);
	if (pw == NULL)
		die("storage.user: there is no such user");
	if (initgroups(name, pw->pw_gid) != 0 || setgid(pw->pw_gid) != 0 ||
	    setuid(pw->pw_uid) != 0)
		die("storage.user: cannot become that user");
	protect_process(); /* again: the account changed */
}

/*
 * With S3 and direct links, stored recordings are served there; what is still
 * being written is served here when there is a key to sign links with (X1).
 */
static bool
files_are_served(const struct daemon *d)
{
	/* captures come on the same port */
	if (!link_is_direct(&d->store_conf) || d->conf.captures ||
	    access(d->store_conf.link_key_file, R_OK) == 0)
		return true;
	log_warn(
	    "no_live_view", LOG_S("why", "store.link_key_file"), LOG_ERRNO());
	return false;
}

static void
make_parts(struct daemon *d)
{
	char err[512] = "out of memory";
	struct store_env env = { .conf = &d->store_conf,
		.counters = &d->counters,
		.traces = &d->traces };
	bool is_s3 = strcmp(d->store_conf.kind, "s3") == 0;

	d->base = event_base_new();
	if (d->base == NULL || status_new(d, err, sizeof(err)) != 0 ||
	    (files_are_served(d) && files_new(d, err, sizeof(err)) != 0))
		die(err);
	if (signing_new(d, d->secrets.evidence_key_file, err, sizeof(err)) !=
		0 ||
	    receiver_new(d, err, sizeof(err)) != 0)
		die(err);
	/* what only root may read is read, what only root may bind is bound */
	become_user(d->conf.user);
	env.base = d->base;
	if (node_new(d) != 0)
		die(err);
	if (db_url_set_user(&d->database.url, d->database.storage_user) == 0)
		d->db = db_new(d->base, &d->database, on_database, d);
	if (d->db == NULL || transfer_db_new(d) != 0)
		die(err);
	env.db = d->db;
	d->workers = workers_new(d->base, (unsigned)d->conf.concurrency);
	env.workers = d->workers;
	if (d->workers == NULL ||
	    (is_s3 ? store_s3_new : store_folder_new)(
		&d->store, &env, err, sizeof(err)) != 0)
		die(err);
	d->clips = clip_set_new(d);
	if (d->clips == NULL || spool_new(d, err, sizeof(err)) != 0 ||
	    prefix_hashes_new(d) != 0 || early_new(d) != 0 ||
	    lost_nodes_new(d) != 0 || scrub_spool_new(d) != 0 ||
	    encode_queue_new(d, err, sizeof(err)) != 0 || expiry_new(d) != 0 ||
	    scrub_new(d) != 0 || hold_new(d) != 0 ||
	    receiver_start(d, err, sizeof(err)) != 0 ||
	    db_listen(d->db, "relaycam_segment", on_segment, d) != 0 ||
	    db_listen(d->db, "relaycam_check", on_check, d) != 0)
		die(err);
}

static void
add_signal(struct daemon *d, int sig, event_callback_fn cb)
{
	struct event *ev = evsignal_new(d->base, sig, cb, d);

	if (ev == NULL || event_add(ev, NULL) != 0)
		die("out of memory");
}

static void
free_parts(struct daemon *d)
{
	d->exiting = true;
	workers_free(d->workers);
	scrub_free(d->scrub);
	expiry_free(d->expiry);
	transfer_db_free(d);
	db_free(d->db);
	hold_free(d->hold);
	early_free(d->early);
	lost_nodes_free(d->lost_nodes);
	scrub_spool_free(d->scrub_spool);
	prefix_hashes_free(
	    d->prefix_hashes); /* it was answered for the last time */
	d->store->ops->free(d->store);
	encode_queue_free(d->encode_queue);
	spool_free(d->spool);
	signing_free(d->signing);
	node_free(d->node);
	status_free(d->status);
	files_free(d->files);
	receiver_free(d->receiver);
	clip_set_free(d->clips);
}

int
main(int argc, char **argv)
{
	struct daemon *d = &daemon_;

	int first = conf_main(
	    argc, argv, PROGRAM, usage, sections, N_ELEMENTS(sections), NULL);

	if (argc - first == 1 && strcmp(argv[first], "states") == 0) {
		spool_states_print(stdout, false);
		return 0;
	}
	if (argc - first == 1 && strcmp(argv[first], "moves") == 0) {
		spool_states_print(stdout, true);
		return 0;
	}
	if (first != argc) {
		fprintf(stderr, PROGRAM ": takes no arguments\n");
		return 2;
	}
	if (conf_log_apply(&d->log, PROGRAM) != 0)
		return EX_CONFIG;
	d->n_descriptors = connection_limit_descriptors();
	event_set_log_callback(log_from_libevent);
	signal(SIGPIPE, SIG_IGN);
	umask(027);
	protect_process();
	keyfile_trust_name(d->conf.user);
	rows_set_day(d->conf.retention_day_seconds);
	make_parts(d);
	stop_.timer = event_new(d->base, -1, EV_PERSIST, on_stop_timer, d);
	if (stop_.timer == NULL)
		die("out of memory");
	add_signal(d, SIGTERM, on_term);
	add_signal(d, SIGINT, on_term);
	add_signal(d, SIGHUP, on_hup);
	log_info("started", LOG_S("version", RELAYCAM_VERSION),
	    LOG_S("spool", d->spool_conf.dir),
	    LOG_S("store", d->store->ops->name));
	event_base_dispatch(d->base);
	/* what ran into the deadline ends like in a crash: files and rows
	 * say where the next start goes on */
	if (!is_idle(d))
		_exit(0);
	free_parts(d);
	return 0;
}
