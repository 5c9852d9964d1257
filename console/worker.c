#include "console/worker.h"

#include <event2/event.h>
#include <event2/thread.h>
#include <fido.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/db_url.h"
#include "common/keyfile.h"
#include "common/log.h"
#include "common/login/login_throttle.h"
#include "common/login/password_process.h"
#include "common/login/recent_passwords.h"
#include "common/login/password_queue.h"
#include "console/api/idempotency.h"
#include "console/conf.h"
#include "console/db_pool.h"
#include "console/events/feed.h"
#include "console/http/fetch.h"
#include "console/node.h"
#include "console/oidc/url.h"
#include "console/pages.h"
#include "console/server.h"
#include "console/webhooks.h"

#define STOP_POLL_MS 50

/* Requests to providers of single sign-on, which anybody can cause. */
#define FETCHES_MAX            64
#define FETCHES_PER_CLIENT_MAX 8

static struct worker worker_;
static struct event *stop_timer;
static uint64_t stop_deadline_ns;

static void
on_stop_timer(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	if (w->n_requests == 0 || clock_mono_ns() > stop_deadline_ns)
		event_base_loopbreak(w->base);
}

static void
on_term(evutil_socket_t sig, short what, void *arg)
{
	const struct timeval tv = { 0, STOP_POLL_MS * 1000 };
	struct worker *w = arg;

	if (w->is_stopping) { /* asked twice: at once */
		event_base_loopbreak(w->base);
		return;
	}
	w->is_stopping = true;
	stop_deadline_ns = clock_mono_ns() +
	    (uint64_t)w->conf->console.stop_seconds * NS_PER_S;
	server_stop(w->server);
	feed_stop(w->feed);
	node_stop(w->node);
	event_add(stop_timer, &tv);
}

/* As they are in the folder now; when that fails the old ones stay. */
static void
reload_pages(struct worker *w)
{
	struct pages *pages;
	char err[512] = "out of memory";

	if (pages_new(&pages, &w->conf->console, &w->conf->store, err,
		sizeof(err)) != 0) {
		log_error("pages_not_reloaded", LOG_S("why", err));
		return;
	}
	pages_free(w->pages);
	w->pages = pages;
}

static void
on_hup(evutil_socket_t sig, short what, void *arg)
{
	struct worker *w = arg;

	server_reload(w->server);
	reload_pages(w);
}

static void
on_log_timer(evutil_socket_t fd, short what, void *arg)
{
	log_report_suppressed();
}

static int
add_event(
    struct worker *w, int fd, short what, int seconds, event_callback_fn cb)
{
	const struct timeval tv = { seconds, 0 };
	struct event *ev = event_new(w->base, fd, what, cb, w);

	return ev != NULL && event_add(ev, seconds > 0 ? &tv : NULL) == 0 ? 0
									  : -1;
}

static int
add_events(struct worker *w)
{
	stop_timer = event_new(w->base, -1, EV_PERSIST, on_stop_timer, w);
	return stop_timer != NULL &&
		add_event(w, SIGTERM, EV_SIGNAL | EV_PERSIST, 0, on_term) ==
		    0 &&
		add_event(w, SIGINT, EV_SIGNAL | EV_PERSIST, 0, on_term) == 0 &&
		add_event(w, SIGHUP, EV_SIGNAL | EV_PERSIST, 0, on_hup) == 0 &&
		add_event(w, -1, EV_PERSIST, 5, on_log_timer) == 0
	    ? 0
	    : -1;
}

static int
attach_shared(struct worker *w, int fd)
{
	struct shared *s =
	    mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (w->number >= WORKERS_MAX || s == MAP_FAILED)
		return -1;
	close(fd);
	w->shared = s;
	w->place = &s->workers[w->number];
	return 0;
}

/* The connection string with the console's own role. */
static int
set_role(struct console_conf *c)
{
	return db_url_set_user(&c->database.url, c->database.console_user);
}

static int
make_parts(struct worker *w, char *err, size_t err_len)
{
	const struct console_conf *c = w->conf;

	if (keyfile_read("secrets.seal_key_file", c->secrets.seal_key_file,
		w->seal_key, sizeof(w->seal_key), err, err_len) != 0)
		return -1;
	if (c->console.public_url != NULL &&
	    !oidc_origin_is_right(c->console.public_url)) {
		snprintf(err, err_len,
		    "console.public_url = %s: expected https://host or "
		    "https://host:port, without a path",
		    c->console.public_url);
		return -1;
	}
	passkey_rp_set(&w->rp, c->console.public_url);
	w->base = event_base_new();
	if (w->base == NULL || job_inbox_init(&w->inbox, w->base) != 0 ||
	    add_events(w) != 0 || set_role((struct console_conf *)(uintptr_t)c))
		return -1;
	w->db = db_pool_new(w);
	w->node = w->db != NULL ? node_new(w) : NULL;
	w->feed = feed_new(w);
	w->idempotency = idempotency_queue_new(w);
	w->throttle = login_throttle_new();
	w->passwords =
	    password_queue_new(1, (unsigned)c->console.password_checks - 1);
	w->disk = worker_pool_new(1);
	w->fetcher = fetcher_new(w->base,
	    &(struct fetcher_conf){ .ca_file = c->console.provider_ca_file,
		.seconds = (long)c->console.provider_seconds,
		.max = FETCHES_MAX,
		.may_be_private = c->console.provider_private_addresses,
		.max_per_client = c->console.max_connections_per_address > 0
		    ? FETCHES_PER_CLIENT_MAX
		    : 0 });
	w->webhooks = webhooks_new(w);
	if (w->webhooks == NULL || w->fetcher == NULL || w->node == NULL ||
	    w->feed == NULL || w->idempotency == NULL || w->throttle == NULL ||
	    w->passwords == NULL || w->disk == NULL)
		return -1;
	if (pages_new(&w->pages, &c->console, &c->store, err, err_len) != 0)
		return -1;
	return server_new(&w->server, w, err, err_len);
}

static void
free_parts(struct worker *w)
{
	password_queue_free(w->passwords);
	password_processes_stop();
	recent_passwords_wipe();
	if (w->disk != NULL)
		worker_pool_free(w->disk);
	while (job_inbox_drain(&w->inbox))
		;
	idempotency_queue_free(w->idempotency);
	node_free(w->node);
	db_pool_free(w->db);
	webhooks_free(w->webhooks);
	fetcher_free(w->fetcher);
	server_free(w->server);
	feed_free(w->feed);
	pages_free(w->pages);
	job_inbox_release(&w->inbox);
	login_throttle_free(w->throttle);
	wipe(w->seal_key, sizeof(w->seal_key));
}

int
worker_run(const struct console_conf *conf, unsigned number, int shared_fd)
{
	struct worker *w = &worker_;
	char err[512] = "out of memory";

	fido_init(0);
	w->conf = conf;
	w->number = number;
	/* processes before any thread or key exists */
	if (sodium_init() < 0 || attach_shared(w, shared_fd) != 0 ||
	    password_processes_start(
		1, (unsigned)conf->console.password_checks - 1, NULL) != 0 ||
	    evthread_use_pthreads() != 0 ||
	    make_parts(w, err, sizeof(err)) != 0) {
		log_error("start_failed", LOG_S("why", err));
		return EX_CONFIG;
	}
	log_info("worker_started", LOG_U("worker", number));
	event_base_dispatch(w->base);
	if (w->n_requests > 0)
		_exit(0); /* the deadline has passed */
	free_parts(w);
	return 0;
}
