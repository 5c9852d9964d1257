/*
 * What a recorder may still do once it has its descriptors: compute, map
 * anonymous memory, and create, write, rename and remove files directly
 * below one folder: its session's in the spool. It decodes hostile frames, so
 * everything else is taken away before the first byte of a session is read: no
 * network, no program, no other file, no new process or thread.
 *
 * Layers: resource limits; Landlock and the folder as root (files; one of
 * them is enough, and not every system has both); seccomp (system calls;
 * required). A forbidden call kills the process; opening a file elsewhere
 * fails, as libraries try that on harmless occasions. Linux only.
 *
 * So it reaches no other session's files. Those of its own that an earlier
 * recorder wrote it cannot list, and after sandbox_narrow() it opens no file
 * that exists, so it reads and writes only what it made itself. A segment of
 * an older version, directly in the spool, is repaired there.
 */
#ifndef RECORDER_SANDBOX_H
#define RECORDER_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

struct sandbox {
	int spool_fd;            /* names are relative to this folder only */
	int status_fd;           /* the only socket to send on, or -1 */
	uint64_t max_file_bytes; /* 0: as large as segments need */
	uint64_t max_pixels;     /* of a screen: memory is limited to its need;
				  * 0: no screen is decoded */
	bool will_narrow;        /* sandbox_narrow() follows */
	bool has_landlock;       /* out: the kernel took the file rules */
	bool has_root;           /* out: the folder is the root now */
};

/*
 * Enters for good. Call with one thread. Returns 0, or ERR_UNSUPPORTED or
 * ERR_IO with *why a static sentence; then the process should not go on.
 */
int sandbox_enter(struct sandbox *s, const char **why);

/*
 * From here on openat() only makes files that are not there yet; any other
 * use of it fails with EACCES. Once, after sandbox_enter with will_narrow.
 * Returns 0, ERR_NOMEM or ERR_UNSUPPORTED.
 */
int sandbox_narrow(void);

#endif
