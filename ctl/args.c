#include "ctl/args.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

static size_t
find(const struct arg_opt *opts, size_t n, const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strncmp(opts[i].name, name, len) == 0 &&
		    opts[i].name[len] == '\0')
			break;
	return i;
}

static int
unknown(const char *word)
{
	static const char *const before[] = { "--config", "-c", "--set", "-s" };

	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
		if (strcmp(word, before[i]) == 0)
			return ctl_usage("%s goes before the command: "
					 "relaycam %s ... COMMAND",
			    word, word);
	return ctl_usage("unknown option %s; --help lists them", word);
}

/* One "--..." word; *i moves on when it takes the next one as value. */
static int
parse_option(struct args *a, int argc, char **argv, int *i)
{
	const char *name = argv[*i] + 2;
	const char *equals = strchr(name, '=');
	size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
	size_t k = find(a->opts, a->n_opts, name, len);

	if (k == a->n_opts)
		return unknown(argv[*i]);
	if (a->opts[k].value == NULL) {
		if (equals != NULL)
			return ctl_usage(
			    "--%s takes no value", a->opts[k].name);
		a->values[k] = "";
		return 0;
	}
	if (equals != NULL) {
		a->values[k] = equals + 1;
		return 0;
	}
	if (*i + 1 >= argc)
		return ctl_usage("--%s needs a value: --%s %s", a->opts[k].name,
		    a->opts[k].name, a->opts[k].value);
	a->values[k] = argv[++*i];
	return 0;
}

static int
add_word(struct args *a, const char *word)
{
	if (a->n_words == ARGS_WORDS_MAX)
		return ctl_usage("too many arguments at \"%s\"", word);
	a->words[a->n_words++] = word;
	return 0;
}

int
args_parse(struct args *a, const struct arg_opt *opts, size_t n_opts, int argc,
    char **argv)
{
	bool only_words = false;
	int rc = 0;

	assert(n_opts <= ARGS_OPTIONS_MAX);
	memset(a, 0, sizeof(*a));
	a->opts = opts;
	a->n_opts = n_opts;
	for (int i = 0; i < argc && rc == 0; i++) {
		const char *w = argv[i];

		if (only_words || w[0] != '-' || w[1] == '\0')
			rc = add_word(a, w);
		else if (strcmp(w, "--") == 0)
			only_words = true;
		else if (strcmp(w, "--help") == 0 || strcmp(w, "-h") == 0)
			a->help = true;
		else if (w[1] == '-')
			rc = parse_option(a, argc, argv, &i);
		else
			rc = unknown(w);
	}
	return a->help ? 0 : rc;
}

const char *
args_get(const struct args *a, const char *name)
{
	size_t k = find(a->opts, a->n_opts, name, strlen(name));

	assert(k < a->n_opts); /* asking for what the table lacks is a bug */
	return a->values[k];
}

bool
args_has(const struct args *a, const char *name)
{
	return args_get(a, name) != NULL;
}

int
args_number(const struct args *a, const char *name, int64_t lo, int64_t hi,
    int64_t preset, int64_t *out)
{
	const char *s = args_get(a, name);
	char *end;

	*out = preset;
	if (s == NULL)
		return 0;
	errno = 0;
	*out = strtoll(s, &end, 10);
	if (end == s || *end != '\0' || errno != 0 || *out < lo || *out > hi)
		return ctl_usage("--%s %s: expected a number from %lld to %lld",
		    name, s, (long long)lo, (long long)hi);
	return 0;
}

/* Seconds of one s, m, h or d; 0: no such letter. */
static int64_t
unit_seconds(const char *s)
{
	static const char letters[] = "smhd";
	static const int64_t seconds[] = { 1, 60, 3600, 86400 };
	const char *at = strchr(letters, s[0]);

	if (s[0] == '\0')
		return 1;
	return at != NULL && s[1] == '\0' ? seconds[at - letters] : 0;
}

int
args_seconds(const struct args *a, const char *name, int64_t lo, int64_t hi,
    int64_t preset, int64_t *out)
{
	const char *s = args_get(a, name);
	int64_t unit;
	char *end;

	*out = preset;
	if (s == NULL)
		return 0;
	errno = 0;
	*out = strtoll(s, &end, 10);
	unit = unit_seconds(end);
	if (end == s || errno != 0 || unit == 0 || *out < lo / unit ||
	    *out > hi / unit || *out * unit < lo)
		return ctl_usage("--%s %s: expected %lld to %lld seconds, or "
				 "a number with s, m, h or d",
		    name, s, (long long)lo, (long long)hi);
	*out *= unit;
	return 0;
}
