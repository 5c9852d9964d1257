/*
 * A VNC server that dials out and says anything: the texts are terminated
 * and clean, and fewer bytes never give another answer than "more".
 */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "rfb/repeater.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
must(int condition)
{
	if (!condition)
		abort();
}

static void
check_hello(const struct rfb_repeater_hello *hello)
{
	size_t n = strlen(hello->endpoint), k = strlen(hello->secret);

	must(n >= 1 && n <= RFB_REPEATER_TEXT_MAX);
	must(k == 0 || k >= RFB_REPEATER_SECRET_MIN);
	must(strlen(hello->text) == n + (k != 0 ? k + 1 : 0));
	must(strncasecmp(hello->text, hello->endpoint, n) == 0);
	must(k == 0 || strcasecmp(hello->text + n + 1, hello->secret) == 0);
	for (const char *p = hello->text; *p != '\0'; p++)
		must(*p >= 0x20 && *p < 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct rfb_repeater_hello hello, other;
	size_t used, other_used;
	int rc = rfb_repeater_parse(&hello, data, len, &used);

	must(used == (rc == RFB_REPEATER_ID ? RFB_REPEATER_LEN : 0));
	if (rc == RFB_REPEATER_ID)
		check_hello(&hello);
	for (size_t n = 0; n < min_size(len, RFB_REPEATER_LEN + 1); n++) {
		uint8_t *piece = malloc(n + 1);
		int early;

		must(piece != NULL);
		memcpy(piece, data, n);
		early = rfb_repeater_parse(&other, piece, n, &other_used);
		free(piece);
		must(early == RFB_REPEATER_MORE || early == rc);
	}
	return 0;
}
