/*
 * The process that starts the workers, starts them again when they die, and
 * answers probes. It serves no API, holds no key and no database connection.
 */
#ifndef CONSOLE_SUPERVISOR_H
#define CONSOLE_SUPERVISOR_H

struct console_conf;

/*
 * Runs until SIGTERM or SIGINT. argv: of this process, which workers are
 * started with, followed by "worker", their number and a descriptor of the
 * shared memory. Returns the exit status.
 */
int supervisor_run(const struct console_conf *conf, int argc, char **argv);

#endif
