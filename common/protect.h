/*
 * Keeps a process's memory to itself: it holds keys, passwords and pixels.
 */
#ifndef COMMON_PROTECT_H
#define COMMON_PROTECT_H

/*
 * No core file (RLIMIT_CORE 0, inherited by children) and not dumpable: other
 * processes of the same account can neither attach to it nor read its memory
 * or descriptors under /proc. Changing the account may make a process
 * dumpable again (/proc/sys/fs/suid_dumpable), so call it after that too.
 */
void protect_process(void);

#endif
