/* engine_http.h - the requests of Engine.IO: `GET` and `POST` with `EIO`, `transport`, `sid`.
 *
 * Judged here, refused in Engine.IO's own form, or brought to their connection. Worker's thread
 * only. */
#ifndef SOCKETIO_ENGINE_HTTP_H
#define SOCKETIO_ENGINE_HTTP_H

struct request;

/* The serve() of a route that takes any method; its state is the worker's struct engines. */
void engine_http_serve(struct request *request);

#endif
