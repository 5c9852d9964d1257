/*
 * What modules below loop.c may do to a loop: keep it running, and run a job
 * on it. A loop that was told to end runs until its last reference is gone.
 */
#ifndef RELAY_BASE_LOOP_REF_H
#define RELAY_BASE_LOOP_REF_H

struct job;
struct loop;

/*
 * A reference for each object that a loop has to bring to its end: a session,
 * a connection, a statement that waits for the database. On the loop.
 */
void loop_ref(struct loop *l);
/* The object is gone. */
void loop_unref(struct loop *l);

/* The loop was told to end (enum loop_command): ends it if it may. On the
 * loop. */
void loop_end_if_idle(struct loop *l);

/* Runs j->done on another loop; j->inbox is set here. Any thread. */
void loop_post(struct loop *to, struct job *j);

#endif
