/* lockstepctl price and account: the prices and accounts pages, where no feed keeps them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/ctl_common.h"
#include "ipc/accounts.h"
#include "ipc/clock.h"
#include "ipc/decimal.h"
#include "ipc/prices.h"

/* Pages are made for this many rows at least, so that a later snapshot still fits. */
#define ROWS_MIN 4096u

static uint32_t page_rows(uint32_t count)
{
    uint32_t rows = ROWS_MIN;
    while (rows < count)
        rows *= 2;
    return rows;
}

static int set_one_price(struct ipc_prices *page, const struct ipc_snapshot_view *view,
    const char *symbol, const char *text)
{
    uint32_t instrument = ctl_find_instrument(view, symbol);
    if (instrument == 0)
        return ctl_refuse(
            "there is no instrument '%s', or more than one: write EXCHANGE:SYMBOL", symbol);
    struct ipc_price price = {.mono_ns = ipc_clock_mono_ns()};
    if (ipc_decimal_parse(text, strlen(text), &price.price_e8) != IPC_OK ||
        ipc_prices_set(page, instrument, &price) != IPC_OK)
        return ctl_refuse("'%s' is not a price for %s", text, symbol);
    return CTL_DONE;
}

/* Lines "SYMBOL PRICE" until the end of input: a feed for the poor. */
static int set_prices_from_input(struct ipc_prices *page, const struct ipc_snapshot_view *view)
{
    char line[128], symbol[64], price[40];
    int code = CTL_DONE;
    for (uint32_t number = 1; fgets(line, sizeof(line), stdin) != NULL; number++) {
        if (sscanf(line, "%63s %39s", symbol, price) != 2) {
            code = ctl_refuse("standard input, line %u: must be SYMBOL PRICE", number);
            continue;
        }
        if (set_one_price(page, view, symbol, price) != CTL_DONE)
            code = CTL_FAILED;
    }
    return code;
}

static int show_prices(const struct ctl_cli *cli, const struct ctl_live *live, int broker)
{
    struct ipc_prices page;
    struct ipc_error error;
    if (ipc_prices_open_reader(&live->shm, (uint32_t)broker, &page, &error) != IPC_OK)
        return ctl_refuse("%s", error.text);
    int64_t now = ipc_clock_mono_ns();
    const char *separator = "";
    if (cli->json)
        putchar('[');
    for (uint32_t i = 0; i < live->view.instrument_count; i++) {
        struct ipc_price price;
        char text[IPC_DECIMAL_BYTES];
        if (live->view.instruments[i].instrument == 0 ||
            ipc_prices_get(&page, i + 1, &price) != IPC_OK)
            continue;
        ipc_decimal_format(price.price_e8, text);
        if (cli->json)
            printf("%s{\"symbol\":\"%s\",\"price\":%s,\"age_ms\":%" PRId64 "}", separator,
                live->view.instruments[i].symbol, text, (now - price.mono_ns) / LS_NS_PER_MS);
        else
            printf("%-24s %14s  %" PRId64 " ms old\n", live->view.instruments[i].symbol, text,
                (now - price.mono_ns) / LS_NS_PER_MS);
        separator = ",";
    }
    if (cli->json)
        puts("]");
    ipc_prices_close(&page);
    return CTL_DONE;
}

int ctl_price_main(const struct ctl_cli *cli, int argc, char **argv)
{
    static const char help[] =
        "Usage: lockstepctl price set BROKER SYMBOL PRICE [SYMBOL PRICE]...\n"
        "       lockstepctl price set BROKER -       lines 'SYMBOL PRICE' until the end of input\n"
        "       lockstepctl price show BROKER\n\n"
        "A price counts from the moment it is set and is unknown when it is older than the "
        "follower's\n"
        "limit (5 s unless set). Refused while the broker's ingest keeps the page.\n";
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(help, stdout);
        return CTL_DONE;
    }
    bool is_show = argc == 3 && strcmp(argv[1], "show") == 0;
    bool from_input = argc == 4 && strcmp(argv[1], "set") == 0 && strcmp(argv[3], "-") == 0;
    if (!is_show && !from_input && (argc < 5 || argc % 2 == 0 || strcmp(argv[1], "set") != 0))
        return ctl_usage("price", "say: price set BROKER SYMBOL PRICE, or price show BROKER");
    struct ctl_live live;
    struct ipc_prices page;
    struct ipc_error error;
    int code = ctl_live_open(cli, &live);
    int broker = code == CTL_DONE ? ctl_find_broker(&live.view, argv[2]) : -1;
    if (code == CTL_DONE && broker < 0)
        code = ctl_refuse("there is no broker '%s'", argv[2]);
    if (code == CTL_DONE && is_show) {
        code = show_prices(cli, &live, broker);
    } else if (code == CTL_DONE) {
        if (ipc_prices_open_writer(&live.shm, (uint32_t)broker,
                page_rows(live.view.instrument_count), &page, &error) != IPC_OK) {
            code = ctl_refuse("no price was set: %s", error.text);
        } else {
            if (from_input)
                code = set_prices_from_input(&page, &live.view);
            for (int i = 3; !from_input && i + 1 < argc && code == CTL_DONE; i += 2)
                code = set_one_price(&page, &live.view, argv[i], argv[i + 1]);
            ipc_prices_close(&page);
        }
    }
    ctl_live_close(&live);
    return code;
}

