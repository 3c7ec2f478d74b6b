/* contracts_write.c: a small market of its own for a trading day, in the files and columns of the
 * contract masters. Index and share lots and NSE's freeze quantities are those of August 2026;
 * tokens of derivatives are made up, prices are plausible, premiums are rough. */
#include "adapters/sim/contracts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const struct share {
    const char *symbol, *name;
    uint32_t nse_token, bse_token;
    int64_t price_paise;
    uint32_t lot, freeze; /* of its derivatives; 0 when it has none */
} shares[] = {
    {"ACC", "ACC LIMITED", 22, 500410, 182000, 0, 0},
    {"AXISBANK", "AXIS BANK LIMITED", 5900, 532215, 117500, 625, 18750},
    {"BAJFINANCE", "BAJAJ FINANCE LIMITED", 317, 500034, 89500, 750, 22500},
    {"BHARTIARTL", "BHARTI AIRTEL LIMITED", 10604, 532454, 187400, 475, 14250},
    {"HDFCBANK", "HDFC BANK LTD", 1333, 500180, 99850, 550, 27500},
    {"HINDUNILVR", "HINDUSTAN UNILEVER LTD.", 1394, 500696, 251000, 300, 9000},
    {"ICICIBANK", "ICICI BANK LTD.", 4963, 532174, 142600, 700, 21000},
    {"IDEA", "VODAFONE IDEA LIMITED", 14366, 532822, 812, 71475, 2144250},
    {"INFY", "INFOSYS LIMITED", 1594, 500209, 151240, 400, 16000},
    {"ITC", "ITC LTD", 1660, 500875, 41235, 1600, 64000},
    {"KOTAKBANK", "KOTAK MAHINDRA BANK LTD", 1922, 500247, 215600, 400, 12000},
    {"LT", "LARSEN & TOUBRO LTD.", 11483, 500510, 362300, 175, 7000},
    {"MARUTI", "MARUTI SUZUKI INDIA LTD.", 10999, 532500, 1254000, 50, 1500},
    {"RELIANCE", "RELIANCE INDUSTRIES LTD", 2885, 500325, 141280, 500, 15000},
    {"SBIN", "STATE BANK OF INDIA", 3045, 500112, 82465, 750, 30000},
    {"SUNPHARMA", "SUN PHARMACEUTICAL IND L", 3351, 524715, 167900, 350, 14000},
    {"TATASTEEL", "TATA STEEL LIMITED", 3499, 500470, 15862, 5500, 165000},
    {"TCS", "TATA CONSULTANCY SERV LT", 11536, 532540, 305680, 175, 7000},
    {"WIPRO", "WIPRO LTD", 3787, 507685, 24890, 3000, 90000},
    {"YESBANK", "YES BANK LIMITED", 11915, 532648, 2034, 31100, 933000},
};

static const struct index {
    const char *symbol, *listed_as;
    uint32_t token;
    bool bse;
    int64_t price_paise, strike_step_paise;
    uint32_t lot, freeze;
    bool weekly;
} indices[] = {
    {"NIFTY", "NIFTY 50", 26000, false, 2461500, 5000, 65, 1800, true},
    {"BANKNIFTY", "NIFTY BANK", 26009, false, 5542000, 10000, 30, 600, false},
    {"FINNIFTY", "NIFTY FIN SERVICE", 26037, false, 2641000, 5000, 60, 1200, false},
    {"MIDCPNIFTY", "NIFTY MID SELECT", 26074, false, 1284000, 2500, 120, 2800, false},
    {"NIFTYNXT50", "NIFTY NEXT 50", 26013, false, 6731000, 10000, 25, 600, false},
    {"SENSEX", "SENSEX", 1, true, 8062000, 10000, 20, 0, true},
    {"BANKEX", "BANKEX", 12, true, 6215000, 10000, 30, 0, false},
};

static const char months[12][4] = {
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};

#define TUESDAY  2
#define THURSDAY 4

struct writing {
    FILE *nse, *bse, *nfo, *bfo, *indices, *freeze, *prices;
    int64_t days;
    uint32_t nfo_token, bfo_token;
};

