/*
 * Reads files of webm_writer, finished or cut off at any byte: frame by
 * frame, tolerant of what is missing, strict about what is there. Reads with
 * pread in small pieces; hostile input costs bounded memory.
 */
#ifndef RECORDER_WEBM_READER_H
#define RECORDER_WEBM_READER_H

#include <stdbool.h>
#include <stdint.h>

struct webm_frame {
	uint64_t offset; /* of the frame's bytes in the file */
	uint64_t len;
	uint64_t time_ms;
	bool is_key;
	uint64_t cluster; /* file offset of its cluster element */
	uint64_t end;	  /* file offset after its block */
};

struct webm_reader {
	int fd;
	uint64_t file_len;
	uint16_t width, height;
	bool is_finished; /* the segment's size is there and agrees */
	uint64_t duration_ms; /* 0 while not finished */
	/* where the reader is */
	uint64_t pos, cluster, cluster_end, cluster_time;
	bool in_cluster;
};

/* Reads the header. Returns 0, ERR_CORRUPT or ERR_IO. fd is borrowed. */
int webm_reader_init(struct webm_reader *r, int fd);

/*
 * The next complete frame. Returns 1 with *f filled; 0 at the end of what is
 * complete (the rest, if any, is cut off); ERR_CORRUPT or ERR_IO.
 */
int webm_reader_next(struct webm_reader *r, struct webm_frame *f);

#endif
