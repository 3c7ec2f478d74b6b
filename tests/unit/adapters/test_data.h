/* test_data.h: reads sample files of tests/data for the tests of adapters. */
#ifndef LS_TESTS_ADAPTERS_TEST_DATA_H
#define LS_TESTS_ADAPTERS_TEST_DATA_H

#include "adapters/span.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* test_data_read reads LS_TEST_DATA/<name> into memory that the test frees; stops when it cannot.
 */
static inline struct adp_span test_data_read(const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", LS_TEST_DATA, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "cannot open %s\n", path);
        abort();
    }
    uint8_t *bytes = malloc(1u << 20);
    const size_t count = fread(bytes, 1, 1u << 20, file);
    fclose(file);
    return (struct adp_span){bytes, count};
}

static inline struct adp_span test_span(const char *text)
{
    return (struct adp_span){(const uint8_t *)text, strlen(text)};
}

#endif
