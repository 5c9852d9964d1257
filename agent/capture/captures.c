#include "agent/capture/captures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "agent/capture/held.h"
#include "agent/capture/sealed_capture.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "common/tee.h"

#define TICK_MS   250
#define LOOK_NS   NS_PER_S        /* free space is looked at so often */
#define SILENT_NS (30 * NS_PER_S) /* the relay says something each second */
#define MARK_LEN  AGENT_MARK_LEN

static const char no_space[] = "too little disk space is left on the endpoint";
static const char no_order[] =
    "the relay did not say where the session's stream begins";

struct capture_job {
	LIST_ENTRY(capture_job) link;
	struct captures *all;
	char session[AGENT_SESSION_MAX];
	void (*on_failed)(void *arg, const char *why);
	void *arg;
	struct sealed_capture *file; /* writing */
	bool is_failed;
	uint64_t left_ns; /* when the session was over; 0: it runs */
	struct held *held;
	uint64_t base; /* of the server's bytes, where the stream begins */
	struct held_clock clock;      /* to the relay's */
	uint64_t looked_ns, heard_ns; /* at the disk; of the relay's marks */
	uint32_t number;              /* of the next MARKS */
};

struct captures {
	struct captures_to to;
	struct event *timer;
	LIST_HEAD(, capture_job) list;
};

static void
job_free(struct capture_job *j)
{
	LIST_REMOVE(j, link);
	held_free(j->held);
	free(j);
}

/* Closes the file; nothing more is held. */
static void
stop(struct capture_job *j, const char *word, uint64_t end_ns)
{
	sealed_capture_close(j->file, word, end_ns);
	j->file = NULL;
	held_clear(j->held);
}

/* The one way to its end by a failure. */
static void
fail(struct capture_job *j, const char *word, const char *why)
{
	if (j->is_failed)
		return;
	j->is_failed = true;
	log_error("capture_failed", LOG_S("session", j->session),
	    LOG_S("reason", why));
	stop(j, word, held_clock_time(&j->clock, clock_mono_ns()));
	j->all->to.said(j->all->to.arg, j->session, AGENT_CAPTURE_FAILED, why);
	if (j->on_failed != NULL)
		j->on_failed(j->arg, why);
}

static void
fail_as(struct capture_job *j, int rc)
{
	fail(j, rc == ERR_NOSPACE ? "nospace" : "error",
	    rc == ERR_NOSPACE  ? no_space
		: rc == ERR_IO ? "the endpoint's disk cannot be written"
			       : err_text(rc));
}

/* ---- what the server sends ---- */

struct capture_job *
capture_job_new(struct captures *all, const char *session,
    void (*on_failed)(void *arg, const char *why), void *arg)
{
	struct capture_job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	j->held = held_new();
	if (j->held == NULL) {
		free(j);
		return NULL;
	}
	j->all = all;
	snprintf(j->session, sizeof(j->session), "%s", session);
	j->on_failed = on_failed;
	j->arg = arg;
	LIST_INSERT_HEAD(&all->list, j, link);
	return j;
}

void
capture_job_bytes(struct capture_job *j, struct evbuffer *in, size_t n)
{
	if (j->is_failed || n == 0)
		return;
	if (held_add(j->held, in, n) != 0)
		fail_as(j, ERR_NOMEM);
	else if (j->file == NULL && !capture_job_has_room(j))
		fail(j, "error", no_order); /* it wants none, perhaps */
}

bool
capture_job_has_room(const struct capture_job *j)
{
	return j->is_failed || held_len(j->held) < CAPTURES_HELD_MAX;
}

void
capture_job_leave(struct capture_job *j)
{
	if (j == NULL)
		return;
	j->on_failed = NULL;
	j->left_ns = clock_mono_ns();
	if (j->file == NULL)
		job_free(j);
}

/* ---- into the file ---- */

static struct capture_job *
find(struct captures *all, const char *session)
{
	struct capture_job *j;

	LIST_FOREACH(j, &all->list, link)
		if (strcmp(j->session, session) == 0)
			return j;
	return NULL;
}

void
captures_begin(struct captures *all, const struct agent_msg *m)
{
	struct capture_job *j = find(all, m->capture.session);
	const char *why = captures_refusal(all);
	int rc;

	if (j == NULL || j->is_failed || j->file != NULL)
		return;
	if (why != NULL) {
		fail(j, NULL, why);
		return;
	}
	j->clock.shift_ns = (int64_t)(m->capture.now_ns - clock_mono_ns());
	j->clock.least_ns = m->capture.now_ns;
	j->looked_ns = j->heard_ns = clock_mono_ns();
	/* bytes before the stream belong to the handshake */
	j->base = m->capture.offset;
	rc = held_skip(j->held, j->base);
	if (rc == 0)
		rc = sealed_capture_new(&j->file, all->to.outbox, m);
	if (rc != 0) {
		fail_as(j, rc);
		return;
	}
	log_info("capture_start", LOG_S("session", j->session),
	    LOG_S("capture", m->capture.id));
	all->to.said(all->to.arg, j->session, AGENT_CAPTURE_WRITING, "");
}

