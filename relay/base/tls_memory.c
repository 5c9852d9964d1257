#include "relay/base/tls_memory.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/log.h"

struct pool {
	size_t min, max, block_len;
	pthread_mutex_t lock;
	uint8_t *range;  /* NULL: no pool */
	unsigned n_used; /* blocks that were taken at some time */
	unsigned n_free; /* of them */
	uint16_t free_list[TLS_BLOCKS_MAX]; /* a stack */
	bool has_pages[TLS_BLOCKS_MAX];
};

static struct pool pools[] = {
	{ TLS_SMALL_MIN, TLS_SMALL_MAX, TLS_SMALL_BLOCK,
	    PTHREAD_MUTEX_INITIALIZER },
	{ TLS_LARGE_MIN, TLS_LARGE_MAX, TLS_LARGE_BLOCK,
	    PTHREAD_MUTEX_INITIALIZER },
};

static int
reserve(struct pool *pool)
{
	void *p;

	if (pool->range != NULL)
		return 0;
	p = mmap(NULL, TLS_BLOCKS_MAX * pool->block_len, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return ERR_NOMEM;
	pool->range = p;
	return 0;
}

int
tls_memory_init(void)
{
	int rc = 0;

	for (size_t i = 0; i < N_ELEMENTS(pools); i++)
		if (reserve(&pools[i]) != 0)
			rc = ERR_NOMEM;
	return rc;
}

/* The pool whose block p is, or NULL. */
static struct pool *
pool_of(const void *p)
{
	for (size_t i = 0; i < N_ELEMENTS(pools); i++)
		if (pools[i].range != NULL &&
		    (uintptr_t)p - (uintptr_t)pools[i].range <
			TLS_BLOCKS_MAX * pools[i].block_len)
			return &pools[i];
	return NULL;
}

/* NULL when all are in use. */
static void *
take_block(struct pool *pool)
{
	unsigned i = TLS_BLOCKS_MAX;

	pthread_mutex_lock(&pool->lock);
	if (pool->n_free > 0)
		i = pool->free_list[--pool->n_free];
	else if (pool->n_used < TLS_BLOCKS_MAX)
		i = pool->n_used++;
	if (i < TLS_BLOCKS_MAX)
		pool->has_pages[i] = true;
	pthread_mutex_unlock(&pool->lock);
	return i < TLS_BLOCKS_MAX ? pool->range + i * pool->block_len : NULL;
}

static void
give_block(struct pool *pool, const void *p)
{
	size_t offset = (size_t)((const uint8_t *)p - pool->range);

	pthread_mutex_lock(&pool->lock);
	pool->free_list[pool->n_free++] = (uint16_t)(offset / pool->block_len);
	pthread_mutex_unlock(&pool->lock);
}

static void
trim(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	for (unsigned n = 0; n + TLS_BLOCKS_KEPT < pool->n_free; n++) {
		unsigned i = pool->free_list[n];

		if (!pool->has_pages[i])
			continue;
		madvise(pool->range + i * pool->block_len, pool->block_len,
		    MADV_DONTNEED);
		pool->has_pages[i] = false;
	}
	pthread_mutex_unlock(&pool->lock);
}

void
tls_memory_trim(void)
{
	for (size_t i = 0; i < N_ELEMENTS(pools); i++)
		trim(&pools[i]);
}

void *
tls_memory_malloc(size_t len)
{
	void *p = NULL;

	for (size_t i = 0; i < N_ELEMENTS(pools); i++)
		if (len >= pools[i].min && len <= pools[i].max &&
		    pools[i].range != NULL)
			p = take_block(&pools[i]);
	return p != NULL ? p : malloc(len);
}

/* A block goes to another pool, or to the C library, when it gets too small;
 * never back. */
void *
tls_memory_realloc(void *old, size_t len)
{
	struct pool *pool = pool_of(old);
	void *p;

	if (old == NULL)
		return tls_memory_malloc(len);
	if (pool == NULL)
		return realloc(old, len);
	if (len <= pool->block_len)
		return old;
	p = tls_memory_malloc(len);
	if (p == NULL)
		return NULL;
	memcpy(p, old, pool->block_len);
	give_block(pool, old);
	return p;
}

void
tls_memory_free(void *p)
{
	struct pool *pool = pool_of(p);

	if (pool != NULL)
		give_block(pool, p);
	else
		free(p);
}

#ifndef __SANITIZE_ADDRESS__
static void *
openssl_malloc(size_t len, const char *file, int line)
{
	return tls_memory_malloc(len);
}

static void *
openssl_realloc(void *old, size_t len, const char *file, int line)
{
	return tls_memory_realloc(old, len);
}

static void
openssl_free(void *p, const char *file, int line)
{
	tls_memory_free(p);
}

void
tls_memory_install(void)
{
	if (tls_memory_init() != 0 ||
	    CRYPTO_set_mem_functions(
		openssl_malloc, openssl_realloc, openssl_free) != 1)
		log_warn("no_tls_memory",
		    LOG_S("remedy",
			"allow the relay 200 MB more of virtual memory "
			"(ulimit -v); until then a session takes more"));
}
#else
void
tls_memory_install(void)
{
}
#endif
