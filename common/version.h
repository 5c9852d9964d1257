/* Versions of programs, such as "0.1.0". Pure. */
#ifndef COMMON_VERSION_H
#define COMMON_VERSION_H

/*
 * Compares versions number by number; 0.1 is 0.1.0, and what is not a number
 * ends the comparison. Returns < 0, 0 or > 0.
 */
int version_compare(const char *a, const char *b);

#endif
