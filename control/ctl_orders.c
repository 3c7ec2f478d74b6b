/* lockstepctl orders: each master order and what became of every copy of it, from the journal. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl_common.h"
#include "control/order_table.h"
#include "ipc/decimal.h"
#include "ipc/explain.h"
#include "ipc/journal_reader.h"
#include "ipc/reason.h"
#include "ipc/waves.h"

static const char help_text[] =
    "Usage: lockstepctl orders [--last N] [--wave N] [--shard K] [--disk DIR]\n\n"
    "Each master order that was copied: per follower the quantity, how it was computed, the\n"
    "place in the wave, what became of it, the broker's order id, and the times from the\n"
    "event's arrival in the ring until the kernel took the order and until its reply was\n"
    "parsed. With --json one object per wave.\n\n"
    "  --last N    the last N waves (default: all)\n"
    "  --wave N    one wave\n"
    "  --shard K   the shard (default: 0)\n"
    "  --disk DIR  where the disk files are, when the journal is no longer in memory\n";

struct options {
    uint64_t wave; /* 0 = all */
    uint32_t last; /* 0 = all */
    uint32_t shard;
    const char *disk;
};

/* What a table is printed from. */
struct orders {
    const struct ctl_cli *cli;
    struct ctl_live live;
    struct ctl_order_table table;
    struct ipc_waves waves;
    bool has_waves;
};

static int read_journal(struct orders *orders, const struct options *options)
{
    struct ipc_journal_reader_options reading = {.memory_directory = orders->live.shm.path,
        .disk_directory = options->disk,
        .shard = options->shard};
    struct ipc_journal_reader *reader = NULL;
    struct ipc_error error;
    if (ipc_journal_reader_open(&reading, &reader, &error) != IPC_OK)
        return ctl_refuse("%s", error.text);
    int code = CTL_DONE;
    for (bool more = true; more;) {
        struct ipc_journal_entry entry;
        switch (ipc_journal_reader_next(reader, &entry)) {
        case IPC_JOURNAL_FRAME:
            ctl_order_table_take(&orders->table, entry.frame, entry.payload);
            break;
        case IPC_JOURNAL_HOLE:
            fprintf(stderr, "lockstepctl: %s\n", entry.error.text);
            break;
        case IPC_JOURNAL_END:
            more = false;
            break;
        case IPC_JOURNAL_TORN:
        case IPC_JOURNAL_CORRUPT:
        case IPC_JOURNAL_GONE:
            code = ctl_refuse("%s", entry.error.text);
            more = false;
            break;
        }
    }
    ipc_journal_reader_close(reader);
    return code;
}

static const struct ipc_row_instrument *instrument_of(
    const struct ipc_snapshot_view *view, uint32_t instrument)
{
    return instrument >= 1 && instrument <= view->instrument_count
               ? &view->instruments[instrument - 1]
               : NULL;
}

static const struct ipc_row_follower *follower_of(
    const struct ipc_snapshot_view *view, const struct ipc_fact_child *child)
{
    if (child->slot >= view->follower_slots)
        return NULL;
    const struct ipc_row_follower *row = &view->followers[child->slot];
    return row->follower_no == child->follower_no ? row : NULL;
}

static const char *login_of(
    const struct ipc_snapshot_view *view, const struct ipc_fact_child *child)
{
    const struct ipc_row_follower *row = follower_of(view, child);
    if (row == NULL || row->account == 0 || row->account > view->account_count)
        return "?";
    return view->accounts[row->account - 1].login;
}

static void explain(const struct orders *orders, const struct ctl_wave *wave,
    const struct ctl_copy *copy, char *out, size_t out_bytes)
{
    const struct ipc_fact_wide *wide =
        copy->wide != 0 ? &orders->table.wides[copy->wide - 1] : NULL;
    const struct ipc_snapshot_view *view = &orders->live.view;
    const struct ipc_row_follower *row = follower_of(view, &copy->child);
    const struct ipc_row_instrument *instrument = instrument_of(view, wave->fact.event.instrument);
    ipc_explain_decision(&wave->fact, &orders->table.batches[copy->batch_index], &copy->child, wide,
        row, instrument, out, out_bytes);
}

static double since_us(int64_t at_ns, int64_t from_ns)
{
    return at_ns > from_ns ? (double)(at_ns - from_ns) / 1000 : 0;
}

static bool find_record(const struct orders *orders, uint64_t wave, struct ipc_wave_record *out)
{
    if (!orders->has_waves)
        return false;
    uint64_t last = ipc_waves_last(&orders->waves);
    for (uint64_t n = last; n >= 1 && n + IPC_WAVES_KEPT > last; n--)
        if (ipc_waves_get(&orders->waves, n, out) == IPC_OK && out->wave == wave)
            return true;
    return false;
}

