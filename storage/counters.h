/* What /metrics shows; plain numbers that the loop adds to. */
#ifndef STORAGE_COUNTERS_H
#define STORAGE_COUNTERS_H

#include <stdint.h>

struct counters {
	uint64_t transfers_ok, transfers_failed, bytes_stored;
	uint64_t parts_sent, parts_resumed;
	uint64_t s3_requests, s3_errors, s3_retries;
	uint64_t repairs_ok, repairs_failed;
	uint64_t encodes_ok, encodes_failed;
	uint64_t quarantined;
	uint64_t captures_received, captures_refused; /* from devices */
	uint64_t illegal_moves; /* spool_states.h; a fault of ours */
	uint64_t expired, deleted, expiry_failed;
	uint64_t checked, checks, check_corrupted, check_missing;
	uint64_t files_ok, files_partial, files_denied, files_notfound;
	uint64_t files_refused, files_bytes;
	uint64_t files_resumed; /* by a grant */
	int64_t files_active, files_paused; /* active ones include paused */
	int64_t store_jobs; /* operations of the store under way */
};

#endif
