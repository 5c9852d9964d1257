/* Hostile requests to the receiver of captures: what is taken is in order, and
 * a head that is whole is the same with bytes behind it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "storage/upload/tus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct tus_request all, head;
	struct tus_refusal why = { 0 };
	long n = tus_parse(&all, (const char *)data, len, &why);

	if (n < 0 && (why.status < 400 || why.text == NULL))
		abort();
	if (n <= 0)
		return 0;
	if ((size_t)n > len || n > HTTP_HEAD_MAX ||
	    tus_parse(&head, (const char *)data, (size_t)n, &why) != n ||
	    memcmp(&all, &head, sizeof(all)) != 0)
		abort();
	if (all.method != TUS_OPTIONS && !is_uuid(all.id))
		abort();
	return 0;
}
