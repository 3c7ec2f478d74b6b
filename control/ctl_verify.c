/* ctl_verify.c: lockstepctl journal verify: every record of a journal by its checksum and chain,
 * and every decision by what became of it (journal_count.h). Reads only. */
#include "control/ctl_journal.h"
#include "control/journal_count.h"

#include <stdio.h>
#include <string.h>

struct verdict {
    uint64_t frames, maybe, holes, dropped_bytes, uncommitted;
    uint64_t first_lsn, last_lsn;
    enum ipc_journal_step end; /* END, TORN, CORRUPT, GONE */
    bool dropped_committed;
    struct ipc_error error;
    struct ctl_journal_counts counts;
};

static void frame_take(
    struct verdict *verdict, struct ctl_journal_count *count, const struct ipc_journal_entry *entry)
{
    if (verdict->frames++ == 0)
        verdict->first_lsn = entry->frame->lsn;
    verdict->last_lsn = entry->frame->lsn;
    verdict->maybe += (entry->flags & IPC_ENTRY_MAYBE) != 0;
    verdict->uncommitted += (entry->flags & IPC_ENTRY_UNCOMMITTED) != 0;
    ctl_journal_count_take(
        count, entry->frame, entry->payload, (entry->flags & IPC_ENTRY_MAYBE) != 0);
}

/* The verdict is about what was there when it began: a live writer is not run after. */
static void verdict_take(
    struct verdict *verdict, struct ctl_journal_count *count, struct ipc_journal_reader *reader)
{
    struct ipc_journal_entry entry;
    memset(verdict, 0, sizeof *verdict);
    for (;;) {
        enum ipc_journal_step step = ipc_journal_reader_next(reader, &entry);
        if (step == IPC_JOURNAL_END)
            step = ipc_journal_reader_tail(reader, &entry);
        if (step == IPC_JOURNAL_FRAME) {
            frame_take(verdict, count, &entry);
            continue;
        }
        verdict->dropped_bytes += entry.dropped_bytes;
        if (step == IPC_JOURNAL_HOLE) {
            verdict->holes++;
            continue;
        }
        verdict->end = step;
        verdict->dropped_committed = entry.dropped_committed;
        verdict->error = entry.error;
        ctl_journal_count_end(count, &verdict->counts);
        return;
    }
}

static unsigned long long number(uint64_t value)
{
    return value;
}

static void counts_json(const struct ctl_journal_counts *counts)
{
    printf("\"events\":%llu,\"waves\":%llu,\"expected\":%llu,\"skipped\":%llu,\"placed\":%llu,"
           "\"acts\":%llu,\"vanished\":%llu,\"remaining\":%llu,\"extra\":%llu,\"terminal\":%llu,"
           "\"open\":%llu,\"orders\":{",
        number(counts->events), number(counts->waves), number(counts->expected),
        number(counts->skipped), number(counts->placed), number(counts->acts),
        number(counts->vanished), number(counts->remaining), number(counts->extra),
        number(counts->terminal), number(counts->open));
    for (int stand = 1; stand < CTL_STAND_COUNT; stand++)
        printf("%s\"%s\":%llu", stand == 1 ? "" : ",", ctl_stand_name((enum ctl_stand)stand),
            number(counts->stands[stand]));
    printf("},\"unnamed\":%llu,\"differences\":%llu,\"first_differences\":[",
        number(counts->unnamed), number(counts->differences));
    for (uint64_t i = 0; i < counts->differences && i < CTL_DIFFERENCES_KEPT; i++)
        printf("%s{\"lsn\":%llu,\"what\":\"%s\"}", i == 0 ? "" : ",", number(counts->kept[i].lsn),
            counts->kept[i].text);
    printf("]");
}

static void counts_print(const struct ctl_journal_counts *counts)
{
    printf("  events x followers: %llu = %llu skipped + %llu placed + %llu acts + %llu vanished + "
           "%llu remaining\n",
        number(counts->expected), number(counts->skipped), number(counts->placed),
        number(counts->acts), number(counts->vanished), number(counts->remaining));
    printf("  orders: %llu placed + %llu extra = %llu terminal + %llu open", number(counts->placed),
        number(counts->extra), number(counts->terminal), number(counts->open));
    const char *before = " (";
    for (int stand = 1; stand < CTL_STAND_COUNT; stand++) {
        if (counts->stands[stand] == 0)
            continue;
        printf("%s%llu %s", before, number(counts->stands[stand]),
            ctl_stand_name((enum ctl_stand)stand));
        before = ", ";
    }
    printf("%s\n", before[0] == ',' ? ")" : "");
    if (counts->unnamed > 0)
        printf("  %llu facts are about orders that these records do not show\n",
            number(counts->unnamed));
    if (counts->differences > 0)
        printf("  %llu DIFFERENCES:\n", number(counts->differences));
    for (uint64_t i = 0; i < counts->differences && i < CTL_DIFFERENCES_KEPT; i++)
        if (counts->kept[i].lsn != 0)
            printf("    lsn %llu: %s\n", number(counts->kept[i].lsn), counts->kept[i].text);
}

