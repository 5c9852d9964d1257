/* SHA-256 as the recorder has it, by libsodium. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/sha256_vectors.h"

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(vectors_hold) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
