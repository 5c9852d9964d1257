#include "relay/base/tickets.h"

#include <openssl/crypto.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "common/http.h"

#define TICKET_BYTES ((AGENT_TICKET_MAX - 1) / 2)

void
tickets_init(struct ticket_table *t, unsigned loop)
{
	TAILQ_INIT(&t->waiting);
	t->loop = loop;
}

void
ticket_issue(
    struct ticket *k, struct ticket_table *t, ticket_cb *on_channel, void *arg)
{
	uint8_t b[TICKET_BYTES];

	ticket_withdraw(k);
	randombytes_buf(b, sizeof(b));
	b[0] = (uint8_t)t->loop;
	http_hex(b, sizeof(b), k->text);
	wipe(b, sizeof(b));
	k->on_channel = on_channel;
	k->arg = arg;
	k->table = t;
	TAILQ_INSERT_TAIL(&t->waiting, k, link);
}

void
ticket_withdraw(struct ticket *k)
{
	if (k->table == NULL)
		return;
	TAILQ_REMOVE(&k->table->waiting, k, link);
	k->table = NULL;
	wipe(k->text, sizeof(k->text));
}

bool
tickets_redeem(struct ticket_table *t, const char text[AGENT_TICKET_MAX],
    struct channel *channel)
{
	struct ticket *k;

	TAILQ_FOREACH(k, &t->waiting, link)
		if (CRYPTO_memcmp(k->text, text, sizeof(k->text)) == 0)
			break;
	if (k == NULL)
		return false;
	ticket_withdraw(k);
	return k->on_channel(k->arg, channel);
}

unsigned
tickets_loop(const char *text)
{
	char digits[3] = { text[0], text[0] != '\0' ? text[1] : '\0', '\0' };

	return (unsigned)strtoul(digits, NULL, 16);
}
