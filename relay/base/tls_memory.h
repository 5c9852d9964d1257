/*
 * Memory for what OpenSSL needs for a moment only: record buffers, which a
 * connection takes and gives back for each record (SSL_MODE_RELEASE_BUFFERS),
 * and buffers of handshakes. In the C library's heap these leave holes between
 * what connections keep, and of a hole only the pages that are whole are ever
 * given back; and large blocks cost it more than the lists here.
 *
 * Two pools, each in a range of addresses of its own, with blocks of one size;
 * the last block given back is taken next. All other lengths, and what a full
 * pool has no room for, are the C library's. Thread-safe.
 */
#ifndef RELAY_BASE_TLS_MEMORY_H
#define RELAY_BASE_TLS_MEMORY_H

#include <stddef.h>

/* Lengths of each pool, and its blocks: whole pages. Between the pools is
 * what a connection keeps: OpenSSL's SSL object has 7.6 KB. */
#define TLS_SMALL_MIN   2000
#define TLS_SMALL_MAX   7168
#define TLS_SMALL_BLOCK 8192
#define TLS_LARGE_MIN   16000
#define TLS_LARGE_MAX   24576
#define TLS_LARGE_BLOCK 24576
#define TLS_BLOCKS_MAX  4096 /* of each pool */
/* Free blocks of each that stay in memory: the next ones taken. */
#define TLS_BLOCKS_KEPT 2

/* Reserves the addresses; pages take no memory before they are used. Returns
 * 0, or ERR_NOMEM: then all lengths are the C library's. Safe to repeat. */
int tls_memory_init(void);

/* tls_memory_init, and has OpenSSL take its memory here: before its first
 * call. Builds with AddressSanitizer leave OpenSSL with the C library, whose
 * blocks it can check. */
void tls_memory_install(void);

/* Gives the kernel the pages of free blocks, all but TLS_BLOCKS_KEPT of each
 * pool. */
void tls_memory_trim(void);

/* As malloc, realloc and free. */
void *tls_memory_malloc(size_t len);
void *tls_memory_realloc(void *old, size_t len);
void tls_memory_free(void *p);

#endif
