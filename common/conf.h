/*
 * Settings: one INI file for all programs, read through const tables.
 *
 * A program lists the tables (sections) it uses; a key that no table of a
 * section it uses knows is an error that names file, line and key. Sections
 * of other programs are skipped. Values may be overridden on the command
 * line ("--set section.key=value"). docs/configuration.md is printed from
 * the same tables. Not thread-safe; read at start and at SIGHUP.
 */
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum conf_type {
	CONF_STR,     /* char *, heap, owned by the struct; NULL when unset */
	CONF_INT,     /* int64_t within min..max */
	CONF_BOOL,    /* bool: on/off, true/false, yes/no, 1/0 */
	CONF_SIZE,    /* int64_t bytes; suffixes K M G (1024) */
	CONF_SECONDS, /* int64_t seconds; suffixes s m h d */
	CONF_CHOICE,  /* char *, one of "a|b|c" in `choices` */
};

struct conf_opt {
	const char *name;
	enum conf_type type;
	size_t offset;      /* of the field in the section's struct */
	const char *preset; /* default as text; NULL: unset or zero */
	int64_t min, max;   /* INT, SIZE, SECONDS; 0,0: any */
	const char *choices;
	const char *help; /* one or two sentences for the reference */
};

struct conf_section {
	const char *name; /* "[relay]" without brackets */
	const char *help;
	const struct conf_opt *opts;
	size_t n_opts;
	void *base;   /* struct that offsets refer to */
	bool partial; /* another program's section: unknown keys are its */
};

/* Fills all defaults. Returns 0 or ERR_NOMEM. */
int conf_defaults(const struct conf_section *sections, size_t n);

/*
 * Reads path over what is there. Returns 0, ERR_NOTFOUND, ERR_IO or
 * ERR_CONFIG; err (of err_len bytes) then says which file, line and key, and
 * what would be right.
 */
int conf_read(const char *path, const struct conf_section *sections, size_t n,
    char *err, size_t err_len);

/* Applies one "section.key=value". Same errors. */
int conf_set(const char *assignment, const struct conf_section *sections,
    size_t n, char *err, size_t err_len);

/* Frees all strings (wiped). */
void conf_release(const struct conf_section *sections, size_t n);

/* Prints the sections as Markdown tables. */
void conf_print_reference(
    FILE *f, const struct conf_section *sections, size_t n);

/*
 * What every program's main() does first: reads --config FILE (default
 * /etc/relaycam/relaycam.conf when it exists), --set, --help, --version,
 * --config-reference; the last three print and exit 0. usage is printed by
 * --help before the option list. Wrong options exit 2, wrong settings exit
 * 78 (EX_CONFIG) with one line each. Returns the index of the first
 * argument that is no option. config_path: where the name of the file that
 * was read goes (heap), for SIGHUP; may be NULL.
 */
int conf_main(int argc, char **argv, const char *program, const char *usage,
    const struct conf_section *sections, size_t n, char **config_path);

/* Sections that several programs share; docs/configuration.md. */
struct conf_log {
	char *level, *format;
};
struct conf_database {
	char *url; /* libpq connection string */
	/* who logs in instead of url's user, a program each; NULL: that one */
	char *relay_user, *storage_user, *console_user, *admin_user, *owner_user;
	int64_t answer_seconds;
};
struct conf_spool {
	char *dir;
	int64_t min_free_bytes; /* C6 */
};
/* Object store: what storage uploads to and links point at (M8). */
struct conf_store {
	char *kind; /* folder | s3 */
	char *folder;
	char *public_url; /* of signed files: https://host:8444 */
	char *link_key_file;
	char *s3_links;       /* storage, direct */
	int64_t link_seconds; /* T6: 600 */
	char *s3_endpoint, *s3_region, *s3_bucket;
	char *s3_access_key_file, *s3_ca_file;
	char *s3_credentials; /* file, web-identity, container, instance */
	char *s3_credentials_url, *s3_role_arn, *s3_token_file;
	char *s3_encryption, *s3_kms_key; /* none, s3, kms */
	int64_t s3_part_bytes;            /* 0: by what the link carries */
	int64_t s3_parallel_parts;
	int64_t s3_upload_bytes_per_second; /* 0: unlimited */
	bool s3_path_style;
};

/* Keys of the installation; each program reads only its own. */
struct conf_secrets {
	char *seal_key_file;
	char *evidence_key_file; /* "": nothing is signed */
};

extern const struct conf_opt conf_log_opts[2];
extern const struct conf_opt conf_database_opts[7];
extern const struct conf_opt conf_spool_opts[2];
extern const struct conf_opt conf_store_opts[21];
extern const struct conf_opt conf_secrets_opts[2];

/* { name, help, table, size, base } rows for the shared sections. */
#define CONF_LOG(b)                                                            \
	{                                                                      \
		"log", "Logs of every program go to standard error.",          \
		    conf_log_opts, 2, (b)                                      \
	}
#define CONF_DATABASE(b)                                                       \
	{                                                                      \
		"database", "PostgreSQL, where all programs meet.",            \
		    conf_database_opts, 7, (b)                                 \
	}
#define CONF_SPOOL(b)                                                          \
	{                                                                      \
		"spool", "The folder where recordings wait for storage.",      \
		    conf_spool_opts, 2, (b)                                    \
	}
#define CONF_STORE(b)                                                          \
	{                                                                      \
		"store", "Where recordings are kept, and how links are made.", \
		    conf_store_opts, 21, (b)                                   \
	}
#define CONF_SECRETS(b)                                                        \
	{                                                                      \
		"secrets", "Keys of this installation.", conf_secrets_opts, 2, \
		    (b)                                                        \
	}

/* Applies [log] to common/log.h. Returns 0 or ERR_CONFIG. */
int conf_log_apply(const struct conf_log *c, const char *program);

#endif
