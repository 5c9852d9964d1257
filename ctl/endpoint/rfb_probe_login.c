/* The rest of a login, so that servers that count unfinished ones (Xvnc) do
 * not shut this machine out. */
#include <string.h>
#include <sys/socket.h>

#include "common/bytes.h"
#include "common/err.h"
#include "ctl/endpoint/rfb_probe.h"
#include "rfb/vnc_auth.h"

#define SERVER_INIT_LEN 24
#define NAME_MAX_LEN    4096

static int
receive_exactly(struct rfb_probe *p, void *out, size_t n)
{
	uint8_t *at = out;

	while (n > 0) {
		ssize_t got = p->ssl != NULL ? SSL_read(p->ssl, at, (int)n)
					     : recv(p->fd, at, n, 0);

		if (got <= 0)
			return ERR_PROTOCOL;
		at += got;
		n -= (size_t)got;
	}
	return 0;
}

static int
send_all(struct rfb_probe *p, const void *data, size_t n)
{
	ssize_t sent = p->ssl != NULL ? SSL_write(p->ssl, data, (int)n)
				      : send(p->fd, data, n, MSG_NOSIGNAL);

	return sent == (ssize_t)n ? 0 : ERR_IO;
}

static int
answer_challenge(struct rfb_probe *p, const char *password)
{
	uint8_t challenge[RFB_VNC_CHALLENGE_LEN];
	int rc = receive_exactly(p, challenge, sizeof(challenge));

	if (rc == 0)
		rc = rfb_vnc_auth_response(password, challenge, challenge);
	return rc == 0 ? send_all(p, challenge, sizeof(challenge)) : rc;
}

static int
send_plain(struct rfb_probe *p, const char *user, const char *password)
{
	uint8_t data[8 + 2 * RFB_PROBE_TEXT_MAX];
	size_t n = strlen(user), m = strlen(password);
	int rc;

	if (n > RFB_PROBE_TEXT_MAX || m > RFB_PROBE_TEXT_MAX)
		return ERR_LIMIT;
	store_be32(data, (uint32_t)n);
	store_be32(data + 4, (uint32_t)m);
	memcpy(data + 8, user, n);
	memcpy(data + 8 + n, password, m);
	rc = send_all(p, data, 8 + n + m);
	wipe(data, sizeof(data));
	return rc;
}

/* A server before 3.8 says nothing to a login without a password. */
static int
read_result(struct rfb_probe *p, uint32_t type)
{
	uint8_t result[4];

	if (type == RFB_SEC_NONE && p->minor < 8)
		return 0;
	if (receive_exactly(p, result, sizeof(result)) != 0)
		return ERR_PROTOCOL;
	return load_be32(result) == 0 ? 0 : ERR_DENIED;
}

/* Shared, so that nobody who is connected is sent away. */
static int
read_server_init(struct rfb_probe *p)
{
	static const uint8_t is_shared = 1;
	uint8_t init[SERVER_INIT_LEN], name[NAME_MAX_LEN];
	int rc = send_all(p, &is_shared, 1);

	if (rc == 0)
		rc = receive_exactly(p, init, sizeof(init));
	if (rc == 0 && load_be32(init + 20) <= sizeof(name))
		rc = receive_exactly(p, name, load_be32(init + 20));
	return rc;
}

int
rfb_probe_login(
    struct rfb_probe *p, uint32_t type, const char *user, const char *password)
{
	const uint8_t number = (uint8_t)type;
	int rc = 0;

	if (p->ssl == NULL && p->minor > 3)
		rc = send_all(p, &number, 1);
	if (rc == 0 && type == RFB_SEC_X509_PLAIN)
		rc = send_plain(p, user, password);
	else if (rc == 0 && (type == RFB_SEC_X509_VNC || type == RFB_SEC_VNC))
		rc = answer_challenge(p, password);
	if (rc == 0)
		rc = read_result(p, type);
	return rc == 0 ? read_server_init(p) : rc;
}
