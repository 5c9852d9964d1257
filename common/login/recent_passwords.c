#include "common/login/recent_passwords.h"

#include <pthread.h>
#include <sodium.h>
#include <string.h>

#include "common/bytes.h"
#include "common/login/password_process.h"

#define MAC_LEN crypto_generichash_BYTES
#define N_SETS  512 /* a power of two */
#define N_WAYS  4   /* the oldest of a set goes first */

struct entry {
	uint8_t mac[MAC_LEN];
	uint64_t until_ns; /* 0: none */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	bool has_key;
	uint8_t key[crypto_generichash_KEYBYTES];
	struct entry entries[N_SETS][N_WAYS];
} kept;

/* Under the lock. */
static void
need_key(void)
{
	if (kept.has_key)
		return;
	randombytes_buf(kept.key, sizeof(kept.key));
	/* kept out of swap and core files where the system allows it */
	sodium_mlock(&kept, sizeof(kept));
	kept.has_key = true;
}

/* Its length keeps a hash and a password apart. */
static void
make_mac(
    uint8_t mac[MAC_LEN], const char *hash, const char *password, size_t len)
{
	crypto_generichash_state st;
	const uint64_t hash_len = strlen(hash);

	crypto_generichash_init(&st, kept.key, sizeof(kept.key), MAC_LEN);
	crypto_generichash_update(
	    &st, (const uint8_t *)&hash_len, sizeof(hash_len));
	crypto_generichash_update(&st, (const uint8_t *)hash, hash_len);
	crypto_generichash_update(&st, (const uint8_t *)password, len);
	crypto_generichash_final(&st, mac, MAC_LEN);
	wipe(&st, sizeof(st));
}

static struct entry *
set_of(const uint8_t mac[MAC_LEN])
{
	return kept.entries[load_be32(mac) % N_SETS];
}

static struct entry *
find(const uint8_t mac[MAC_LEN])
{
	struct entry *set = set_of(mac), *found = NULL;

	for (unsigned i = 0; i < N_WAYS; i++)
		if (set[i].until_ns != 0 &&
		    sodium_memcmp(set[i].mac, mac, MAC_LEN) == 0)
			found = &set[i];
	return found;
}

/* The one that ends first, or has ended, of a set. */
static struct entry *
oldest(struct entry *set)
{
	struct entry *e = set;

	for (unsigned i = 1; i < N_WAYS; i++)
		if (set[i].until_ns < e->until_ns)
			e = &set[i];
	return e;
}

void
recent_passwords_add(
    const char *hash, const char *password, size_t len, uint64_t now_ns)
{
	uint8_t mac[MAC_LEN];
	struct entry *e;

	if (sodium_init() < 0)
		return;
	pthread_mutex_lock(&lock);
	need_key();
	make_mac(mac, hash, password, len);
	e = find(mac);
	if (e == NULL)
		e = oldest(set_of(mac));
	memcpy(e->mac, mac, MAC_LEN);
	e->until_ns = now_ns + RECENT_PASSWORD_NS;
	pthread_mutex_unlock(&lock);
	wipe(mac, sizeof(mac));
}

bool
recent_passwords_find(
    const char *hash, const char *password, size_t len, uint64_t now_ns)
{
	uint8_t mac[MAC_LEN];
	struct entry *e = NULL;
	bool is_found;

	pthread_mutex_lock(&lock);
	if (kept.has_key) {
		make_mac(mac, hash, password, len);
		e = find(mac);
	}
	is_found = e != NULL && now_ns < e->until_ns;
	if (e != NULL && !is_found)
		wipe(e, sizeof(*e));
	pthread_mutex_unlock(&lock);
	wipe(mac, sizeof(mac));
	return is_found;
}

int
recent_password_check(
    unsigned i, const char *hash, const char *password, size_t len)
{
	int rc;

	if (hash != NULL &&
	    recent_passwords_find(hash, password, len, clock_mono_ns()))
		return 0;
	rc = password_process_check(i, hash, password, len);
	if (rc == 0)
		recent_passwords_add(hash, password, len, clock_mono_ns());
	return rc;
}

void
recent_passwords_wipe(void)
{
	pthread_mutex_lock(&lock);
	wipe(&kept, sizeof(kept));
	pthread_mutex_unlock(&lock);
}
