/* recordings/{id}/notes: remarks at a moment of a recording (M5). They are
 * added, and stay. */
#include "common/bytes.h"
#include "console/api/body.h"
#include "console/api/change.h"
#include "console/api/handlers.h"
#include "console/api/request.h"

#define NOTE_MAX 2000
#define DAY_MS   (24 * 60 * 60 * 1000)
#define LIST_SQL                                                               \
	"SELECT jsonb_build_object('items', coalesce(jsonb_agg("               \
	"console_note(n) ORDER BY n.at_ms, n.id), '[]'))::text "               \
	"FROM recording_notes n WHERE n.segment_id = $1::uuid"

static const struct member members[] = {
	{ "at_ms", .kind = MEMBER_INT, .lo = 0, .hi = DAY_MS,
	    .is_needed = true },
	{ "text", .kind = MEMBER_LINES, .lo = 1, .hi = NOTE_MAX,
	    .is_needed = true },
};

void
recordings_notes_list_run(struct request *r)
{
	const char *params[] = { r->id };

	request_query(r, LIST_SQL, 1, params, change_show);
}

void
recordings_notes_new_run(struct request *r)
{
	if (body_is_right(r, members, N_ELEMENTS(members)))
		change_run(r, "console_note_new", 201);
}
