/* relaycam-relay: start-up, signals, shutting down. docs/relaycam-relay.md */
#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/db_url.h"
#include "common/err.h"
#include "common/keyfile.h"
#include "common/log.h"
#include "common/login/password_process.h"
#include "common/login/recent_passwords.h"
#include "common/memory.h"
#include "common/privileges.h"
#include "common/protect.h"
#include "common/tls.h"
#include "common/login/login_throttle.h"
#include "common/login/password_queue.h"
#include "relay/listener/conn.h"
#include "relay/listener/conn_limits.h"
#include "relay/base/ca_stores.h"
#include "relay/base/tls_memory.h"
#include "relay/loop.h"
#include "relay/node.h"
#include "relay/recorder_check.h"
#include "relay/relay.h"
#include "relay/spawner.h"
#include "relay/http/static_files.h"
#include "relay/draw/text.h"
#include "relay/malloc_trim.h"
#include "rfb/ra2.h"

#define PROGRAM "relaycam-relay"

/* Processes that check passwords: for known pairs one for each core, for
 * strangers always as many. */
#define KNOWN_CHECKS_MAX 8
#define STRANGER_CHECKS  3

/* What recorders get to close their files; a container's end kills them. */
#define RECORDERS_END_SECONDS 10

static const char usage[] =
    "usage: " PROGRAM " [--config FILE] [--set SECTION.KEY=VALUE]...\n"
    "\n"
    "The TLS relay: authenticates technicians, connects them to endpoints,\n"
    "forwards, and hands what it forwards to a recorder.\n"
    "\n"
    "SIGTERM: take no new sessions, give running ones relay.drain_seconds;\n"
    "a second SIGTERM ends them. SIGHUP: read certificate and key again.\n";

static struct relay relay;
static struct event *spawner_event;
static bool has_spawner = true;
static struct conf_log log_conf;
static struct conf_secrets secrets;
static const struct conf_section sections[] = {
	{ "relay", "The relay.", relay_conf_opts, RELAY_CONF_N, &relay.conf },
	CONF_DATABASE(&relay.database),
	CONF_SPOOL(&relay.spool),
	CONF_SECRETS(&secrets),
	CONF_LOG(&log_conf),
};

static _Noreturn void
die(int status, const char *what, const char *why)
{
	fprintf(stderr, PROGRAM ": %s: %s\n", what, why);
	exit(status);
}

static _Noreturn void
die_cannot_listen(const struct listen_addr *d, int rc)
{
	char text[300];

	snprintf(text, sizeof(text), "relay.%s: cannot listen on %s",
	    d->setting, d->where);
	if (rc == ERR_CONFIG)
		die(EX_CONFIG, text, "no such address");
	die(EX_OSERR, text, strerror(errno));
}

static void
check_listen_addrs(void)
{
	char err[300];
	int rc,
	    n = listen_addrs_read(
		&relay.conf, relay.listen_addrs, err, sizeof(err));

	if (n < 0)
		die(EX_CONFIG, "settings", err);
	relay.n_listen_addrs = (unsigned)n;
	if (proxy_networks_read(&relay.proxies, relay.conf.proxy_protocol_from,
		err, sizeof(err)) != 0)
		die(EX_CONFIG, "settings", err);
	for (unsigned i = 0; i < relay.n_listen_addrs; i++)
		if ((rc = listen_addr_check(&relay.listen_addrs[i])) != 0)
			die_cannot_listen(&relay.listen_addrs[i], rc);
}

static void
open_listeners(struct loop *l)
{
	for (unsigned i = 0; i < relay.n_listen_addrs; i++) {
		int fd = listen_addr_open(&relay.listen_addrs[i]);

		if (fd < 0)
			die_cannot_listen(&relay.listen_addrs[i], fd);
		if (loop_listen(l, i, fd) != 0)
			die(EX_OSERR, "start", "out of memory");
	}
}

static SSL_CTX *
read_certificate(char *err, size_t err_len)
{
	return tls_server_new(
	    relay.conf.tls_cert_file, relay.conf.tls_key_file, err, err_len);
}

