#include "storage/spool/spool_states.h"

#include "common/bytes.h"

const char *const spool_state_names[SPOOL_STATES] = { "new", "recording",
	"repair", "closed", "asking", "encoding", "encoded", "compare",
	"transfer", "poster", "manifest", "stored", "done", "wait", "missing",
	"bad", "failed" };

const char *const row_status_names[ROW_STATUSES] = { "", "recording",
	"downloaded", "encoding", "encoding_failed", "transfer", "available",
	"missing", "corrupted", "expired", "deleted" };

/* clang-format off */
#define IN(state) (1U << SPOOL_##state)
#define HAD(status) (1U << STATUS_##status)

/* Nothing is under way: the files alone say what comes next. */
#define IDLE (IN(NEW) | IN(RECORDING) | IN(REPAIR) | IN(CLOSED) | \
	IN(ENCODED) | IN(WAIT) | IN(MISSING) | IN(BAD))
#define UPLOAD (IN(COMPARE) | IN(TRANSFER) | IN(POSTER) | IN(MANIFEST) | \
	IN(STORED))
#define ANY ((1U << SPOOL_STATES) - 1)
#define STAYS SPOOL_STATES

/* What a row may say that storage of before left behind, or that was missing
 * and is back. */
#define UNSTORED (HAD(NONE) | HAD(RECORDING) | HAD(DOWNLOADED) | \
	HAD(ENCODING) | HAD(ENCODING_FAILED) | HAD(TRANSFER) | HAD(MISSING) | \
	HAD(CORRUPTED))

