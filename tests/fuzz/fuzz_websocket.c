/*
 * What a browser sends, in pieces: the first byte of the input says how
 * long they are. While it is read the relay sends, too.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "relay/wire/transport.h"
#include "relay/http/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct transport_batch batch;

static void
on_text(void *arg, const char *json, size_t len)
{
	assert(len <= WS_TEXT_MAX && json[len] == '\0');
	(*(unsigned *)arg)++;
}

/* Empties the browser's side. */
static void
drain(int fd)
{
	uint8_t data[4096];

	while (recv(fd, data, sizeof(data), 0) > 0)
		;
}

/* Reads until there is no more now. Returns how it ended. */
static ssize_t
receive(struct ws *ws, int peer, size_t *total)
{
	uint8_t data[100];
	ssize_t n;

	while ((n = ws_recv(ws, data, sizeof(data))) > 0) {
		assert((size_t)n <= sizeof(data));
		*total += (size_t)n;
		if (ws_send(ws, data, (size_t)n) == 0)
			drain(peer);
	}
	assert(n < 0);
	drain(peer);
	if (n != ERR_AGAIN) {
		assert(ws_recv(ws, data, sizeof(data)) == n);
		assert(!ws_has_buffered(ws));
	}
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t piece = size > 0 && data[0] != 0 ? data[0] : 1 << 14;
	size_t total = 0, len;
	ssize_t end = ERR_AGAIN;
	unsigned n_texts = 0;
	struct transport transport;
	struct ws *ws;
	int pair[2];

	if (size > 1 << 15 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0)
		return 0;
	transport_init(&transport, pair[0], &batch);
	ws = ws_new(&transport, on_text, &n_texts);
	for (size_t i = 1; ws != NULL && i < size && end == ERR_AGAIN;
	     i += len) {
		len = size - i < piece ? size - i : piece;
		assert(send(pair[1], data + i, len, 0) == (ssize_t)len);
		end = receive(ws, pair[1], &total);
	}
	assert(total + n_texts <= size);
	close(pair[1]);
	if (ws != NULL && end == ERR_AGAIN)
		assert(receive(ws, pair[1], &total) != ERR_AGAIN);
	ws_free(ws);
	transport_release(&transport);
	return 0;
}
