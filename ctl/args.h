/*
 * Arguments of one command, parsed by a const table: "--name value",
 * "--name=value", switches, and positional words in between. No I/O except
 * messages. The words are borrowed from argv.
 */
#ifndef CTL_ARGS_H
#define CTL_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARGS_OPTIONS_MAX 32
#define ARGS_WORDS_MAX   16

struct arg_opt {
	const char *name;  /* without the dashes */
	const char *value; /* what stands for it in --help; NULL: a switch */
	const char *help;
};

struct args {
	const struct arg_opt *opts;
	size_t n_opts;
	const char *values[ARGS_OPTIONS_MAX]; /* NULL: not given */
	const char *words[ARGS_WORDS_MAX];
	size_t n_words;
	bool help; /* --help was among them */
};

/* Returns 0, or STATUS_USAGE after a message. */
int args_parse(struct args *a, const struct arg_opt *opts, size_t n_opts,
    int argc, char **argv);

/* The value of an option of the table; NULL when it was not given. */
const char *args_get(const struct args *a, const char *name);
bool args_has(const struct args *a, const char *name);

/*
 * A whole number lo..hi from an option; preset when not given.
 * Returns 0, or STATUS_USAGE after a message.
 */
int args_number(const struct args *a, const char *name, int64_t lo, int64_t hi,
    int64_t preset, int64_t *out);

/* The same for a time in seconds, or with s, m, h, d behind it: "90m". */
int args_seconds(const struct args *a, const char *name, int64_t lo, int64_t hi,
    int64_t preset, int64_t *out);

#endif