static int weekday_of(int64_t days)
{
    return (int)((days + 4) % 7); /* 1970-01-01 was a Thursday; Sunday is 0 */
}

/* The last such weekday of the month that is ahead months after the one of days. */
static int64_t monthly_expiry(int64_t days, int weekday, int ahead)
{
    struct adp_sim_civil date = adp_sim_date_of(days);
    int month = date.month + ahead + 1;
    int64_t last = adp_sim_days_of(date.year + (month - 1) / 12, (month - 1) % 12 + 1, 1) - 1;
    while (weekday_of(last) != weekday)
        last--;
    return last;
}

/* NSE's ticks by price, since April 2025. */
static int64_t tick_of(int64_t price_paise)
{
    return price_paise < 25000     ? 1
           : price_paise < 100000  ? 5
           : price_paise < 500000  ? 10
           : price_paise < 1000000 ? 50
                                   : 100;
}

static void put_price(FILE *file, int64_t paise)
{
    fprintf(file, "%lld.%02lld", (long long)(paise / 100), (long long)(paise % 100));
}

static void write_price(
    struct writing *writing, const char *exchange, uint32_t token, int64_t paise)
{
    fprintf(writing->prices, "%s,%u,", exchange, token);
    put_price(writing->prices, paise);
    fputc('\n', writing->prices);
}

static void write_share(struct writing *writing, const struct share *share)
{
    int64_t tick = tick_of(share->price_paise);
    fprintf(writing->nse, "NSE,nse_cm,EQ,%s,%u,,,,%s,%s-EQ,%s-EQ,,1,%lld.%02lld\n", share->symbol,
        share->nse_token, share->name, share->symbol, share->symbol, (long long)(tick / 100),
        (long long)(tick % 100));
    fprintf(writing->bse, "BSE,bse_cm,A,%s,%u,,,,%s,%s,%s,,1,%lld.%02lld\n", share->symbol,
        share->bse_token, share->name, share->symbol, share->symbol, (long long)(tick / 100),
        (long long)(tick % 100));
    write_price(writing, "NSE", share->nse_token, share->price_paise);
    write_price(writing, "BSE", share->bse_token, share->price_paise);
}

struct contract {
    const char *symbol, *name;
    bool bse, index;
    int64_t expiry_days;
    int64_t strike_paise; /* 0 for a future */
    bool call;
    uint32_t lot;
};

static void strike_text(int64_t paise, char *out, size_t bytes)
{
    if (paise % 100 == 0)
        snprintf(out, bytes, "%lld", (long long)(paise / 100));
    else
        snprintf(out, bytes, "%lld.%lld", (long long)(paise / 100), (long long)(paise % 100 / 10));
}

static void write_contract(
    struct writing *writing, const struct contract *contract, int64_t price_paise)
{
    struct adp_sim_civil date = adp_sim_date_of(contract->expiry_days);
    const char *month = months[date.month - 1];
    int year = date.year % 100;
    char strike[24], formatted[64], trading[64], expiry[32];
    bool future = contract->strike_paise == 0;
    const char *right = contract->call ? "CE" : "PE";

