/*
 * Threads for what would block the loop: hashing, copying, disk sync. A job
 * runs on a thread and is answered on the loop. Jobs never touch libevent,
 * the database or the daemon's state.
 */
#ifndef STORAGE_STORAGE_WORKER_H
#define STORAGE_STORAGE_WORKER_H

#include <sys/queue.h>

struct event_base;
struct workers;

/* Embedded in the owner's struct; owned by the pool until done is called. */
struct worker_job {
	TAILQ_ENTRY(worker_job) link;
	void (*run)(struct worker_job *);  /* on a thread */
	void (*done)(struct worker_job *); /* on the loop */
};

/* n threads (1..16). NULL when something could not be made. */
struct workers *workers_new(struct event_base *base, unsigned n);

/* Waits for the running jobs; waiting ones are dropped unanswered. */
void workers_free(struct workers *w);

void workers_submit(struct workers *w, struct worker_job *job);

#endif
