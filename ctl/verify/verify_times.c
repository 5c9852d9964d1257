/* Which times of a recording a changed range of its bytes shows. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "webm/webm_walk.h"
#include "ctl/verify/verify_internal.h"

char *
verify_position(int64_t ms, char out[POSITION_MAX])
{
	long long s = ms / 1000;

	snprintf(out, POSITION_MAX, "%lld:%02lld:%02lld.%03lld", s / 3600,
	    s / 60 % 60, s % 60, (long long)ms % 1000);
	return out;
}

/* The time of the cluster that begins at `at`; -1: none does. */
static int64_t
cluster_time(const struct webm_view *v, uint64_t at)
{
	struct webm_cluster c;

	return webm_get_cluster(v, at, &c) == 1 && c.time_ms <= WEBM_TIME_MAX
	    ? (int64_t)c.time_ms
	    : -1;
}

/* The range's own time is among what may have been changed: it counts as long
 * as it lies before that of the cluster behind. */
void
verify_find_times(struct verify_file *p, int fd)
{
	const struct evidence_fault *f = &p->fault;
	struct webm_view v = { .read = webm_read_file, .arg = &fd };
	struct stat st;

	p->from_ms = p->to_ms = -1;
	if (f->kind != EVIDENCE_CHANGED || f->offset == 0 ||
	    fstat(fd, &st) != 0)
		return;
	v.size = (uint64_t)st.st_size;
	p->from_ms = cluster_time(&v, f->offset);
	p->to_ms = cluster_time(&v, f->offset + f->len);
	if (p->to_ms >= 0 && p->from_ms >= p->to_ms)
		p->from_ms = -1;
}
