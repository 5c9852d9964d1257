#include "relay/wire/transport.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"

/* a record's rest and the next one's header, so that reads end where records
 * do */
#define INPUT_EXTRA (TRANSPORT_RECORD_LEN / 2)

static BIO_METHOD *batch_method;
static pthread_once_t batch_once = PTHREAD_ONCE_INIT;

/* The first one tells why: the kernel says EPIPE from then on. */
static void
note_error(struct transport *l, int error)
{
	if (l->error == 0)
		l->error = error;
}

/* send(2) of what fits. Returns bytes taken (0: would block) or ERR_IO. */
static ssize_t
socket_send(struct transport *l, const uint8_t *data, size_t len)
{
	ssize_t n;

	do {
		n = send(l->fd, data, len, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return 0;
	note_error(l, errno);
	return ERR_IO;
}

/* recv(2). Returns bytes, 0 at the end, ERR_AGAIN or ERR_IO. */
static ssize_t
socket_receive(struct transport *l, uint8_t *data, size_t len)
{
	ssize_t n;

	do {
		n = recv(l->fd, data, len, 0);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return ERR_AGAIN;
	note_error(l, errno);
	return ERR_IO;
}

/* Keeps what the socket did not take. */
static int
keep_unsent(struct transport *l, const uint8_t *data, size_t len)
{
	l->unsent = malloc(len);
	if (l->unsent == NULL)
		return ERR_NOMEM;
	memcpy(l->unsent, data, len);
	l->unsent_off = 0;
	l->unsent_len = len;
	return 0;
}

int
transport_flush(struct transport *l)
{
	ssize_t n;

	if (l->unsent == NULL)
		return 0;
	n = socket_send(
	    l, l->unsent + l->unsent_off, l->unsent_len - l->unsent_off);
	if (n < 0)
		return (int)n;
	l->unsent_off += (size_t)n;
	if (l->unsent_off < l->unsent_len)
		return ERR_AGAIN;
	free(l->unsent);
	l->unsent = NULL;
	return 0;
}

/* Sends the batch; the rest becomes `unsent`. */
static int
batch_send(struct transport *l)
{
	struct transport_batch *b = l->batch;
	ssize_t n;
	int rc = 0;

	if (b->len == 0)
		return 0;
	n = socket_send(l, b->data, b->len);
	if (n < 0)
		rc = (int)n;
	else if ((size_t)n < b->len)
		rc = keep_unsent(l, b->data + n, b->len - (size_t)n);
	b->len = 0;
	return rc;
}

/* Moves input that another transport left in the batch into that transport's
 * memory. */
static int
make_input_free(struct transport_batch *b)
{
	struct transport *l = b->reader;
	size_t len = b->input_len - b->input_off;

	if (l == NULL || len == 0)
		return 0;
	l->unread = malloc(len);
	if (l->unread == NULL)
		return ERR_NOMEM;
	memcpy(l->unread, b->input + b->input_off, len);
	l->unread_off = 0;
	l->unread_len = len;
	b->reader = NULL;
	return 0;
}

/* One recv(2) into the batch. Returns bytes, 0 at the end, ERR_AGAIN or
 * ERR_IO. */
static ssize_t
receive(struct transport *l)
{
	struct transport_batch *b = l->batch;
	size_t len = min_size(sizeof(b->input), l->wanted + INPUT_EXTRA);
	ssize_t n;

	/* the last call had all there was: no need to ask again now */
	if (l->is_drained) {
		l->is_drained = false;
		return ERR_AGAIN;
	}
	if (make_input_free(b) != 0)
		return ERR_IO;
	b->reader = NULL;
	n = socket_receive(l, b->input, len);
	if (n < 0)
		return n;
	l->is_eof = n == 0;
	if (n == 0)
		return 0;
	l->is_drained = (size_t)n < len;
	b->reader = l;
	b->input_off = 0;
	b->input_len = (size_t)n;
	return n;
}

/* Takes up to len bytes of what was received. Returns 0 for none. */
static size_t
take_received(struct transport *l, char *data, size_t len)
{
	struct transport_batch *b = l->batch;

	if (l->unread != NULL) {
		len = min_size(len, l->unread_len - l->unread_off);
		memcpy(data, l->unread + l->unread_off, len);
		l->unread_off += len;
		if (l->unread_off == l->unread_len) {
			free(l->unread);
			l->unread = NULL;
		}
		return len;
	}
	if (b->reader != l)
		return 0;
	len = min_size(len, b->input_len - b->input_off);
	memcpy(data, b->input + b->input_off, len);
	b->input_off += len;
	if (b->input_off == b->input_len)
		b->reader = NULL;
	return len;
}

/* TLS asks for bytes from the wire. */
static int
batch_bio_read(BIO *bio, char *data, int len)
{
	struct transport *l = BIO_get_data(bio);
	size_t n;
	ssize_t rc;

	BIO_clear_retry_flags(bio);
	n = take_received(l, data, (size_t)len);
	if (n != 0)
		return (int)n;
	rc = receive(l);
	if (rc > 0)
		return (int)take_received(l, data, (size_t)len);
	if (rc == ERR_AGAIN)
		BIO_set_retry_read(bio);
	return rc == 0 ? 0 : -1;
}

/* TLS hands over a record: it goes into the batch. */
static int
batch_bio_write(BIO *bio, const char *data, int len)
{
	struct transport *l = BIO_get_data(bio);
	struct transport_batch *b = l->batch;

	BIO_clear_retry_flags(bio);
	if (l->unsent != NULL || b->len + (size_t)len > sizeof(b->data)) {
		BIO_set_retry_write(bio);
		return -1;
	}
	memcpy(b->data + b->len, data, (size_t)len);
	b->len += (size_t)len;
	return len;
}

static long
batch_bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	const struct transport *l = BIO_get_data(bio);

	if (cmd == BIO_CTRL_EOF)
		return l->is_eof;
	return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static int
batch_bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static void
make_method(void)
{
	batch_method = BIO_meth_new(
	    BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "record batch");
	BIO_meth_set_write(batch_method, batch_bio_write);
	BIO_meth_set_read(batch_method, batch_bio_read);
	BIO_meth_set_ctrl(batch_method, batch_bio_ctrl);
	BIO_meth_set_create(batch_method, batch_bio_create);
}

void
transport_init(struct transport *l, int fd, struct transport_batch *batch)
{
	*l = (struct transport){ .fd = fd, .batch = batch };
}

void
transport_say_goodbye(struct transport *l)
{
	if (l->ssl == NULL || !SSL_is_init_finished(l->ssl) ||
	    l->unsent != NULL || (SSL_get_shutdown(l->ssl) & SSL_SENT_SHUTDOWN))
		return;
	SSL_shutdown(l->ssl);
	batch_send(l);
	ERR_clear_error();
}

void
transport_release(struct transport *l)
{
	if (l->ssl != NULL) {
		transport_say_goodbye(l);
		ERR_clear_error();
		SSL_free(l->ssl);
	}
	if (l->batch != NULL && l->batch->reader == l)
		l->batch->reader = NULL;
	free(l->unsent);
	free(l->unread);
	if (l->fd >= 0)
		close(l->fd);
	*l = (struct transport){ .fd = -1 };
}

void
transport_move(
    struct transport *to, struct transport *from, struct transport_batch *batch)
{
	*to = *from;
	to->batch = batch;
	if (batch->reader == from)
		batch->reader = to;
	if (to->ssl != NULL)
		BIO_set_data(SSL_get_rbio(to->ssl), to);
	*from = (struct transport){ .fd = -1 };
}

int
transport_detach(struct transport *l)
{
	int rc = l->batch->reader == l ? make_input_free(l->batch) : 0;

	if (l->batch->reader == l) /* nothing was left in it */
		l->batch->reader = NULL;
	return rc;
}

int
transport_start_tls(struct transport *l, SSL_CTX *ctx, bool is_server)
{
	BIO *bio;

	pthread_once(&batch_once, make_method);
	l->ssl = SSL_new(ctx);
	bio = BIO_new(batch_method);
	if (l->ssl == NULL || bio == NULL) {
		SSL_free(l->ssl);
		BIO_free(bio);
		l->ssl = NULL;
		return ERR_NOMEM;
	}
	BIO_set_data(bio, l);
	SSL_set_bio(l->ssl, bio, bio);
	if (is_server) {
		SSL_set_accept_state(l->ssl);
		return 0;
	}
	SSL_set_connect_state(l->ssl);
	/* Only to VNC servers. wayvnc 0.5 keeps a connection that ends with
	 * close_notify, writes to it and dies of SIGPIPE; the end of TCP is
	 * enough, since the technician has left. */
	SSL_set_quiet_shutdown(l->ssl, 1);
	return 0;
}

/* What an OpenSSL call's failure means. */
static int
tls_result(struct transport *l, int n)
{
	switch (SSL_get_error(l->ssl, n)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return ERR_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return ERR_EOF;
	case SSL_ERROR_SYSCALL:
		return errno == 0 ? ERR_EOF : ERR_IO;
	default:
		return ERR_PROTOCOL;
	}
}

int
transport_handshake(struct transport *l)
{
	int n, rc, sent;

	rc = transport_flush(l);
	if (rc != 0)
		return rc;
	ERR_clear_error();
	errno = 0;
	l->wanted = TRANSPORT_RECORD_LEN;
	n = SSL_do_handshake(l->ssl);
	rc = n == 1 ? 0 : tls_result(l, n);
	sent = batch_send(l);
	if (sent != 0)
		return sent;
	return rc == 0 && l->unsent != NULL ? ERR_AGAIN : rc;
}

/*
 * The last recv(2) took all that the socket had, and all of it was read: TLS
 * would only find that out again, with a buffer of its own. The next call asks
 * the socket.
 */
static bool
is_known_empty(struct transport *l)
{
	if (!l->is_drained || transport_has_buffered(l))
		return false;
	l->is_drained = false;
	return true;
}

ssize_t
transport_read(struct transport *l, uint8_t *data, size_t len)
{
	ssize_t n;

	if (l->ssl != NULL) {
		if (is_known_empty(l))
			return ERR_AGAIN;
		ERR_clear_error();
		errno = 0;
		l->wanted = len;
		n = SSL_read(l->ssl, data, (int)min_size(len, 1 << 30));
		if (n <= 0) {
			int rc = tls_result(l, (int)n);

			batch_send(l);
			return rc == ERR_PROTOCOL ? ERR_IO : rc;
		}
		/* the answer to a key update before these bytes: the batch
		 * belongs to the next transport */
		if (batch_send(l) != 0)
			return ERR_IO;
	} else {
		n = socket_receive(l, data, len);
		if (n <= 0)
			return n == 0 ? ERR_EOF : n;
	}
	l->bytes_in += (uint64_t)n;
	return n;
}

bool
transport_has_buffered(const struct transport *l)
{
	return l->ssl != NULL &&
	    (l->unread != NULL || l->batch->reader == l ||
		SSL_has_pending(l->ssl));
}

/* One batch of records from data. Returns bytes taken or ERR_IO. */
static ssize_t
write_records(struct transport *l, const uint8_t *data, size_t len)
{
	size_t done = 0;
	int rc;

	while (done < len &&
	    l->batch->len + TRANSPORT_RECORD_LEN + TRANSPORT_OVERHEAD <=
		TRANSPORT_BATCH_LEN) {
		int n;

		ERR_clear_error();
		n = SSL_write(l->ssl, data + done,
		    (int)min_size(len - done, TRANSPORT_RECORD_LEN));
		if (n <= 0) {
			if (tls_result(l, n) == ERR_AGAIN)
				break;
			/* the next transport must not send what is ours */
			l->batch->len = 0;
			return ERR_IO;
		}
		done += (size_t)n;
	}
	rc = batch_send(l);
	return rc != 0 ? rc : (ssize_t)done;
}

ssize_t
transport_write(struct transport *l, const uint8_t *data, size_t len)
{
	size_t done = 0;
	ssize_t n;
	int rc = transport_flush(l);

	if (rc != 0)
		return rc == ERR_AGAIN ? 0 : rc;
	while (done < len && l->unsent == NULL) {
		n = l->ssl != NULL ? write_records(l, data + done, len - done)
				   : socket_send(l, data + done, len - done);
		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	l->bytes_out += done;
	return (ssize_t)done;
}

bool
transport_wants_write(const struct transport *l)
{
	return l->unsent != NULL;
}