    strike_text(contract->strike_paise, strike, sizeof(strike));
    snprintf(expiry, sizeof(expiry), "%04d-%02d-%02d", date.year, date.month, date.day);
    price_paise = price_paise < 5 ? 5 : price_paise / 5 * 5;
    if (contract->bse) {
        uint32_t token = writing->bfo_token++;
        if (future) {
            snprintf(trading, sizeof(trading), "%s%02d%sFUT", contract->symbol, year, month);
            snprintf(formatted, sizeof(formatted), "%s %02d%s%02d", contract->symbol, date.day,
                month, year);
        } else {
            snprintf(trading, sizeof(trading), "%s%02d%s%02d%s%s", contract->symbol, year, month,
                date.day, strike, right);
            snprintf(formatted, sizeof(formatted), "%s %02d%s%02d %s %s", contract->symbol,
                date.day, month, year, strike, right);
        }
        fprintf(writing->bfo, "BFO,bse_fo,%s,%u,%s%s,%s,%s,%s,%s,%s,%s,%u,0.05,\n",
            contract->symbol, token, contract->index ? "I" : "S", future ? "F" : "O",
            future ? "XX" : right, future ? "-1" : strike, contract->name, trading, formatted,
            expiry, contract->lot);
        write_price(writing, "BFO", token, price_paise);
        return;
    }
    uint32_t token = writing->nfo_token++;
    if (future) {
        snprintf(
            trading, sizeof(trading), "%s%02d%s%02dF", contract->symbol, date.day, month, year);
        snprintf(formatted, sizeof(formatted), "%s %s FUT", contract->symbol, month);
    } else {
        snprintf(trading, sizeof(trading), "%s%02d%s%02d%s%s", contract->symbol, date.day, month,
            year, contract->call ? "C" : "P", strike);
        snprintf(formatted, sizeof(formatted), "%s %02d %s %s %s", contract->symbol, date.day,
            month, strike, right);
    }
    fprintf(writing->nfo, "NFO,nse_fo,%s,%u,%s%s,%s,%s,%s,%s,%s,%s,%u,0.05\n", contract->symbol,
        token, future ? "FUT" : "OPT", contract->index ? "IDX" : "STK", future ? "XX" : right,
        future ? "-1" : strike, contract->name, formatted, trading, expiry, contract->lot);
    write_price(writing, "NFO", token, price_paise);
}

static void write_futures(struct writing *writing, struct contract contract, int64_t spot_paise)
{
    for (int ahead = 0, written = 0; written < 3; ahead++) {
        contract.expiry_days =
            monthly_expiry(writing->days, contract.bse ? THURSDAY : TUESDAY, ahead);
        if (contract.expiry_days < writing->days)
            continue;
        contract.strike_paise = 0;
        /* Carry of about six percent a year. */
        write_contract(writing, &contract,
            spot_paise + spot_paise * 6 * (contract.expiry_days - writing->days) / 36500);
        written++;
    }
}

static void write_options(struct writing *writing, struct contract contract, int64_t spot_paise,
    int64_t step_paise, int around)
{
    int64_t middle = (spot_paise + step_paise / 2) / step_paise * step_paise;
    int64_t left_days = contract.expiry_days - writing->days;
    for (int i = -around; i <= around; i++) {
        contract.strike_paise = middle + i * step_paise;
        if (contract.strike_paise <= 0)
            continue;
        for (int right = 0; right < 2; right++) {
            contract.call = right == 0;
            int64_t inside = contract.call ? spot_paise - contract.strike_paise
                                           : contract.strike_paise - spot_paise;
            int64_t away = inside < 0 ? -inside : inside;
            int64_t time_value = spot_paise * (5 + left_days) / 2000 - away / 3;
            write_contract(writing, &contract,
                (inside > 0 ? inside : 0) + (time_value > 50 ? time_value : 50));
        }
    }
}

static void write_index(struct writing *writing, const struct index *index)
{
    struct contract contract = {.symbol = index->symbol,
        .name = index->symbol,
        .bse = index->bse,
        .index = true,
        .lot = index->lot};
    int weekday = index->bse ? THURSDAY : TUESDAY;

    fprintf(
        writing->indices, "%s,%s,%u\n", index->bse ? "BSE" : "NSE", index->listed_as, index->token);
    write_price(writing, index->bse ? "BSE" : "NSE", index->token, index->price_paise);
    write_futures(writing, contract, index->price_paise);
    int64_t monthly = monthly_expiry(writing->days, weekday, 0);
    if (monthly < writing->days)
        monthly = monthly_expiry(writing->days, weekday, 1);
    if (index->weekly) {
        int64_t weekly = writing->days;
        while (weekday_of(weekly) != weekday)
            weekly++;
        contract.expiry_days = weekly;
        if (weekly != monthly)
            write_options(writing, contract, index->price_paise, index->strike_step_paise, 10);
    }
    contract.expiry_days = monthly;
    write_options(writing, contract, index->price_paise, index->strike_step_paise, 10);
}

