/* fuzz.h - what each fuzzer defines; libFuzzer or replay.c calls it. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Returns 0. Whatever must hold is asserted. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
