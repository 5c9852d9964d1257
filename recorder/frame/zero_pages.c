#include "recorder/frame/zero_pages.h"

#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/bytes.h"

#define PAGE        4096u
#define STEP_PAGES  4096u                /* looked at by one mincore() */
#define BLOCK_BYTES (128 * 1024)         /* larger ones are mapped alone */
#define RANGE_MAX   (UINT64_C(64) << 30) /* the shadow of a sanitizer is more */

static int maps_fd = -1;

void
zero_pages_prepare(void)
{
	mallopt(M_MMAP_THRESHOLD, BLOCK_BYTES);
	if (maps_fd < 0)
		maps_fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
}

/* Also of memory that an allocator marked as not to be touched. */
__attribute__((no_sanitize("address"))) static bool
is_zero(const uint8_t *page)
{
	const uint64_t *p = (const uint64_t *)(const void *)page;

	for (size_t i = 0; i < PAGE / 8; i += 8) {
		if ((p[i] | p[i + 1] | p[i + 2] | p[i + 3] | p[i + 4] |
			p[i + 5] | p[i + 6] | p[i + 7]) != 0)
			return false;
	}
	return true;
}

static size_t
give_back(uint8_t *from, const uint8_t *to)
{
	size_t len = (size_t)(to - from);

	return len > 0 && madvise(from, len, MADV_DONTNEED) == 0 ? len : 0;
}

/* n pages from p on, STEP_PAGES at most. */
static size_t
release_step(uint8_t *p, size_t n)
{
	static unsigned char is_there[STEP_PAGES];
	uint8_t *run = p; /* of zeros, up to the page that is looked at */
	size_t sum = 0;

	if (mincore(p, n * PAGE, is_there) != 0)
		return 0;
	for (size_t i = 0; i < n; i++, p += PAGE)
		if ((is_there[i] & 1) == 0 || !is_zero(p)) {
			sum += give_back(run, p);
			run = p + PAGE;
		}
	return sum + give_back(run, p);
}

static size_t
release_range(uint64_t from, uint64_t to)
{
	size_t sum = 0;

	while (from < to) {
		uint64_t n = min_u64((to - from) / PAGE, STEP_PAGES);

		sum += release_step((uint8_t *)(uintptr_t)from, (size_t)n);
		from += n * PAGE;
	}
	return sum;
}

/* Private memory without a file: a line such as
 * "7f0c1000-7f0c9000 rw-p 00000000 00:00 0 [heap]"; not the stack. */
static bool
read_line(const char *line, uint64_t *from, uint64_t *to)
{
	char rights[5], name[16] = "";
	unsigned long inode;
	int n = sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*x:%*x %lu %15s",
	    from, to, rights, &inode, name);

	return n >= 4 && strcmp(rights, "rw-p") == 0 && inode == 0 &&
	    (name[0] == '\0' || strcmp(name, "[heap]") == 0) &&
	    *to - *from >= BLOCK_BYTES && *to - *from <= RANGE_MAX;
}

size_t
zero_pages_release(void)
{
	static char text[64 * 1024];
	size_t len = 0, sum = 0;
	uint64_t from, to;
	ssize_t n = 0;

	if (maps_fd < 0 || lseek(maps_fd, 0, SEEK_SET) != 0)
		return 0;
	while (len < sizeof(text) - 1 &&
	    (n = read(maps_fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	for (char *line = text, *end; (end = strchr(line, '\n')) != NULL;
	     line = end + 1) {
		*end = '\0';
		if (read_line(line, &from, &to))
			sum += release_range(from, to);
	}
	return sum;
}
