/*
 * One process that serves the API: event loop, server, database connections,
 * processes for passwords. Parts are made in the order of the fields.
 */
#ifndef CONSOLE_WORKER_H
#define CONSOLE_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/password.h"
#include "common/worker.h"
#include "console/login/passkey.h"
#include "console/shared.h"

struct console_conf;
struct db_pool;
struct event_base;
struct fetcher;
struct feed;
struct login_throttle;
struct idempotency_queue;
struct node;
struct pages;
struct password_queue;
struct server;
struct webhooks;

struct worker {
	const struct console_conf *conf;
	unsigned number;
	const struct shared *shared;
	struct worker_place *place; /* of this one, in it */
	struct event_base *base;
	struct server *server;
	struct pages *pages; /* NULL: the API alone */
	struct db_pool *db;
	struct feed *feed;
	struct idempotency_queue *idempotency;
	struct node *node;
	struct job_inbox inbox;
	struct login_throttle *throttle;
	struct password_queue *passwords;
	struct fetcher *fetcher;  /* asks providers of single sign-on */
	struct webhooks *webhooks;
	struct worker_pool *disk; /* a thread that asks disks */
	uint8_t seal_key[SEAL_KEY_LEN];
	struct passkey_rp rp;
	unsigned n_requests; /* under way */
	bool is_stopping;
};

/* Serves until SIGTERM. number: from 0; shared_fd: of struct shared. Returns
 * the exit status; EX_CONFIG when starting it again is of no use. */
int worker_run(const struct console_conf *conf, unsigned number, int shared_fd);

#endif
