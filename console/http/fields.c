#include "console/http/fields.h"

#include "common/http.h"

const struct http_field http_fields[N_HTTP_FIELDS] = {
	{ "Strict-Transport-Security", HTTP_HSTS },
	{ "Content-Security-Policy",
	    "default-src 'self'; base-uri 'none'; form-action 'self'; "
	    "frame-ancestors 'none'; object-src 'none'" },
	{ "X-Content-Type-Options", "nosniff" },
	{ "Referrer-Policy", "no-referrer" },
	{ "Cross-Origin-Opener-Policy", "same-origin" },
	{ "Cross-Origin-Resource-Policy", "same-origin" },
	{ "Cache-Control", "no-cache, private" },
};
