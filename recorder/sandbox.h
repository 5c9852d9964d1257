/*
 * What a recorder may still do once it has its descriptors: compute, map
 * anonymous memory, and create, write, rename and remove files directly
 * below the spool folder. It decodes hostile pictures, so everything else
 * is taken away before the first byte of a session is read: no network, no
 * program, no other file, no new process or thread.
 *
 * Three layers: resource limits, Landlock (files; best effort, older kernels
 * have none) and seccomp (system calls; required). A forbidden call kills
 * the process; opening a file elsewhere fails with EACCES, as libraries try
 * that on harmless occasions. Linux only.
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
	bool has_landlock;       /* out: the kernel took the file rules */
};

/*
 * Enters for good. Call with one thread. Returns 0, or ERR_UNSUPPORTED or
 * ERR_IO with *why a static sentence; then the process should not go on.
 */
int sandbox_enter(struct sandbox *s, const char **why);

#endif
