#include "console/status.h"

#include <event2/buffer.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/metrics_print.h"
#include "common/metrics_server.h"
#include "console/conf.h"
#include "console/shared.h"

#define M "relaycam_console_"

struct status {
	struct metrics_server *server;
	struct shared *shared;
	unsigned n;
	bool is_stopping;
};

static uint64_t
sum(const struct status *s, size_t offset)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < s->n; i++) {
		const char *c = (const char *)&s->shared->workers[i].counters;

		total += atomic_load(
		    (const _Atomic uint64_t *)(const void *)(c + offset));
	}
	return total;
}

static unsigned
count_ready(const struct status *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n; i++)
		n += atomic_load(&s->shared->workers[i].state) == WORKER_READY;
	return n;
}

#define SUM(field) sum(s, offsetof(struct worker_counters, field))

static void
print_answers(const struct status *s, struct metrics_out *out)
{
	static const char *const classes[] = { "1xx", "2xx", "3xx", "4xx",
		"5xx" };
	struct metric rows[N_ELEMENTS(classes)];

	for (unsigned i = 0; i < N_ELEMENTS(classes); i++)
		rows[i] = (struct metric){ "answers_total", "counter",
			"Answers by the class of their status.",
			SUM(answers[i + 1]), "class", classes[i] };
	metrics_print(out, M, rows, N_ELEMENTS(rows));
}

static unsigned
print_metrics(void *arg, struct metrics_out *out)
{
	const struct status *s = arg;
	const struct metric rows[] = {
		{ "logins_total", "counter", "Passwords that were right.",
		    SUM(logins) },
		{ "login_failures_total", "counter",
		    "Passwords that were wrong.", SUM(logins_failed) },
		{ "refusals_total", "counter",
		    "Requests refused for lack of a right.", SUM(refused) },
		{ "queries_total", "counter", "Statements sent.",
		    SUM(queries) },
		{ "query_errors_total", "counter",
		    "Statements without an answer, or with an error.",
		    SUM(query_errors) },
		{ "links_total", "counter",
		    "Signed links to recordings, posters and clips issued.",
		    SUM(links) },
		{ "webhooks_total", "counter",
		    "Deliveries of webhooks that were tried.",
		    SUM(webhooks_ok), "result", "ok" },
		{ "webhooks_total", "counter", "", SUM(webhooks_failed),
		    "result", "failed" },
		{ "event_streams", "gauge", "Clients that listen to events.",
		    SUM(event_streams) },
		{ "workers_ready", "gauge", "Workers that serve.",
		    count_ready(s) },
		{ "worker_restarts_total", "counter", "Workers that died.",
		    atomic_load(&s->shared->restarts) },
	};

	print_answers(s, out);
	metrics_print(out, M, rows, N_ELEMENTS(rows));
	metrics_print_process(out, M);
	return 200;
}

/* One worker that serves is enough: the kernel gives it the connections of
 * those that are being started. */
static unsigned
print_readyz(void *arg, struct metrics_out *out)
{
	const struct status *s = arg;
	unsigned waiting = 0;

	for (unsigned i = 0; i < s->n; i++)
		waiting += atomic_load(&s->shared->workers[i].state) ==
		    WORKER_NO_DATABASE;
	if (s->is_stopping)
		evbuffer_add_printf(out->body, "stopping\n");
	else if (count_ready(s) > 0)
		evbuffer_add_printf(out->body, "ok\n");
	else if (waiting > 0)
		evbuffer_add_printf(
		    out->body, "the database cannot be reached\n");
	else
		evbuffer_add_printf(out->body, "no worker has started\n");
	return !s->is_stopping && count_ready(s) > 0 ? 200 : 503;
}

static const struct metrics_page pages[] = {
	{ "/metrics", print_metrics },
	{ "/healthz", metrics_print_healthz },
	{ "/readyz", print_readyz },
};

int
status_new(struct status **out, struct event_base *base,
    const struct console_conf *conf, struct shared *shared, unsigned n,
    char *err, size_t err_len)
{
	struct status *s = calloc(1, sizeof(*s));
	const struct metrics_server_conf server = {
		.setting = "console.metrics_listen",
		.listen = conf->console.metrics_listen,
		.pages = pages,
		.n_pages = N_ELEMENTS(pages),
		.arg = s,
	};

	*out = s;
	if (s == NULL)
		return ERR_NOMEM;
	s->shared = shared;
	s->n = n;
	return metrics_server_new(&s->server, base, &server, err, err_len);
}

void
status_stopping(struct status *s)
{
	s->is_stopping = true;
}

void
status_free(struct status *s)
{
	if (s == NULL)
		return;
	metrics_server_free(s->server);
	free(s);
}
