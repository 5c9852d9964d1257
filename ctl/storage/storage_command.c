/* relaycam storage: its verbs. */
#include "ctl/command.h"
#include "ctl/storage/storage_check.h"
#include "ctl/storage/storage_init.h"

static const struct arg_opt check_opts[] = {
	{ "full", NULL,
	    "hash all bytes anew, not only those whose turn it is" },
	{ "no-wait", NULL, "ask for it, and do not wait for its end" },
	OPT_JSON,
};

static const struct arg_opt init_opts[] = {
	{ "create-bucket", NULL, "make the bucket if there is none" },
	{ "object-lock", NULL,
	    "with --create-bucket: make it with object lock" },
	{ "no-lifecycle", NULL, "leave the bucket's lifecycle rules alone" },
	OPT_JSON,
};

static const struct command commands[] = {
	{ "init", "", 0, 0, OPTS(init_opts),
	    "Looks at what the S3 server can do, and notes it.\n\nStores, "
	    "replaces and removes an object below relaycam-init/, and adds a "
	    "lifecycle\nrule that ends incomplete uploads after 7 days. "
	    "Storage uses only what was noted, so\nrun it again after a "
	    "change of the server.",
	    storage_run_init },
	{ "check", "", 0, 0, OPTS(check_opts),
	    "Compares the store, the rows and the spools.\n\nA storage daemon "
	    "does it, as it does every night: each object beside its row, and "
	    "the\nbytes of a share of the recordings. Lists what is missing, "
	    "unknown, or has another size\nor checksum, with what can be done. "
	    "Exit status 3 when there is any, 1 when it could\nnot be done. "
	    "Nothing is deleted but objects whose row says that they were.",
	    storage_run_check },
};

const struct command_group group_storage = { "storage",
	"the object store: what it can do, and compared with the rows",
	commands, 2 };
