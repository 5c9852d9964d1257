/*
 * The console's pages: plain files that the browser loads as they are, read
 * into memory when the worker starts and at SIGHUP, and compressed there.
 *
 *   /assets/HASH/...   the files; HASH is of all of them together, so they
 *                      never change under their name, and modules name one
 *                      another by relative paths
 *   everything else    index.html, whose script shows the page that the path
 *                      names; 404 when the list in it (data-pages) does not
 *                      have the path's first word
 *
 * On the worker's loop.
 */
#ifndef CONSOLE_PAGES_H
#define CONSOLE_PAGES_H

#include <stdbool.h>
#include <stddef.h>

struct conf_console;
struct conf_store;
struct pages;
struct request;

/*
 * Reads the folders console.pages_dir and modules_dir; *out is NULL when the
 * first is not set. Returns 0, ERR_CONFIG with a sentence in err, or
 * ERR_NOMEM. The settings are borrowed and outlive it.
 */
int pages_new(struct pages **out, const struct conf_console *c,
    const struct conf_store *store, char *err, size_t err_len);
void pages_free(struct pages *p);

/* Is this path one of pages, not of the API? */
bool pages_has(const char *path);

/* Answers a GET, HEAD or any other request for path (borrowed). p: NULL
 * answers 404. The request ends here. */
void pages_answer(const struct pages *p, struct request *r, const char *path);

#endif
