/* page.h - the page at `/`, the client for pages of others, and the pages about all this.
 *
 * Worker's thread only. */
#ifndef API_PAGE_H
#define API_PAGE_H

struct request;

void page_serve(struct request *request);        /* GET / */
void page_client_serve(struct request *request); /* GET /client.js */
void page_site_serve(struct request *request);   /* GET /docs/:id, and what has a path of its own */

#endif
