/*
 * relaycam top: what runs now, from the database and the metrics pages of this
 * machine's daemons. top_data.c asks, top_text.c lays it out, top.c runs the
 * terminal.
 */
#ifndef CTL_SESSIONS_TOP_H
#define CTL_SESSIONS_TOP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "ctl/ctl.h"

/*
 * {"sessions": [...], "n_sessions", "nodes": [...], "recordings": {STATUS: n},
 * "relay", "storage", "console": {METRIC: number}, or null: no answer here}.
 * NULL after a message.
 */
json_t *top_ask(struct ctl *c);

struct top_layout {
	unsigned columns, rows; /* of the terminal; rows 0: no bound */
	bool has_color;
};

/*
 * Prints what top_ask gave: lines of at most `columns` characters, printable
 * ASCII but for colours. before: of an earlier call, for rates; NULL: none.
 * seconds: between the two.
 */
void top_print(FILE *out, const json_t *now, const json_t *before,
    double seconds, const struct top_layout *layout);

#endif
