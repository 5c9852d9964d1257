/* How much memory this process may count on. Reads /proc and /sys. */
#ifndef COMMON_MEMORY_H
#define COMMON_MEMORY_H

#include <stdint.h>

/*
 * Bytes of the machine's memory, or the lowest memory.max of the control
 * groups (version 2) that the process is in, whichever is less; 0: unknown.
 */
uint64_t memory_total(void);

/*
 * The same below other folders, for tests: the text of /proc/self/cgroup, and
 * where the control groups are mounted. UINT64_MAX: no limit is found.
 */
uint64_t memory_group_limit(const char *groups, const char *mount);

#endif
