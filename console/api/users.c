/* users: the people of the team. Passwords are hashed in the worker's queue,
 * where logins are checked. */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/login/password_queue.h"
#include "common/password.h"
#include "console/api/body.h"
#include "console/api/change.h"
#include "console/api/handlers.h"
#include "console/api/list.h"
#include "console/api/request.h"
#include "console/worker.h"

#define PASSWORD_MIN 8 /* as `relaycam user` has it */
#define PASSWORD_MAX 1024

static const struct list_filter filters[] = {
	{ "name", "p.name = ?", NULL },
	{ "role", "p.role = ?", "owner|admin|member" },
	{ "disabled", "p.disabled = (? = 'true')", "true|false" },
	{ "text",
	    "position(lower(?) IN lower(concat_ws(' ', p.name, p.title))) > 0",
	    NULL },
};

static const struct list list = {
	.row = "console_user(p)",
	.from = "FROM people p",
	.where = "p.team_id = $2::bigint",
	.filters = filters,
	.n_filters = N_ELEMENTS(filters),
	.key = "p.created_at",
	.key_type = "timestamptz",
	.id = "p.id",
	.id_type = "bigint",
};

void
users_list_run(struct request *r)
{
	list_run(r, &list);
}

void
users_get_run(struct request *r)
{
	const char *params[] = { r->id, r->person.team_text };

	request_query(r,
	    "SELECT console_user(p)::text FROM people p "
	    "WHERE p.id = $1::bigint AND p.team_id = $2::bigint",
	    2, params, change_show);
}

/* ---- new ones and changes ---- */

#define ROLE_MEMBER                                                            \
	{                                                                      \
		"role", .kind = MEMBER_CHOICE, .choices = "owner|admin|member" \
	}
#define TITLE_MEMBER                                                           \
	{                                                                      \
		"title", .kind = MEMBER_TEXT, .hi = 200                        \
	}

static const struct member changes[] = {
	TITLE_MEMBER,
	ROLE_MEMBER,
	{ "disabled", .kind = MEMBER_BOOL },
	{ "password", .kind = MEMBER_TEXT, .lo = PASSWORD_MIN,
	    .hi = PASSWORD_MAX },
};

static const struct member new_members[] = {
	{ "name", .kind = MEMBER_NAME, .is_needed = true },
	TITLE_MEMBER,
	ROLE_MEMBER,
	{ "password", .kind = MEMBER_TEXT, .lo = PASSWORD_MIN,
	    .hi = PASSWORD_MAX, .is_needed = true },
};

/* A password that is being hashed, and the change that waits for it. */
struct hashing {
	struct password_job job;
	struct request *request;
	const char *function;
	unsigned status;
	char hash[PASSWORD_HASH_MAX];
	int result; /* of password_hash */
};

static void
forget(struct request *r)
{
	wipe(r->state, sizeof(struct hashing));
	free(r->state);
}

/* In a thread: the request is left alone until `done`. */
static void
run_hash(struct job *j)
{
	struct hashing *h = (struct hashing *)j;
	const char *password = request_text(h->request, "password");

	h->result = password_hash(password, strlen(password), h->hash);
}

static void
too_busy(struct request *r)
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
		too_busy(r);
	} else if (h->result != 0) {
		request_problem(r, 503, "unavailable", "Out of memory.");
	} else {
		json_object_set_new(
		    r->body, "password_hash", json_string(h->hash));
		change_run(r, h->function, h->status);
	}
}

static void
run(struct request *r, const char *function, unsigned status)
{
	struct hashing *h;

	if (request_text(r, "password") == NULL) {
		change_run(r, function, status);
		return;
	}
	h = calloc(1, sizeof(*h));
	if (h == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		return;
	}
	h->request = r;
	h->function = function;
	h->status = status;
	h->job.job = (struct job){
		.run = run_hash, .done = hashed, .inbox = &r->worker->inbox
	};
	h->job.address = (uint64_t)r->person.id;
	h->job.lane = GUESS_NEW;
	r->state = h;
	r->release = forget;
	if (password_queue_submit(r->worker->passwords, &h->job) != 0)
		too_busy(r);
}

void
users_new_run(struct request *r)
{
	if (body_is_right(r, new_members, N_ELEMENTS(new_members)))
		run(r, "console_user_new", 201);
}

void
users_patch_run(struct request *r)
{
	if (body_is_right(r, changes, N_ELEMENTS(changes)))
		run(r, "console_user_set", 200);
}