static void write_share_derivatives(struct writing *writing, const struct share *share)
{
    struct contract contract = {.symbol = share->symbol, .name = share->name, .lot = share->lot};
    int64_t step = share->price_paise > 200000  ? 2000
                   : share->price_paise > 50000 ? 1000
                   : share->price_paise > 10000 ? 250
                                                : 100;
    write_futures(writing, contract, share->price_paise);
    contract.expiry_days = monthly_expiry(writing->days, TUESDAY, 0);
    if (contract.expiry_days < writing->days)
        contract.expiry_days = monthly_expiry(writing->days, TUESDAY, 1);
    write_options(writing, contract, share->price_paise, step, 2);
}

static void write_freeze(struct writing *writing)
{
    unsigned line = 1;
    fputs("S.No.,SYMBOL    ,VOL_FRZ_QTY    \n", writing->freeze);
    for (size_t i = 0; i < LS_COUNT_OF(indices); i++) {
        if (indices[i].freeze > 0)
            fprintf(writing->freeze, "%-5u,%-10s,%-15u\n", line++, indices[i].symbol,
                indices[i].freeze);
    }
    for (size_t i = 0; i < LS_COUNT_OF(shares); i++) {
        if (shares[i].freeze > 0)
            fprintf(
                writing->freeze, "%-5u,%-10s,%-15u\n", line++, shares[i].symbol, shares[i].freeze);
    }
}

bool adp_sim_contracts_write(const char *folder, int64_t days, struct adp_sim_error *error)
{
    static const char cash_header[] =
        "Exch,Exchange Segment,Group Name,Symbol,Token,Instrument Type,Option Type,Strike Price,"
        "Instrument Name,Formatted Ins Name,Trading Symbol,Expiry Date,Lot Size,Tick Size\n";
    struct writing writing = {.days = days, .nfo_token = 35000, .bfo_token = 862000};
    const struct {
        const char *name, *header;
        FILE **file;
    } files[] = {
        {"NSE.csv", cash_header, &writing.nse},
        {"BSE.csv", cash_header, &writing.bse},
        {"NFO.csv",
            "Exch,Exchange Segment,Symbol,Token,Instrument Type,Option Type,Strike Price,"
            "Instrument Name,Formatted Ins Name,Trading Symbol,Expiry Date,Lot Size,Tick Size\n",
            &writing.nfo},
        {"BFO.csv",
            "Exch,Exchange Segment,Symbol,Token,Instrument Type,Option Type,Strike Price,"
            "Instrument Name,Trading Symbol,Formatted Ins Name,Expiry Date,Lot Size,Tick "
            "Size,pdc\n",
            &writing.bfo},
        {"INDICES.csv", "exch,symbol,token\n", &writing.indices},
        {"qtyfreeze.csv", "", &writing.freeze},
        {"prices.csv", "Exch,Token,Price\n", &writing.prices},
    };
    bool good = true;

    if (mkdir(folder, 0755) != 0 && errno != EEXIST) {
        snprintf(error->text, sizeof(error->text), "cannot make the folder %.300s: %s", folder,
            strerror(errno));
        return false;
    }
    for (size_t i = 0; i < LS_COUNT_OF(files); i++) {
        char path[1024];
        snprintf(path, sizeof(path), "%s/%s", folder, files[i].name);
        *files[i].file = good ? fopen(path, "we") : NULL;
        if (good && *files[i].file == NULL) {
            snprintf(
                error->text, sizeof(error->text), "cannot write %.300s: %s", path, strerror(errno));
            good = false;
        } else if (good) {
            fputs(files[i].header, *files[i].file);
        }
    }
    if (good) {
        for (size_t i = 0; i < LS_COUNT_OF(shares); i++)
            write_share(&writing, &shares[i]);
        for (size_t i = 0; i < LS_COUNT_OF(indices); i++)
            write_index(&writing, &indices[i]);
        for (size_t i = 0; i < LS_COUNT_OF(shares); i++) {
            if (shares[i].lot > 0)
                write_share_derivatives(&writing, &shares[i]);
        }
        write_freeze(&writing);
    }
    for (size_t i = 0; i < LS_COUNT_OF(files); i++) {
        if (*files[i].file != NULL && fclose(*files[i].file) != 0 && good) {
            snprintf(error->text, sizeof(error->text), "cannot write %.200s/%s: %s", folder,
                files[i].name, strerror(errno));
            good = false;
        }
    }
    return good;
}
