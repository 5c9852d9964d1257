/*
 * A relay's side of one relaycam-recorder: makes the ring, starts the real
 * program on the descriptors of enum tee_fd, feeds it, waits for its words.
 */
#ifndef TESTS_UNIT_RECORDER_CHILD_H
#define TESTS_UNIT_RECORDER_CHILD_H

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/tee.h"
#include "tests/unit/recorder_fixture.h"

#define CHILD_WAIT_MS 60000

struct child {
	struct tee_writer *tee;
	struct fixture_meta meta;
	struct fixture_spool *spool;
	int meta_fd, status_fd;
	pid_t pid;
	uint64_t offset;
};

/* What the next program is told. */
static inline void
child_set_meta(struct child *c, const struct fixture_meta *meta)
{
	char json[2048];
	size_t len = fixture_meta_json(meta, json, sizeof(json));

	c->meta = *meta;
	if (c->meta_fd >= 0)
		close(c->meta_fd);
	c->meta_fd = memfd_create("meta", MFD_CLOEXEC);
	if (write(c->meta_fd, json, len) != (ssize_t)len)
		abort();
}

static inline void
child_new(struct child *c, const struct fixture_meta *meta,
    struct fixture_spool *spool)
{
	memset(c, 0, sizeof(*c));
	c->spool = spool;
	c->status_fd = c->meta_fd = -1;
	if (tee_writer_new(&c->tee, 128 << 20) != 0)
		abort();
	tee_writer_set_attached(c->tee, true);
	child_set_meta(c, meta);
}

static inline void
child_mark(struct child *c, uint32_t kind, uint64_t ns, uint32_t value)
{
	struct tee_mark m = {
		.offset = c->offset, .mono_ns = ns, .kind = kind
	};

	store_be32(m.value, value);
	if (tee_writer_mark(c->tee, &m) != 0)
		abort();
}

static inline void
child_mark_monitor(struct child *c, uint64_t ns, unsigned index, unsigned x,
    unsigned y, unsigned w, unsigned h, const char *name)
{
	struct tee_mark m = {
		.offset = c->offset, .mono_ns = ns, .kind = TEE_MARK_MONITOR
	};

	store_be32(m.value, index);
	store_be16(m.value + 4, (uint16_t)x);
	store_be16(m.value + 6, (uint16_t)y);
	store_be16(m.value + 8, (uint16_t)w);
	store_be16(m.value + 10, (uint16_t)h);
	memcpy(m.value + 12, name, min_size(strlen(name), 12));
	if (tee_writer_mark(c->tee, &m) != 0)
		abort();
}

/* Bytes that arrived at ns, a clock_mono_ns() time. */
static inline void
child_feed(struct child *c, uint64_t ns, const uint8_t *data, size_t len)
{
	size_t room;
	uint8_t *p = tee_writer_room(c->tee, &room);

	if (room < len)
		abort(); /* tests stay below the ring's size */
	child_mark(c, TEE_MARK_TIME, ns, 0);
	memcpy(p, data, len);
	c->offset += len;
	tee_writer_received(c->tee, len);
	tee_writer_forwarded(c->tee, c->offset);
	tee_writer_publish(c->tee, c->offset);
}

static inline void
child_exec(const struct child *c, const char *program, int status)
{
	const int from[] = { tee_writer_fd(c->tee, TEE_FD_DATA),
		tee_writer_fd(c->tee, TEE_FD_CTL),
		tee_writer_fd(c->tee, TEE_FD_READER),
		tee_writer_fd(c->tee, TEE_FD_DATA_EVENT),
		tee_writer_fd(c->tee, TEE_FD_SPACE_EVENT), status, c->meta_fd,
		c->spool->fd };
	int high[N_ELEMENTS(from)];

	for (size_t i = 0; i < N_ELEMENTS(from); i++)
		high[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 100);
	for (size_t i = 0; i < N_ELEMENTS(from); i++)
		dup2(high[i], TEE_FD_DATA + (int)i);
	execl(program, program, (char *)NULL);
	_exit(127);
}

static inline void
child_start(struct child *c, const char *program)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		abort();
	c->pid = fork();
	if (c->pid == 0)
		child_exec(c, program, pair[1]);
	close(pair[1]);
	c->status_fd = pair[0];
}

/* A second program on the same ring, from here on. */
static inline void
child_restart(struct child *c, const char *program,
    const struct fixture_meta *meta, uint64_t ns)
{
	child_set_meta(c, meta);
	if (c->status_fd >= 0)
		close(c->status_fd);
	tee_writer_set_attached(c->tee, false);
	if (tee_writer_reattach(c->tee, ns) != 0)
		abort();
	child_start(c, program);
}

/*
 * The next word that is not about its load; false when the child said
 * nothing more and closed.
 */
static inline bool
child_status(struct child *c, struct tee_status *st)
{
	struct pollfd p = { .fd = c->status_fd, .events = POLLIN };

	do {
		if (poll(&p, 1, CHILD_WAIT_MS) != 1)
			abort();
		if (recv(c->status_fd, st, sizeof(*st), 0) != sizeof(*st))
			return false;
	} while (st->kind == TEE_STATUS_LOAD);
	return true;
}

/* The child's wait status. */
static inline int
child_wait(struct child *c)
{
	int status = 0;

	if (waitpid(c->pid, &status, 0) != c->pid)
		abort();
	c->pid = 0;
	return status;
}

static inline void
child_free(struct child *c)
{
	tee_writer_free(c->tee);
	close(c->meta_fd);
	if (c->status_fd >= 0)
		close(c->status_fd);
}

#endif
