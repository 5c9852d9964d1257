#include "relay/restore.h"

#include <stdlib.h>

#include "relay/relay.h"

void
restore_rows(struct loop *l, json_t *take, const char *sql, db_result_cb *cb)
{
	char *text =
	    json_array_size(take) > 0 ? json_dumps(take, JSON_COMPACT) : NULL;
	const char *params[] = { text, l->relay->node_id };

	if (text != NULL)
		db_query_now(l->db, sql, 2, params, cb, l);
	free(text);
	json_decref(take);
}
