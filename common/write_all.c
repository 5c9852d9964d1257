#include "common/write_all.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include "common/err.h"

int
write_all(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == ENOSPC || errno == EDQUOT ||
				errno == EFBIG
			    ? ERR_NOSPACE
			    : ERR_IO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}
