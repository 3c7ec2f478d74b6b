/* fanout_report.c: the results of a fan-out run in words and as JSON. */
#include "bench/fanout.h"
#include "version.h"

#include <string.h>

static void print_machine(const struct bench_fanout *fanout, FILE *out)
{
    const struct bench_machine *m = &fanout->machine;
    (void)fprintf(out,
        "lockstep-bench fanout, %s (%s)\n"
        "machine   %s, %u processors, load %.2f at the start, governor %s\n"
        "kernel    %s, mitigations %s\n"
        "          %s\n"
        "OpenSSL   %s, %s\n"
        "placed    engine and floor on processor %d, peer and everything else on %d; loopback\n"
        "rounds    %u followers, open loop, engine / one order / floor in turn, pacing off, idle "
        "spin,\n"
        "          %s\n\n",
        LS_VERSION, LS_COMMIT, m->cpu, m->cores, m->load, m->governor, m->kernel, m->mitigations,
        m->sysctls, m->openssl, fanout->result_count > 0 ? fanout->results[0].cipher : "?",
        fanout->options.engine_cpu, fanout->options.peer_cpu, fanout->options.followers,
        m->is_alone ? "real-time scheduling while a round is on, as on processors of their own"
                    : "ordinary scheduling: real-time priority was refused");
}

static void print_summary(FILE *out, const char *name, const struct bench_series *series)
{
    const struct bench_summary s = bench_summarize(series);
    (void)fprintf(
        out, "  %-34s %9.1f %9.1f %9.1f %9.1f %9.1f\n", name, s.min, s.p10, s.p50, s.p90, s.p99);
}

/* budget 0: none is set */
static void print_ratio(
    FILE *out, const char *name, const struct bench_series *series, double budget)
{
    const struct bench_summary s = bench_summarize(series);
    (void)fprintf(
        out, "  %-34s %9.2f %9.2f %9.2f %9.2f %9.2f", name, s.min, s.p10, s.p50, s.p90, s.p99);
    if (budget > 0)
        (void)fprintf(out, "   budget %.1f: %s", budget, s.p50 <= budget ? "met" : "missed");
    (void)fputc('\n', out);
}

static void print_details(const struct bench_fanout_result *r, FILE *out)
{
    (void)fprintf(out,
        "%s, bearer of %u bytes, %s: %u connections, %u bytes an order, %u rounds\n"
        "  %-34s %9s %9s %9s %9s %9s\n",
        r->own_lanes ? "own lanes" : "shared pool", r->token_bytes, r->io, r->sessions,
        r->order_bytes, r->ratio_last.count, "microseconds", "min", "p10", "p50", "p90", "p99");
    print_summary(out, "ring hop", &r->hop);
    print_summary(out, "read -> first accepted", &r->read_first);
    print_summary(out, "floor: one record, one send", &r->floor_first);
    print_ratio(out, "ratio", &r->ratio_first, 1.5);
    print_summary(out, "read -> median accepted", &r->read_median);
    print_summary(out, "floor: half sealed and sent", &r->floor_median);
    print_ratio(out, "ratio", &r->ratio_median, 0);
    print_summary(out, "read -> last accepted", &r->read_last);
    print_summary(out, "floor: all sealed and sent", &r->floor_last);
    print_ratio(out, "ratio", &r->ratio_last, r->own_lanes ? 1.3 : 2.0);
    print_summary(out, "intended -> last accepted", &r->last);
    print_summary(out, "intended -> all replies parsed", &r->parsed);
    (void)fprintf(out,
        "  stages p50: decide %.1f, journal %.1f, encode %.1f, seal %.1f, send %.1f us; %.0f "
        "batches, %.0f records, %.0f sends (floor: %.0f, %.0f)\n",
        bench_summarize(&r->decide).p50, bench_summarize(&r->journal).p50,
        bench_summarize(&r->encode).p50, bench_summarize(&r->seal).p50,
        bench_summarize(&r->send).p50, bench_summarize(&r->batches).p50,
        bench_summarize(&r->records).p50, bench_summarize(&r->sends).p50,
        bench_summarize(&r->floor_records).p50, bench_summarize(&r->floor_sends).p50);
    (void)fprintf(out,
        "  sentinel: ping-pong p50 %lld then %lld ns, fixed work p50/min %.2f then %.2f, published "
        "%.1f us late at p99, preempted %llu times\n",
        (long long)r->before.round_trip_ns_p50, (long long)r->after.round_trip_ns_p50,
        (double)r->before.work_ns_p50 / (double)r->before.work_ns_min,
        (double)r->after.work_ns_p50 / (double)r->after.work_ns_min, bench_summarize(&r->lag).p99,
        (unsigned long long)r->preemptions);
    (void)fprintf(
        out, "  %s%s\n\n", r->noise[0] != '\0' ? "NOISY: " : "the machine held still", r->noise);
}

static void print_row(const struct bench_fanout_result *r, FILE *out)
{
    (void)fprintf(out, "%-7s %6u %-6s %7.1f %6.2f x %8.1f %6.2f x %8.1f %6.2f x %9.1f   %s\n",
        r->own_lanes ? "own" : "shared", r->token_bytes, r->io, bench_summarize(&r->read_first).p50,
        bench_summarize(&r->ratio_first).p50, bench_summarize(&r->read_median).p50,
        bench_summarize(&r->ratio_median).p50, bench_summarize(&r->read_last).p50,
        bench_summarize(&r->ratio_last).p50, bench_summarize(&r->parsed).p50,
        r->noise[0] != '\0' ? "noisy" : "");
}

