#include "ctl/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "ctl/pg.h"

#define CELL_MAX 512

void
table_select(struct sql *q, const struct column *cols, int n, const char *zone)
{
	sql_add(q, "SELECT ");
	for (int i = 0; i < n; i++) {
		if (cols[i].kind == COLUMN_TIME)
			fprintf(q->f,
			    "floor(extract(epoch from %s) * 1000)"
			    "::bigint, ",
			    cols[i].expr);
		else
			fprintf(q->f, "%s, ", cols[i].expr);
	}
	fprintf(q->f, "%s ", zone);
}

PGresult *
table_query(struct ctl *c, struct sql *q)
{
	return pg_query(c, sql_text(q), q->n, q->params);
}

/* --- one value ----------------------------------------------------------- */

static void
format_time(const char *ms, const char *zone, bool utc, char *out, size_t len)
{
	time_t t = (time_t)(strtoll(ms, NULL, 10) / 1000);
	struct tm tm;

	setenv("TZ", utc || zone == NULL ? "UTC" : zone, 1);
	tzset();
	localtime_r(&t, &tm);
	strftime(out, len, "%Y-%m-%d %H:%M:%S %z", &tm);
}

static void
format_bytes(const char *s, char *out, size_t len)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	double v = strtod(s, NULL) / 1024;
	size_t u = 0;

	if (v < 1) {
		snprintf(out, len, "%s B", s);
		return;
	}
	for (; v >= 1024 && u < 3; u++)
		v /= 1024;
	snprintf(out, len, "%.1f %s", v, units[u]);
}

static void
format_ms(const char *s, char *out, size_t len)
{
	int64_t t = strtoll(s, NULL, 10) / 1000;

	snprintf(out, len, "%" PRId64 ":%02d:%02d", t / 3600,
	    (int)(t / 60 % 60), (int)(t % 60));
}

/* What came from outside (desktop names) must not drive the terminal. */
static void
format_text(const char *s, char *out, size_t len)
{
	size_t n = 0;

	for (; *s != '\0' && n + 1 < len; s++)
		out[n++] = (unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s;
	out[n] = '\0';
}

/* What stands in a cell; row -1 is the head line. */
static void
format_cell(const PGresult *res, int row, int col, const struct column *k,
    int zone_col, bool utc, char out[CELL_MAX])
{
	const char *s = row < 0 ? k->title : pg_text(res, row, col);

	if (row < 0) {
		snprintf(out, CELL_MAX, "%s", s != NULL ? s : "");
		return;
	}
	if (s == NULL) {
		strcpy(out, "-");
		return;
	}
	switch (k->kind) {
	case COLUMN_TIME:
		format_time(s, pg_text(res, row, zone_col), utc, out, CELL_MAX);
		break;
	case COLUMN_BYTES:
		format_bytes(s, out, CELL_MAX);
		break;
	case COLUMN_MS:
		format_ms(s, out, CELL_MAX);
		break;
	case COLUMN_BOOL:
		strcpy(out, *s == 't' ? "yes" : "no");
		break;
	case COLUMN_TEXT:
	case COLUMN_INT:
	case COLUMN_JSON:
		format_text(*s != '\0' ? s : "-", out, CELL_MAX);
		break;
	}
}

static json_t *
cell_json(const char *s, enum column_kind kind)
{
	char when[CLOCK_TEXT_MAX];

	if (s == NULL)
		return json_null();
	switch (kind) {
	case COLUMN_INT:
	case COLUMN_BYTES:
	case COLUMN_MS:
		return json_integer(strtoll(s, NULL, 10));
	case COLUMN_BOOL:
		return json_boolean(*s == 't');
	case COLUMN_TIME:
		clock_format_utc(strtoull(s, NULL, 10) * NS_PER_MS, when);
		return json_string(when);
	case COLUMN_JSON:
		return json_loads(s, JSON_DECODE_ANY, NULL);
	case COLUMN_TEXT:
		break;
	}
	return json_string(s);
}

/* --- JSON ---------------------------------------------------------------- */

json_t *
table_row_json(const PGresult *res, int row, const struct column *cols, int n)
{
	json_t *o = json_object();

	for (int i = 0; i < n; i++)
		if (json_object_set_new(o, cols[i].name,
			cell_json(pg_text(res, row, i), cols[i].kind)) != 0) {
			json_decref(o);
			return NULL;
		}
	return o;
}

json_t *
table_json(const PGresult *res, const struct column *cols, int n)
{
	json_t *list = json_array();

	for (int row = 0; row < PQntuples(res); row++)
		if (json_array_append_new(
			list, table_row_json(res, row, cols, n)) != 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

int
print_json(json_t *value)
{
	int rc;

	if (value == NULL)
		return ctl_error("out of memory");
	rc = json_dumpf(value, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(value);
	return rc == 0 ? STATUS_OK : STATUS_FAILED;
}

/* --- people -------------------------------------------------------------- */

/* Columns on the screen, for UTF-8: continuation bytes take none. */
static int
width_of(const char *s)
{
	int w = 0;

	for (; *s != '\0'; s++)
		w += ((unsigned char)*s & 0xc0) != 0x80;
	return w;
}

static bool
is_right_aligned(enum column_kind k)
{
	return k == COLUMN_INT || k == COLUMN_BYTES || k == COLUMN_MS;
}

static void
print_cell(const char *s, int width, enum column_kind kind, bool last)
{
	int pad = width - width_of(s);

	if (is_right_aligned(kind))
		printf("%*s%s", pad, "", s);
	else
		printf("%s%*s", s, last ? 0 : pad, "");
	fputs(last ? "\n" : "  ", stdout);
}

static int
last_titled(const struct column *cols, int n)
{
	while (n > 0 && cols[n - 1].title == NULL)
		n--;
	return n - 1;
}

void
table_print(const PGresult *res, const struct column *cols, int n, bool utc,
    const char *none)
{
	int width[64] = { 0 };
	int last = last_titled(cols, n);
	char cell[CELL_MAX];

	if (PQntuples(res) == 0) {
		fprintf(stderr, "%s\n", none);
		return;
	}
	for (int row = -1; row < PQntuples(res); row++)
		for (int i = 0; i <= last; i++) {
			format_cell(res, row, i, &cols[i], n, utc, cell);
			if (width_of(cell) > width[i])
				width[i] = width_of(cell);
		}
	for (int row = -1; row < PQntuples(res); row++)
		for (int i = 0; i <= last; i++) {
			if (cols[i].title == NULL)
				continue;
			format_cell(res, row, i, &cols[i], n, utc, cell);
			print_cell(cell, width[i], cols[i].kind, i == last);
		}
}

void
table_print_row(
    const PGresult *res, int row, const struct column *cols, int n, bool utc)
{
	char cell[CELL_MAX];

	for (int i = 0; i < n; i++) {
		format_cell(res, row, i, &cols[i], n, utc, cell);
		printf("%-18s %s\n", cols[i].name, cell);
	}
}

int
table_list(struct ctl *c, const struct args *a, struct sql *q,
    const struct column *cols, int n, bool utc, const char *none)
{
	PGresult *res = table_query(c, q);
	int status = STATUS_OK;

	sql_release(q);
	if (res == NULL)
		return STATUS_FAILED;
	if (args_has(a, "json"))
		status = print_json(table_json(res, cols, n));
	else
		table_print(res, cols, n, utc, none);
	PQclear(res);
	return status;
}
