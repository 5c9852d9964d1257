#include "storage/md5_lanes.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"

#define BLOCK    64
#define BUF_LEN  (32 * 1024)
#define TAIL_MAX (2 * BLOCK) /* of padding, behind the last bytes */

typedef uint32_t lanes_t __attribute__((vector_size(4 * MD5_LANES)));

struct state {
	lanes_t a, b, c, d;
};

/* A range under way; range NULL: the lane is idle. */
struct lane {
	const struct md5_range *range;
	uint64_t at;      /* bytes of it that were read */
	bool is_padded;   /* buf has its last bytes, and the padding */
	size_t from, len; /* of what is in buf and not hashed */
	uint8_t *buf;
};

struct job {
	int fd;
	const atomic_bool *stopping;
	const struct md5_range *next, *end;
	struct state state;
	struct lane lanes[MD5_LANES];
	uint8_t *bufs;
};

/* ---- the sum ---- */

#define F(x, y, z) ((z) ^ ((x) & ((y) ^ (z))))
#define G(x, y, z) ((y) ^ ((z) & ((x) ^ (y))))
#define H(x, y, z) ((x) ^ (y) ^ (z))
#define I(x, y, z) ((y) ^ ((x) | ~(z)))
#define STEP(f, a, b, c, d, k, s, t)                                           \
	do {                                                                   \
		(a) += f((b), (c), (d)) + w[k] + (uint32_t)(t);                \
		(a) = ((a) << (s)) | ((a) >> (32 - (s)));                      \
		(a) += (b);                                                    \
	} while (0)
#define FOUR(f, k0, k1, k2, k3, s0, s1, s2, s3, t0, t1, t2, t3)                \
	do {                                                                   \
		STEP(f, a, b, c, d, k0, s0, t0);                               \
		STEP(f, d, a, b, c, k1, s1, t1);                               \
		STEP(f, c, d, a, b, k2, s2, t2);                               \
		STEP(f, b, c, d, a, k3, s3, t3);                               \
	} while (0)

/* A word of each lane's block; words are little-endian. */
static inline __attribute__((always_inline)) void
load(lanes_t w[BLOCK / 4], const uint8_t *const at[MD5_LANES], size_t offset)
{
	uint32_t words[BLOCK / 4][MD5_LANES];

	for (size_t i = 0; i < MD5_LANES; i++)
		for (size_t k = 0; k < BLOCK / 4; k++) {
			uint32_t word;

			memcpy(&word, at[i] + offset + 4 * k, sizeof(word));
			words[k][i] = le32toh(word);
		}
	memcpy(w, words, sizeof(words));
}

/* n blocks of each lane. Constants: RFC 1321, section 3.4. */
static inline __attribute__((always_inline)) void
add_blocks(struct state *s, const uint8_t *const at[MD5_LANES], size_t n)
{
	lanes_t a = s->a, b = s->b, c = s->c, d = s->d, w[BLOCK / 4];

	for (size_t i = 0; i < n; i++) {
		lanes_t a0 = a, b0 = b, c0 = c, d0 = d;

		load(w, at, i * BLOCK);
		/* clang-format off */
		FOUR(F, 0, 1, 2, 3, 7, 12, 17, 22,
		    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee);
		FOUR(F, 4, 5, 6, 7, 7, 12, 17, 22,
		    0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501);
		FOUR(F, 8, 9, 10, 11, 7, 12, 17, 22,
		    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be);
		FOUR(F, 12, 13, 14, 15, 7, 12, 17, 22,
		    0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821);
		FOUR(G, 1, 6, 11, 0, 5, 9, 14, 20,
		    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa);
		FOUR(G, 5, 10, 15, 4, 5, 9, 14, 20,
		    0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8);
		FOUR(G, 9, 14, 3, 8, 5, 9, 14, 20,
		    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed);
		FOUR(G, 13, 2, 7, 12, 5, 9, 14, 20,
		    0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a);
		FOUR(H, 5, 8, 11, 14, 4, 11, 16, 23,
		    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c);
		FOUR(H, 1, 4, 7, 10, 4, 11, 16, 23,
		    0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70);
		FOUR(H, 13, 0, 3, 6, 4, 11, 16, 23,
		    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05);
		FOUR(H, 9, 12, 15, 2, 4, 11, 16, 23,
		    0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665);
		FOUR(I, 0, 7, 14, 5, 6, 10, 15, 21,
		    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039);
		FOUR(I, 12, 3, 10, 1, 6, 10, 15, 21,
		    0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1);
		FOUR(I, 8, 15, 6, 13, 6, 10, 15, 21,
		    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1);
		FOUR(I, 4, 11, 2, 9, 6, 10, 15, 21,
		    0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391);
		/* clang-format on */
		a += a0;
		b += b0;
		c += c0;
		d += d0;
	}
	*s = (struct state){ a, b, c, d };
}

typedef void add_fn(
    struct state *s, const uint8_t *const at[MD5_LANES], size_t n);