/* One row of the table, as text. */
struct row_text {
    char how[512], outcome[64], qty[IPC_DECIMAL_BYTES], sent[24], reply[24];
};

/* Characters of a UTF-8 text: printf counts bytes. */
static int columns_of(const char *text)
{
    int columns = 0;
    for (; *text != '\0'; text++)
        columns += ((unsigned char)*text & 0xC0) != 0x80;
    return columns;
}

/* A skip's reason stands in the outcome already: what remains is the arithmetic that led to it. */
static void cut_skip_reason(char *how)
{
    static const char arrow[] = " → ";
    char *at = strstr(how, "SKIP ");
    if (at == NULL)
        return;
    if (at - how >= (ptrdiff_t)strlen(arrow))
        at -= strlen(arrow);
    *at = '\0';
}

static void make_row(const struct orders *orders, const struct ctl_wave *wave,
    const struct ctl_copy *copy, struct row_text *row)
{
    int64_t from_ns = wave->fact.event.published_mono_ns;
    memset(row, 0, sizeof(*row));
    explain(orders, wave, copy, row->how, sizeof(row->how));
    cut_skip_reason(row->how);
    ctl_copy_outcome(copy, row->outcome, sizeof(row->outcome));
    ipc_decimal_format(copy->child.kind == IPC_CHILD_SKIP ? 0 : copy->child.qty_e8, row->qty);
    if (copy->accepted_mono_ns > 0)
        snprintf(row->sent, sizeof(row->sent), "%.1f", since_us(copy->accepted_mono_ns, from_ns));
    if (copy->has_reply)
        snprintf(row->reply, sizeof(row->reply), "%.1f", since_us(copy->parsed_mono_ns, from_ns));
}

/* Widths of the columns that hold words; the others hold numbers of a known size. */
struct widths {
    int follower, how, outcome, order;
};

static void widen(int *width, const char *text)
{
    int columns = columns_of(text);
    if (columns > *width)
        *width = columns;
}

static struct widths measure(const struct orders *orders, const struct ctl_wave *wave)
{
    struct widths widths = {0};
    widen(&widths.follower, "FOLLOWER");
    widen(&widths.how, "HOW IT WAS COMPUTED");
    widen(&widths.outcome, "OUTCOME");
    widen(&widths.order, "BROKER ORDER");
    for (uint32_t i = 0; i < orders->table.copy_count; i++) {
        const struct ctl_copy *copy = &orders->table.copies[i];
        if (&orders->table.waves[copy->wave_index] != wave)
            continue;
        struct row_text row;
        make_row(orders, wave, copy, &row);
        widen(&widths.follower, login_of(&orders->live.view, &copy->child));
        widen(&widths.how, row.how);
        widen(&widths.outcome, row.outcome);
        widen(&widths.order, copy->outcome.broker_order_id);
    }
    return widths;
}

static void print_rows(const struct orders *orders, const struct ctl_wave *wave)
{
    struct widths widths = measure(orders, wave);
    printf("  %5s  %-*s %8s  %-*s  %-*s  %-*s %9s %9s\n", "PLACE", widths.follower, "FOLLOWER",
        "QTY", widths.how, "HOW IT WAS COMPUTED", widths.outcome, "OUTCOME", widths.order,
        "BROKER ORDER", "SENT us", "REPLY us");
    for (uint32_t i = 0; i < orders->table.copy_count; i++) {
        const struct ctl_copy *copy = &orders->table.copies[i];
        if (&orders->table.waves[copy->wave_index] != wave)
            continue;
        struct row_text row;
        make_row(orders, wave, copy, &row);
        printf("  %5u  %-*s %8s  %s%*s  ", copy->place, widths.follower,
            login_of(&orders->live.view, &copy->child), row.qty, row.how,
            widths.how - columns_of(row.how), "");
        if (row.sent[0] == '\0' && row.reply[0] == '\0' && copy->outcome.broker_order_id[0] == '\0')
            puts(row.outcome);
        else
            printf("%-*s  %-*s %9s %9s\n", widths.outcome, row.outcome, widths.order,
                copy->outcome.broker_order_id, row.sent, row.reply);
    }
}

