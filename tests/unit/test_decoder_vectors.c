/*
 * What real servers sent (tests/vectors): the decoder ends with the picture
 * that the same server gave as Raw, and neither picture nor events depend on
 * how the stream was cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <openssl/evp.h>

#include "tests/vectors/vector.h"

#define PATH_LEN    512
#define MAX_VECTORS 100

static const char *folder;

/* What is left of a run. Damage is summed, in order. */
struct outcome {
	uint16_t width, height;
	uint32_t events;
	unsigned n_damage, n_resize, n_layout, n_updates;
	char sha256[65];
};

static void
mix(struct outcome *o, uint32_t v)
{
	o->events = (o->events ^ v) * 16777619u + 1;
}

static void
on_event(void *arg, const struct rfb_decoder_event *ev)
{
	struct outcome *o = arg;

	mix(o, ev->kind);
	mix(o, (uint32_t)ev->x << 16 | ev->y);
	mix(o, (uint32_t)ev->w << 16 | ev->h);
	for (unsigned i = 0; i < ev->n_screens; i++)
		mix(o, ev->screens[i].id ^ ev->screens[i].w);
	o->n_damage += ev->kind == RFB_DECODER_DAMAGE;
	o->n_resize += ev->kind == RFB_DECODER_RESIZE;
	o->n_layout += ev->kind == RFB_DECODER_LAYOUT;
	o->n_updates += ev->kind == RFB_DECODER_UPDATE_END;
}

static void
hash_picture(const struct rfb_decoder *d, char hex[65])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	size_t row = (size_t)rfb_decoder_width(d) * 4;
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	assert_non_null(md);
	EVP_DigestInit_ex(md, EVP_sha256(), NULL);
	for (size_t y = 0; y < rfb_decoder_height(d); y++)
		EVP_DigestUpdate(
		    md, rfb_decoder_pixels(d) + y * rfb_decoder_stride(d), row);
	EVP_DigestFinal_ex(md, sum, NULL);
	EVP_MD_CTX_free(md);
	for (size_t i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}

static struct outcome
run(const struct vector *v, size_t piece_max)
{
	struct outcome o = { 0 };
	struct rfb_decoder *d =
	    rfb_decoder_new(v->width, v->height, &v->pf, on_event, &o);
	int rc;

	assert_non_null(d);
	rc = vector_feed(v, d, piece_max);
	if (rc != 0)
		fail_msg("error %d: %s", rc, rfb_decoder_why(d));
	assert_true(rfb_decoder_is_between_messages(d));
	o.width = rfb_decoder_width(d);
	o.height = rfb_decoder_height(d);
	hash_picture(d, o.sha256);
	rfb_decoder_free(d);
	return o;
}

static void
check_same(const struct outcome *a, const struct outcome *b)
{
	assert_string_equal(a->sha256, b->sha256);
	assert_int_equal(a->events, b->events);
	assert_int_equal(a->width, b->width);
	assert_int_equal(a->height, b->height);
}

static void
check_vector(const char *name)
{
	struct outcome whole, cut;
	char path[PATH_LEN];
	struct vector v;

	print_message("%s\n", name);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_true(vector_load(&v, path));
	whole = run(&v, SIZE_MAX);
	assert_true(whole.n_damage > 0);
	assert_true(whole.n_updates > 1);
	if (v.sha256[0] != '\0')
		assert_string_equal(whole.sha256, v.sha256);
	cut = run(&v, 1);
	check_same(&whole, &cut);
	cut = run(&v, 37);
	check_same(&whole, &cut);
	cut = run(&v, 16384);
	check_same(&whole, &cut);
	vector_release(&v);
}

static int
is_vector(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return dot != NULL && strcmp(dot, ".rfb") == 0;
}

static void
test_all_vectors(void **state)
{
	struct dirent **names;
	int n = scandir(folder, &names, is_vector, alphasort);

	assert_true(n > 20);
	for (int i = 0; i < n; i++) {
		check_vector(names[i]->d_name);
		free(names[i]);
	}
	free(names);
}

static struct outcome
run_named(const char *name)
{
	char path[PATH_LEN];
	struct outcome o;
	struct vector v;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_true(vector_load(&v, path));
	o = run(&v, SIZE_MAX);
	vector_release(&v);
	return o;
}

/* A session as TigerVNC's viewer has it: cursors, fences, a resize of which
 * the server tells several times, with the same size too. */
static void
test_session_with_resize(void **state)
{
	struct outcome o = run_named("xvnc_session.rfb");

	assert_int_equal(o.n_resize, 1);
	assert_int_equal(o.width, 240);
	assert_int_equal(o.height, 320);
	assert_true(o.n_layout >= 2);
}

static void
test_resize_is_told_once(void **state)
{
	struct outcome o = run_named("xvnc_resize.rfb");

	assert_int_equal(o.n_resize, 1);
	assert_true(o.n_layout >= 2);
	assert_int_equal(o.width, 240);
	assert_int_equal(o.height, 320);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_vectors),
		cmocka_unit_test(test_session_with_resize),
		cmocka_unit_test(test_resize_is_told_once),
	};

	if (argc != 2)
		return 2;
	folder = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
