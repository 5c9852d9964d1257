/* endpoints: what technicians connect to. The schema's functions check and
 * change; the stored password is sealed here and leaves the relay alone able
 * to open it. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/tls.h"
#include "console/api/body.h"
#include "console/api/change.h"
#include "console/api/handlers.h"
#include "console/api/list.h"
#include "console/api/request.h"
#include "console/worker.h"

#define CA_MAX (256 << 10)

static const struct list_filter filters[] = {
	{ "name", "e.name = ?", NULL },
	{ "kind", "e.kind = ?", "direct|agent|reverse|attended" },
	{ "access", "e.access = ?", "attended|unattended" },
	{ "text",
	    "position(lower(?) IN lower(concat_ws(' ', e.name, e.title, "
	    "e.host, e.agent_host))) > 0",
	    NULL },
};

static const struct list list = {
	.row = "console_endpoint(e)",
	.from = "FROM endpoints e",
	.where = "e.team_id = $2::bigint AND e.deleted_at IS NULL AND e.id IN "
		 "(SELECT r.endpoint_id FROM endpoint_rights_all($1::bigint) r "
		 "WHERE r.control)",
	.filters = filters,
	.n_filters = N_ELEMENTS(filters),
	.key = "e.created_at",
	.key_type = "timestamptz",
	.id = "e.id",
	.id_type = "bigint",
};

void
endpoints_list_run(struct request *r)
{
	list_run(r, &list);
}

void
endpoints_get_run(struct request *r)
{
	const char *params[] = { r->id };

	request_query(r,
	    "SELECT console_endpoint(e)::text FROM endpoints e "
	    "WHERE e.id = $1::bigint AND e.deleted_at IS NULL",
	    1, params, change_show);
}

/* ---- new ones and changes ---- */

#define MEMBERS                                                                \
	{ "title", .kind = MEMBER_TEXT, .hi = 200 },                           \
	    { "access", .kind = MEMBER_CHOICE,                                 \
		    .choices = "attended|unattended" },                        \
	    { "kind", .kind = MEMBER_CHOICE,                                   \
		    .choices = "direct|agent|reverse" },                       \
	    { "host", .kind = MEMBER_HOST },                                   \
	    { "port", .kind = MEMBER_INT, .lo = 1, .hi = 65535 },              \
	    { "username", .kind = MEMBER_TEXT, .lo = 1, .hi = 1024,            \
		    .may_be_null = true },                                     \
	    { "password", .kind = MEMBER_TEXT, .lo = 1, .hi = BODY_SECRET_MAX, \
		    .may_be_null = true },                                     \
	    { "ca_pem", .kind = MEMBER_LINES, .lo = 1, .hi = CA_MAX,           \
		    .may_be_null = true },                                     \
	    { "tls_name", .kind = MEMBER_TLS_NAME, .may_be_null = true },      \
	    { "pin_sha256", .kind = MEMBER_SHA256, .may_be_null = true },      \
	    { "allow_clear", .kind = MEMBER_BOOL },                            \
	    { "consent", .kind = MEMBER_CHOICE, .choices = "off|ask|team" },   \
	    { "capture", .kind = MEMBER_CHOICE,                                \
		    .choices = "relay|device|both" },                          \
	{                                                                      \
		"client_cert_sha256", .kind = MEMBER_SHA256                    \
	}

static const struct member changes[] = { MEMBERS };
static const struct member new_members[] = {
	{ "name", .kind = MEMBER_NAME, .is_needed = true }, MEMBERS
};

/* At least one certificate, and nothing that OpenSSL cannot read. */
static bool
has_certificates(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	bool has_one = false;
	X509 *x;

	while (bio != NULL &&
	    (x = PEM_read_bio_X509(bio, NULL, tls_no_passphrase, NULL)) !=
		NULL) {
		X509_free(x);
		has_one = true;
	}
	/* the end of the text is "no start line", anything else is damage */
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		has_one = false;
	ERR_clear_error();
	BIO_free(bio);
	return has_one;
}

static void
run(struct request *r, const struct member *members, size_t n,
    const char *function, unsigned status)
{
	const char *ca;

	if (!body_is_right(r, members, n))
		return;
	ca = request_text(r, "ca_pem");
	if (ca != NULL && !has_certificates(ca))
		request_invalid(
		    r, "/ca_pem", "Certificates in PEM form are expected.");
	else if (!body_seal(r, "password", "sealed"))
		request_problem(r, 503, "unavailable", "Out of memory.");
	else
		change_run(r, function, status);
}

void
endpoints_new_run(struct request *r)
{
	run(r, new_members, N_ELEMENTS(new_members), "console_endpoint_new",
	    201);
}

void
endpoints_patch_run(struct request *r)
{
	run(r, changes, N_ELEMENTS(changes), "console_endpoint_set", 200);
}

void
endpoints_delete_run(struct request *r)
{
	change_run(r, "console_endpoint_delete", 204);
}

void
endpoints_revoke_run(struct request *r)
{
	/* the endpoint is all it takes */
	json_object_clear(r->body);
	change_run(r, "console_endpoint_revoke", 200);
}

void
endpoints_test_run(struct request *r)
{
	json_object_clear(r->body);
	change_run(r, "console_endpoint_test", 202);
}
