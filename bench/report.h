/* report.h: what a measurement says, as one JSON object {bench, machine, noise, rows[]} and as a
 * table whose columns are the members of its rows. */
#ifndef LS_BENCH_REPORT_H
#define LS_BENCH_REPORT_H

#include "bench/machine.h"

#include <jansson.h>
#include <stdio.h>

struct bench_report {
    const char *name;
    struct bench_machine machine;
    json_t *rows;     /* array of objects with equal members */
    char noise[200];  /* "" = believable */
    char remark[400]; /* what the columns are, for the table's foot */
};

/* bench_report_begin reads the machine and makes an empty list. */
void bench_report_begin(struct bench_report *report, const char *name);
/* bench_report_add takes the row over. */
void bench_report_add(struct bench_report *report, json_t *row);
/* bench_report_doubt adds one reason to doubt the figures. */
__attribute__((format(printf, 2, 3))) void bench_report_doubt(
    struct bench_report *report, const char *format, ...);
/* bench_report_end prints it and frees it. */
void bench_report_end(struct bench_report *report, bool as_json, FILE *out);

#endif