static void print_stages(const struct ipc_wave_record *record)
{
    printf("  stages: read %.1f us; decide %.1f, journal %.1f", (double)record->read_ns / 1000,
        (double)record->decide_ns / 1000, (double)record->journal_ns / 1000);
    if (record->sent != 0)
        printf(", encode %.1f, seal %.1f, send %.1f us; kernel accepted first %.1f, median %.1f, "
               "last %.1f us; last reply parsed %.1f",
            (double)record->encode_ns / 1000, (double)record->seal_ns / 1000,
            (double)record->send_ns / 1000, (double)record->first_accepted_ns / 1000,
            (double)record->median_accepted_ns / 1000, (double)record->last_accepted_ns / 1000,
            (double)record->parsed_ns / 1000);
    puts(" us");
}

/* An own order of the engine: it closes what one follower copied, and has no wave. */
static bool is_own(const struct ctl_wave *wave)
{
    return wave->wave == 0 && wave->fact.transition == IPC_TRANSITION_FOLLOW_UP;
}

/* What follows later, when a state of the same order says again what was held back, has no wave
 * either: it is an order at the broker like any other, and must not be missing here. */
static bool is_shown(const struct ctl_wave *wave)
{
    return wave->wave != 0 || wave->copy_count > 0;
}

static void print_text(const struct orders *orders, const struct ctl_wave *wave)
{
    const struct ipc_event *event = &wave->fact.event;
    const struct ipc_row_instrument *instrument =
        instrument_of(&orders->live.view, event->instrument);
    char qty[IPC_DECIMAL_BYTES], price[IPC_DECIMAL_BYTES], when[40];
    ipc_decimal_format(event->qty_e8, qty);
    ipc_decimal_format(event->price_e8, price);
    ctl_format_wall(wave->wall_ns, when, sizeof(when));
    const char *bold = orders->cli->color ? "\033[1m" : "",
               *plain = orders->cli->color ? "\033[0m" : "";
    if (is_own(wave))
        printf("%sflatten  ", bold);
    else if (wave->wave == 0)
        printf("%slater  ", bold);
    else
        printf("%swave %" PRIu64 "  %s  ", bold, wave->wave,
            ipc_transition_name((enum ipc_transition)wave->fact.transition));
    printf("%s %s %s %s%s%s %s%s  %s %s  %s\n", ipc_side_name((enum ipc_side)event->side), qty,
        instrument != NULL ? instrument->symbol : "?", ipc_type_name((enum ipc_type)event->type),
        event->price_e8 != 0 ? " " : "", event->price_e8 != 0 ? price : "",
        ipc_product_name((enum ipc_product)event->product), plain,
        is_own(wave) ? "own order" : "master order", event->broker_order_id, when);
    print_rows(orders, wave);
    struct ipc_wave_record record;
    if (find_record(orders, wave->wave, &record))
        print_stages(&record);
    putchar('\n');
}

static void print_json_copy(const struct orders *orders, const struct ctl_wave *wave,
    const struct ctl_copy *copy, bool first)
{
    char how[IPC_EXPLAIN_STEPS_BYTES], escaped[2 * sizeof(how)], outcome[64],
        qty[IPC_DECIMAL_BYTES], filled[IPC_DECIMAL_BYTES];
    explain(orders, wave, copy, how, sizeof(how));
    ctl_json_escape(how, escaped, sizeof(escaped));
    ctl_copy_outcome(copy, outcome, sizeof(outcome));
    ipc_decimal_format(copy->child.qty_e8, qty);
    ipc_decimal_format(copy->filled_qty_e8, filled);
    const char *state = strncmp(outcome, "SKIP ", 5) == 0 ? "SKIPPED" : outcome;
    printf("%s{\"follower\":%u,\"login\":\"%s\",\"tag\":\"%s\",\"place\":%u,\"kind\":\"%s\","
           "\"qty\":%s,"
           "\"reason\":\"%s\",\"state\":\"%s\",\"filled\":%s,\"broker_order_id\":\"%s\","
           "\"sent_us\":%.1f,\"reply_us\":%.1f,\"explain\":\"%s\"}",
        first ? "" : ",", copy->child.follower_no, login_of(&orders->live.view, &copy->child),
        copy->tag, copy->place, ipc_child_kind_name((enum ipc_child_kind)copy->child.kind), qty,
        ipc_reason_name((enum ipc_reason)(
            copy->release_reason != 0 ? copy->release_reason : copy->child.reason)),
        state, filled, copy->outcome.broker_order_id,
        copy->accepted_mono_ns > 0
            ? since_us(copy->accepted_mono_ns, wave->fact.event.published_mono_ns)
            : 0.0,
        copy->has_reply ? since_us(copy->parsed_mono_ns, wave->fact.event.published_mono_ns) : 0.0,
        escaped);
}

