#include <pthread.h>
#include <stdio.h>

#include "relay/draw/text_chars.h"
#include "relay/draw/text_wrap.h"
#include "tests/unit/draw_case.h"

/* Characters. */

static void
assert_chars(const char *utf8, size_t len, const uint32_t *want, size_t n)
{
	uint32_t got[64];
	char *copy = malloc(len + 1); /* of its own size, for the sanitizer */

	assert_non_null(copy);
	copy = realloc(copy, len > 0 ? len : 1);
	memcpy(copy, utf8, len);
	assert_int_equal(text_chars(copy, len, got), n);
	assert_memory_equal(got, want, n * sizeof(*want));
	free(copy);
}

#define CHARS(text, ...)                                                       \
	do {                                                                   \
		static const uint32_t want[] = { __VA_ARGS__ };                \
		assert_chars(text, sizeof(text) - 1, want, N_ELEMENTS(want));  \
	} while (0)

static void
test_chars(void **state)
{
	CHARS("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z", 'a', 0xe9, 0x20ac,
	    0x1f600, 'z');
	CHARS("\xc2\x80\xc2\xa0", 0xa0);
	CHARS("\xdf\xbf\xe0\xa0\x80\xef\xbf\xbd\xf0\x90\x80\x80", 0x7ff, 0x800,
	    0xfffd, 0x10000);
	CHARS("\xf3\xb0\x80\x80", 0xf0000);
}

static void
test_chars_without_shape(void **state)
{
	CHARS("a\x01\x1b\x7f\rb\n\tc", 'a', 'b', '\n', ' ', 'c');
	/* a direction override would show "cod.exe" as another name */
	CHARS("\xe2\x80\xae"
	      "x\xe2\x80\x8b\xef\xbb\xbf"
	      "y",
	    'x', 'y');
}

static void
test_chars_not_utf8(void **state)
{
	CHARS("\x80"
	      "a",
	    0xfffd, 'a');
	CHARS("\xff\xfe", 0xfffd, 0xfffd);
	CHARS("\xc0\xaf", 0xfffd, 0xfffd);             /* overlong */
	CHARS("\xe0\x80\xaf", 0xfffd, 0xfffd, 0xfffd); /* overlong */
	CHARS("\xed\xa0\x80", 0xfffd, 0xfffd, 0xfffd); /* a surrogate */
	CHARS("\xf4\x90\x80\x80", 0xfffd, 0xfffd, 0xfffd, 0xfffd);
	CHARS("\xe2\x82", 0xfffd, 0xfffd); /* cut off */
	CHARS("\xf0", 0xfffd);
	CHARS("\xe2x\x82", 0xfffd, 'x', 0xfffd);
	assert_chars("", 0, NULL, 0);
}

/* Wrapping: every glyph is 10 wide. */

static struct text_line lines[8];

static size_t
wrap(const char *text, unsigned max_w, size_t max_lines, bool *is_cut)
{
	static struct text_glyph glyphs[128];
	struct text_wrap t = { .glyphs = glyphs,
		.n = strlen(text),
		.max_w = max_w,
		.ellipsis_w = 10,
		.max_lines = max_lines,
		.is_cut = *is_cut };
	size_t n;

	memset(lines, 0xee, sizeof(lines));
	for (size_t i = 0; i < t.n; i++)
		glyphs[i] = (struct text_glyph){ (uint8_t)text[i], 10 };
	n = text_wrap(&t, lines);
	*is_cut = t.is_cut;
	return n;
}

static void
assert_line(size_t i, size_t from, size_t to, bool has_ellipsis)
{
	assert_int_equal(lines[i].from, from);
	assert_int_equal(lines[i].to, to);
	assert_int_equal(lines[i].has_ellipsis, has_ellipsis);
	assert_int_equal(lines[i].w, (to - from + has_ellipsis) * 10);
}

