#include "ctl/endpoint/certificate.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t
seconds_of(const ASN1_TIME *t)
{
	struct tm tm;

	return t != NULL && ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : 0;
}

void
certificate_describe(const X509 *x, struct certificate_info *info)
{
	int64_t now = (int64_t)(clock_wall_ns() / NS_PER_S);
	int64_t end = seconds_of(X509_get0_notAfter(x));
	unsigned char digest[32] = { 0 };
	unsigned int len = sizeof(digest);
	char when[CLOCK_TEXT_MAX];

	memset(info, 0, sizeof(*info));
	X509_NAME_oneline(
	    X509_get_subject_name(x), info->subject, sizeof(info->subject));
	X509_digest(x, EVP_sha256(), digest, &len);
	sodium_bin2hex(
	    info->sha256, sizeof(info->sha256), digest, sizeof(digest));
	clock_format_utc((uint64_t)end * NS_PER_S, when);
	snprintf(info->expires_at, sizeof(info->expires_at), "%s", when);
	/* rounded down, so that -1 is "expired less than a day ago" */
	info->days_left =
	    (end - now >= 0 ? end - now : end - now - 86399) / 86400;
	info->not_yet_valid = seconds_of(X509_get0_notBefore(x)) > now;
}
