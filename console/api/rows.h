/* A session and a recording as the API shows them, as SQL: the JSON of the row
 * whose id follows. */
#ifndef CONSOLE_API_ROWS_H
#define CONSOLE_API_ROWS_H

extern const char session_row_sql[], recording_row_sql[];

#endif
