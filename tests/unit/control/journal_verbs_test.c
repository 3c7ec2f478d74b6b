/* lockstepctl journal and why, the program itself, over a journal that the engine's writer made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/clock.h"
#include "ipc/region.h"
#include "ipc/tag.h"
#include "tests/support/journal_facts.h"
#include "tests/support/journal_world.h"

static struct tempshm temporary;
static struct eng_journal_config config;
static char output[256 * 1024];

/* Runs lockstepctl with what follows; stdout and stderr to `output`; returns its exit code. */
static int run(const char *arguments)
{
    char command[1024];
    snprintf(command, sizeof command, "LOCKSTEP_SHM_DIR=%s %s/lockstepctl --instance t %s 2>&1",
        temporary.path, LS_BIN_DIR, arguments);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t got = fread(output, 1, sizeof output - 1, pipe);
    output[got] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void check(const char *arguments, int code, const char *const *wanted)
{
    int got = run(arguments);
    if (got != code)
        print_message("%s: %s\n", arguments, output);
    assert_int_equal(got, code);
    for (; *wanted != NULL; wanted++) {
        if (strstr(output, *wanted) == NULL)
            print_message("'%s' is not in the output of %s:\n%s\n", *wanted, arguments, output);
        assert_non_null(strstr(output, *wanted));
    }
}

#define CHECK(arguments, code, ...) check(arguments, code, (const char *const[]){__VA_ARGS__, NULL})

static int setup(void **state)
{
    (void)state;
    struct ipc_shm shm;
    struct ipc_error error;
    struct eng_journal *journal;
    struct journal_model model = {0};
    struct eng_recovery_result result;
    struct journal_fact fact;
    tempshm_make(&temporary);
    assert_int_equal(ipc_shm_open(&shm, temporary.path, "t", true, &error), IPC_OK);
    snprintf(
        config.memory_directory, sizeof config.memory_directory, "%s/lockstep.t", temporary.path);
    snprintf(config.disk_directory, sizeof config.disk_directory, "%s/disk", temporary.path);
    config.segment_bytes = ENG_JOURNAL_SEGMENT_BYTES_MIN;
    config.segment_count = ENG_JOURNAL_SEGMENTS_MIN;
    ipc_shm_close(&shm);
    assert_int_equal(eng_journal_open(&config, &journal, &error), IPC_OK);
    struct eng_recovery_fold fold = journal_world_fold(&model);
    assert_int_equal(
        eng_recovery_run(journal, &fold, ipc_clock_mono_ns(), ipc_clock_wall_ns(), &result, &error),
        IPC_OK);
    for (uint32_t i = 1; journal_facts_make(i, &fact); i++) {
        eng_journal_clock(journal, 6000000 + i * 1000000, ipc_clock_wall_ns());
        assert_int_not_equal(
            eng_journal_append(journal, fact.type, fact.payload, fact.bytes, fact.count), 0);
    }
    journal_facts_wide(&fact);
    eng_journal_clock(journal, 30000000, ipc_clock_wall_ns());
    assert_int_not_equal(
        eng_journal_append(journal, fact.type, fact.payload, fact.bytes, fact.count), 0);
    assert_true(eng_scribe_round(journal));
    eng_journal_close(journal);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tempshm_remove(&temporary);
    return 0;
}

static void test_ls(void **state)
{
    (void)state;
    CHECK("journal ls", 0, "\n2 ", " adopt generation=9", "skip 50 SUB_LOT", "alarm=GHOST");
    CHECK("journal ls --from 4 --to 5", 0, "4 20", " event ", " batch ");
    assert_null(strstr(output, "adopt"));
    CHECK("journal ls --type reply --json", 0, "\"fact\":\"reply\"", "\"http\":200");
    assert_null(strstr(output, "\"fact\":\"event\""));
    CHECK("journal show 5", 0, "place 65", "read from memory");
    CHECK("journal show 500", 1, "lsn 500 is not in the journal");
}

static void test_verify(void **state)
{
    (void)state;
    CHECK("journal verify", 0, "journal.0: 11 records, lsn 1 to 11", "durable to 11", "whole");
    CHECK("journal verify --json --shard 0", 0, "\"whole\":true", "\"frames\":11");
    CHECK("journal verify", 0, "events x followers: 3 = 1 skipped + 2 placed",
        "2 placed + 3 extra = 2 terminal + 3 open");
    CHECK("journal verify --json", 0, "\"expected\":3", "\"differences\":0");
    CHECK("journal export", 0, "\"lsn\":1,", "\"fact\":\"batch\"", "\"kind\":\"place-queued\"",
        "\"protects\":0", "\"lsn\":11,");
    CHECK("journal export --from 4 --to 4 --type event", 0, "\"order_digits\":");
    CHECK("journal verify --shard 7", 1, "there is no journal.7");
}

static void test_why(void **state)
{
    (void)state;
    char arguments[64];
    snprintf(arguments, sizeof arguments, "why %s", journal_facts_tag);
    CHECK(arguments, 0, "follower 77", "event     account 3, order M-100", "decision  place BUY 65",
        "reply     PLACE ACKED, evidence reply, HTTP 200", "broker order id F-900",
        "book      account 12, order F-900: FILLED, filled 65 of 65 at 22150.25", "GHOST");
    snprintf(arguments, sizeof arguments, "why %s --json", journal_facts_tag);
    CHECK(arguments, 0, "\"follower_no\":77", "\"step\":\"decision\"", "\"in_flight\":false");
    CHECK("why L01KPQZG2C000260000", 0, "SUB_LOT: the quantity is below one lot");
    CHECK("why L01KPQZG2C0009Z0000", 1, "account 3, order M-100", /* the order, and no decision */
        "nothing was decided under this tag: follower 359");
    assert_null(strstr(output, "decision"));
    CHECK("why L0000000001000260000", 2, "is not one of our tags");
    CHECK("why L000000001000260000", 1, "is not in the journal");
}

/* The tag of one action of the order. */
static const char *tag_of(uint32_t follower_no, uint32_t leg, uint32_t slice)
{
    static char arguments[64];
    char tag[IPC_TAG_BYTES];
    struct ipc_tag_parts parts = {.order_digits = JOURNAL_FACTS_DIGITS,
        .follower_no = follower_no,
        .action = ipc_tag_action(leg, slice, 0)};
    ipc_tag_compose(&parts, tag);
    snprintf(arguments, sizeof arguments, "why %s", tag);
    return arguments;
}

/* Legs, slices, own terms and samples, and the recorded steps as a sentence. */
static void test_why_of_wide_decisions(void **state)
{
    (void)state;
    CHECK(tag_of(80, 0, 0), 0, "place SELL 50 MARKET NRML; last price 98",
        "; close: holds 50 → all of it → SELL 50; follower 80, place 20 of wave "
        "0, "
        "generation 9, switch run");
    assert_null(strstr(output, "; slice"));
    CHECK(tag_of(80, 1, 0), 0, "place SELL 1755 LIMIT NRML at 99.5 IOC, instrument 6",
        "; the opening leg of a reversal; slice 1 of 2; last price 98",
        "; open: 1885 × 1 = 1885 → slices of 1755;");
    CHECK(tag_of(80, 1, 1), 0, "slice 2 of 2");
    CHECK(tag_of(81, 0, 0), 0, "skip SLIPPAGE: the market is outside the price guard; quantity",
        "; copied from the master's fill; last price 98; equity 7000; reference 100 ± 0.5 % → "
        "limit "
        "99.5, market at 98 → SKIP SLIPPAGE;");
}

static void test_usage(void **state)
{
    (void)state;
    CHECK("journal --help", 0, "Usage: lockstepctl journal ls");
    CHECK("why --help", 0, "Usage: lockstepctl why TAG");
    CHECK("journal", 2, "ls, show LSN, export or verify is wanted");
    CHECK("journal ls --from x", 2, "--from must be a number");
    CHECK("journal ls --type none", 2, "--type must be");
    CHECK("journal ls --from", 2, "--from needs a value");
    CHECK("journal ls --shard 64", 2, "--shard must be a number below 64");
    CHECK("journal ls --what", 2, "there is no option --what");
    CHECK("journal ls --shard 3", 1, "there is no journal.3");
}

/* Runs last: it damages the journal. Memory first, which the disk repairs; then the disk too. */
static void test_damage_is_told(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s/journal.0/segment.0000000001", config.memory_directory);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "rot", 3, 4096 + 400), 3);
    close(fd);
    CHECK("journal verify", 0, "damaged in memory and right on disk", "11 records");
    snprintf(path, sizeof path, "%s/journal.0/segment.0000000001", config.disk_directory);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "rot", 3, 4096 + 400), 3);
    close(fd);
    CHECK("journal verify", 1, "DAMAGED", "committed facts are damaged or missing from lsn 3");
    CHECK("journal ls", 1, "committed facts are damaged");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ls),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_why),
        cmocka_unit_test(test_why_of_wide_decisions),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_damage_is_told),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
