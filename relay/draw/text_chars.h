/*
 * Text as the characters that are drawn: UTF-8 decoded, what has no shape
 * left out, what is no UTF-8 replaced. Source: RFC 3629. Pure.
 */
#ifndef RELAY_DRAW_TEXT_CHARS_H
#define RELAY_DRAW_TEXT_CHARS_H

#include <stddef.h>
#include <stdint.h>

#define TEXT_REPLACEMENT 0xfffd

/*
 * Decodes len bytes at utf8 into chars, which has room for len of them.
 * Line feeds stay, tabs become spaces; control characters and invisible
 * ones (joiners, direction overrides) are dropped; each byte that cannot
 * begin or go on becomes U+FFFD. Returns the number of characters.
 */
size_t text_chars(const char *utf8, size_t len, uint32_t *chars);

#endif
