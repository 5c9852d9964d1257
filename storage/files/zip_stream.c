#include "storage/files/zip_stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <event2/buffer.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/err.h"

struct zip_stream {
	struct archive *zip;
	struct archive_entry *entry;
	struct evbuffer *out;
	uint64_t left; /* of the entry */
	bool is_over;  /* what libarchive writes now is dropped */
};

static la_ssize_t
on_write(struct archive *a, void *arg, const void *data, size_t len)
{
	struct zip_stream *z = arg;

	if (z->is_over || evbuffer_add(z->out, data, len) == 0)
		return (la_ssize_t)len;
	archive_set_error(a, -1, "out of memory");
	return -1;
}

/* No block of its own, and no padding behind the directory: readers refuse
 * what follows it. */
static int
open_zip(struct zip_stream *z)
{
	return archive_write_set_format_zip(z->zip) == ARCHIVE_OK &&
		archive_write_zip_set_compression_store(z->zip) == ARCHIVE_OK &&
		archive_write_set_bytes_per_block(z->zip, 0) == ARCHIVE_OK &&
		archive_write_set_bytes_in_last_block(z->zip, 1) ==
		    ARCHIVE_OK &&
		archive_write_open(z->zip, z, NULL, on_write, NULL) ==
		    ARCHIVE_OK
	    ? 0
	    : ERR_NOMEM;
}

struct zip_stream *
zip_stream_new(struct evbuffer *out)
{
	struct zip_stream *z = calloc(1, sizeof(*z));

	if (z == NULL)
		return NULL;
	z->out = out;
	z->zip = archive_write_new();
	z->entry = archive_entry_new();
	if (z->zip != NULL && z->entry != NULL && open_zip(z) == 0)
		return z;
	zip_stream_free(z);
	return NULL;
}

void
zip_stream_free(struct zip_stream *z)
{
	if (z == NULL)
		return;
	/* it writes an end; archive_write_fail() before would leak its buffer */
	z->is_over = true;
	archive_write_free(z->zip);
	archive_entry_free(z->entry);
	free(z);
}

int
zip_stream_begin(
    struct zip_stream *z, const char *name, uint64_t bytes, int64_t time_s)
{
	if (z->left != 0)
		return ERR_CORRUPT;
	archive_entry_clear(z->entry);
	archive_entry_set_pathname(z->entry, name);
	archive_entry_set_filetype(z->entry, AE_IFREG);
	archive_entry_set_perm(z->entry, 0644);
	archive_entry_set_size(z->entry, (la_int64_t)bytes);
	archive_entry_set_mtime(z->entry, (time_t)time_s, 0);
	/* ends the entry before, too */
	if (archive_write_header(z->zip, z->entry) != ARCHIVE_OK)
		return ERR_NOMEM;
	z->left = bytes;
	return 0;
}

int
zip_stream_write(struct zip_stream *z, const void *data, size_t len)
{
	if (len > z->left)
		return ERR_CORRUPT;
	if (archive_write_data(z->zip, data, len) != (la_ssize_t)len)
		return ERR_NOMEM;
	z->left -= len;
	return 0;
}

int
zip_stream_end(struct zip_stream *z)
{
	if (z->left != 0)
		return ERR_CORRUPT;
	return archive_write_close(z->zip) == ARCHIVE_OK ? 0 : ERR_NOMEM;
}
