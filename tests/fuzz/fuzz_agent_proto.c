/*
 * Messages between relay and agent on any bytes: what is read is read again
 * the same from what the encoder makes of it, byte for byte, and a message
 * that is whole is not one when it is cut.
 */
#include <stdlib.h>
#include <string.h>

#include "common/agent_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* parse on memory of just this size */
static int
parse(const uint8_t *data, size_t len, size_t *used, struct agent_msg *m)
{
	uint8_t *copy = malloc(len + (len == 0));
	int rc;

	if (copy == NULL)
		abort();
	memcpy(copy, data, len);
	rc = agent_proto_parse(copy, len, used, m);
	free(copy);
	return rc;
}

static void
check_message(const uint8_t *data, size_t used, const struct agent_msg *m)
{
	struct agent_msg again;
	struct buf b;
	size_t n;

	buf_init(&b, AGENT_FRAME_MAX);
	if (agent_proto_encode(&b, m) != 0 || buf_len(&b) != used ||
	    memcmp(buf_head(&b), data, used) != 0)
		abort();
	if (parse(data, used - 1, &n, &again) != 0)
		abort();
	if (parse(data, used, &n, &again) != 1 || n != used ||
	    memcmp(&again, m, sizeof(again)) != 0)
		abort();
	buf_release(&b);
}

static void
check_clean(const uint8_t *data, size_t len)
{
	char text[128], out[64];

	if (len >= sizeof(text))
		len = sizeof(text) - 1;
	memcpy(text, data, len);
	text[len] = '\0';
	agent_proto_clean(out, sizeof(out), text);
	if (!agent_proto_is_printable(out, strlen(out)))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct agent_msg m;
	size_t used;

	check_clean(data, len);
	while (len > 0 && parse(data, len, &used, &m) > 0) {
		check_message(data, used, &m);
		data += used;
		len -= used;
	}
	return 0;
}
