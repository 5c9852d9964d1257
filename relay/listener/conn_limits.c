#include "relay/listener/conn_limits.h"

#include "common/clock.h"
#include "relay/conf.h"

#define N_LOGIN_POOLS POOL_SESSION
/* listening sockets, the database, files of the page, a recorder's start */
#define RESERVED_FILES 256

/* The setting, or the descriptors that there are for it. */
static unsigned
bound(int64_t setting, uint64_t n_files, bool *is_low)
{
	if ((uint64_t)setting <= n_files)
		return (unsigned)setting;
	*is_low = true;
	return (unsigned)n_files;
}

int64_t
conn_limits_request_life_s(const struct relay_conf *c)
{
	return c->handshake_seconds + 2 * c->login_seconds;
}

/* has_dialogs: people may type passwords there. */
static struct connection_pool
login_pool(const struct relay_conf *c, unsigned max, bool has_dialogs)
{
	/* the states' own limits come first: this one holds for all of them
	 * together */
	int64_t life_s = conn_limits_request_life_s(c) +
	    (has_dialogs ? c->login_dialog_seconds : 0);

	return (struct connection_pool){
		.setting = "max_logins",
		.address_setting = "max_logins_per_address",
		.max = max,
		.per_address = (unsigned)c->max_logins_per_address,
		.evicts = true,
		.life_ns = (uint64_t)life_s * NS_PER_S,
	};
}

bool
conn_limits_derive(struct connection_pool out[POOL_N],
    const struct relay_conf *c, uint64_t n_files)
{
	bool is_low = false;
	uint64_t usable = n_files > 2 * RESERVED_FILES
	    ? n_files - RESERVED_FILES
	    : n_files / 2;
	unsigned logins =
	    bound(c->max_logins, usable / 5 / N_LOGIN_POOLS, &is_low);
	unsigned agents = bound(c->max_agents, usable / 5, &is_low);
	unsigned attended = bound(c->max_attended, usable / 20, &is_low);
	unsigned parked = bound(c->max_parked, usable / 20, &is_low);
	unsigned proxied = c->proxy_protocol_from != NULL ? logins : 0;
	uint64_t rest = usable - (uint64_t)N_LOGIN_POOLS * logins - agents -
	    attended - parked - proxied;

	for (unsigned i = 0; i < N_LOGIN_POOLS; i++)
		out[i] = login_pool(c, logins, i != POOL_REVERSE);
	out[POOL_SESSION] = (struct connection_pool){
		.setting = "max_sessions",
		.max =
		    bound(c->max_sessions, rest / POOL_SESSION_FILES, &is_low),
	};
	out[POOL_AGENT] =
	    (struct connection_pool){ .setting = "max_agents", .max = agents };
	out[POOL_ATTENDED] = (struct connection_pool){
		.setting = "max_attended",
		.address_setting = "max_attended_per_address",
		.max = attended,
		.per_address = (unsigned)c->max_attended_per_address,
	};
	out[POOL_PARKED] =
	    (struct connection_pool){ .setting = "max_parked", .max = parked };
	out[POOL_PROXIED] = (struct connection_pool){
		.setting = "max_logins",
		.max = proxied,
		.evicts = true,
		.life_ns = (uint64_t)c->handshake_seconds * NS_PER_S,
	};
	return is_low;
}

unsigned
conn_limits_count_logins(struct connection_limit *l)
{
	unsigned n = 0;

	for (unsigned i = 0; i < N_LOGIN_POOLS; i++)
		n += connection_limit_count(l, i);
	return n;
}
