#include "console/api/page.h"

#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console/api/request.h"

bool
page_is_wanted(const struct request *r)
{
	const char *accept = r->http != NULL
	    ? evhttp_find_header(
		  evhttp_request_get_input_headers(r->http), "Accept")
	    : NULL;

	return accept != NULL && strstr(accept, "text/html") != NULL;
}

static void
put_text(FILE *f, const char *s)
{
	for (; *s != '\0'; s++)
		switch (*s) {
		case '&':
			fputs("&amp;", f);
			break;
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		case '"':
			fputs("&quot;", f);
			break;
		case '\'':
			fputs("&#39;", f);
			break;
		default:
			fputc(*s, f);
		}
}

static void
put(FILE *f, const char *before, const char *text, const char *after)
{
	fputs(before, f);
	put_text(f, text);
	fputs(after, f);
}

void
page_send(struct request *r, unsigned status, const struct page *p)
{
	char *html = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&html, &len);

	if (f == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		return;
	}
	fputs("<!doctype html>\n<html lang=\"en\">\n<head>\n"
	      "<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
	      "content=\"width=device-width, initial-scale=1\">\n"
	      "<meta name=\"color-scheme\" content=\"light dark\">\n",
	    f);
	put(f, "<title>", p->title, "</title>\n");
	if (p->go)
		put(f, "<meta http-equiv=\"refresh\" content=\"0;url=", p->link,
		    "\">\n");
	put(f, "</head>\n<body>\n<main>\n<h1>", p->title, "</h1>\n");
	put(f, "<p>", p->text, "</p>\n");
	put(f, "<p><a href=\"", p->link, "\">");
	put(f, "", p->link_text, "</a></p>\n</main>\n</body>\n</html>\n");
	if (fclose(f) == 0)
		request_html(r, status, html);
	else
		request_problem(r, 503, "unavailable", "Out of memory.");
	free(html);
}
