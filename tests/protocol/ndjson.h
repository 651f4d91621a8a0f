/* ndjson.h - the row of protocols.h that ndjson.c stands on, given to the compiler in its place. */
#ifndef PROTOCOL_NDJSON_H
#define PROTOCOL_NDJSON_H

#define PROTOCOLS_OF_TESTS(X) X(NDJSON, ndjson_protocol, 1)

#endif
