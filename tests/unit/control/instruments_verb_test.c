/* lockstepctl instruments, the program itself: over a snapshot of its own, with the simulator's
 * contract files, with broken ones, and with a hundred thousand rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "ipc/clock.h"
#include "tests/support/tempshm.h"

static struct tempshm temporary;
static char output[256 * 1024];

/* Runs a command of the shell; {} stands for the test's folder. Output of both kinds to `output`.
 */
static int shell(const char *format)
{
    char command[4096];
    size_t used = (size_t)snprintf(command, sizeof command,
        "cd %s && LOCKSTEP_SHM_DIR=%s LOCKSTEP_KEY=%s/key PATH=%s:$PATH; export LOCKSTEP_SHM_DIR "
        "LOCKSTEP_KEY PATH; ctl() { lockstepctl --instance t \"$@\"; }; { %s; } 2>&1",
        temporary.path, temporary.path, temporary.path, LS_BIN_DIR, format);
    assert_true(used < sizeof command);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t got = fread(output, 1, sizeof output - 1, pipe);
    output[got] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void check(const char *command, int code, const char *const *wanted)
{
    int got = shell(command);
    if (got != code)
        print_message("%s: %s\n", command, output);
    assert_int_equal(got, code);
    for (; *wanted != NULL; wanted++) {
        if (strstr(output, *wanted) == NULL)
            print_message("'%s' is not in the output of %s:\n%s\n", *wanted, command, output);
        assert_non_null(strstr(output, *wanted));
    }
}

#define CHECK(command, code, ...) check(command, code, (const char *const[]){__VA_ARGS__, NULL})

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", temporary.path, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

#define ONE_BROKER "{\"name\":\"a\",\"dialect\":\"alice-blue\",\"host\":\"127.0.0.1\",\"port\":1}"
#define TWO_BROKERS                                                                                \
    ONE_BROKER ",{\"name\":\"b\",\"dialect\":\"alice-blue\",\"host\":\"127.0.0.1\",\"port\":2}"
#define SNAPSHOT(brokers)                                                                          \
    "{\"cluster\":\"t\",\"brokers\":[" brokers "],\"accounts\":[{\"account\":1,\"broker\":\"a\","  \
    "\"login\":\"M1\",\"roles\":[\"master\"]}],\"subscriptions\":[]}"

static int setup(void **state)
{
    (void)state;
    tempshm_make(&temporary);
    write_file("one.json", SNAPSHOT(ONE_BROKER));
    write_file("two.json", SNAPSHOT(TWO_BROKERS));
    CHECK("lockstep-brokersim --write-contracts m --date 2026-11-20", 0, "contract masters");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tempshm_remove(&temporary);
    return 0;
}

static void the_simulators_market_is_imported(void **state)
{
    (void)state;
    CHECK("ctl instruments import m/NSE.csv", 1, "no snapshot yet");
    CHECK("ctl snapshot publish one.json", 0, "generation 1 published");
    CHECK("ctl instruments import --dry-run m/NSE.csv m/NFO.csv m/BFO.csv m/BSE.csv m/INDICES.csv "
          "--freeze m/qtyfreeze.csv",
        0, "609 instruments (609 new", "dry run, nothing published");
    CHECK("ctl instruments show", 0, "0 instruments");
    CHECK("ctl instruments import m/NSE.csv m/NFO.csv m/BFO.csv m/BSE.csv m/INDICES.csv --freeze "
          "m/qtyfreeze.csv",
        0, "609 instruments (609 new", "generation 2 published");
    CHECK("ctl instruments show", 0, "NFO: 0 cash, 72 futures, 400 options", "609 instruments");
    CHECK("ctl instruments show NFO:NIFTY24NOV26F", 0, "FUTURE", "lot 65 tick 0.05 freeze 1800");
    CHECK("ctl --json instruments show RELIANCE-EQ", 0, "\"token\":\"2885\"",
        "\"underlying\":\"RELIANCE\"", "\"lot\":1,\"tick\":0.1,", "\"gone\":false");
    CHECK("ctl instruments show nothing", 1, "there is no instrument 'nothing'");
    /* Again: nothing changes, and no generation is made. */
    CHECK("ctl instruments import m/NSE.csv m/NFO.csv m/BFO.csv m/BSE.csv m/INDICES.csv --freeze "
          "m/qtyfreeze.csv",
        0, "(0 new, 0 back", "generation 2 published (0 of");
    /* The accounts of the other tables are where they were. */
    CHECK("ctl snapshot show", 0, "609 instruments", "broker a");
}

static void changes_are_told(void **state)
{
    (void)state;
    CHECK("sed 's/,65,0.05/,75,0.05/' m/NFO.csv > lots.csv; sed 's/,1800  /,1755  /' "
          "m/qtyfreeze.csv > f.csv; ctl instruments import --dry-run lots.csv --freeze f.csv",
        0, "NFO NIFTY: lot 65 -> 75 (45 contracts)", "NFO NIFTY: freeze 1800 -> 1755 (45 contr");
    CHECK("ctl --json instruments import --dry-run lots.csv", 0, "\"field\":\"lot\"",
        "\"old\":65,\"new\":75,\"contracts\":45");
    CHECK("ctl instruments show NFO:NIFTY24NOV26F", 0, "lot 65"); /* a dry run */
}

static void one_bad_line_refuses_all(void **state)
{
    (void)state;
    CHECK("{ head -3 m/NFO.csv; echo 'NFO,nse_fo,X,1,FUTSTK,XX,-1,X,X,XF,2026-13-01,5,0.05'; tail "
          "-n +4 m/NFO.csv; } > bad.csv; ctl instruments import bad.csv",
        1, "bad.csv:4: Expiry Date '2026-13-01' is not a date",
        "nothing was imported: 1 bad lines");
    CHECK("ctl instruments check bad.csv", 1, "bad.csv:4:", "472 contracts, 0 repeated, 1 bad");
    CHECK("ctl instruments import --dry-run --skip-bad bad.csv", 0, "1 bad lines were left out",
        "(0 new, 0 back, 0 expired, 0 vanished");
    /* The same contract and the same token, twice. */
    CHECK("{ cat m/NFO.csv; sed -n '2s/,65,/,66,/p' m/NFO.csv; sed -n 3p m/NFO.csv; } > twice.csv; "
          "ctl instruments check twice.csv",
        1, "twice.csv:474: it is the contract of line 2 again", "472 contracts, 1 repeated, 1 bad");
    CHECK(
        "{ cat m/NSE.csv; echo 'NSE,nse_cm,EQ,OTHER,2885,,,,O,O,OTHER-EQ,,1,0.05'; } > token.csv; "
        "ctl instruments check token.csv",
        1, "token.csv:22: its Token '2885' is that of line 15");
    CHECK("ctl instruments import m/missing.csv", 1, "m/missing.csv: cannot be opened");
    CHECK("echo 'a,b' > head.csv; ctl instruments import head.csv", 1,
        "head.csv:1: column 'Exch' is missing");
    CHECK("head -1 m/NFO.csv > empty.csv; ctl instruments import empty.csv", 1,
        "there is no contract in it");
    CHECK("head -60 m/NFO.csv > cut.csv; ctl instruments import cut.csv", 1,
        "413 of the 472 contracts that NFO still lists are not in the files", "--override");
    CHECK("ctl instruments import", 2, "import needs a FILE");
    CHECK("ctl instruments import m/NFO.csv --wrong", 2, "there is no option '--wrong'");
    CHECK("ctl instruments import --broker a", 2, "--broker a has no FILE behind it");
    CHECK("ctl instruments import --broker zz m/NFO.csv", 1, "there is no broker 'zz'");
    CHECK("ctl instruments show NFO:NIFTY24NOV26F", 0, "lot 65");
    CHECK("ctl snapshot show", 0, "generation 2 "); /* none of it made a generation */
}

static void vanished_contracts_keep_their_ids(void **state)
{
    (void)state;
    CHECK("ctl instruments show NFO:NIFTY24NOV26F", 0, "#"); /* e.g. "#41 NFO:NIFTY24NOV26F" */
    const unsigned long id = strtoul(output + 1, NULL, 10);
    CHECK("grep -v ,NIFTY24NOV26F m/NFO.csv > less.csv; ctl instruments import less.csv", 0,
        "1 vanished before their expiry)");
    char command[128], wanted[64];
    snprintf(command, sizeof command, "ctl instruments show %lu", id);
    snprintf(wanted, sizeof wanted, "#%lu NFO:NIFTY24NOV26F", id);
    CHECK(command, 0, wanted, "GONE");
    CHECK("ctl instruments import m/NFO.csv", 0, "(0 new, 1 back,");
    CHECK(command, 0, wanted);
    assert_null(strstr(output, "GONE"));
}

static void brokers_that_differ_get_contracts(void **state)
{
    (void)state;
    CHECK("ctl snapshot publish two.json --override", 0, "published");
    CHECK("ctl instruments import --broker a m/NFO.csv --broker b m/NFO.csv", 0, "(0 new");
    assert_null(strstr(output, "contracts per broker")); /* they agree */
    CHECK("ctl instruments import --broker b lots.csv", 0, "lot 65 -> 75 (45 contracts at b)",
        "90 contracts per broker; 45 instruments have another lot or tick");
    CHECK("ctl instruments show NFO:NIFTY24NOV26F", 0, "lot 65", "at a:", "at b:", "lot 75");
    CHECK("ctl instruments import lots.csv", 1, "say whose files these are");
    /* What the file of a person does not name stays. */
    CHECK("ctl snapshot publish two.json --override", 0, "published");
    CHECK("ctl instruments show", 0, "609 instruments, 90 contracts per broker");
    CHECK("ctl instruments import --broker a lots.csv", 0, "lot 65 -> 75 (45 contracts at a)");
    CHECK("ctl instruments show", 0, "609 instruments, 0 contracts per broker");
}

/* 100,000 contracts of 1,000 underlyings, read, checked, published within two seconds. */
static void a_hundred_thousand_rows_take_two_seconds(void **state)
{
    (void)state;
    char path[256];
    snprintf(path, sizeof path, "%s/large.csv", temporary.path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("Exch,Exchange Segment,Symbol,Token,Instrument Type,Option Type,Strike Price,Instrument "
          "Name,Formatted Ins Name,Trading Symbol,Expiry Date,Lot Size,Tick Size\r\n",
        file);
    for (uint32_t i = 0; i < 100000; i++) {
        const uint32_t share = i / 100, strike = 100 + i % 50;
        const char right = i / 50 % 2 ? 'P' : 'C';
        fprintf(file,
            "NFO,nse_fo,SHARE%u,%u,OPTSTK,%cE,%u.5,\"SHARE %u, LTD\",SHARE%u DEC %u.5 %cE,"
            "SHARE%u29DEC26%c%u.5,2026-12-29,%u,0.05\r\n",
            share, 1000000 + i, right, strike, share, share, strike, right, share, right, strike,
            100 + share % 7);
    }
    assert_int_equal(fclose(file), 0);
    for (int again = 0; again < 2; again++) {
        const int64_t started_ns = ipc_clock_mono_ns();
        CHECK("ctl instruments import --override large.csv", 0, "100609 instruments", "published");
        const int64_t spent_ns = ipc_clock_mono_ns() - started_ns;
        print_message("100,000 rows %s: %lld ms\n", again ? "known" : "new",
            (long long)(spent_ns / LS_NS_PER_MS));
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
        assert_true(spent_ns < 20 * LS_NS_PER_S); /* the sanitizer's time, not the import's */
#else
        assert_true(spent_ns < 2 * LS_NS_PER_S);
#endif
    }
    CHECK("ctl instruments show SHARE99929DEC26P149.5", 0, "#100609 ", "token 1099999", "lot 105");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_simulators_market_is_imported),
        cmocka_unit_test(changes_are_told),
        cmocka_unit_test(one_bad_line_refuses_all),
        cmocka_unit_test(vanished_contracts_keep_their_ids),
        cmocka_unit_test(brokers_that_differ_get_contracts),
        cmocka_unit_test(a_hundred_thousand_rows_take_two_seconds),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
