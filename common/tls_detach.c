#include "common/tls_detach.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"

/* ---- a BIO over a socket that does not tell which one ---- */

static int
fd_of(BIO *b)
{
	return (int)(intptr_t)BIO_get_data(b);
}

static bool
is_for_later(ssize_t n)
{
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static int
on_read(BIO *b, char *out, int len)
{
	ssize_t n = recv(fd_of(b), out, (size_t)len, 0);

	BIO_clear_retry_flags(b);
	if (is_for_later(n))
		BIO_set_retry_read(b);
	return (int)n;
}

static int
on_write(BIO *b, const char *data, int len)
{
	ssize_t n = send(fd_of(b), data, (size_t)len, MSG_NOSIGNAL);

	BIO_clear_retry_flags(b);
	if (is_for_later(n))
		BIO_set_retry_write(b);
	return (int)n;
}

/* bufferevent_openssl closes what BIO_get_fd answers; 0 would be a descriptor
 * too. */
static long
on_ctrl(BIO *b, int cmd, long arg, void *ptr)
{
	return cmd == BIO_C_GET_FD ? -1 : cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO *
bio_new(int fd)
{
	static BIO_METHOD *method;
	BIO *b;

	if (method == NULL) {
		method = BIO_meth_new(
		    BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "detached");
		if (method == NULL)
			return NULL;
		BIO_meth_set_read(method, on_read);
		BIO_meth_set_write(method, on_write);
		BIO_meth_set_ctrl(method, on_ctrl);
	}
	b = BIO_new(method);
	if (b == NULL)
		return NULL;
	BIO_set_data(b, (void *)(intptr_t)fd);
	BIO_set_init(b, 1);
	return b;
}

/* ---- the exchange ---- */

/* From here on `old` is a descriptor of nothing. */
static int
blind(int old)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), rc = ERR_NOMEM;

	if (null < 0)
		return ERR_NOMEM;
	if (dup3(null, old, O_CLOEXEC) == old)
		rc = 0;
	close(null);
	return rc;
}

int
tls_detach(struct evhttp_request *req, struct tls_detached *out)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(req);
	struct bufferevent *bev = evhttp_connection_get_bufferevent(conn);
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	int old = bufferevent_getfd(bev);
	int fd = fcntl(old, F_DUPFD_CLOEXEC, 3);
	BIO *bio = fd >= 0 ? bio_new(fd) : NULL;
	int rc = ERR_NOMEM;

	/* its event would stay behind in the loop */
	if (SSL_want(ssl) == SSL_WRITING)
		rc = ERR_AGAIN;
	else if (bio != NULL) {
		bufferevent_disable(bev, EV_READ | EV_WRITE);
		rc = blind(old);
	}
	if (rc != 0) {
		BIO_free(bio);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	SSL_up_ref(ssl);
	SSL_set_bio(ssl, bio, bio);
	evhttp_connection_set_closecb(conn, NULL, NULL);
	evhttp_connection_free(conn);
	close(old);
	*out = (struct tls_detached){ ssl, fd };
	return 0;
}
