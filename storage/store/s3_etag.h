/*
 * What an ETag can prove. It is the MD5 of an object or a part that was sent
 * in one piece, on most servers and unless they encrypt with a key of
 * theirs; of an object made of parts it is something else. S3 promises
 * neither its form nor its case (the API reference calls it opaque), so all
 * that does not look like an MD5 says nothing.
 */
#ifndef STORAGE_STORE_S3_ETAG_H
#define STORAGE_STORE_S3_ETAG_H

enum s3_etag_verdict {
	S3_ETAG_SAME,
	S3_ETAG_DIFFERS,
	S3_ETAG_OPAQUE, /* it proves nothing */
};

/*
 * etag: without quotes. md5: of what was sent, 32 hex digits. encryption:
 * x-amz-server-side-encryption of the same answer, "" when there was none.
 */
enum s3_etag_verdict s3_etag_judge(
    const char *etag, const char *md5, const char *encryption);

#endif
