/* Segments of the spool by name, and the queues of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "storage/spool/spool_set.h"

#define N 500

static struct spool_segment segments_[N];
static struct spool_set set;

static void
fill(void)
{
	spool_set_init(&set);
	memset(segments_, 0, sizeof(segments_));
	for (int i = 0; i < N; i++) {
		snprintf(segments_[i].row.folder,
		    sizeof(segments_[i].row.folder), "folder-%d", i % 7);
		snprintf(segments_[i].row.id, sizeof(segments_[i].row.id),
		    "id-%d", i * 7919 % N);
		assert_int_equal(spool_set_add(&set, &segments_[i]), 0);
	}
}

static void
empty(void)
{
	for (int i = 0; i < N; i++)
		spool_set_remove(&set, &segments_[i]);
	assert_null(set.by_name);
}

static void
items_are_found_by_name(void **state)
{
	(void)state;
	fill();
	for (int i = 0; i < N; i++) {
		const struct spool_row *r = &segments_[i].row;

		assert_ptr_equal(
		    spool_set_find(&set, r->folder, r->id), &segments_[i]);
		assert_ptr_equal(
		    spool_set_find(&set, NULL, r->id), &segments_[i]);
		assert_null(spool_set_find(&set, "another", r->id));
	}
	assert_null(spool_set_find(&set, NULL, "id-x"));
	assert_false(set.has_twins);
	empty();
}

/* A file moved to another folder is a segment of its own. */
static void
an_id_may_be_in_two_folders(void **state)
{
	struct spool_segment twin = { 0 };

	(void)state;
	fill();
	strcpy(twin.row.folder, "another");
	strcpy(twin.row.id, segments_[3].row.id);
	assert_int_equal(spool_set_add(&set, &twin), 0);
	assert_true(set.has_twins);
	assert_ptr_equal(spool_set_find(&set, "another", twin.row.id), &twin);
	assert_ptr_equal(
	    spool_set_find(&set, segments_[3].row.folder, segments_[3].row.id),
	    &segments_[3]);
	spool_set_remove(&set, &twin);
	assert_ptr_equal(
	    spool_set_find(&set, NULL, segments_[3].row.id), &segments_[3]);
	empty();
}

static void
queues_keep_their_order(void **state)
{
	(void)state;
	fill();
	for (int q = 0; q < SPOOL_QUEUES; q++) {
		for (int i = 0; i < 5; i++)
			spool_set_queue(&set, q, &segments_[i]);
		spool_set_queue(&set, q, &segments_[0]); /* once */
		assert_int_equal(set.n[q], 5);
		for (int i = 0; i < 4; i++)
			assert_ptr_equal(
			    spool_set_next(&set, q), &segments_[i]);
	}
	/* what leaves the set leaves its queues */
	spool_set_remove(&set, &segments_[4]);
	spool_set_remove(&set, &segments_[4]);
	for (int q = 0; q < SPOOL_QUEUES; q++) {
		assert_null(spool_set_next(&set, q));
		assert_int_equal(set.n[q], 0);
	}
	empty();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_are_found_by_name),
		cmocka_unit_test(an_id_may_be_in_two_folders),
		cmocka_unit_test(queues_keep_their_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