static void
load_server_ctx(void)
{
	char err[512];
	SSL_CTX *ctx = read_certificate(err, sizeof(err)), *web = NULL;
	bool is_reload = relay.tls.server != NULL;

	if (ctx != NULL)
		web = read_certificate(err, sizeof(err));
	if (web == NULL && !is_reload)
		die(EX_CONFIG, "TLS", err);
	if (web == NULL) {
		log_error("reload_failed", LOG_S("why", err));
		SSL_CTX_free(ctx);
		return;
	}
	conn_prepare_ctx(web);
	if (tls_contexts_replace(&relay.tls, ctx, web))
		log_info("certificate_reloaded",
		    LOG_S("file", relay.conf.tls_cert_file));
}

static void
check_files(void)
{
	if (access(relay.spool.dir, W_OK | X_OK) != 0)
		die(EX_CONFIG, relay.spool.dir, strerror(errno));
	if (access(relay.conf.recorder_program, X_OK) != 0)
		die(EX_CONFIG, relay.conf.recorder_program, strerror(errno));
	if ((relay.conf.ring_bytes & (relay.conf.ring_bytes - 1)) != 0)
		die(EX_CONFIG, "relay.ring_bytes", "not a power of two");
}

/* What browsers and banners need; the relay does without. */
static void
load_page(void)
{
	char why[300];

	if (relay.conf.web_listen != NULL && *relay.conf.web_listen != '\0' &&
	    static_files_load(&relay.files, relay.conf.web_dir,
		relay.conf.novnc_dir, why, sizeof(why)) != 0)
		log_warn("no_browser_page", LOG_S("why", why),
		    LOG_S("remedy", "set relay.web_dir and relay.novnc_dir"));
	if (text_font_open(relay.conf.font_file, &relay.font) != 0)
		log_warn("no_font", LOG_S("file", relay.conf.font_file),
		    LOG_S("remedy",
			"install fonts-dejavu-core or set relay.font_file; "
			"until then warnings are a bell"));
}

static void
read_keys(void)
{
	char err[512];

	load_server_ctx();
	relay.client_ctx = tls_client_new("", err, sizeof(err));
	if (relay.client_ctx == NULL)
		die(EX_CONFIG, "TLS", err);
	relay.ra2_key = rfb_ra2_key_new(RFB_RA2_OWN_BITS);
	if (relay.ra2_key == NULL)
		log_warn(
		    "no_ra2_key", LOG_S("why", "libcrypto makes no RSA key"));
	if (keyfile_read("secrets.seal_key_file", secrets.seal_key_file,
		relay.seal_key, sizeof(relay.seal_key), err, sizeof(err)) != 0)
		die(EX_CONFIG, "settings", err);
	sodium_mlock(relay.seal_key, sizeof(relay.seal_key));
}

static void
tell_loops(enum loop_command c)
{
	for (unsigned i = 0; i < relay.n_loops; i++)
		loop_tell(&relay.loops[i], c);
}

static void
on_terminate(evutil_socket_t sig, short what, void *arg)
{
	bool again = atomic_exchange(&relay.draining, true);

	log_info(again ? "stopping" : "draining",
	    LOG_U("active", atomic_load(&relay.stats.active)),
	    LOG_I("seconds", again ? 0 : relay.conf.drain_seconds));
	tell_loops(again ? LOOP_STOP : LOOP_DRAIN);
}

static void
on_hangup(evutil_socket_t sig, short what, void *arg)
{
	load_server_ctx();
}

/*
 * One arena a loop: a worker's own would only hold what one password check
 * once needed.
 */
static void
limit_arenas(void)
{
	mallopt(M_ARENA_MAX, (int)relay.n_loops + 1);
}

/* All loops have ended: so may the main thread. */
static void *
wait_for_loops(void *arg)
{
	for (unsigned i = 0; i < relay.n_loops; i++)
		pthread_join(relay.loops[i].thread, NULL);
	event_base_loopbreak(arg);
	return NULL;
}

