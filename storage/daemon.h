/*
 * What the parts of the storage daemon share. One event loop; worker threads
 * touch none of this. Parts are made by main.c in the order of the fields.
 */
#ifndef STORAGE_DAEMON_H
#define STORAGE_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/trace_context.h"
#include "storage/counters.h"

struct conf_storage {
	char *listen; /* signed files, folder store only */
	char *tls_cert_file, *tls_key_file;
	char *cors_origin;
	char *metrics_listen;
	char *proxy_protocol_from;
	char *capture_key_file;
	bool captures;
	int64_t capture_max_bytes, capture_free_bytes, captures_per_endpoint,
	    capture_expiry_seconds;
	char *recorder_program;
	char *user;
	int64_t early_upload_seconds, lost_node_seconds;
	int64_t scan_seconds, retry_seconds, expiry_seconds, check_seconds,
	    hash_days;
	int64_t retention_day_seconds;
	int64_t max_connections, max_connections_per_address;
	int64_t encoders, encode_seconds, recorder_stall_seconds, concurrency,
	    downloads_max, stop_seconds, follow_seconds;
	int64_t grant_seconds, stall_seconds, paused_seconds, paused_max,
	    paused_max_per_address;
};

extern const struct conf_opt conf_storage_opts[36];

#define TRANSFER_DBS 3

struct daemon {
	struct conf_log log;
	struct conf_database database;
	struct conf_spool spool_conf;
	struct conf_store store_conf;
	struct conf_secrets secrets;
	struct conf_storage conf;
	struct event_base *base;
	uint64_t n_descriptors; /* that it may have */
	struct counters counters;
	struct trace_sessions traces;
	struct db *db;
	unsigned n_connects; /* of db, until now */
	struct db *transfer_db[TRANSFER_DBS]; /* spool/transfer_db.h */
	struct workers *workers;
	struct store *store;
	struct spool *spool;
	struct encode_queue *encode_queue;
	struct expiry *expiry;
	struct hold *hold; /* NULL: the store has no object lock */
	struct scrub *scrub;
	struct files *files;
	struct status *status;
	struct node *node;
	struct signing *signing;
	struct prefix_hashes *prefix_hashes;
	struct early *early; /* NULL: nothing is sent while it grows */
	struct lost_nodes *lost_nodes;
	struct scrub_spool *scrub_spool;
	struct clip_set *clips;
	struct receiver *receiver; /* NULL: no captures are received */
	unsigned clips_building;   /* each may take room in the spool yet */
	bool stopping;             /* SIGTERM came: nothing new is begun */
	bool exiting;              /* the loop has ended: callbacks only free */
	char actor[128];           /* of audit rows: storage@host */
};

#endif
