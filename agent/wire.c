#include "agent/wire.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"

int
wire_send(struct bufferevent *bev, const struct agent_msg *m)
{
	struct evbuffer *out = bufferevent_get_output(bev);
	struct buf b;
	int rc;

	if (evbuffer_get_length(out) > WIRE_UNSENT_MAX)
		return ERR_LIMIT;
	buf_init(&b, AGENT_FRAME_MAX);
	rc = agent_proto_encode(&b, m);
	if (rc == 0 && bufferevent_write(bev, buf_head(&b), buf_len(&b)) != 0)
		rc = ERR_NOMEM;
	buf_release(&b);
	return rc;
}

int
wire_receive(struct bufferevent *bev, struct agent_msg *m)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	size_t len = evbuffer_get_length(in), used;
	const unsigned char *data;
	int rc;

	if (len == 0)
		return 0;
	if (len > AGENT_FRAME_MAX)
		len = AGENT_FRAME_MAX;
	data = evbuffer_pullup(in, (ssize_t)len);
	if (data == NULL)
		return ERR_NOMEM;
	rc = agent_proto_parse(data, len, &used, m);
	evbuffer_drain(in, used);
	return rc;
}

const char *
wire_why(struct bufferevent *bev, short what)
{
	static char text[160];
	unsigned long code = bufferevent_get_openssl_error(bev);
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

	if ((what & BEV_EVENT_EOF) != 0)
		return "closed by the relay";
	if (reason != NULL)
		snprintf(text, sizeof(text), "TLS: %s", reason);
	else
		snprintf(
		    text, sizeof(text), "%s", strerror(EVUTIL_SOCKET_ERROR()));
	return text;
}

void
wire_close(struct bufferevent *bev)
{
	SSL *ssl;

	if (bev == NULL)
		return;
	ssl = bufferevent_openssl_get_ssl(bev);
	if (ssl != NULL && SSL_is_init_finished(ssl) &&
	    evbuffer_get_length(bufferevent_get_output(bev)) == 0)
		SSL_shutdown(ssl);
	ERR_clear_error();
	bufferevent_free(bev);
}
