/*
 * The files of a page, read once into memory from one or more folders. A
 * request is looked up by its exact path in a table and never touches the
 * file system. Immutable once it is sorted: any thread may read it then.
 */
#ifndef COMMON_FILE_TABLE_H
#define COMMON_FILE_TABLE_H

#include <stddef.h>
#include <stdint.h>

#define FILE_TABLE_MAX_BYTES (16u << 20)
#define FILE_TABLE_MAX       1000
#define FILE_ETAG_LEN        34 /* 16 bytes in hex, in quotes */

struct file_table;

struct table_file {
	char *path; /* as requested: "/js/a.js" */
	const char *type;
	char etag[FILE_ETAG_LEN + 1]; /* a hash: the same on every machine */
	uint8_t *data;
	size_t len;
};

/* NULL only for memory. */
struct file_table *file_table_new(void);
void file_table_free(struct file_table *t);

/*
 * Reads all of a folder as prefix "/..."; "" is the root. Files of other
 * kinds than a page uses and hidden ones are left out. On failure returns
 * ERR_CONFIG (a folder or file cannot be read), ERR_LIMIT or ERR_NOMEM, and
 * why in `why` (why_len bytes).
 */
int file_table_add(struct file_table *t, const char *folder, const char *prefix,
    char *why, size_t why_len);

/* After the last folder was added: what follows may be called. */
void file_table_sort(struct file_table *t);

size_t file_table_count(const struct file_table *t);
/* i: below file_table_count(); in the order of the paths. */
const struct table_file *file_table_at(const struct file_table *t, size_t i);
/* NULL: there is none. */
const struct table_file *file_table_find(
    const struct file_table *t, const char *path);

#endif
