/* Runs a case file: each row judged, its answer held against what the row expects. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/json.h"
#include "engine/whatif_file.h"

static struct whatif_case question;
static struct whatif_answer answer;
static char reply[WHATIF_TEXT_BYTES];

/* Where the columns stand that a case needs. */
enum column { ID, SHAPE, MODE, PARAMS, EVENT, STATE, EXPECTED, COLUMNS };
static const char *const column_names[COLUMNS] = {
    "id", "shape", "mode", "params", "master_event", "follower_state", "expected"};

struct columns {
    uint32_t at[COLUMNS];
};

struct tally {
    uint32_t passed, failed, skipped;
};

/* The whole file; NULL and a sentence when it cannot be read. */
static char *read_file(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    *bytes = 0;
    if (file != NULL && (text = malloc(WHATIF_FILE_BYTES)) != NULL) {
        *bytes = fread(text, 1, WHATIF_FILE_BYTES, file);
        if (ferror(file) || *bytes == WHATIF_FILE_BYTES) {
            errno = ferror(file) ? errno : EFBIG;
            free(text);
            text = NULL;
        }
    }
    if (text == NULL)
        (void)fprintf(stderr, "lockstep-whatif: %s cannot be read: %s\n", path, strerror(errno));
    if (file != NULL)
        (void)fclose(file);
    return text;
}

static int fault(const char *path, uint32_t line, const char *sentence)
{
    (void)fprintf(stderr, "lockstep-whatif: %s:%u %s\n", path, line, sentence);
    return 2;
}

static bool find_columns(const struct whatif_csv *csv, struct columns *columns)
{
    for (uint32_t want = 0; want < COLUMNS; want++) {
        columns->at[want] = UINT32_MAX;
        for (uint32_t i = 0; i < csv->count; i++)
            if (adp_span_is(csv->fields[i], column_names[want]))
                columns->at[want] = i;
        if (columns->at[want] == UINT32_MAX)
            return false;
    }
    return true;
}

/* Ids that are passed over. Each needs its arithmetic: a bare id explains nothing. */
#define KNOWN_MAX 256
struct known {
    uint32_t count;
    struct adp_span ids[KNOWN_MAX];
};

static bool is_known(const struct known *known, struct adp_span id)
{
    for (uint32_t i = 0; i < known->count; i++)
        if (known->ids[i].count == id.count && memcmp(known->ids[i].bytes, id.bytes, id.count) == 0)
            return true;
    return false;
}

static int read_known(struct whatif_csv *csv, const char *path, struct known *known)
{
    enum adp_rc rc;
    while ((rc = whatif_csv_next(csv)) == ADP_OK) {
        if (csv->count < 2 || csv->fields[1].count == 0)
            return fault(path, csv->line, "has no arithmetic: give id,arithmetic");
        if (known->count == KNOWN_MAX)
            return fault(path, csv->line, "is one difference too many: 256 are taken");
        known->ids[known->count++] = csv->fields[0];
    }
    return rc == ADP_NOTHING ? 0 : fault(path, csv->line, "is no record of id,arithmetic");
}

static void run_row(const char *path, const struct whatif_csv *csv, const struct columns *columns,
    struct tally *tally)
{
    char text[512];
    struct ipc_error error;
    struct adp_span field[COLUMNS];
    for (uint32_t i = 0; i < COLUMNS; i++)
        field[i] = columns->at[i] < csv->count ? csv->fields[columns->at[i]] : (struct adp_span){0};
    int id_bytes = (int)field[ID].count;
    const char *id = (const char *)field[ID].bytes;
    if (whatif_read(field[MODE], field[PARAMS], field[EVENT], field[STATE], &question, &error) !=
        IPC_OK) {
        tally->failed++;
        (void)printf("%.*s: %s:%u %s\n", id_bytes, id, path, csv->line, error.text);
        return;
    }
    whatif_run(&question, &answer);
    size_t bytes = whatif_print(&question, &answer, reply, sizeof reply);
    struct adp_span got = {.bytes = (const uint8_t *)reply, .count = bytes};
    enum ipc_rc rc = whatif_differs(field[EXPECTED], got, text, sizeof text);
    if (rc == IPC_OK) {
        tally->passed++;
        return;
    }
    tally->failed++;
    if (text[0] == '\0')
        (void)snprintf(text, sizeof text, "expected is no JSON object");
    (void)printf("%.*s: %s\n", id_bytes, id, text);
}

static int run_rows(
    const char *path, struct whatif_csv *csv, const struct known *known, struct tally *tally)
{
    struct columns columns;
    enum adp_rc rc = whatif_csv_next(csv);
    if (rc != ADP_OK || !find_columns(csv, &columns))
        return fault(path, csv->line,
            "is no head of a case file: id,shape,mode,params,master_event,follower_state,expected");
    while ((rc = whatif_csv_next(csv)) == ADP_OK) {
        if (columns.at[SHAPE] >= csv->count || columns.at[ID] >= csv->count) {
            return fault(path, csv->line, "has fewer columns than the head");
        }
        bool scenario = adp_span_is(csv->fields[columns.at[SHAPE]], "scenario");
        if (scenario || is_known(known, csv->fields[columns.at[ID]]))
            tally->skipped++;
        else
            run_row(path, csv, &columns, tally);
    }
    return rc == ADP_NOTHING ? 0 : fault(path, csv->line, "is no CSV record: check its quotes");
}

int whatif_cases(const char *path, const char *known_path)
{
    struct whatif_csv csv = {0}, known_csv = {0};
    struct known known = {0};
    struct tally tally = {0};
    int code = 2;
    csv.text = read_file(path, &csv.bytes);
    if (csv.text == NULL)
        return code;
    if (known_path == NULL) {
        code = 0;
    } else if ((known_csv.text = read_file(known_path, &known_csv.bytes)) != NULL) {
        code = read_known(&known_csv, known_path, &known);
    }
    if (code == 0)
        code = run_rows(path, &csv, &known, &tally);
    if (code == 0) {
        (void)printf(
            "%u passed, %u failed, %u skipped\n", tally.passed, tally.failed, tally.skipped);
        code = tally.failed != 0;
    }
    free(csv.text);
    free(known_csv.text);
    return code;
}
