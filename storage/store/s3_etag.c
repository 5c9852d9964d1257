#include "storage/store/s3_etag.h"

#include <string.h>
#include <strings.h>

#define MD5_HEX_LEN 32

enum s3_etag_verdict
s3_etag_judge(const char *etag, const char *md5, const char *encryption)
{
	if (strlen(etag) != MD5_HEX_LEN ||
	    strspn(etag, "0123456789abcdefABCDEF") != MD5_HEX_LEN ||
	    strncmp(encryption, "aws:kms", 7) == 0)
		return S3_ETAG_OPAQUE;
	return strcasecmp(etag, md5) == 0 ? S3_ETAG_SAME : S3_ETAG_DIFFERS;
}
