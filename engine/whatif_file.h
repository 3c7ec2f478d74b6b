/* whatif_file.h: files of questions: lines of JSON, and case files with what is expected. */
#ifndef LS_ENGINE_WHATIF_FILE_H
#define LS_ENGINE_WHATIF_FILE_H

#include <stdio.h>

#include "engine/whatif_case.h"

#define WHATIF_LINE_BYTES (256u * 1024u) /* longest line of questions */
#define WHATIF_FILE_BYTES (64u * 1024u * 1024u)

/* Records of a CSV text: commas, quoted fields with doubled quotes, line ends inside of quotes.
 * Fields are unquoted in place: the text is the caller's and is changed. */
#define WHATIF_FIELDS_MAX 16
struct whatif_csv {
    char *text;
    size_t bytes, at;
    uint32_t line; /* of the record read last, from 1 */
    uint32_t next_line;
    uint32_t count;
    struct adp_span fields[WHATIF_FIELDS_MAX];
};

/* whatif_csv_next reads the next record that is not an empty line.
 *   returns  ADP_OK; ADP_NOTHING at the end; ADP_MALFORMED for a quote that does not end or stands
 *            inside a field; ADP_TOO_LONG for more fields than WHATIF_FIELDS_MAX */
LS_MUST_USE enum adp_rc whatif_csv_next(struct whatif_csv *csv);

/* whatif_lines answers each line of `in` that is not blank by one line on stdout. One that cannot
 * be answered gets the action ERROR there, and a sentence on stderr with its number. returns  the
 * exit code: 0, or 1 when a line could not be answered */
int whatif_lines(FILE *in, const char *name);

/* whatif_cases runs a case file and prints a row per difference and the count.
 *   known    a file of ids that are passed over, with the arithmetic why; NULL = none
 *   returns  the exit code: 0; 1 with differences; 2 when a file cannot be read */
int whatif_cases(const char *path, const char *known);

#endif
