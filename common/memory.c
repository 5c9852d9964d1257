#include "common/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"

#define PATH_LEN 1024
#define MOUNT    "/sys/fs/cgroup"

/* A file with a number in it, or "max". */
static uint64_t
read_limit(const char *mount, const char *group)
{
	char path[2 * PATH_LEN], text[32] = "";
	uint64_t limit;
	FILE *f;

	snprintf(path, sizeof(path), "%s%s/memory.max", mount, group);
	f = fopen(path, "re");
	if (f == NULL)
		return UINT64_MAX;
	if (fgets(text, sizeof(text), f) == NULL ||
	    sscanf(text, "%" SCNu64, &limit) != 1)
		limit = UINT64_MAX;
	fclose(f);
	return limit;
}

/* The line of version 2 is "0::/path". */
static const char *
find_group(const char *groups)
{
	const char *line = groups;

	while (line != NULL && strncmp(line, "0::/", 4) != 0) {
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
	return line != NULL ? line + 3 : NULL;
}

uint64_t
memory_group_limit(const char *groups, const char *mount)
{
	const char *found = find_group(groups);
	uint64_t limit = read_limit(mount, "");
	char group[PATH_LEN] = "", *slash;

	if (found != NULL)
		snprintf(group, sizeof(group), "%.*s",
		    (int)strcspn(found, "\n"), found);
	/* a parent's limit holds for its children */
	while (group[0] != '\0') {
		limit = min_u64(limit, read_limit(mount, group));
		slash = strrchr(group, '/');
		if (slash == NULL)
			break;
		*slash = '\0';
	}
	return limit;
}

uint64_t
memory_total(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	char groups[4096] = "";
	FILE *f = fopen("/proc/self/cgroup", "re");
	uint64_t limit;
	size_t n = 0;

	if (f != NULL) {
		n = fread(groups, 1, sizeof(groups) - 1, f);
		fclose(f);
	}
	groups[n] = '\0';
	limit = memory_group_limit(groups, MOUNT);
	if (pages > 0 && size > 0)
		limit = min_u64(limit, (uint64_t)pages * (uint64_t)size);
	return limit == UINT64_MAX ? 0 : limit;
}
