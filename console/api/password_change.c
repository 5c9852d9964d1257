#include "console/api/password_change.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/login/password_process.h"
#include "common/login/password_queue.h"
#include "console/api/body.h"
#include "console/api/request.h"
#include "console/worker.h"

struct hashing {
	struct password_job job;
	struct request *request;
	void (*then)(struct request *r);
	char hash[PASSWORD_HASH_MAX];
	int result; /* of password_hash */
};

/* In a thread: the request is left alone until `done`. */
static void
run_hash(struct job *j)
{
	struct hashing *h = (struct hashing *)j;
	const char *password = request_text(h->request, "password");

	h->result = password_process_hash(
	    h->job.thread, password, strlen(password), h->hash);
}

void
password_too_busy(struct request *r)
{
	request_field(r, "Retry-After", "5");
	request_problem(r, 429, "busy",
	    "As many passwords are being checked as can be; try again.");
}

static void
hashed(struct job *j)
{
	struct hashing *h = (struct hashing *)j;
	struct request *r = h->request;

	body_wipe(r->body, "password");
	if (h->job.state != PASSWORD_CHECKED) {
		password_too_busy(r);
	} else if (h->result != 0) {
		request_problem(r, 503, "unavailable", "Out of memory.");
	} else {
		json_object_set_new(
		    r->body, "password_hash", json_string(h->hash));
		h->then(r);
	}
	wipe(h, sizeof(*h));
	free(h);
}

void
password_change(struct request *r, void (*then)(struct request *r))
{
	struct hashing *h = calloc(1, sizeof(*h));

	if (h == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		return;
	}
	h->request = r;
	h->then = then;
	h->job.job = (struct job){
		.run = run_hash, .done = hashed, .inbox = &r->worker->inbox
	};
	h->job.address = (uint64_t)r->person.id;
	h->job.lane = LOGIN_LANE_NEW;
	if (password_queue_submit(r->worker->passwords, &h->job) != 0) {
		free(h);
		password_too_busy(r);
	}
}
