/*
 * What the supervisor and its workers tell each other: a page of shared
 * memory, one place per worker. Only a worker writes its counters; the
 * supervisor adds them up for /metrics.
 */
#ifndef CONSOLE_SHARED_H
#define CONSOLE_SHARED_H

#include <stdatomic.h>
#include <stdint.h>

#define WORKERS_MAX 256

enum worker_state { WORKER_STARTING, WORKER_READY, WORKER_NO_DATABASE };

struct worker_counters {
	/* by the hundreds of the status: [2] is 2xx */
	_Atomic uint64_t answers[6];
	_Atomic uint64_t logins, logins_failed, refused; /* 403 */
	_Atomic uint64_t queries, query_errors;
	_Atomic uint64_t event_streams; /* now */
	_Atomic uint64_t links;
	_Atomic uint64_t webhooks_ok, webhooks_failed;
};

struct worker_place {
	_Atomic int state;
	struct worker_counters counters;
};

struct shared {
	uint64_t started_at; /* of the supervisor; seconds since 1970 */
	_Atomic uint64_t restarts; /* workers that died */
	struct worker_place workers[WORKERS_MAX];
};

#endif
