/*
 * A few threads for what would block a loop, such as name lookups.
 * A job runs in a thread, then its `done` is called on the loop it came
 * from.
 */
#ifndef COMMON_WORKER_H
#define COMMON_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

struct event;
struct event_base;

struct job {
	TAILQ_ENTRY(job) link;
	void (*run)(struct job *j);  /* in a worker thread */
	void (*done)(struct job *j); /* on the loop; frees the job */
	struct job_inbox *inbox;
};
TAILQ_HEAD(job_list, job);

/* Where a loop finds its finished jobs; embedded in the loop. */
struct job_inbox {
	pthread_mutex_t lock;
	struct job_list finished;
	int event_fd;
	struct event *event;
};

int job_inbox_init(struct job_inbox *in, struct event_base *base);
/* Finishes the jobs that are there. Returns whether there were any. */
bool job_inbox_drain(struct job_inbox *in);
/* Nobody may post to it any more: with several inboxes, all are drained until
 * none had a job, because a job may go on to another one. */
void job_inbox_release(struct job_inbox *in);

/* Hands a job to the loop of its inbox: only `done` is called. Any thread. */
void job_post(struct job *j);

struct worker_pool;

/* Starts n threads. NULL for memory or when no thread can be had. */
struct worker_pool *worker_pool_new(unsigned n);
/* Waits for running jobs; waiting ones are finished without running. */
void worker_pool_free(struct worker_pool *p);

/* Queues a job whose inbox is set. Any thread. */
void worker_submit(struct worker_pool *p, struct job *j);

#endif