/* Of the stream. */
static uint64_t
received(const struct capture_job *j)
{
	return held_received(j->held) - j->base;
}

static int
write_until(struct capture_job *j, uint64_t offset)
{
	return held_write(j->held, sealed_capture_writer(j->file),
	    j->base + offset, &j->clock);
}

/* One mark: MARK_LEN bytes in hexadecimal. */
static int
take_mark(struct capture_job *j, const char *hex, bool *is_end)
{
	uint8_t b[MARK_LEN];
	struct tee_mark m;
	int rc = http_unhex(hex, b, sizeof(b));

	if (rc != 0)
		return rc;
	m = (struct tee_mark){ .offset = load_be64(b),
		.mono_ns = load_be64(b + 8),
		.kind = load_be32(b + 16) };
	memcpy(m.value, b + 20, TEE_MARK_VALUE);
	if (m.offset > received(j))
		return ERR_PROTOCOL;
	rc = write_until(j, m.offset);
	if (rc == 0)
		rc = capture_writer_mark(
		    sealed_capture_writer(j->file), &m, clock_mono_ns());
	*is_end = m.kind == TEE_MARK_END;
	return rc;
}

static int
take_marks(struct capture_job *j, const struct agent_msg *m, bool *is_end)
{
	const char *hex = m->marks.marks;
	char one[2 * MARK_LEN + 1] = "";
	int rc = m->marks.number == j->number ? 0 : ERR_PROTOCOL;

	for (; rc == 0 && !*is_end && strlen(hex) >= 2 * MARK_LEN;
	     hex += 2 * MARK_LEN) {
		memcpy(one, hex, 2 * MARK_LEN);
		rc = take_mark(j, one, is_end);
	}
	j->number++;
	if (rc != 0 || *is_end)
		return rc;
	if (*hex != '\0' || m->marks.until > received(j))
		return ERR_PROTOCOL;
	return write_until(j, m->marks.until);
}

void
captures_marks(struct captures *all, const struct agent_msg *m)
{
	struct capture_job *j = find(all, m->marks.session);
	bool is_end = false;
	int rc;

	if (j == NULL || j->file == NULL)
		return;
	j->heard_ns = clock_mono_ns();
	rc = take_marks(j, m, &is_end);
	if (rc == ERR_PROTOCOL)
		fail(j, "error", "marks of the relay were lost");
	else if (rc != 0)
		fail_as(j, rc);
	else if (is_end) {
		j->is_failed = true; /* nothing of it is of use any more */
		stop(j, "", 0);
	}
	if (j->left_ns != 0 && j->file == NULL)
		job_free(j);
}

/* ---- time ---- */

static void
tick(struct capture_job *j, uint64_t now)
{
	int64_t min_free = j->all->to.settings->conf.capture_min_free;
	int rc;

	if (j->file == NULL)
		return;
	if (j->left_ns != 0 && now - j->left_ns > CAPTURES_LEFT_S * NS_PER_S) {
		stop(j, "error", held_clock_time(&j->clock, j->left_ns));
		job_free(j);
		return;
	}
	if (j->left_ns == 0 && now - j->heard_ns > SILENT_NS) {
		fail(j, "error", "marks of the relay do not come any more");
		return;
	}
	rc = capture_writer_tick(sealed_capture_writer(j->file), now);
	if (rc == 0 && now - j->looked_ns > LOOK_NS) {
		j->looked_ns = now;
		if (!sealed_capture_has_space(
			outbox_dir(j->all->to.outbox), min_free))
			rc = ERR_NOSPACE;
	}
	if (rc == 0)
		return;
	fail_as(j, rc);
	if (j->left_ns != 0)
		job_free(j);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct captures *all = arg;
	struct capture_job *j, *next;

	for (j = LIST_FIRST(&all->list); j != NULL; j = next) {
		next = LIST_NEXT(j, link);
		tick(j, clock_mono_ns());
	}
}

const char *
captures_refusal(const struct captures *all)
{
	if (all->to.outbox == NULL)
		return "the endpoint has no folder for captures";
	return sealed_capture_has_space(outbox_dir(all->to.outbox),
		   all->to.settings->conf.capture_min_free)
	    ? NULL
	    : no_space;
}

struct captures *
captures_new(const struct captures_to *to)
{
	static const struct timeval period = { 0, TICK_MS * 1000 };
	struct captures *all = calloc(1, sizeof(*all));

	if (all == NULL)
		return NULL;
	LIST_INIT(&all->list);
	all->to = *to;
	all->timer = event_new(to->base, -1, EV_PERSIST, on_timer, all);
	if (all->timer == NULL || event_add(all->timer, &period) != 0) {
		captures_free(all);
		return NULL;
	}
	return all;
}

void
captures_free(struct captures *all)
{
	struct capture_job *j;

	if (all == NULL)
		return;
	while ((j = LIST_FIRST(&all->list)) != NULL) {
		stop(j, "command", held_clock_time(&j->clock, clock_mono_ns()));
		job_free(j);
	}
	if (all->timer != NULL)
		event_free(all->timer);
	free(all);
}