const struct spool_move spool_moves[SPOOL_CAUSES] = {
	[CAUSE_LOCKED] = { "a recorder writes it", IDLE, SPOOL_RECORDING,
	    HAD(NONE) | HAD(MISSING) | HAD(CORRUPTED), STATUS_RECORDING },
	[CAUSE_RECORDER_DIED] = { "its recorder died", IDLE, SPOOL_REPAIR,
	    0, STATUS_NONE },
	[CAUSE_REPAIR_BEGUN] = { "cut off by a crash, being repaired",
	    IN(REPAIR), SPOOL_REPAIR,
	    HAD(NONE) | HAD(TRANSFER) | HAD(MISSING) | HAD(CORRUPTED),
	    STATUS_RECORDING },
	[CAUSE_REPAIRED] = { "its repair has ended", IN(REPAIR), SPOOL_NEW,
	    0, STATUS_NONE },
	[CAUSE_REPAIR_FAILED] = { "its repair failed", IN(REPAIR), SPOOL_WAIT,
	    HAD(NONE) | HAD(TRANSFER) | HAD(MISSING) | HAD(CORRUPTED),
	    STATUS_RECORDING },
	[CAUSE_REPAIR_BROKEN] = { "it is damaged and cannot be repaired",
	    IN(REPAIR), SPOOL_WAIT,
	    HAD(NONE) | HAD(RECORDING) | HAD(TRANSFER) | HAD(MISSING),
	    STATUS_CORRUPTED },
	[CAUSE_EMPTY] = { "its recorder died before the first picture", IDLE,
	    SPOOL_MISSING,
	    HAD(NONE) | HAD(RECORDING) | HAD(CORRUPTED), STATUS_MISSING },
	[CAUSE_EMPTY_DIFFERS] = { "it holds less than what was seen of it",
	    IDLE, SPOOL_WAIT,
	    HAD(NONE) | HAD(RECORDING) | HAD(MISSING), STATUS_CORRUPTED },
	[CAUSE_BEING_OPENED] = { "being opened or closed", IDLE, SPOOL_NEW,
	    0, STATUS_NONE },
	[CAUSE_BEING_CLOSED] = { "being closed", IDLE, SPOOL_RECORDING,
	    0, STATUS_NONE },
	[CAUSE_CLOSED] = { "closed", IDLE, SPOOL_CLOSED,
	    UNSTORED & ~HAD(TRANSFER), STATUS_TRANSFER },
	[CAUSE_CAPTURE_CLOSED] = { "ready for encoding", IDLE, SPOOL_CLOSED,
	    HAD(NONE) | HAD(RECORDING) | HAD(ENCODING) | HAD(ENCODING_FAILED) |
	    HAD(TRANSFER) | HAD(MISSING) | HAD(CORRUPTED), STATUS_DOWNLOADED },
	[CAUSE_SIZE_DIFFERS] = { "its size is not the manifest's", IDLE,
	    SPOOL_BAD, UNSTORED & ~HAD(CORRUPTED), STATUS_CORRUPTED },
	[CAUSE_NO_MEDIA] = { "manifest without media", IDLE, SPOOL_MISSING,
	    UNSTORED & ~HAD(MISSING), STATUS_MISSING },
	[CAUSE_NO_MANIFEST] = { "no manifest", IDLE, SPOOL_BAD,
	    0, STATUS_NONE },
	[CAUSE_MANIFEST_REFUSED] = { "its manifest is refused", IDLE,
	    SPOOL_BAD, 0, STATUS_NONE },
	[CAUSE_OTHER_SESSION] = { "its manifest names another session", IDLE,
	    SPOOL_BAD, HAD(RECORDING) | HAD(TRANSFER) | HAD(CORRUPTED) |
	    HAD(DOWNLOADED) | HAD(ENCODING), STATUS_MISSING },
	[CAUSE_VANISHED] = { "its recorder ended before the first picture", 0,
	    STAYS, HAD(RECORDING), STATUS_MISSING },
	[CAUSE_NODE_LOST] = { "its node is lost", 0, STAYS, HAD(RECORDING) |
	    HAD(DOWNLOADED) | HAD(ENCODING) | HAD(ENCODING_FAILED) |
	    HAD(TRANSFER), STATUS_MISSING },

	[CAUSE_ASKS] = { "its turn to be encoded", IN(CLOSED), SPOOL_ASKING,
	    0, STATUS_NONE },
	[CAUSE_ANSWERED] = { "the database has answered", IN(ASKING),
	    SPOOL_CLOSED, 0, STATUS_NONE },
	[CAUSE_ENCODE_BEGUN] = { "its numbers are known",
	    IN(CLOSED) | IN(ASKING), SPOOL_ASKING,
	    HAD(DOWNLOADED), STATUS_ENCODING },
	[CAUSE_ENCODER_RUNS] = { "its encoder runs", IN(ASKING),
	    SPOOL_ENCODING, 0, STATUS_NONE },
	[CAUSE_ENCODER_DONE] = { "its encoder is done", IDLE | IN(ENCODING),
	    SPOOL_ENCODED, 0, STATUS_NONE },
	[CAUSE_ENCODER_STOPPED] = { "storage stops",
	    IN(ASKING) | IN(ENCODING), SPOOL_CLOSED,
	    HAD(ENCODING), STATUS_DOWNLOADED },
	[CAUSE_ENCODE_LATER] = { "encoding is tried again later",
	    IN(CLOSED) | IN(ASKING) | IN(ENCODING), SPOOL_WAIT,
	    HAD(ENCODING), STATUS_DOWNLOADED },
	[CAUSE_ENCODE_FAILED] = { "its encoder failed", IN(ENCODING),
	    SPOOL_FAILED, HAD(ENCODING) | HAD(DOWNLOADED),
	    STATUS_ENCODING_FAILED },
	[CAUSE_ENCODER_REFUSED] = { "the encoder's manifest breaks a rule",
	    IN(ENCODED), SPOOL_FAILED, HAD(ENCODING) | HAD(DOWNLOADED),
	    STATUS_ENCODING_FAILED },
	[CAUSE_ENCODE_GIVEN_UP] = { "its encoding failed too often",
	    IN(CLOSED) | IN(ENCODING), SPOOL_FAILED,
	    HAD(DOWNLOADED) | HAD(ENCODING), STATUS_ENCODING_FAILED },
	[CAUSE_CAPTURE_DIFFERS] = { "it is not the capture that was recorded",
	    IN(ASKING), SPOOL_FAILED, HAD(ENCODING) | HAD(DOWNLOADED),
	    STATUS_CORRUPTED },

	[CAUSE_TURN] = { "its turn to be stored", IN(CLOSED), SPOOL_COMPARE,
	    0, STATUS_NONE },
	[CAUSE_COMPARED] = { "it is what was recorded", IN(COMPARE),
	    SPOOL_TRANSFER, 0, STATUS_NONE },
	[CAUSE_MEDIA_STORED] = { "its media is stored", IN(TRANSFER),
	    SPOOL_POSTER, 0, STATUS_NONE },
	[CAUSE_POSTER_STORED] = { "its poster is stored, or there is none",
	    IN(POSTER), SPOOL_MANIFEST, 0, STATUS_NONE },
	[CAUSE_ALL_STORED] = { "all of it is stored", IN(MANIFEST),
	    SPOOL_STORED, 0, STATUS_NONE },
	[CAUSE_AVAILABLE] = { "stored and verified", IN(STORED), SPOOL_DONE,
	    HAD(TRANSFER), STATUS_AVAILABLE },
	[CAUSE_FILES_GONE] = { "its files are removed", ANY, SPOOL_NEW,
	    0, STATUS_NONE },
	[CAUSE_TRANSFER_STOPPED] = { "its transfer ends", UPLOAD, SPOOL_NEW,
	    0, STATUS_NONE },
	[CAUSE_TRANSFER_FAILED] = { "its transfer failed", UPLOAD, SPOOL_WAIT,
	    HAD(CORRUPTED), STATUS_TRANSFER },
	[CAUSE_STORE_DIFFERS] = { "what was stored or read is something else",
	    UPLOAD, SPOOL_WAIT, HAD(TRANSFER), STATUS_CORRUPTED },
	[CAUSE_GIVEN_UP] = { "the store damages it", UPLOAD, SPOOL_FAILED,
	    HAD(TRANSFER), STATUS_CORRUPTED },

	[CAUSE_LATER] = { "tried again later", ANY & ~IN(FAILED), SPOOL_WAIT,
	    0, STATUS_NONE },
	[CAUSE_AGAIN] = { "tried again by hand", IN(FAILED), SPOOL_NEW,
	    0, STATUS_NONE },

	[CAUSE_DEVICE_CAPTURES] = { "its device captures it", 0, STAYS,
	    HAD(NONE), STATUS_RECORDING },
	[CAUSE_UPLOAD_BEGUN] = { "its device sends it", 0, STAYS,
	    HAD(NONE) | HAD(RECORDING) | HAD(MISSING) | HAD(CORRUPTED),
	    STATUS_TRANSFER },
	[CAUSE_UPLOAD_DIFFERS] = { "what its device sent is something else", 0,
	    STAYS, HAD(TRANSFER), STATUS_CORRUPTED },
	[CAUSE_UPLOAD_ENDED] = { "its device does not send it any more", 0,
	    STAYS, HAD(NONE) | HAD(RECORDING) | HAD(TRANSFER) |
	    HAD(CORRUPTED), STATUS_MISSING },

	[CAUSE_CHECK_MISSING] = { "the check did not find it in the store", 0,
	    STAYS, HAD(AVAILABLE) | HAD(CORRUPTED), STATUS_MISSING },
	[CAUSE_CHECK_CORRUPTED] = { "the check found something else", 0,
	    STAYS, HAD(AVAILABLE) | HAD(MISSING), STATUS_CORRUPTED },
	[CAUSE_CHECK_FOUND] = { "the check found it again", 0, STAYS,
	    HAD(MISSING) | HAD(CORRUPTED), STATUS_AVAILABLE },
	[CAUSE_ENCODE_ORDERED] = { "somebody has it encoded again", 0, STAYS,
	    HAD(ENCODING_FAILED), STATUS_DOWNLOADED },
	[CAUSE_EXPIRED] = { "its time is over", 0, STAYS,
	    HAD(AVAILABLE) | HAD(MISSING) | HAD(CORRUPTED), STATUS_EXPIRED },
	[CAUSE_DELETED] = { "somebody deleted it", 0, STAYS,
	    (UNSTORED & ~HAD(NONE)) | HAD(AVAILABLE), STATUS_DELETED },
};
/* clang-format on */

