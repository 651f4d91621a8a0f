/* public.h - the files of the folder that is for everybody, `--public`.
 *
 * Where it is given, the page of the server is not shown: `/` is the folder's index.html. Worker's
 * thread only. */
#ifndef API_PUBLIC_H
#define API_PUBLIC_H

struct request;

/* A route's serve(); its state is the struct api. */
void public_serve(struct request *request);

#endif
