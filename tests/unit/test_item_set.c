/* Segments of the spool by name, and the queues of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "storage/spool/item_set.h"

#define N 500

static struct item items_[N];
static struct item_set set;

static void
fill(void)
{
	item_set_init(&set);
	memset(items_, 0, sizeof(items_));
	for (int i = 0; i < N; i++) {
		snprintf(items_[i].row.folder, sizeof(items_[i].row.folder),
		    "folder-%d", i % 7);
		snprintf(items_[i].row.id, sizeof(items_[i].row.id), "id-%d",
		    i * 7919 % N);
		assert_int_equal(item_set_add(&set, &items_[i]), 0);
	}
}

static void
empty(void)
{
	for (int i = 0; i < N; i++)
		item_set_remove(&set, &items_[i]);
	assert_null(set.by_name);
}

static void
items_are_found_by_name(void **state)
{
	(void)state;
	fill();
	for (int i = 0; i < N; i++) {
		const struct spool_row *r = &items_[i].row;

		assert_ptr_equal(
		    item_set_find(&set, r->folder, r->id), &items_[i]);
		assert_ptr_equal(item_set_find(&set, NULL, r->id), &items_[i]);
		assert_null(item_set_find(&set, "another", r->id));
	}
	assert_null(item_set_find(&set, NULL, "id-x"));
	assert_false(set.has_twins);
	empty();
}

/* A file moved to another folder is an item of its own. */
static void
an_id_may_be_in_two_folders(void **state)
{
	struct item twin = { 0 };

	(void)state;
	fill();
	strcpy(twin.row.folder, "another");
	strcpy(twin.row.id, items_[3].row.id);
	assert_int_equal(item_set_add(&set, &twin), 0);
	assert_true(set.has_twins);
	assert_ptr_equal(item_set_find(&set, "another", twin.row.id), &twin);
	assert_ptr_equal(
	    item_set_find(&set, items_[3].row.folder, items_[3].row.id),
	    &items_[3]);
	item_set_remove(&set, &twin);
	assert_ptr_equal(
	    item_set_find(&set, NULL, items_[3].row.id), &items_[3]);
	empty();
}

static void
queues_keep_their_order(void **state)
{
	(void)state;
	fill();
	for (int q = 0; q < ITEM_QUEUES; q++) {
		for (int i = 0; i < 5; i++)
			item_set_queue(&set, q, &items_[i]);
		item_set_queue(&set, q, &items_[0]); /* once */
		assert_int_equal(set.n[q], 5);
		for (int i = 0; i < 4; i++)
			assert_ptr_equal(item_set_next(&set, q), &items_[i]);
	}
	/* what leaves the set leaves its queues */
	item_set_remove(&set, &items_[4]);
	item_set_remove(&set, &items_[4]);
	for (int q = 0; q < ITEM_QUEUES; q++) {
		assert_null(item_set_next(&set, q));
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
