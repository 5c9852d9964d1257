#include "storage/storage_worker.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WORKERS_MAX 16

TAILQ_HEAD(job_list, worker_job);

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct job_list waiting, finished;
	bool stopping;
	pthread_t threads[WORKERS_MAX];
	unsigned n;
	int wake;
	struct event *ev;
};

static void *
worker_main(void *arg)
{
	struct workers *w = arg;
	struct worker_job *job;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (!w->stopping && TAILQ_EMPTY(&w->waiting))
			pthread_cond_wait(&w->more, &w->lock);
		if (w->stopping)
			break;
		job = TAILQ_FIRST(&w->waiting);
		TAILQ_REMOVE(&w->waiting, job, link);
		pthread_mutex_unlock(&w->lock);
		job->run(job);
		pthread_mutex_lock(&w->lock);
		TAILQ_INSERT_TAIL(&w->finished, job, link);
		eventfd_write(w->wake, 1);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct workers *w = arg;
	struct job_list done = TAILQ_HEAD_INITIALIZER(done);
	struct worker_job *job;
	eventfd_t n;

	eventfd_read(fd, &n);
	pthread_mutex_lock(&w->lock);
	TAILQ_CONCAT(&done, &w->finished, link);
	pthread_mutex_unlock(&w->lock);
	while ((job = TAILQ_FIRST(&done)) != NULL) {
		TAILQ_REMOVE(&done, job, link);
		job->done(job);
	}
}

struct workers *
workers_new(struct event_base *base, unsigned n)
{
	struct workers *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	TAILQ_INIT(&w->waiting);
	TAILQ_INIT(&w->finished);
	w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->wake >= 0)
		w->ev =
		    event_new(base, w->wake, EV_READ | EV_PERSIST, on_wake, w);
	if (w->ev == NULL || event_add(w->ev, NULL) != 0)
		goto fail;
	while (w->n < n && w->n < WORKERS_MAX) {
		if (pthread_create(&w->threads[w->n], NULL, worker_main, w) !=
		    0)
			goto fail;
		w->n++;
	}
	return w;
fail:
	workers_free(w);
	return NULL;
}

void
workers_free(struct workers *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_broadcast(&w->more);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->n; i++)
		pthread_join(w->threads[i], NULL);
	if (w->ev != NULL)
		event_free(w->ev);
	if (w->wake >= 0)
		close(w->wake);
	pthread_cond_destroy(&w->more);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

void
workers_submit(struct workers *w, struct worker_job *job)
{
	pthread_mutex_lock(&w->lock);
	TAILQ_INSERT_TAIL(&w->waiting, job, link);
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
}
