#include "bench/peers/wave.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ORDERS_MAX 5000u

__attribute__((noreturn)) static void give_up(const char *sentence)
{
    (void)fprintf(stderr, "%s\n", sentence);
    exit(2);
}

static void *must(void *memory)
{
    if (memory == NULL)
        give_up("no memory");
    return memory;
}

int64_t wave_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void read_bodies(struct wave *wave, const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    ssize_t bytes;
    if (file == NULL)
        give_up("the file of bodies cannot be read");
    wave->bodies = must(calloc(ORDERS_MAX, sizeof *wave->bodies));
    wave->body_bytes = must(calloc(ORDERS_MAX, sizeof *wave->body_bytes));
    wave->tokens = must(calloc(ORDERS_MAX, sizeof *wave->tokens));
    while ((bytes = getline(&line, &room, file)) > 0 && wave->count < ORDERS_MAX) {
        if (line[bytes - 1] == '\n')
            bytes--;
        char *token = must(malloc(wave->token_bytes + 16));
        (void)strcpy(token, "Bearer ");
        memset(token + 7, 'x', wave->token_bytes);
        token[7 + wave->token_bytes] = '\0';
        /* Each follower's own, as session tokens are. */
        char number[16];
        int digits = snprintf(number, sizeof number, "%u", wave->count);
        memcpy(token + 7, number, (size_t)digits);
        wave->tokens[wave->count] = token;
        wave->bodies[wave->count] = must(strndup(line, (size_t)bytes));
        wave->body_bytes[wave->count++] = (uint32_t)bytes;
    }
    free(line);
    (void)fclose(file);
    if (wave->count == 0)
        give_up("the file of bodies is empty");
}

void wave_read_arguments(struct wave *wave, int argc, char **argv)
{
    if (argc != 6)
        give_up("usage: PEER PORT CA_FILE BODIES_FILE CONNECTIONS TOKEN_BYTES");
    *wave = (struct wave){.port = (uint16_t)strtoul(argv[1], NULL, 10),
        .ca_file = argv[2],
        .connections = (uint32_t)strtoul(argv[4], NULL, 10),
        .token_bytes = (uint32_t)strtoul(argv[5], NULL, 10)};
    if (wave->port == 0 || wave->connections == 0 || wave->connections > 64 ||
        wave->token_bytes < 8 || wave->token_bytes > 4096)
        give_up("a number is out of range");
    read_bodies(wave, argv[3]);
}

int wave_serve(const char *(*send_all)(void *context), void *context)
{
    char line[64];
    (void)puts("ready");
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        int64_t at_ns;
        if (sscanf(line, "wave %" SCNd64, &at_ns) != 1)
            give_up("a command is not \"wave MONO_NS\"");
        while (wave_now_ns() < at_ns)
            __builtin_ia32_pause();
        const char *problem = send_all(context);
        if (problem != NULL)
            (void)printf("failed %s\n", problem);
        else
            (void)printf("done %" PRId64 "\n", wave_now_ns());
        (void)fflush(stdout);
    }
    return 0;
}

int wave_order_accepted(const char *body, uint32_t bytes)
{
    return memmem(body, bytes, "\"brokerOrderId\"", 15) != NULL &&
           memmem(body, bytes, "\"status\":\"Ok\"", 13) != NULL;
}