void bench_fanout_print(const struct bench_fanout *fanout, FILE *out)
{
    print_machine(fanout, out);
    for (uint32_t i = 0; i < fanout->result_count; i++)
        print_details(&fanout->results[i], out);
    (void)fprintf(out,
        "p50 of the rounds, us; x = median of engine / floor in one round; kernel accepted, from "
        "the event's read\n%-7s %6s %-6s %7s %8s %8s %8s %8s %8s %9s\n",
        "lanes", "bearer", "io", "first", "/ floor", "median", "/ floor", "last", "/ floor",
        "parsed");
    for (uint32_t i = 0; i < fanout->result_count; i++)
        print_row(&fanout->results[i], out);
    (void)fprintf(out, "%.0f s\n", fanout->seconds);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void json_text(FILE *out, const char *name, const char *text)
{
    (void)fprintf(out, "\"%s\":\"", name);
    for (; *text != '\0'; text++)
        if (*text == '"' || *text == '\\')
            (void)fprintf(out, "\\%c", *text);
        else if ((unsigned char)*text >= 0x20)
            (void)fputc(*text, out);
    (void)fputs("\",", out);
}

/* A series: its summary, and every round's value. */
static void json_series(FILE *out, const char *name, const struct bench_series *series)
{
    const struct bench_summary s = bench_summarize(series);
    (void)fprintf(out,
        "\"%s\":{\"min\":%.3f,\"p10\":%.3f,\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"max\":%.3f,"
        "\"rounds\":[",
        name, s.min, s.p10, s.p50, s.p90, s.p99, s.max);
    for (uint32_t i = 0; i < series->count; i++)
        (void)fprintf(out, "%s%.3f", i == 0 ? "" : ",", series->value[i]);
    (void)fputs("]},", out);
}

static void json_sentinel(FILE *out, const char *name, const struct bench_sentinel *s)
{
    (void)fprintf(out,
        "\"%s\":{\"round_trip_ns_p50\":%lld,\"round_trip_ns_p99\":%lld,\"work_ns_min\":%lld,"
        "\"work_ns_p50\":%lld},",
        name, (long long)s->round_trip_ns_p50, (long long)s->round_trip_ns_p99,
        (long long)s->work_ns_min, (long long)s->work_ns_p50);
}

static void json_result(FILE *out, const struct bench_fanout_result *r)
{
    const struct {
        const char *name;
        const struct bench_series *series;
    } all[] = {{"hop_us", &r->hop}, {"intended_first_us", &r->first},
        {"intended_median_us", &r->median}, {"intended_last_us", &r->last},
        {"intended_parsed_us", &r->parsed}, {"publish_lag_us", &r->lag},
        {"read_first_us", &r->read_first}, {"read_median_us", &r->read_median},
        {"read_last_us", &r->read_last}, {"decide_us", &r->decide}, {"journal_us", &r->journal},
        {"encode_us", &r->encode}, {"seal_us", &r->seal}, {"send_us", &r->send},
        {"sends", &r->sends}, {"records", &r->records}, {"batches", &r->batches},
        {"floor_first_us", &r->floor_first}, {"floor_median_us", &r->floor_median},
        {"floor_last_us", &r->floor_last}, {"ratio_median", &r->ratio_median},
        {"floor_sends", &r->floor_sends}, {"floor_records", &r->floor_records},
        {"ratio_first", &r->ratio_first}, {"ratio_last", &r->ratio_last}};
    (void)fputc('{', out);
    json_text(out, "lanes", r->own_lanes ? "own" : "shared");
    json_text(out, "io", r->io);
    json_text(out, "cipher", r->cipher);
    json_text(out, "noise", r->noise);
    for (size_t i = 0; i < LS_COUNT_OF(all); i++)
        json_series(out, all[i].name, all[i].series);
    json_sentinel(out, "sentinel_before", &r->before);
    json_sentinel(out, "sentinel_after", &r->after);
    (void)fprintf(out,
        "\"bearer_bytes\":%u,\"sessions\":%u,\"order_bytes\":%u,\"preemptions\":%llu}",
        r->token_bytes, r->sessions, r->order_bytes, (unsigned long long)r->preemptions);
}

void bench_fanout_json(const struct bench_fanout *fanout, FILE *out)
{
    const struct bench_machine *m = &fanout->machine;
    (void)fputs("{", out);
    json_text(out, "bench", "fanout");
    json_text(out, "version", LS_VERSION);
    json_text(out, "commit", LS_COMMIT);
    (void)fputs("\"machine\":{", out);
    json_text(out, "cpu", m->cpu);
    json_text(out, "kernel", m->kernel);
    json_text(out, "mitigations", m->mitigations);
    json_text(out, "openssl", m->openssl);
    json_text(out, "sysctls", m->sysctls);
    json_text(out, "governor", m->governor);
    (void)fprintf(out,
        "\"real_time\":%s,\"cores\":%u,\"load\":%.2f,\"engine_cpu\":%d,\"peer_cpu\":%d},"
        "\"followers\":%u,"
        "\"seconds\":%.1f,\"results\":[",
        m->is_alone ? "true" : "false", m->cores, m->load, fanout->options.engine_cpu,
        fanout->options.peer_cpu, fanout->options.followers, fanout->seconds);
    for (uint32_t i = 0; i < fanout->result_count; i++) {
        (void)fputs(i == 0 ? "\n" : ",\n", out);
        json_result(out, &fanout->results[i]);
    }
    (void)fputs("]}\n", out);
}
