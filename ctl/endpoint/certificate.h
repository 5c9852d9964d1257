/* What people want to know of an X.509 certificate. No I/O. */
#ifndef CTL_ENDPOINT_CERTIFICATE_H
#define CTL_ENDPOINT_CERTIFICATE_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "common/clock.h"

struct certificate_info {
	char subject[256];
	char sha256[65]; /* of the DER form, hex */
	char expires_at[CLOCK_TEXT_MAX];
	int64_t days_left; /* negative: has expired */
	bool not_yet_valid;
};

void certificate_describe(const X509 *x, struct certificate_info *info);

#endif
