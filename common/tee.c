#include "common/tee.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define TEE_MAGIC 0x52435445u /* RCTE */
#define PAGE      4096u

/* Written by the relay, mapped read-only by the recorder. */
struct ctl_page {
	uint32_t magic;
	uint32_t version;
	uint64_t data_len;
	_Alignas(64) _Atomic uint64_t published;
	_Atomic uint64_t marks_head; /* marks ever written */
	_Atomic uint64_t room_at;    /* recorded value that wants SPACE_EVENT */
	_Alignas(64) struct tee_mark marks[TEE_MARKS];
};

/* Written by the recorder; the relay clamps every value. */
struct reader_page {
	_Atomic uint64_t recorded;
	_Atomic uint64_t marks_tail; /* marks consumed */
	_Atomic uint64_t wake_at;    /* published value that wants DATA_EVENT */
	struct tee_checkpoint checkpoint; /* from recorder to recorder */
};

struct tee_writer {
	uint8_t *data;
	size_t data_len;
	struct ctl_page *ctl;
	struct reader_page *reader;
	int fds[TEE_FD_SPACE_EVENT + 1];
	uint64_t received, forwarded, recorded, marks_tail;
	bool attached;
};

struct tee_reader {
	const uint8_t *data;
	size_t data_len;
	const struct ctl_page *ctl;
	struct reader_page *reader;
	int data_event, space_event;
	uint64_t offset, marks_tail;
};

/* Maps len bytes of fd twice in a row; NULL on failure. */
static uint8_t *
map_twice(int fd, size_t len, int prot)
{
	uint8_t *base =
	    mmap(NULL, 2 * len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED)
		return NULL;
	if (mmap(base, len, prot, MAP_SHARED | MAP_FIXED, fd, 0) ==
		MAP_FAILED ||
	    mmap(base + len, len, prot, MAP_SHARED | MAP_FIXED, fd, 0) ==
		MAP_FAILED) {
		munmap(base, 2 * len);
		return NULL;
	}
	return base;
}

static int
make_memfd(const char *name, size_t len)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)len) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static size_t
ctl_len(void)
{
	return (sizeof(struct ctl_page) + PAGE - 1) / PAGE * PAGE;
}

static int
writer_map(struct tee_writer *t)
{
	const int fixed = F_SEAL_GROW | F_SEAL_SHRINK;
	const int rw = PROT_READ | PROT_WRITE;
	void *p;

	t->data = map_twice(t->fds[TEE_FD_DATA], t->data_len, rw);
	if (t->data == NULL)
		return ERR_NOMEM;
	p = mmap(NULL, ctl_len(), rw, MAP_SHARED, t->fds[TEE_FD_CTL], 0);
	if (p == MAP_FAILED)
		return ERR_NOMEM;
	t->ctl = p;
	p = mmap(NULL, PAGE, rw, MAP_SHARED, t->fds[TEE_FD_READER], 0);
	if (p == MAP_FAILED)
		return ERR_NOMEM;
	t->reader = p;
	/* our own mappings stay writable, nobody can make another one */
	if (fcntl(t->fds[TEE_FD_DATA], F_ADD_SEALS,
		fixed | F_SEAL_FUTURE_WRITE) != 0 ||
	    fcntl(t->fds[TEE_FD_CTL], F_ADD_SEALS,
		fixed | F_SEAL_FUTURE_WRITE) != 0 ||
	    fcntl(t->fds[TEE_FD_READER], F_ADD_SEALS, fixed) != 0)
		return ERR_IO;
	return 0;
}

int
tee_writer_new(struct tee_writer **out, size_t data_len)
{
	struct tee_writer *t;
	int rc;

	if (data_len < TEE_DATA_MIN || data_len > TEE_DATA_MAX ||
	    (data_len & (data_len - 1)) != 0)
		return ERR_LIMIT;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return ERR_NOMEM;
	t->data_len = data_len;
	for (size_t i = 0; i < N_ELEMENTS(t->fds); i++)
		t->fds[i] = -1;
	t->fds[TEE_FD_DATA] = make_memfd("relaycam-tee", data_len);
	t->fds[TEE_FD_CTL] = make_memfd("relaycam-marks", ctl_len());
	t->fds[TEE_FD_READER] = make_memfd("relaycam-reader", PAGE);
	t->fds[TEE_FD_DATA_EVENT] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t->fds[TEE_FD_SPACE_EVENT] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = ERR_IO;
	for (int i = TEE_FD_DATA; i <= TEE_FD_SPACE_EVENT; i++)
		if (t->fds[i] < 0)
			goto fail;
	rc = writer_map(t);
	if (rc != 0)
		goto fail;
	t->ctl->magic = TEE_MAGIC;
	t->ctl->version = 1;
	t->ctl->data_len = data_len;
	atomic_store(&t->ctl->room_at, UINT64_MAX);
	atomic_store(&t->reader->wake_at, 1);
	*out = t;
	return 0;
fail:
	tee_writer_free(t);
	return rc;
}

