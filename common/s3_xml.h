/*
 * As much XML as S3 answers need: the text of the next element of a name.
 * Hostile input; no allocation; thread-safe.
 */
#ifndef COMMON_S3_XML_H
#define COMMON_S3_XML_H

#include <stddef.h>

/*
 * Finds <name>text</name> at or after *at (NUL-terminated) and moves *at
 * behind it. The text has its entities decoded and is cut to out_len.
 * Returns 0 or ERR_NOTFOUND (*at is left alone).
 */
int s3_xml_text(const char **at, const char *name, char *out, size_t out_len);

/*
 * Finds <name>...</name> and gives its inside as [*start, *end). Elements of
 * the same name are not nested in S3's answers. 0 or ERR_NOTFOUND.
 */
int s3_xml_element(
    const char **at, const char *name, const char **start, const char **end);

#endif
