/*
 * The process that starts recorders. It is forked before the relay has a
 * thread or a key, so no recorder can inherit either; the relay never forks
 * again. Requests carry descriptors over a seqpacket socket. It logs each
 * recorder's pid and how it ended.
 *
 * When the relay's end of the socket closes, recorders go on by themselves
 * and finish their segments (docs/tee.md); the spawner ends after the last
 * one, and kills those that hang.
 */
#ifndef RELAY_SPAWNER_H
#define RELAY_SPAWNER_H

#include <stdint.h>
#include <sys/types.h>

struct spool_flush_shared;

/* Descriptors of one recorder, in the order of enum tee_fd, all borrowed. */
#define SPAWNER_FDS    8
#define SPAWNER_ID_LEN 37 /* a session's UUID with its NUL */

/*
 * Forks. program: path of relaycam-recorder; spool: folder in which each
 * session gets one of its own, its recorders' TEE_FD_SPOOL. user: account that
 * spawner and recorders become; NULL: none. flush: the page of a flusher, which
 * then runs while recorders do; NULL: they sync by themselves. Returns the
 * socket to use with the other calls, or ERR_IO.
 */
int spawner_start(const char *program, const char *spool, const char *user,
    const struct spool_flush_shared *flush);

/*
 * Asks for the recorder of a session; fds[TEE_FD_x - TEE_FD_DATA], the last
 * one (SPOOL) is ignored. May be called from any thread. Does not wait:
 * whether the recorder runs is told by its own READY on the status socket,
 * which says why and closes when it cannot be started. Returns 0, ERR_AGAIN
 * (queue full) or ERR_IO.
 */
int spawner_request(
    int sock, const char id[SPAWNER_ID_LEN], const int fds[SPAWNER_FDS]);

/* Asks to kill a session's recorder if it still runs. Same errors. */
int spawner_kill(int sock, const char id[SPAWNER_ID_LEN]);

/*
 * The session is over: its recorder has SPAWNER_FINISH_SECONDS to close its
 * file, then it is killed, and storage finishes the file. Same errors.
 */
#define SPAWNER_FINISH_SECONDS 60
int spawner_finish(int sock, const char id[SPAWNER_ID_LEN]);

/*
 * All sessions are over: waits until the spawner has ended, which it does
 * after its last recorder, for some seconds at most. No other call may
 * follow. Returns 0, or ERR_TIMEOUT: recorders still run.
 */
int spawner_end(int sock, unsigned seconds);

#endif