void
tee_writer_free(struct tee_writer *t)
{
	if (t == NULL)
		return;
	if (t->data != NULL)
		munmap(t->data, 2 * t->data_len);
	if (t->ctl != NULL)
		munmap(t->ctl, ctl_len());
	if (t->reader != NULL)
		munmap(t->reader, PAGE);
	for (size_t i = 0; i < N_ELEMENTS(t->fds); i++)
		if (t->fds[i] >= 0)
			close(t->fds[i]);
	free(t);
}

int
tee_writer_fd(const struct tee_writer *t, enum tee_fd which)
{
	return which <= TEE_FD_SPACE_EVENT ? t->fds[which] : -1;
}

/* The recorder's cursors, clamped to what is possible. */
static void
writer_look(struct tee_writer *t)
{
	uint64_t published, head, v;

	v = atomic_load_explicit(&t->reader->recorded, memory_order_acquire);
	published =
	    atomic_load_explicit(&t->ctl->published, memory_order_relaxed);
	if (v > t->recorded && v <= published)
		t->recorded = v;
	v = atomic_load_explicit(&t->reader->marks_tail, memory_order_acquire);
	head = atomic_load_explicit(&t->ctl->marks_head, memory_order_relaxed);
	if (v > t->marks_tail && v <= head)
		t->marks_tail = v;
}

static uint64_t
writer_freed(struct tee_writer *t)
{
	if (!t->attached)
		return t->forwarded;
	writer_look(t);
	return min_u64(t->forwarded, t->recorded);
}

uint8_t *
tee_writer_room(struct tee_writer *t, size_t *len)
{
	*len = t->data_len - (size_t)(t->received - writer_freed(t));
	if (tee_writer_is_short_of_marks(t))
		*len = 0;
	return t->data + (t->received & (t->data_len - 1));
}

void
tee_writer_received(struct tee_writer *t, size_t n)
{
	t->received += n;
}

const uint8_t *
tee_writer_at(const struct tee_writer *t, uint64_t offset)
{
	return t->data + (offset & (t->data_len - 1));
}

unsigned
tee_writer_marks_free(const struct tee_writer *t)
{
	uint64_t head =
	    atomic_load_explicit(&t->ctl->marks_head, memory_order_relaxed);

	return TEE_MARKS - (unsigned)(head - t->marks_tail);
}

bool
tee_writer_is_short_of_marks(const struct tee_writer *t)
{
	return t->attached && tee_writer_marks_free(t) < TEE_MARKS_RESERVED;
}

static void
signal_fd(int fd)
{
	uint64_t one = 1;

	/* EAGAIN means the counter is high already: the other side wakes */
	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

int
tee_writer_mark(struct tee_writer *t, const struct tee_mark *m)
{
	uint64_t head =
	    atomic_load_explicit(&t->ctl->marks_head, memory_order_relaxed);

	if (!t->attached)
		t->marks_tail = head;
	else
		writer_look(t);
	if (head - t->marks_tail >= TEE_MARKS)
		return ERR_AGAIN;
	t->ctl->marks[head % TEE_MARKS] = *m;
	atomic_store_explicit(
	    &t->ctl->marks_head, head + 1, memory_order_release);
	if (m->kind != TEE_MARK_TIME)
		signal_fd(t->fds[TEE_FD_DATA_EVENT]);
	return 0;
}

void
tee_writer_publish(struct tee_writer *t, uint64_t offset)
{
	uint64_t wake_at;

	atomic_store(&t->ctl->published, offset);
	if (!t->attached)
		return;
	wake_at = atomic_load(&t->reader->wake_at);
	if (offset >= wake_at) {
		/* one wake-up a wish: the recorder renews it */
		atomic_compare_exchange_strong(
		    &t->reader->wake_at, &wake_at, UINT64_MAX);
		signal_fd(t->fds[TEE_FD_DATA_EVENT]);
	}
}

void
tee_writer_wake(struct tee_writer *t)
{
	signal_fd(t->fds[TEE_FD_DATA_EVENT]);
}

void
tee_writer_forwarded(struct tee_writer *t, uint64_t offset)
{
	t->forwarded = offset;
}

void
tee_writer_set_attached(struct tee_writer *t, bool attached)
{
	t->attached = attached;
}

void
tee_writer_want_room(struct tee_writer *t, size_t n)
{
	/* room >= n  <=>  recorded >= received + n - data_len */
	uint64_t used = t->received + n;
	uint64_t at = used > t->data_len ? used - t->data_len : 0;

	/* a mark has been read when the byte behind it has */
	if (tee_writer_is_short_of_marks(t))
		at = t->ctl->marks[(t->marks_tail + TEE_MARKS / 4) % TEE_MARKS]
			 .offset +
		    1;
	atomic_store(&t->ctl->room_at, at);
}

int
tee_writer_reattach(struct tee_writer *t, uint64_t mono_ns)
{
	uint64_t published =
	    atomic_load_explicit(&t->ctl->published, memory_order_relaxed);
	uint64_t head =
	    atomic_load_explicit(&t->ctl->marks_head, memory_order_relaxed);
	const struct tee_mark here = {
		.offset = published,
		.mono_ns = mono_ns,
		.kind = TEE_MARK_TIME,
	};

	t->recorded = published;
	t->marks_tail = head;
	atomic_store(&t->reader->recorded, published);
	atomic_store(&t->reader->marks_tail, head);
	atomic_store(&t->reader->wake_at, published + 1);
	t->attached = true;
	return tee_writer_mark(t, &here);
}

uint64_t
tee_writer_get_received(const struct tee_writer *t)
{
	return t->received;
}

uint64_t
tee_writer_get_published(const struct tee_writer *t)
{
	return atomic_load_explicit(&t->ctl->published, memory_order_relaxed);
}

uint64_t
tee_writer_get_recorded(struct tee_writer *t)
{
	writer_look(t);
	return t->recorded;
}

int
tee_reader_new(struct tee_reader **out, int data_fd, int ctl_fd, int reader_fd,
    int data_event_fd, int space_event_fd)
{
	struct tee_reader *t = calloc(1, sizeof(*t));
	void *p;

	if (t == NULL)
		return ERR_NOMEM;
	t->data_event = data_event_fd;
	t->space_event = space_event_fd;
	p = mmap(NULL, ctl_len(), PROT_READ, MAP_SHARED, ctl_fd, 0);
	if (p == MAP_FAILED)
		goto fail;
	t->ctl = p;
	if (t->ctl->magic != TEE_MAGIC || t->ctl->version != 1)
		goto fail;
	t->data_len = t->ctl->data_len;
	if (t->data_len < TEE_DATA_MIN || t->data_len > TEE_DATA_MAX)
		goto fail;
	t->data = map_twice(data_fd, t->data_len, PROT_READ);
	if (t->data == NULL)
		goto fail;
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, reader_fd, 0);
	if (p == MAP_FAILED)
		goto fail;
	t->reader = p;
	t->offset = atomic_load(&t->reader->recorded);
	t->marks_tail = atomic_load(&t->reader->marks_tail);
	*out = t;
	return 0;
fail:
	tee_reader_free(t);
	return ERR_IO;
}