static void
test_wrap(void **state)
{
	bool is_cut = false;

	assert_int_equal(wrap("ab cd ef", 50, 8, &is_cut), 2);
	assert_line(0, 0, 5, false);
	assert_line(1, 6, 8, false);
	assert_int_equal(wrap("ab\n\ncd  \n", 50, 8, &is_cut), 3);
	assert_line(0, 0, 2, false);
	assert_line(1, 3, 3, false);
	assert_line(2, 4, 6, false);
	assert_int_equal(wrap("abcdefg h", 30, 8, &is_cut), 3);
	assert_line(0, 0, 3, false);
	assert_line(1, 3, 6, false);
	assert_line(2, 6, 9, false);
	assert_int_equal(wrap("abc", 5, 8, &is_cut), 3);
	assert_int_equal(wrap("", 50, 8, &is_cut), 0);
	assert_false(is_cut);
}

static void
test_wrap_cuts(void **state)
{
	bool is_cut = false;

	assert_int_equal(wrap("ab cd ef gh", 50, 2, &is_cut), 2);
	assert_false(is_cut);
	assert_int_equal(wrap("ab cd ef gh i", 50, 2, &is_cut), 2);
	assert_true(is_cut);
	assert_line(1, 6, 10, true);
	is_cut = false;
	assert_int_equal(wrap("abc", 50, 0, &is_cut), 0);
	assert_true(is_cut);
	is_cut = true; /* what came before the wrap was cut already */
	assert_int_equal(wrap("abc", 50, 2, &is_cut), 1);
	assert_line(0, 0, 3, true);
}

/* Drawing. */

static unsigned
ink(const struct text_bitmap *b)
{
	unsigned n = 0;

	for (size_t i = 0; i < (size_t)b->w * b->h; i++)
		n += b->coverage[i] > 127;
	return n;
}

static const struct text_box usual = { .max_w = 400, .max_h = 200, .size = 20 };

static struct text_bitmap
draw(struct text_font *font, const char *text)
{
	struct text_bitmap b;

	assert_int_equal(text_draw(font, text, &usual, &b), 0);
	return b;
}

static void
test_draw(void **state)
{
	struct text_font *font = draw_font();
	struct text_bitmap one = draw(font, "Recording"),
			   two = draw(font, "Recording\nRecording");

	assert_in_range(one.w, 70, 130);
	assert_in_range(one.h, 20, 30);
	assert_int_equal(two.w, one.w);
	assert_int_equal(two.h, 2 * one.h);
	assert_true(ink(&one) > 200);
	assert_int_equal(ink(&two), 2 * ink(&one));
	assert_memory_equal(two.coverage, one.coverage, one.w * one.h);
	text_release(&one);
	text_release(&two);
	one = draw(font, "\x01\x02");
	assert_int_equal(one.w, 0);
	assert_null(one.coverage);
	text_font_close(font);
}

/* A character that no font has, and a byte that is no character, leave a
 * mark; a control character none. */
static void
test_draw_unknown(void **state)
{
	struct text_font *font = draw_font();
	struct text_bitmap box = draw(font, "\xf3\xb0\x80\x80"),
			   bad = draw(font, "\xff");

	assert_true(ink(&box) > 30);
	assert_true(ink(&bad) > 30);
	text_release(&box);
	text_release(&bad);
	text_font_close(font);
}

static void
test_draw_bounded(void **state)
{
	struct text_font *font = draw_font();
	struct text_box box = { .max_w = 65535, .max_h = 65535, .size = 65535 };
	struct text_bitmap b;
	char *text = malloc(100001);

	for (int i = 0; i < 100000; i++)
		text[i] = i % 7 == 6 ? ' ' : 'W';
	text[100000] = '\0';
	for (unsigned size = 0; size < 200; size += 13) {
		box.size = (uint16_t)size;
		assert_int_equal(text_draw(font, text, &box, &b), 0);
		assert_in_range(b.w, 1, TEXT_MAX_W);
		assert_in_range(b.h, 1, TEXT_MAX_H);
		assert_true(b.is_cut);
		text_release(&b);
	}
	box = (struct text_box){ .max_w = 0, .max_h = 0, .size = 20 };
	assert_int_equal(text_draw(font, text, &box, &b), 0);
	assert_null(b.coverage);
	assert_true(b.is_cut);
	box = (struct text_box){ .max_w = 1, .max_h = 100, .size = 20 };
	assert_int_equal(text_draw(font, "WWW", &box, &b), 0);
	assert_int_equal(b.w, 1);
	text_release(&b);
	free(text);
	text_font_close(font);
}