static void
start_live_budget(unsigned cores)
{
	const struct relay_conf *c = &relay.conf;
	struct live_limits limits = {
		.recorders = (uint64_t)c->live_recorders,
		.bytes = c->live_bytes != 0 ? (uint64_t)c->live_bytes
					    : memory_total() / 2,
		.permille = (uint64_t)c->live_cpu_percent * cores * 10,
	};

	live_budget_init(&relay.live, &limits);
}

/* At most a quarter of the memory. */
static unsigned
known_checks(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t n = memory_total() / 4 / PASSWORD_CHECK_BYTES;

	n = min_u64(n, (uint64_t)(cores < 1 ? 1 : cores));
	n = min_u64(n, KNOWN_CHECKS_MAX);
	return n < 1 ? 1 : (unsigned)n;
}

static struct connection_limit *
new_connection_limit(void)
{
	struct connection_pool pools[POOL_N];
	uint64_t n_files = connection_limit_descriptors();

	if (conn_limits_derive(pools, &relay.conf, n_files))
		log_warn("descriptors_short", LOG_U("descriptors", n_files),
		    LOG_U("max_logins", pools[POOL_VNC].max),
		    LOG_U("max_sessions", pools[POOL_SESSION].max),
		    LOG_U("max_agents", pools[POOL_AGENT].max),
		    LOG_U("max_attended", pools[POOL_ATTENDED].max),
		    LOG_U("max_parked", pools[POOL_PARKED].max),
		    LOG_S("remedy",
			"these bounds hold instead of the settings; raise the "
			"hard limit of open files (systemd: LimitNOFILE)"));
	return connection_limit_new(pools, POOL_N);
}

static void
start_loops(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	reject_log_init(&relay.rejects);
	relay.throttle = login_throttle_new();
	relay.connections = new_connection_limit();
	if (cores < 1)
		cores = 1;
	start_live_budget((unsigned)cores);
	relay.n_loops = relay.conf.threads != 0 ? (unsigned)relay.conf.threads
						: (unsigned)cores;
	limit_arenas();
	relay.loops = calloc(relay.n_loops, sizeof(*relay.loops));
	relay.passwords = password_queue_new(known_checks(), STRANGER_CHECKS);
	relay.lookups = worker_pool_new(4);
	if (relay.loops == NULL || relay.passwords == NULL ||
	    relay.lookups == NULL || relay.throttle == NULL ||
	    relay.connections == NULL)
		die(EX_OSERR, "start", "out of memory");
	for (unsigned i = 0; i < relay.n_loops; i++) {
		if (loop_init(&relay.loops[i], &relay, i) != 0)
			die(EX_OSERR, "start", "out of memory");
		open_listeners(&relay.loops[i]);
	}
}

static void
run_loops(struct event_base *base)
{
	pthread_t waiter;
	sigset_t all, old;

	/* signals are the main thread's */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	for (unsigned i = 0; i < relay.n_loops; i++)
		if (pthread_create(&relay.loops[i].thread, NULL, loop_main,
			&relay.loops[i]) != 0)
			die(EX_OSERR, "start", "no thread to be had");
	pthread_create(&waiter, NULL, wait_for_loops, base);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	event_base_dispatch(base);
	pthread_join(waiter, NULL);
}

static struct event *
watch_signal(struct event_base *base, int sig, event_callback_fn fn)
{
	struct event *e = evsignal_new(base, sig, fn, NULL);

	if (e == NULL || event_add(e, NULL) != 0)
		die(EX_OSERR, "start", "out of memory");
	return e;
}

/*
 * Nobody can start recorders any more, and a process with threads and keys
 * must not fork: no new session is taken, those that run may end, and whoever
 * started the relay starts it again.
 */
static void
on_spawner(evutil_socket_t fd, short what, void *arg)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	event_del(spawner_event);
	has_spawner = false;
	log_error("spawner_gone",
	    LOG_S("remedy",
		"the relay drains and ends with status 70; start it again"));
	if (!atomic_exchange(&relay.draining, true))
		tell_loops(LOOP_DRAIN);
}

