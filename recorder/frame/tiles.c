#include "recorder/frame/tiles.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"

int
tiles_init(struct tiles *t, size_t n, int fine)
{
	memset(t, 0, sizeof(*t));
	t->n = n;
	t->fine = fine;
	t->active = calloc(n, 1);
	t->quantizer = calloc(n, 1);
	t->touched_ms = calloc(n, sizeof(*t->touched_ms));
	if (t->active != NULL && t->quantizer != NULL && t->touched_ms != NULL)
		return 0;
	tiles_release(t);
	return ERR_NOMEM;
}

void
tiles_release(struct tiles *t)
{
	free(t->active);
	free(t->quantizer);
	free(t->touched_ms);
	memset(t, 0, sizeof(*t));
}

/* Times wrap after 49 days; a session lasts one (T9). */
static bool
has_rested(const struct tiles *t, size_t i, uint32_t now_ms, uint32_t rest_ms)
{
	return t->quantizer[i] > t->fine &&
	    now_ms - t->touched_ms[i] >= rest_ms;
}

size_t
tiles_choose(struct tiles *t, const uint8_t *dirty, uint32_t now_ms,
    uint32_t rest_ms, size_t refine_max)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++) {
		bool on = dirty != NULL && dirty[i];

		if (on) {
			t->touched_ms[i] = now_ms;
		} else if (refine_max > 0 &&
		    has_rested(t, i, now_ms, rest_ms)) {
			refine_max--;
			on = true;
		}
		t->active[i] = on;
		n += on;
	}
	return n;
}

bool
tiles_coded(struct tiles *t, bool all, int quantizer)
{
	uint8_t worst = 0;

	for (size_t i = 0; i < t->n; i++) {
		if (all || t->active[i])
			t->quantizer[i] = (uint8_t)quantizer;
		if (t->quantizer[i] > worst)
			worst = t->quantizer[i];
	}
	return worst > t->fine;
}

bool
tiles_has_rested(const struct tiles *t, uint32_t now_ms, uint32_t rest_ms)
{
	for (size_t i = 0; i < t->n; i++)
		if (has_rested(t, i, now_ms, rest_ms))
			return true;
	return false;
}