static void
test_draw_shrinks(void **state)
{
	struct text_font *font = draw_font();
	struct text_box box = {
		.max_w = 120, .max_h = 30, .size = 28, .min_size = 8
	};
	struct text_bitmap b;

	assert_int_equal(text_draw(font, "Waiting for consent", &box, &b), 0);
	assert_false(b.is_cut);
	assert_in_range(b.h, 8, 30);
	text_release(&b);
	box.min_size = 0;
	assert_int_equal(text_draw(font, "Waiting for consent", &box, &b), 0);
	assert_true(b.is_cut);
	text_release(&b);
	text_font_close(font);
}

static void
test_no_font(void **state)
{
	struct text_font *font = (void *)1;
	struct text_bitmap b;
	char path[] = "/tmp/relaycam_font_XXXXXX";
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");

	assert_int_equal(
	    text_font_open("/nowhere/font.ttf", &font), ERR_NOTFOUND);
	assert_null(font);
	assert_int_equal(text_draw(font, "x", &usual, &b), ERR_NOTFOUND);
	assert_null(b.coverage);
	text_font_close(font);
	assert_int_equal(text_font_open("/tmp", &font), ERR_NOTFOUND);
	assert_int_equal(text_font_open(path, &font), ERR_NOTFOUND); /* empty */
	fputs("this is no font at all", f);
	fclose(f);
	assert_int_equal(text_font_open(path, &font), ERR_NOTFOUND);
	assert_null(font);
	remove(path);
}

/* Some loops draw with one font at once. */
static void *
draw_often(void *arg)
{
	struct text_bitmap b;
	struct text_box box = usual;
	uintptr_t total = 0;

	for (int i = 0; i < 20; i++) {
		box.size = (uint16_t)(10 + i);
		if (text_draw(arg, "Same words, many sizes", &box, &b) != 0)
			return NULL;
		total = total * 31 + ink(&b);
		text_release(&b);
	}
	return (void *)total;
}

static void
test_threads(void **state)
{
	struct text_font *font = draw_font();
	void *want = draw_often(font), *got;
	pthread_t threads[4];

	assert_non_null(want);
	for (size_t i = 0; i < N_ELEMENTS(threads); i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, draw_often, font), 0);
	for (size_t i = 0; i < N_ELEMENTS(threads); i++) {
		pthread_join(threads[i], &got);
		assert_ptr_equal(got, want);
	}
	text_font_close(font);
}

/* Whichever allocation fails: an error and nothing left behind. */
static void
test_out_of_memory(void **state)
{
	struct text_font *font = draw_font(), *other;
	struct text_bitmap b;
	int rc = ERR_NOMEM;

	for (long n = 0; rc != 0; n++) {
		draw_allocs_left = n;
		rc = text_draw(font, "words", &usual, &b);
		draw_allocs_left = -1;
		assert_true(n < 10);
		if (rc != 0)
			assert_int_equal(rc, ERR_NOMEM);
		assert_int_equal(b.coverage != NULL, rc == 0);
		text_release(&b);
	}
	for (long n = 0; n < 2; n++) {
		draw_allocs_left = n;
		assert_int_equal(text_font_open(FONT, &other), ERR_NOMEM);
		draw_allocs_left = -1;
		assert_null(other);
	}
	text_font_close(font);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chars),
		cmocka_unit_test(test_chars_without_shape),
		cmocka_unit_test(test_chars_not_utf8),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_wrap_cuts),
		cmocka_unit_test(test_draw),
		cmocka_unit_test(test_draw_unknown),
		cmocka_unit_test(test_draw_bounded),
		cmocka_unit_test(test_draw_shrinks),
		cmocka_unit_test(test_no_font),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