static void
add_plain(struct state *s, const uint8_t *const at[MD5_LANES], size_t n)
{
	add_blocks(s, at, n);
}

#ifdef __x86_64__
static __attribute__((target("avx2"))) void
add_avx2(struct state *s, const uint8_t *const at[MD5_LANES], size_t n)
{
	add_blocks(s, at, n);
}

static __attribute__((target("avx512f,avx512vl"))) void
add_avx512(struct state *s, const uint8_t *const at[MD5_LANES], size_t n)
{
	add_blocks(s, at, n);
}
#endif

static add_fn *
best_add(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx512f") &&
	    __builtin_cpu_supports("avx512vl"))
		return add_avx512;
	if (__builtin_cpu_supports("avx2"))
		return add_avx2;
#endif
	return add_plain;
}

/* ---- lanes ---- */

/* The next range, from its beginning. */
static void
begin(struct job *j, size_t i)
{
	struct lane *l = &j->lanes[i];

	l->range = j->next < j->end ? j->next++ : NULL;
	l->at = 0;
	l->from = l->len = 0;
	l->is_padded = false;
	j->state.a[i] = 0x67452301;
	j->state.b[i] = 0xefcdab89;
	j->state.c[i] = 0x98badcfe;
	j->state.d[i] = 0x10325476;
}

static void
finish(struct job *j, size_t i)
{
	const struct state *s = &j->state;
	const uint32_t sum[] = { htole32(s->a[i]), htole32(s->b[i]),
		htole32(s->c[i]), htole32(s->d[i]) };

	memcpy(j->lanes[i].range->md5, sum, MD5_LEN);
	begin(j, i);
}

/* 0x80, zeros, and the length in bits: up to a block's end. */
static void
pad(struct lane *l)
{
	uint8_t *end = l->buf + l->len;
	uint64_t bits = htole64(l->range->len * 8);
	size_t n = BLOCK - (l->len + 1 + sizeof(bits)) % BLOCK;

	*end++ = 0x80;
	n %= BLOCK;
	memset(end, 0, n);
	memcpy(end + n, &bits, sizeof(bits));
	l->len += 1 + n + sizeof(bits);
	l->is_padded = true;
}

/* So that at least a block is in buf. */
static int
fill(const struct job *j, struct lane *l)
{
	memmove(l->buf, l->buf + l->from, l->len);
	l->from = 0;
	while (l->len < BUF_LEN && l->at < l->range->len) {
		ssize_t n = pread(j->fd, l->buf + l->len,
		    (size_t)min_u64(BUF_LEN - l->len, l->range->len - l->at),
		    (off_t)(l->range->offset + l->at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return ERR_IO;
		l->at += (uint64_t)n;
		l->len += (size_t)n;
	}
	if (l->at == l->range->len)
		pad(l);
	return 0;
}

/* How many blocks all lanes have that are not idle; 0: all are, or *rc. */
static size_t
ready_blocks(struct job *j, int *rc)
{
	size_t least = 0;

	for (size_t i = 0; i < MD5_LANES && *rc == 0; i++) {
		struct lane *l = &j->lanes[i];

		if (l->range == NULL)
			continue;
		if (l->len < BLOCK && !l->is_padded)
			*rc = fill(j, l);
		if (least == 0 || l->len / BLOCK < least)
			least = l->len / BLOCK;
	}
	return *rc == 0 ? least : 0;
}

/* Idle lanes hash what lies in their buffers, for nothing. */
static void
hash(struct job *j, add_fn *add, size_t n)
{
	const uint8_t *at[MD5_LANES];

	for (size_t i = 0; i < MD5_LANES; i++)
		at[i] = j->lanes[i].buf +
		    (j->lanes[i].range != NULL ? j->lanes[i].from : 0);
	add(&j->state, at, n);
	for (size_t i = 0; i < MD5_LANES; i++) {
		struct lane *l = &j->lanes[i];

		if (l->range == NULL)
			continue;
		l->from += n * BLOCK;
		l->len -= n * BLOCK;
		if (l->len == 0 && l->is_padded)
			finish(j, i);
	}
}

int
md5_ranges(int fd, const struct md5_range *ranges, size_t n,
    const atomic_bool *stopping)
{
	struct job j = { .fd = fd,
		.stopping = stopping,
		.next = ranges,
		.end = ranges + n };
	add_fn *add = best_add();
	size_t blocks;
	int rc = 0;

	/* of zeros: lanes that are idle from the start read them */
	j.bufs = calloc(MD5_LANES, BUF_LEN + TAIL_MAX);
	if (j.bufs == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < MD5_LANES; i++) {
		j.lanes[i].buf = j.bufs + i * (BUF_LEN + TAIL_MAX);
		begin(&j, i);
	}
	while ((blocks = ready_blocks(&j, &rc)) > 0) {
		if (atomic_load(stopping)) {
			rc = ERR_CANCELLED;
			break;
		}
		hash(&j, add, blocks);
	}
	free(j.bufs);
	return rc;
}
