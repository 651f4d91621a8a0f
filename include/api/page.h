/* page.h - the page at `/`, the client for pages of others, and the page that problems point to.
 *
 * Worker's thread only. */
#ifndef API_PAGE_H
#define API_PAGE_H

struct request;

void page_serve(struct request *request);        /* GET / */
void page_client_serve(struct request *request); /* GET /client.js */
void page_errors_serve(struct request *request); /* GET /docs/errors */

#endif
