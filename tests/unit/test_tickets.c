/* A loop's table of tickets: where a session and the channel that it asked for
 * meet. T4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "relay/base/tickets.h"

#define LOOP 0xab

static struct ticket_table table;

/* Who waits, and what it was given. */
struct waiter {
	struct ticket ticket;
	struct channel *channel;
	unsigned n_calls;
	bool refuses, issues_again;
};

static bool
on_channel(void *arg, struct channel *channel)
{
	struct waiter *w = arg;

	w->n_calls++;
	w->channel = channel;
	/* it is withdrawn before: no second channel can bring it */
	assert_null(w->ticket.table);
	assert_string_equal(w->ticket.text, "");
	if (w->issues_again)
		ticket_issue(&w->ticket, &table, on_channel, w);
	return !w->refuses;
}

static void
issue(struct waiter *w)
{
	ticket_issue(&w->ticket, &table, on_channel, w);
}

/* A channel brings this text; any address serves as a channel. */
static bool
redeem(const char *text, void *channel)
{
	char copy[AGENT_TICKET_MAX] = "";

	snprintf(copy, sizeof(copy), "%s", text);
	return tickets_redeem(&table, copy, channel);
}

static int
begin(void **state)
{
	tickets_init(&table, LOOP);
	return 0;
}

static int
end(void **state)
{
	assert_true(TAILQ_EMPTY(&table.waiting));
	return 0;
}

static void
test_the_channel_goes_to_who_issued(void **state)
{
	struct waiter a = { .n_calls = 0 }, b = { .n_calls = 0 };
	char text[AGENT_TICKET_MAX];
	int channel;

	issue(&a);
	issue(&b);
	assert_int_equal(strlen(a.ticket.text), AGENT_TICKET_MAX - 1);
	assert_int_equal(
	    strspn(a.ticket.text, "0123456789abcdef"), AGENT_TICKET_MAX - 1);
	assert_string_not_equal(a.ticket.text, b.ticket.text);
	assert_int_equal(tickets_loop(a.ticket.text), LOOP);
	memcpy(text, b.ticket.text, sizeof(text));
	assert_true(redeem(text, &channel));
	assert_int_equal(a.n_calls, 0);
	assert_int_equal(b.n_calls, 1);
	assert_ptr_equal(b.channel, &channel);
	/* a ticket is good for one channel */
	assert_false(redeem(text, &channel));
	assert_int_equal(b.n_calls, 1);
	ticket_withdraw(&a.ticket);
}

static void
test_other_texts_find_nobody(void **state)
{
	struct waiter w = { .n_calls = 0 };
	char text[AGENT_TICKET_MAX];
	int channel;

	issue(&w);
	memcpy(text, w.ticket.text, sizeof(text));
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		char was = text[i];

		text[i] = was == '0' ? '1' : '0';
		assert_false(redeem(text, &channel));
		text[i] = '\0'; /* a prefix of it */
		assert_false(redeem(text, &channel));
		text[i] = was;
	}
	assert_false(redeem("", &channel));
	assert_int_equal(w.n_calls, 0);
	assert_true(redeem(text, &channel));
}

static void
test_withdrawn_and_replaced(void **state)
{
	struct waiter w = { .n_calls = 0 };
	char first[AGENT_TICKET_MAX], second[AGENT_TICKET_MAX];
	int channel;

	ticket_withdraw(&w.ticket); /* none was issued */
	issue(&w);
	memcpy(first, w.ticket.text, sizeof(first));
	issue(&w);
	memcpy(second, w.ticket.text, sizeof(second));
	assert_string_not_equal(first, second);
	assert_false(redeem(first, &channel));
	ticket_withdraw(&w.ticket);
	ticket_withdraw(&w.ticket);
	assert_string_equal(w.ticket.text, "");
	assert_false(redeem(second, &channel));
	/* what is left in the table is not the empty text */
	assert_false(redeem("", &channel));
	assert_int_equal(w.n_calls, 0);
}

static void
test_the_waiter_may_refuse_or_wait_again(void **state)
{
	struct waiter w = { .refuses = true };
	char text[AGENT_TICKET_MAX];
	int channel;

	issue(&w);
	memcpy(text, w.ticket.text, sizeof(text));
	assert_false(redeem(text, &channel));
	assert_int_equal(w.n_calls, 1);
	w = (struct waiter){ .issues_again = true };
	issue(&w);
	memcpy(text, w.ticket.text, sizeof(text));
	assert_true(redeem(text, &channel));
	assert_ptr_equal(w.ticket.table, &table);
	assert_string_not_equal(w.ticket.text, text);
	ticket_withdraw(&w.ticket);
}

/* Any text of a peer names some loop, and the caller bounds it. */
static void
test_loop_of_any_text(void **state)
{
	assert_int_equal(tickets_loop("00ff"), 0);
	assert_int_equal(tickets_loop("ff00"), 255);
	assert_int_equal(tickets_loop(""), 0);
	assert_int_equal(tickets_loop("7"), 7);
	assert_int_equal(tickets_loop("zz"), 0);
	assert_true(tickets_loop("-1") >= TICKETS_LOOPS_MAX);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_channel_goes_to_who_issued),
		TEST(test_other_texts_find_nobody),
		TEST(test_withdrawn_and_replaced),
		TEST(test_the_waiter_may_refuse_or_wait_again),
		TEST(test_loop_of_any_text),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
