/* Small pages for a browser that follows a link to the API: what happened, and
 * where to go on. They need no script and no style of their own. */
#ifndef CONSOLE_API_PAGE_H
#define CONSOLE_API_PAGE_H

#include <stdbool.h>

struct request;

struct page {
	const char *title, *text;
	const char *link, *link_text; /* a path of this server */
	bool go;                      /* the browser follows it by itself */
};

/* Does a browser ask, which shows its user what it gets? */
bool page_is_wanted(const struct request *r);

/* Answers with the page; its texts are escaped. */
void page_send(struct request *r, unsigned status, const struct page *p);

#endif