static void print_json(const struct orders *orders, const struct ctl_wave *wave)
{
    const struct ipc_event *event = &wave->fact.event;
    const struct ipc_row_instrument *instrument =
        instrument_of(&orders->live.view, event->instrument);
    char qty[IPC_DECIMAL_BYTES], price[IPC_DECIMAL_BYTES];
    ipc_decimal_format(event->qty_e8, qty);
    ipc_decimal_format(event->price_e8, price);
    printf("{\"wave\":%" PRIu64
           ",\"transition\":\"%s\",\"master\":%u,\"order\":\"%s\",\"symbol\":\"%s\","
           "\"side\":\"%s\",\"qty\":%s,\"type\":\"%s\",\"price\":%s,\"followers\":%u,",
        wave->wave, ipc_transition_name((enum ipc_transition)wave->fact.transition), event->account,
        event->broker_order_id, instrument != NULL ? instrument->symbol : "",
        ipc_side_name((enum ipc_side)event->side), qty, ipc_type_name((enum ipc_type)event->type),
        price, wave->wave == 0 ? wave->copy_count : wave->fact.follower_count);
    struct ipc_wave_record r;
    if (find_record(orders, wave->wave, &r))
        printf("\"stages_ns\":{\"read\":%" PRId64 ",\"decide\":%" PRId64 ",\"journal\":%" PRId64
               ",\"encode\":%" PRId64 ",\"seal\":%" PRId64 ",\"send\":%" PRId64
               ",\"first\":%" PRId64 ",\"median\":%" PRId64 ",\"last\":%" PRId64
               ",\"parsed\":%" PRId64 "},",
            r.read_ns, r.decide_ns, r.journal_ns, r.encode_ns, r.seal_ns, r.send_ns,
            r.first_accepted_ns, r.median_accepted_ns, r.last_accepted_ns, r.parsed_ns);
    fputs("\"copies\":[", stdout);
    bool first = true;
    for (uint32_t i = 0; i < orders->table.copy_count; i++) {
        const struct ctl_copy *copy = &orders->table.copies[i];
        if (&orders->table.waves[copy->wave_index] != wave)
            continue;
        print_json_copy(orders, wave, copy, first);
        first = false;
    }
    puts("]}");
}

static int parse(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i++) {
        char *end = NULL;
        unsigned long long value = i + 1 < argc ? strtoull(argv[i + 1], &end, 10) : 0;
        bool has_number = end != NULL && *end == '\0' && argv[i + 1][0] != '\0';
        if (strcmp(argv[i], "--disk") == 0 && i + 1 < argc)
            options->disk = argv[i + 1];
        else if (strcmp(argv[i], "--wave") == 0 && has_number)
            options->wave = value;
        else if (strcmp(argv[i], "--last") == 0 && has_number)
            options->last = (uint32_t)value;
        else if (strcmp(argv[i], "--shard") == 0 && has_number && value < 64)
            options->shard = (uint32_t)value;
        else
            return ctl_usage("orders", "'%s' is not an option, or lacks its number", argv[i]);
        i++;
    }
    return CTL_DONE;
}

int ctl_orders_main(const struct ctl_cli *cli, int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(help_text, stdout);
        return CTL_DONE;
    }
    struct options options = {0};
    int code = parse(argc, argv, &options);
    if (code != CTL_DONE)
        return code;
    struct orders orders = {.cli = cli};
    struct ipc_error error;
    ctl_order_table_init(&orders.table);
    code = ctl_live_open(cli, &orders.live);
    if (code == CTL_DONE) {
        orders.has_waves =
            ipc_waves_open(&orders.live.shm, options.shard, &orders.waves, &error) == IPC_OK;
        code = read_journal(&orders, &options);
        uint32_t count = 0, skip = 0, shown = 0;
        for (uint32_t i = 0; i < orders.table.wave_count; i++)
            count += is_shown(&orders.table.waves[i]);
        if (options.last != 0 && count > options.last)
            skip = count - options.last;
        for (uint32_t i = 0; i < orders.table.wave_count; i++) {
            const struct ctl_wave *wave = &orders.table.waves[i];
            if (!is_shown(wave) || (options.wave != 0 && wave->wave != options.wave))
                continue;
            if (skip > 0 && options.wave == 0) {
                skip--;
                continue;
            }
            if (cli->json)
                print_json(&orders, wave);
            else
                print_text(&orders, wave);
            shown++;
        }
        if (code == CTL_DONE && options.wave != 0 && shown == 0)
            code = ctl_refuse(
                "wave %" PRIu64 " is not in the journal of shard %u", options.wave, options.shard);
        else if (count == 0 && !cli->json)
            puts("no master order has been copied yet");
    }
    if (orders.has_waves)
        ipc_waves_close(&orders.waves);
    ctl_order_table_free(&orders.table);
    ctl_live_close(&orders.live);
    return code;
}
