#include <stddef.h>

#include "storage/daemon.h"

#define ROW(name, type, preset, lo, hi, help)                                  \
	{                                                                      \
#name, type, offsetof(struct conf_storage, name), preset, lo,  \
		    hi, NULL, help                                             \
	}

const struct conf_opt conf_storage_opts[36] = {
	ROW(listen, CONF_STR, "0.0.0.0:8444", 0, 0,
	    "address:port of the server of signed files (TLS); with direct S3 "
	    "links only of what is not stored yet."),
	ROW(tls_cert_file, CONF_STR, "/etc/relaycam/tls.crt", 0, 0,
	    "PEM certificate chain of that server; read again at SIGHUP."),
	ROW(tls_key_file, CONF_STR, "/etc/relaycam/tls.key", 0, 0,
	    "PEM private key of that server."),
	ROW(cors_origin, CONF_STR, NULL, 0, 0,
	    "`https://host[:port]` of the console, whose pages may read "
	    "signed files; unset: other origins may not."),
	ROW(metrics_listen, CONF_STR, "127.0.0.1:9091", 0, 0,
	    "address:port of /metrics, /healthz and /readyz (clear HTTP)."),
	ROW(proxy_protocol_from, CONF_STR, NULL, 0, 0,
	    "Addresses and networks of load balancers, comma-separated: their "
	    "connections must begin with the header of the PROXY protocol, "
	    "version 2. Empty: none."),
	ROW(captures, CONF_BOOL, "off", 0, 0,
	    "`on`: agents may hand over captures that they wrote on their "
	    "endpoint, on the same port (C7). Needs store.link_key_file."),
	ROW(capture_key_file, CONF_STR, "/var/lib/relaycam/capture.key", 0, 0,
	    "Seed of 32 bytes of the key pair that agents encrypt captures to. "
	    "Mode 0600. The daemon makes the file when there is none; all "
	    "storage daemons of a site need the same one."),
	ROW(capture_max_bytes, CONF_SIZE, "16G", 1, INT64_C(1) << 42,
	    "A capture that is larger is refused."),
	ROW(capture_free_bytes, CONF_SIZE, "400M", 0, INT64_C(1) << 42,
	    "Captures that arrive leave this much free on the spool's file "
	    "system beside spool.min_free_bytes, at which recorders stop (C6)."),
	ROW(captures_per_endpoint, CONF_INT, "8", 1, 1024,
	    "Captures of one endpoint that have begun to arrive and are not "
	    "whole; more are asked to wait."),
	ROW(capture_expiry_seconds, CONF_SECONDS, "7d", 1, 31536000,
	    "A capture that has begun to arrive is dropped when nothing more "
	    "of it came for this long."),
	ROW(recorder_program, CONF_STR, "/usr/libexec/relaycam-recorder", 0, 0,
	    "Program that finishes segments whose recorder died."),
	ROW(user, CONF_STR, NULL, 0, 0,
	    "When started as root: the user to become."),
	ROW(scan_seconds, CONF_SECONDS, "30", 1, 86400,
	    "The spool is looked through this often, beside what the kernel "
	    "reports at once."),
	ROW(retry_seconds, CONF_SECONDS, "300", 1, 86400,
	    "A transfer or repair that failed is tried again after this "
	    "time (M2)."),
	ROW(early_upload_seconds, CONF_SECONDS, "2m", 0, 86400,
	    "With S3: what a segment has grown by is sent this often while it "
	    "is recorded, so that a node that is lost loses no more than that. "
	    "0: segments are sent when they are closed."),
	ROW(lost_node_seconds, CONF_SECONDS, "1d", 10, 31536000,
	    "A storage daemon that gave no sign of life for this long is "
	    "lost: of its spool, what was sent early becomes recordings, and "
	    "the rest is missing. Should it come back, what it has replaces "
	    "them."),
	ROW(expiry_seconds, CONF_SECONDS, "60", 1, 86400,
	    "Recordings past their time are looked for this often (T12)."),
	ROW(retention_day_seconds, CONF_SECONDS, "1d", 1, 86400,
	    "How long a day of `retention_days` is: for tests, which cannot "
	    "wait for 90 days (T12)."),
	ROW(check_seconds, CONF_SECONDS, "1d", 1, 8640000,
	    "Pause between two comparisons of all stored objects with their "
	    "rows (M1: missing, corrupted; M4)."),
	ROW(hash_days, CONF_INT, "30", 1, 3650,
	    "Days in which the bytes of all stored recordings are hashed once, "
	    "a share with each comparison."),
	ROW(encoders, CONF_INT, "0", 0, 256,
	    "Captures that are encoded at a time; 0: one a processor core."),
	ROW(encode_seconds, CONF_SECONDS, "5m", 1, 86400,
	    "Processor time that encoding a capture may take, however short "
	    "it is; each second of the capture adds 3 (M3)."),
	ROW(recorder_stall_seconds, CONF_SECONDS, "60", 1, 86400,
	    "A recorder_program that uses no processor time for this long is "
	    "stuck: it is killed, and started again."),
	ROW(concurrency, CONF_INT, "16", 1, 64, "Transfers at a time."),
	ROW(downloads_max, CONF_INT, "256", 1, 10000,
	    "Downloads at a time; more are answered 503."),
	ROW(max_connections, CONF_INT, "1000", 1, 100000,
	    "Connections at once to the server of signed files that brought "
	    "no valid link yet. Beyond it, the oldest one of the address that "
	    "has most is closed."),
	ROW(max_connections_per_address, CONF_INT, "100", 0, 100000,
	    "Of these, from one address (of IPv6, its first 64 bits). 0: "
	    "addresses are not told apart, for a server behind something that "
	    "hides them."),
	ROW(grant_seconds, CONF_SECONDS, "1d", 0, 604800,
	    "How long a client that opened a signed link while it lived may "
	    "continue with that file (T6). 0: not beyond the link's life."),
	ROW(stall_seconds, CONF_SECONDS, "60", 1, 3600,
	    "A download whose client takes nothing for this long is paused: "
	    "it has a place among those, and none among the downloads_max."),
	ROW(paused_seconds, CONF_SECONDS, "1h", 1, 86400,
	    "A download that was paused for this long is closed."),
	ROW(paused_max, CONF_INT, "256", 1, 10000,
	    "Paused downloads. Beyond it, the one that was paused first, of "
	    "the address that has most, is closed."),
	ROW(paused_max_per_address, CONF_INT, "32", 0, 10000,
	    "Of these, from one address (of IPv6, its first 64 bits). 0: "
	    "addresses are not told apart."),
	ROW(follow_seconds, CONF_SECONDS, "1h", 1, 86400,
	    "A download that follows a recording ends when nothing was added "
	    "to it for this long (X1)."),
	ROW(stop_seconds, CONF_SECONDS, "30", 1, 3600,
	    "At SIGTERM, parts and downloads under way get this long."),
};