static void verdict_json(uint32_t shard, const struct verdict *verdict, bool whole,
    const struct ipc_journal_place *place, uint64_t durable_lsn, const char *state)
{
    char sentence[600];
    struct ipc_text text;
    ipc_text_start(&text, sentence, sizeof sentence);
    ipc_text_put_json(&text, verdict->error.text, sizeof verdict->error.text);
    printf("{\"shard\":%u,\"whole\":%s,\"frames\":%llu,\"first_lsn\":%llu,\"last_lsn\":%llu,"
           "\"durable_lsn\":%llu,\"state\":\"%s\",\"from_disk\":%llu,\"repaired\":%llu,"
           "\"holes\":%llu,\"maybe_sent\":%llu,\"uncommitted\":%llu,\"dropped_bytes\":%llu,"
           "\"end\":\"%s\",\"sentence\":%s,",
        shard, whole ? "true" : "false", number(verdict->frames), number(verdict->first_lsn),
        number(verdict->last_lsn), number(durable_lsn), state, number(place->from_disk),
        number(place->repaired), number(verdict->holes), number(verdict->maybe),
        number(verdict->uncommitted), number(verdict->dropped_bytes),
        ipc_journal_step_name(verdict->end), sentence);
    counts_json(&verdict->counts);
    printf("}\n");
}

static int verdict_print(const struct ctl_cli *cli, uint32_t shard, const struct verdict *verdict,
    const struct ipc_journal_reader *reader)
{
    struct ipc_journal_place place;
    uint64_t durable_lsn = 0;
    enum ipc_journal_state state = IPC_JOURNAL_STATE_CLOSED;
    ipc_journal_reader_place(reader, &place);
    bool has_owner = ipc_journal_reader_owner(reader, &durable_lsn, &state);
    const char *state_name = has_owner ? ipc_journal_state_name(state) : "none";
    bool whole = verdict->end == IPC_JOURNAL_END ||
                 (verdict->end == IPC_JOURNAL_TORN && !verdict->dropped_committed);
    int result = whole && verdict->counts.differences == 0 ? CTL_DONE : CTL_FAILED;
    if (cli->json) {
        verdict_json(shard, verdict, whole, &place, durable_lsn, state_name);
        return result;
    }
    printf("journal.%u: %llu records, lsn %llu to %llu, %llu read from disk, durable to %llu, "
           "state %s: %s\n",
        shard, number(verdict->frames), number(verdict->first_lsn), number(verdict->last_lsn),
        number(place.from_disk), number(durable_lsn), state_name, whole ? "whole" : "DAMAGED");
    if (verdict->holes > 0)
        printf("  %llu holes of a power cut, %llu records behind them may have been sent\n",
            number(verdict->holes), number(verdict->maybe));
    if (place.repaired > 0)
        printf("  %llu records are damaged in memory and right on disk\n", number(place.repaired));
    if (verdict->error.text[0] != '\0')
        printf("  %s\n", verdict->error.text);
    counts_print(&verdict->counts);
    return result;
}

int ctl_verify_run(const struct ctl_cli *cli, const struct ctl_journal_options *options)
{
    uint32_t first = options->has_shard ? options->shard : 0;
    uint32_t last = options->has_shard ? options->shard : CTL_SHARDS_MAX - 1;
    int result = CTL_DONE, found = 0;
    struct ipc_error error = {{0}};
    for (uint32_t shard = first; shard <= last; shard++) {
        struct ipc_journal_reader *reader;
        enum ipc_rc rc = ctl_journal_reader_open(cli, options, shard, &reader, &error);
        if (rc == IPC_NOT_FOUND && !options->has_shard)
            continue;
        if (rc != IPC_OK)
            return ctl_refuse("%s", error.text);
        struct verdict verdict;
        struct ctl_journal_count *count = ctl_journal_count_make();
        LS_CHECK(count != NULL);
        found++;
        verdict_take(&verdict, count, reader);
        if (verdict_print(cli, shard, &verdict, reader) != CTL_DONE)
            result = CTL_FAILED;
        ctl_journal_count_free(count);
        ipc_journal_reader_close(reader);
    }
    return found > 0 ? result : ctl_refuse("%s", error.text);
}