void
tee_reader_free(struct tee_reader *t)
{
	if (t == NULL)
		return;
	if (t->data != NULL)
		munmap((void *)(uintptr_t)t->data, 2 * t->data_len);
	if (t->ctl != NULL)
		munmap((void *)(uintptr_t)t->ctl, ctl_len());
	if (t->reader != NULL)
		munmap(t->reader, PAGE);
	free(t);
}

int
tee_reader_next(struct tee_reader *t, struct tee_mark *mark,
    const uint8_t **data, size_t *len)
{
	/* published first: marks for its bytes were written before it */
	uint64_t published =
	    atomic_load_explicit(&t->ctl->published, memory_order_acquire);
	uint64_t head =
	    atomic_load_explicit(&t->ctl->marks_head, memory_order_acquire);
	uint64_t limit = published;

	if (published < t->offset || published - t->offset > t->data_len ||
	    head < t->marks_tail || head - t->marks_tail > TEE_MARKS)
		return ERR_CORRUPT;
	if (head != t->marks_tail) {
		const struct tee_mark *m =
		    &t->ctl->marks[t->marks_tail % TEE_MARKS];

		if (m->offset <= t->offset) {
			*mark = *m;
			t->marks_tail++;
			atomic_store_explicit(&t->reader->marks_tail,
			    t->marks_tail, memory_order_release);
			return 1;
		}
		limit = min_u64(limit, m->offset);
	}
	if (limit == t->offset)
		return 0;
	*data = t->data + (t->offset & (t->data_len - 1));
	*len = (size_t)(limit - t->offset);
	return 2;
}

void
tee_reader_consume(struct tee_reader *t, size_t n)
{
	uint64_t before = t->offset;
	uint64_t room_at;

	t->offset += n;
	atomic_store(&t->reader->recorded, t->offset);
	room_at = atomic_load(&t->ctl->room_at);
	if (before < room_at && t->offset >= room_at)
		signal_fd(t->space_event);
}

void
tee_reader_want_data(struct tee_reader *t, size_t n)
{
	uint64_t drained;

	while (read(t->data_event, &drained, sizeof(drained)) > 0)
		;
	atomic_store(&t->reader->wake_at, t->offset + n);
}

void
tee_reader_sleepless(struct tee_reader *t)
{
	atomic_store(&t->reader->wake_at, UINT64_MAX);
}

uint64_t
tee_reader_offset(const struct tee_reader *t)
{
	return t->offset;
}

size_t
tee_reader_backlog(const struct tee_reader *t)
{
	uint64_t published =
	    atomic_load_explicit(&t->ctl->published, memory_order_acquire);

	return (size_t)(published - t->offset);
}

void
tee_reader_write_checkpoint(
    struct tee_reader *t, const struct tee_checkpoint *checkpoint)
{
	t->reader->checkpoint = *checkpoint;
}

void
tee_reader_read_checkpoint(
    const struct tee_reader *t, struct tee_checkpoint *checkpoint)
{
	*checkpoint = t->reader->checkpoint;
	checkpoint->segment[sizeof(checkpoint->segment) - 1] = '\0';
}

size_t
tee_reader_data_len(const struct tee_reader *t)
{
	return t->data_len;
}