static void
watch_spawner(struct event_base *base)
{
	spawner_event = event_new(
	    base, relay.spawner, EV_READ | EV_PERSIST, on_spawner, NULL);
	if (spawner_event == NULL || event_add(spawner_event, NULL) != 0)
		die(EX_OSERR, "start", "out of memory");
}

static void
serve(void)
{
	struct event_base *base = event_base_new();
	struct event *term = watch_signal(base, SIGTERM, on_terminate);
	struct event *intr = watch_signal(base, SIGINT, on_terminate);
	struct event *hup = watch_signal(base, SIGHUP, on_hangup);
	struct node *node = node_new(&relay, base);
	struct malloc_trim *trim = malloc_trim_new(&relay, base);

	if (node == NULL || trim == NULL)
		exit(EX_CONFIG);
	watch_spawner(base);
	log_info("started", LOG_S("listen", relay.conf.listen),
	    LOG_U("threads", relay.n_loops),
	    LOG_S("version", RELAYCAM_VERSION));
	run_loops(base);
	password_queue_free(relay.passwords);
	password_processes_stop();
	recent_passwords_wipe();
	worker_pool_free(relay.lookups);
	loops_release(&relay);
	malloc_trim_free(trim);
	node_free(node);
	event_free(spawner_event);
	event_free(term);
	event_free(intr);
	event_free(hup);
	event_base_free(base);
}

int
main(int argc, char **argv)
{
	const size_t n = N_ELEMENTS(sections);

	tls_memory_install();
	conf_main(argc, argv, PROGRAM, usage, sections, n, NULL);
	if (conf_log_apply(&log_conf, PROGRAM) != 0)
		die(EX_CONFIG, "log", "wrong setting");
	check_files();
	if (db_url_set_user(&relay.database.url, relay.database.relay_user) !=
	    0)
		die(EX_OSERR, "start", "out of memory");
	keyfile_trust_name(relay.conf.user);
	connection_limit_descriptors(); /* before any process is started */
	signal(SIGPIPE, SIG_IGN);
	recorder_check(
	    relay.conf.recorder_program, relay.spool.dir, relay.conf.user);
	/* before any thread or key exists */
	if (spool_flush_share(&relay.flush) != 0)
		die(EX_OSERR, "shared memory for flushes of the spool",
		    strerror(errno));
	relay.spawner = spawner_start(relay.conf.recorder_program,
	    relay.spool.dir, relay.conf.user, &relay.flush);
	if (relay.spawner < 0 || sodium_init() < 0 ||
	    password_processes_start(
		known_checks(), STRANGER_CHECKS, relay.conf.user) != 0)
		die(EX_OSERR, "start", strerror(errno));
	protect_process();
	event_set_log_callback(log_from_libevent);
	evthread_use_pthreads();
	tls_contexts_init(&relay.tls);
	node_identity(relay.node_id, relay.conf.listen);
	check_listen_addrs();
	read_keys();
	load_page();
	start_loops();
	if (privileges_drop(relay.conf.user) != 0)
		return EX_NOPERM;
	protect_process(); /* again: the account changed */
	serve();
	if (has_spawner &&
	    spawner_end(relay.spawner, RECORDERS_END_SECONDS) != 0)
		log_warn("recorders_left",
		    LOG_S("remedy", "storage finishes their segments"));
	log_info(
	    "stopped", LOG_U("sessions", atomic_load(&relay.stats.sessions)));
	wipe(relay.seal_key, sizeof(relay.seal_key));
	tls_contexts_release(&relay.tls);
	SSL_CTX_free(relay.client_ctx);
	ca_stores_release();
	rfb_ra2_key_free(relay.ra2_key);
	static_files_free(relay.files);
	text_font_close(relay.font);
	login_throttle_free(relay.throttle);
	connection_limit_free(relay.connections);
	free(relay.loops);
	conf_release(sections, n);
	return has_spawner ? 0 : EX_SOFTWARE;
}
