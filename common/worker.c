#include "common/worker.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/err.h"

struct worker_pool {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct job_list waiting;
	bool stopping;
	unsigned n;
	pthread_t threads[];
};

bool
job_inbox_drain(struct job_inbox *in)
{
	struct job_list list = TAILQ_HEAD_INITIALIZER(list);
	struct job *j;
	bool any;

	pthread_mutex_lock(&in->lock);
	TAILQ_CONCAT(&list, &in->finished, link);
	pthread_mutex_unlock(&in->lock);
	any = !TAILQ_EMPTY(&list);
	while ((j = TAILQ_FIRST(&list)) != NULL) {
		TAILQ_REMOVE(&list, j, link);
		j->done(j);
	}
	return any;
}

/* Jobs that came back: on the loop. */
static void
on_finished(evutil_socket_t fd, short what, void *arg)
{
	struct job_inbox *in = arg;
	uint64_t n;

	if (read(fd, &n, sizeof(n)) >= 0)
		job_inbox_drain(in);
}

int
job_inbox_init(struct job_inbox *in, struct event_base *base)
{
	pthread_mutex_init(&in->lock, NULL);
	TAILQ_INIT(&in->finished);
	in->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (in->event_fd < 0)
		return ERR_IO;
	in->event = event_new(
	    base, in->event_fd, EV_READ | EV_PERSIST, on_finished, in);
	if (in->event == NULL || event_add(in->event, NULL) != 0)
		return ERR_NOMEM;
	return 0;
}

void
job_inbox_release(struct job_inbox *in)
{
	if (in->event != NULL)
		event_free(in->event);
	close(in->event_fd);
}

void
job_post(struct job *j)
{
	struct job_inbox *in = j->inbox;
	uint64_t one = 1;

	pthread_mutex_lock(&in->lock);
	TAILQ_INSERT_TAIL(&in->finished, j, link);
	pthread_mutex_unlock(&in->lock);
	if (write(in->event_fd, &one, sizeof(one)) < 0)
		return; /* counter is high: the loop wakes all the same */
}

static void *
worker_main(void *arg)
{
	struct worker_pool *p = arg;
	struct job *j;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		while ((j = TAILQ_FIRST(&p->waiting)) == NULL && !p->stopping)
			pthread_cond_wait(&p->more, &p->lock);
		if (j == NULL)
			break;
		TAILQ_REMOVE(&p->waiting, j, link);
		pthread_mutex_unlock(&p->lock);
		j->run(j);
		job_post(j);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct worker_pool *
worker_pool_new(unsigned n)
{
	struct worker_pool *p =
	    calloc(1, sizeof(*p) + n * sizeof(p->threads[0]));

	if (p == NULL)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	TAILQ_INIT(&p->waiting);
	while (p->n < n &&
	    pthread_create(&p->threads[p->n], NULL, worker_main, p) == 0)
		p->n++;
	if (p->n == 0) {
		free(p);
		return NULL;
	}
	return p;
}

void
worker_pool_free(struct worker_pool *p)
{
	struct job *j;

	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	while ((j = TAILQ_FIRST(&p->waiting)) != NULL) {
		TAILQ_REMOVE(&p->waiting, j, link);
		job_post(j);
	}
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n; i++)
		pthread_join(p->threads[i], NULL);
	free(p);
}

void
worker_submit(struct worker_pool *p, struct job *j)
{
	pthread_mutex_lock(&p->lock);
	TAILQ_INSERT_TAIL(&p->waiting, j, link);
	pthread_cond_signal(&p->more);
	pthread_mutex_unlock(&p->lock);
}
