/* page.h - the page at `/` and the pages that problems point to, embedded at build time.
 *
 * Worker's thread only. */
#ifndef NET_API_PAGE_H
#define NET_API_PAGE_H

struct exchange;

void page_serve(struct exchange *exchange);        /* GET / */
void page_errors_serve(struct exchange *exchange); /* GET /docs/errors */

#endif