bool
spool_move_is_legal(enum spool_state from, enum spool_cause cause)
{
	return (spool_moves[cause].from & 1U << from) != 0;
}

/* ---- printing ---- */

static const char *
status_name(enum row_status s)
{
	return s == STATUS_NONE ? "[*]" : row_status_names[s];
}

static void
print_rows(FILE *out)
{
	for (int c = 0; c < SPOOL_CAUSES; c++)
		for (unsigned s = 0; s < ROW_STATUSES; s++)
			if (spool_moves[c].had & 1U << s)
				fprintf(out, "%s\t%s\t%s\n",
				    row_status_names[s],
				    row_status_names[spool_moves[c].status],
				    spool_moves[c].why);
}

/* One arrow for each pair of statuses, in the order of the enums. */
static void
print_drawing(FILE *out)
{
	fprintf(out, "```mermaid\nstateDiagram-v2\n");
	for (unsigned from = 0; from < ROW_STATUSES; from++)
		for (unsigned to = 1; to < ROW_STATUSES; to++)
			for (int c = 0; c < SPOOL_CAUSES; c++)
				if (spool_moves[c].status == to &&
				    (spool_moves[c].had & 1U << from)) {
					fprintf(out, "    %s --> %s\n",
					    status_name(from), status_name(to));
					break;
				}
	fprintf(out, "```\n");
}

static void
print_set(
    FILE *out, unsigned set, const char *const *names, int n, const char *none)
{
	const char *comma = "";

	if (set == 0)
		fprintf(out, "%s", none);
	else if (set == (1U << n) - 1)
		fprintf(out, "any");
	else
		for (int i = 0; i < n; i++)
			if (set & 1U << i) {
				fprintf(out, "%s%s", comma,
				    names[i][0] != '\0' ? names[i] : "(none)");
				comma = ", ";
			}
}

static void
print_table(FILE *out)
{
	fprintf(out,
	    "\n| cause | states before | state | statuses before | status |\n"
	    "| --- | --- | --- | --- | --- |\n");
	for (int c = 0; c < SPOOL_CAUSES; c++) {
		const struct spool_move *m = &spool_moves[c];

		fprintf(out, "| %s | ", m->why);
		if (m->from == IDLE)
			fprintf(out, "idle");
		else
			print_set(out, m->from, spool_state_names, SPOOL_STATES,
			    "");
		fprintf(out, " | %s | ",
		    m->to == STAYS ? "" : spool_state_names[m->to]);
		print_set(
		    out, m->had, row_status_names, ROW_STATUSES, "any");
		fprintf(out, " | %s |\n",
		    m->had == 0 ? "stays" : row_status_names[m->status]);
	}
	fprintf(out, "\nIdle: ");
	print_set(out, IDLE, spool_state_names, SPOOL_STATES, "");
	fprintf(out, ".\n");
}

void
spool_states_print(FILE *out, bool as_rows)
{
	if (as_rows) {
		print_rows(out);
		return;
	}
	print_drawing(out);
	print_table(out);
}