static int show_accounts(const struct ctl_cli *cli, const struct ctl_live *live, int broker)
{
    struct ipc_accounts page;
    struct ipc_error error;
    if (ipc_accounts_open_reader(&live->shm, (uint32_t)broker, &page, &error) != IPC_OK)
        return ctl_refuse("%s", error.text);
    int64_t now = ipc_clock_mono_ns();
    const char *separator = "";
    if (cli->json)
        putchar('[');
    for (uint32_t i = 0; i < live->view.account_count; i++) {
        const struct ipc_row_account *row = &live->view.accounts[i];
        struct ipc_account_money money;
        char equity[IPC_DECIMAL_BYTES], cash[IPC_DECIMAL_BYTES], margin[IPC_DECIMAL_BYTES];
        if (row->account == 0 || row->broker != broker ||
            ipc_accounts_get(&page, i + 1, &money) != IPC_OK)
            continue;
        ipc_decimal_format(money.equity_e8, equity);
        ipc_decimal_format(money.cash_e8, cash);
        ipc_decimal_format(money.margin_used_e8, margin);
        printf(cli->json ? "%s{\"login\":\"%s\",\"equity\":%s,\"cash\":%s,\"margin_used\":%s,\"age_"
                           "ms\":%" PRId64 "}"
                         : "%s%-16s equity %14s  cash %14s  margin used %14s  %" PRId64 " ms old\n",
            cli->json ? separator : "", row->login, equity, cash, margin,
            (now - money.mono_ns) / LS_NS_PER_MS);
        separator = ",";
    }
    if (cli->json)
        puts("]");
    ipc_accounts_close(&page);
    return CTL_DONE;
}

static int set_account(const struct ctl_live *live, int argc, char **argv)
{
    uint32_t account = ctl_find_account(&live->view, argv[2]);
    if (account == 0)
        return ctl_refuse("there is no account '%s'", argv[2]);
    struct ipc_account_money money = {.mono_ns = ipc_clock_mono_ns()};
    bool has_equity = false, has_cash = false;
    for (int i = 3; i + 1 < argc; i += 2) {
        int64_t value;
        if (ipc_decimal_parse(argv[i + 1], strlen(argv[i + 1]), &value) != IPC_OK)
            return ctl_refuse("'%s' is not an amount", argv[i + 1]);
        if (strcmp(argv[i], "--equity") == 0)
            money.equity_e8 = value, has_equity = true;
        else if (strcmp(argv[i], "--cash") == 0)
            money.cash_e8 = value, has_cash = true;
        else if (strcmp(argv[i], "--margin-used") == 0)
            money.margin_used_e8 = value;
        else
            return ctl_usage("account", "unknown option '%s'", argv[i]);
    }
    if (!has_equity)
        return ctl_usage("account", "--equity is needed");
    if (!has_cash)
        money.cash_e8 = money.equity_e8 - money.margin_used_e8;
    struct ipc_accounts page;
    struct ipc_error error;
    if (ipc_accounts_open_writer(&live->shm, live->view.accounts[account - 1].broker,
            page_rows(live->view.account_count), &page, &error) != IPC_OK)
        return ctl_refuse("the account was not set: %s", error.text);
    enum ipc_rc rc = ipc_accounts_set(&page, account, &money);
    ipc_accounts_close(&page);
    return rc == IPC_OK ? CTL_DONE : ctl_refuse("an amount is out of range");
}

int ctl_account_main(const struct ctl_cli *cli, int argc, char **argv)
{
    static const char help[] =
        "Usage: lockstepctl account set LOGIN --equity N [--cash N] [--margin-used N]\n"
        "       lockstepctl account show BROKER\n\n"
        "Capital that sizing reads, where no feed keeps it; unknown when older than the "
        "follower's\n"
        "limit (60 s unless set). Refused while the broker's ingest keeps the page.\n";
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(help, stdout);
        return CTL_DONE;
    }
    bool is_show = argc == 3 && strcmp(argv[1], "show") == 0;
    if (!is_show && (argc < 5 || argc % 2 == 0 || strcmp(argv[1], "set") != 0))
        return ctl_usage("account", "say: account set LOGIN --equity N, or account show BROKER");
    struct ctl_live live;
    int code = ctl_live_open(cli, &live);
    if (code == CTL_DONE && is_show) {
        int broker = ctl_find_broker(&live.view, argv[2]);
        code = broker >= 0 ? show_accounts(cli, &live, broker)
                           : ctl_refuse("there is no broker '%s'", argv[2]);
    } else if (code == CTL_DONE) {
        code = set_account(&live, argc, argv);
    }
    ctl_live_close(&live);
    return code;
}
