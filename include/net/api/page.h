/* page.h - the page at `/`, the client for pages of others, and the page that problems point to.
 *
 * Worker's thread only. */
#ifndef NET_API_PAGE_H
#define NET_API_PAGE_H

struct exchange;

void page_serve(struct exchange *exchange);        /* GET / */
void page_client_serve(struct exchange *exchange); /* GET /client.js */
void page_errors_serve(struct exchange *exchange); /* GET /docs/errors */

#endif
