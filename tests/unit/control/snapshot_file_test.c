/* snapshot_file_test: a person's file becomes exactly these rows, or a sentence that names line and
 * field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/snapshot_file.h"

#define BROKERS                                                                                    \
    "\"brokers\":[{\"name\":\"sim\",\"dialect\":\"alice-blue\",\"host\":\"127.0.0.1\"}],\n"
#define ACCOUNTS                                                                                   \
    "\"accounts\":[{\"account\":1,\"broker\":\"sim\",\"login\":\"M\",\"roles\":[\"master\"]},\n"   \
    "{\"account\":2,\"broker\":\"sim\",\"login\":\"F\",\"roles\":[\"follower\"],"                  \
    "\"source_address\":\"127.0.0.9\",\"token\":\"secret-token\"},\n"                              \
    "{\"account\":3,\"broker\":\"sim\",\"login\":\"G\",\"roles\":[\"follower\"]}],\n"
#define INSTRUMENTS                                                                                \
    "\"instruments\":[{\"instrument\":1,\"exchange\":\"NSE\",\"token\":\"22\",\"symbol\":\"ACC-"   \
    "EQ\","                                                                                        \
    "\"tick\":0.05},\n{\"instrument\":3,\"exchange\":\"BSE\",\"token\":\"500410\",\"symbol\":"     \
    "\"ACC\","                                                                                     \
    "\"tick\":0.05,\"lot\":2}],\n"
#define HEAD "{\"cluster\":\"c\",\n" BROKERS ACCOUNTS INSTRUMENTS
#define SUBSCRIPTION(number, account, more)                                                        \
    "{\"follower\":" #number ",\"account\":\"" account "\",\"master\":\"M\"" more "}"
#define FILE_OF(subscriptions) HEAD "\"subscriptions\":[" subscriptions "]}"

static struct ipc_secret_arena *arena;
static struct ipc_seal_key *key;

static int set_up(void **state)
{
    (void)state;
    struct ipc_error error;
    char path[] = "/tmp/lockstep-key-XXXXXX";
    assert_non_null(mkdtemp(path));
    char file[64];
    snprintf(file, sizeof(file), "%s/seal.key", path);
    assert_int_equal(ipc_secret_arena_create(1 << 18, &arena, &error), IPC_OK);
    assert_int_equal(ipc_seal_key_create(file, &error), IPC_OK);
    assert_int_equal(ipc_seal_key_load(arena, file, &key, &error), IPC_OK);
    unlink(file);
    rmdir(path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ipc_secret_arena_destroy(arena);
    return 0;
}

static enum ipc_rc read_text(const char *text, const struct ipc_snapshot_image *live,
    struct ipc_snapshot_image *image, void **memory, struct ipc_error *error)
{
    char path[] = "/tmp/lockstep-snapshot-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    error->text[0] = '\0';
    enum ipc_rc rc = ctl_snapshot_read_file(path, live, key, arena, image, memory, error);
    unlink(path);
    return rc;
}

static void validate(const struct ipc_snapshot_image *image)
{
    struct ipc_snapshot_view view;
    struct ipc_error error;
    ipc_snapshot_view_of(image, &view);
    uint64_t bytes = ipc_snapshot_scratch_bytes(&view);
    void *scratch = malloc(bytes + 8);
    if (ipc_snapshot_validate(&view, scratch, bytes, &error) != IPC_OK)
        fail_msg("%s", error.text);
    free(scratch);
}

static void a_file_becomes_rows(void **state)
{
    (void)state;
    struct ipc_snapshot_image image;
    struct ipc_snapshot_view view;
    struct ipc_error error;
    void *memory;
    enum ipc_rc rc = read_text(
        FILE_OF(SUBSCRIPTION(7, "F",
            ",\"ratio\":0.29,\"max_quantity\":150,\"allowed_instruments\":[\"ACC\",\"NSE:ACC-EQ\"],"
            "\"allowed_products\":[\"MIS\",\"CNC\"],\"allow_short\":false") ",\n" SUBSCRIPTION(9,
            "G",
            ",\"mode\":\"FIXED_QUANTITY\",\"quantity\":7,\"allowed_instruments\":[\"ACC-EQ\","
            "\"ACC\"],\"enabled\":false,\"paused\":true")),
        NULL, &image, &memory, &error);
    if (rc != IPC_OK)
        fail_msg("%s", error.text);
    validate(&image);
    ipc_snapshot_view_of(&image, &view);
    assert_int_equal(view.account_count, 3);
    assert_int_equal(view.instrument_count, 3);
    assert_int_equal(view.instruments[1].instrument, 0);
    assert_int_equal(view.instruments[2].lot_qty_e8, 2 * LS_E8);
    assert_int_equal(view.brokers[0].port, 443);
    assert_int_equal(view.accounts[1].source_family, 4);
    assert_int_equal(view.accounts[1].source_address[3], 9);
    assert_int_equal(view.accounts[1].token_bytes, 12 + IPC_SEAL_OVERHEAD_BYTES);
    assert_null(memmem(memory, ipc_snapshot_footprint(&image.capacity), "secret-token", 12));
    const struct ipc_row_follower *f = &view.followers[0];
    assert_int_equal(f->follower_no, 7);
    assert_int_equal(f->ratio_e8, 29000000);
    assert_int_equal(f->max_qty_e8, 150 * LS_E8);
    assert_int_equal(f->products, 1u << IPC_PRODUCT_MIS | 1u << IPC_PRODUCT_CNC);
    assert_int_equal(f->flags, IPC_FOLLOWER_ENABLED);
    assert_int_equal(f->allowed_list, 1);
    assert_int_equal(view.followers[1].allowed_list, 1); /* equal lists are one */
    assert_int_equal(view.list_count, 1);
    assert_int_equal(view.list_items[0], 1);
    assert_int_equal(view.list_items[1], 3);
    assert_int_equal(view.followers[1].flags, IPC_FOLLOWER_PAUSED | IPC_FOLLOWER_ALLOW_SHORT);
    assert_int_equal(view.masters[0].account, 1);
    assert_int_equal(view.masters[0].count, 2);
    free(memory);
}

static void numbers_and_slots_are_permanent(void **state)
{
    (void)state;
    struct ipc_snapshot_image first, second, third;
    struct ipc_error error;
    void *memory1, *memory2, *memory3;
    assert_int_equal(read_text(FILE_OF(SUBSCRIPTION(7, "F", ",\"ratio\":1") "," SUBSCRIPTION(
                                   9, "G", ",\"ratio\":1")),
                         NULL, &first, &memory1, &error),
        IPC_OK);
    /* Without 7: the row stays, retired; 9 keeps slot 1; 12 gets slot 2. The token stays too. */
    static const char no_token[] =
        "{\"cluster\":\"c\",\n" BROKERS
        "\"accounts\":[{\"account\":1,\"broker\":\"sim\",\"login\":\"M\",\"roles\":[\"master\"]},\n"
        "{\"account\":2,\"broker\":\"sim\",\"login\":\"F\",\"roles\":[\"follower\"]},\n"
        "{\"account\":3,\"broker\":\"sim\",\"login\":\"G\",\"roles\":[\"follower\"]}],\n"
        "\"subscriptions\":[" SUBSCRIPTION(12, "F", ",\"ratio\":2") "," SUBSCRIPTION(
            9, "G", ",\"ratio\":1") "]}";
    if (read_text(no_token, &first, &second, &memory2, &error) != IPC_OK)
        fail_msg("%s", error.text);
    validate(&second);
    struct ipc_snapshot_view view;
    ipc_snapshot_view_of(&second, &view);
    assert_int_equal(view.follower_slots, 3);
    assert_int_equal(view.followers[0].flags, IPC_FOLLOWER_RETIRED);
    assert_int_equal(view.followers[0].follower_no, 7);
    assert_int_equal(view.followers[1].follower_no, 9);
    assert_int_equal(view.followers[1].incarnation, 1);
    assert_int_equal(view.followers[2].follower_no, 12);
    assert_int_equal(view.instrument_count, 3); /* kept */
    assert_int_equal(view.accounts[1].token_bytes, 12 + IPC_SEAL_OVERHEAD_BYTES);
    assert_int_equal(view.accounts[1].token_version, 1);
    /* 7 comes back to its slot in another incarnation, but not for somebody else. */
    assert_int_equal(
        read_text(FILE_OF(SUBSCRIPTION(7, "G", ",\"ratio\":1")), &second, &third, &memory3, &error),
        IPC_BAD_INPUT);
    assert_non_null(strstr(error.text, "never reused"));
    assert_int_equal(
        read_text(FILE_OF(SUBSCRIPTION(7, "F", ",\"ratio\":1")), &second, &third, &memory3, &error),
        IPC_OK);
    ipc_snapshot_view_of(&third, &view);
    assert_int_equal(view.followers[0].follower_no, 7);
    assert_int_equal(view.followers[0].incarnation, 2);
    assert_int_equal(view.accounts[1].token_version, 2); /* a new token was given */
    free(memory3);
    /* A subscription ends before its account leaves: exits of what it copied need both. */
    static const char without_g[] =
        "{\"cluster\":\"c\",\n" BROKERS
        "\"accounts\":[{\"account\":1,\"broker\":\"sim\",\"login\":\"M\",\"roles\":[\"master\"]},\n"
        "{\"account\":2,\"broker\":\"sim\",\"login\":\"F\",\"roles\":[\"follower\"]}],\n"
        "\"subscriptions\":[" SUBSCRIPTION(12, "F", ",\"ratio\":2") "]}";
    assert_int_equal(read_text(without_g, &second, &third, &memory3, &error), IPC_BAD_INPUT);
    assert_non_null(strstr(error.text, ":3: accounts: subscription 9 ends here: its accounts 3 "));
    if (read_text(FILE_OF(SUBSCRIPTION(12, "F", ",\"ratio\":2")), &second, &third, &memory3,
            &error) != IPC_OK)
        fail_msg("%s", error.text);
    validate(&third);
    ipc_snapshot_view_of(&third, &view);
    assert_int_equal(view.followers[1].flags, IPC_FOLLOWER_RETIRED);
    assert_int_equal(view.masters[0].count, 3); /* 7 and 9 are reached by exits */
    /* Later it leaves an empty row: retired rows still name it, and no run lists them. */
    struct ipc_snapshot_image fourth;
    void *memory4;
    if (read_text(without_g, &third, &fourth, &memory4, &error) != IPC_OK)
        fail_msg("%s", error.text);
    validate(&fourth);
    ipc_snapshot_view_of(&fourth, &view);
    assert_int_equal(view.account_count, 3);
    assert_int_equal(view.accounts[2].account, 0);
    assert_int_equal(view.followers[1].flags, IPC_FOLLOWER_RETIRED);
    assert_int_equal(view.masters[0].count, 2);
    free(memory4);
    free(memory1);
    free(memory2);
    free(memory3);
}

/* What orders, pages, switches and the journal are found by never means something else. */
static void identities_do_not_change(void **state)
{
    (void)state;
#define BROKER(name) "{\"name\":\"" name "\",\"dialect\":\"alice-blue\",\"host\":\"127.0.0.1\"}"
#define MASTER(broker, login)                                                                      \
    "\"accounts\":[{\"account\":1,\"broker\":\"" broker "\",\"login\":\"" login                    \
    "\",\"roles\":[\"master\"]}],\"instruments\":[],\"subscriptions\":[]}"
    static const char first_text[] =
        "{\"cluster\":\"c\",\"brokers\":[" BROKER("a") "," BROKER("b") "]," MASTER("b", "M");
    static const struct {
        const char *text, *says;
    } refused[] = {
        {"{\"cluster\":\"d\",\"brokers\":[" BROKER("a") "," BROKER("b") "]," MASTER("b", "M"),
            "cluster: was \"c\" and cannot change"},
        {"{\"cluster\":\"c\",\"brokers\":[" BROKER("a") "," BROKER("b") "]," MASTER("b", "N"),
            "account 1 was login \"M\""},
        {"{\"cluster\":\"c\",\"brokers\":[" BROKER("a") "," BROKER("b") "]," MASTER("a", "M"),
            "account 1 was login \"M\""},
        {"{\"cluster\":\"c\",\"brokers\":[" BROKER("a") "," BROKER("a") "]," MASTER("a", "M"),
            "there are two brokers named \"a\""},
    };
    struct ipc_snapshot_image first, second;
    struct ipc_snapshot_view view;
    struct ipc_error error;
    void *memory1, *memory2;
    assert_int_equal(read_text(first_text, NULL, &first, &memory1, &error), IPC_OK);
    for (size_t i = 0; i < LS_COUNT_OF(refused); i++) {
        assert_int_equal(
            read_text(refused[i].text, &first, &second, &memory2, &error), IPC_BAD_INPUT);
        if (strstr(error.text, refused[i].says) == NULL)
            fail_msg("case %zu: %s", i, error.text);
    }
    /* A broker keeps its place when the file names them in another order, or leaves one out. */
    if (read_text(
            "{\"cluster\":\"c\",\"brokers\":[" BROKER("new") "," BROKER("b") "]," MASTER("b", "M"),
            &first, &second, &memory2, &error) != IPC_OK)
        fail_msg("%s", error.text);
    validate(&second);
    ipc_snapshot_view_of(&second, &view);
    assert_int_equal(view.broker_count, 3);
    assert_false(view.brokers[0].live);
    assert_string_equal(view.brokers[1].name, "b");
    assert_string_equal(view.brokers[2].name, "new");
    assert_int_equal(view.accounts[0].broker, 1);
    free(memory1);
    free(memory2);
#undef BROKER
#undef MASTER
}

static void complaints_name_line_and_field(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"{\"cluster\":\"c\"}", ":1: \"brokers\" is missing"},
        {"{\"cluster\":\"\"," BROKERS "\"accounts\":[]}", "cluster: must not be empty"},
        {"{\"cluster\":\"c\",\"brokers\":["
         "{\"name\":\"x\",\"dialect\":\"alice-blue\",\"host\":\"h\"},\n"
         "{\"name\":\"x\",\"dialect\":\"alice-blue\",\"host\":\"h\"}]}",
            ":2: brokers[1]: there are two brokers named \"x\""},
        {"{\"cluster\":\"c\",\"brokers\":[{\"name\":\"x\"}]}",
            "brokers[0]: \"dialect\" is missing"},
        {"{\"cluster\":\"c\",\"brokers\":[{\"name\":\"x\",\"dialect\":\"y\",\"host\":\"h\"}]}",
            "brokers[0].dialect: this build has no dialect \"y\""},
        {FILE_OF(SUBSCRIPTION(7, "F", "")), ":8: subscriptions[0]: \"ratio\" is missing"},
        {FILE_OF(SUBSCRIPTION(7, "F", ",\"ratio\":0")),
            "subscriptions[0].ratio: must lie between 0.00000001 and 10000"},
        {FILE_OF(SUBSCRIPTION(7, "F", ",\"ratio\":1,\"ratoi\":1")),
            "subscriptions[0].ratoi: is not a known field"},
        {FILE_OF(SUBSCRIPTION(0, "F", ",\"ratio\":1")), "subscriptions[0].follower"},
        {FILE_OF(SUBSCRIPTION(7, "M", ",\"ratio\":1")), "does not have the role follower"},
        {FILE_OF(SUBSCRIPTION(7, "X", ",\"ratio\":1")),
            "subscriptions[0].account: there is no such account"},
        {FILE_OF(SUBSCRIPTION(7, "F", ",\"ratio\":1") ",\n" SUBSCRIPTION(7, "F", ",\"ratio\":1")),
            ":9: subscriptions[1]: follower number 7 stands here twice"},
        {FILE_OF(SUBSCRIPTION(7, "F", ",\"mode\":\"MARTINGALE\",\"ratio\":1")), "MARTINGALE"},
        {FILE_OF(SUBSCRIPTION(7, "F", ",\"ratio\":1,\"allowed_instruments\":[\"TCS\"]")),
            "allowed_instruments[0]: there is no instrument \"TCS\""},
        {FILE_OF(SUBSCRIPTION(7, "F", ",\"ratio\":1,\"allowed_products\":[\"XYZ\"]")),
            "allowed_products[0]: \"XYZ\" is not known here"},
    };
    for (size_t i = 0; i < LS_COUNT_OF(cases); i++) {
        struct ipc_snapshot_image image;
        struct ipc_error error;
        void *memory;
        enum ipc_rc rc = read_text(cases[i].text, NULL, &image, &memory, &error);
        if (rc == IPC_OK || memory != NULL || strstr(error.text, cases[i].says) == NULL)
            fail_msg("case %zu: %s", i, error.text);
    }
}

static void shards_hold_an_address_together(void **state)
{
    (void)state;
    static const char text[] =
        "{\"cluster\":\"c\",\"shards\":2,\n" BROKERS
        "\"accounts\":[{\"account\":1,\"broker\":\"sim\",\"login\":\"M\",\"roles\":[\"master\"]},\n"
        "{\"account\":2,\"broker\":\"sim\",\"login\":\"F\",\"roles\":[\"follower\"],"
        "\"source_address\":\"127.0.0.9\"},\n"
        "{\"account\":3,\"broker\":\"sim\",\"login\":\"G\",\"roles\":[\"follower\"],\"shard\":1,"
        "\"source_address\":\"127.0.0.9\"}],\n" INSTRUMENTS "\"subscriptions\":[]}";
    struct ipc_snapshot_image image;
    struct ipc_error error;
    void *memory;
    assert_int_equal(read_text(text, NULL, &image, &memory, &error), IPC_BAD_INPUT);
    assert_non_null(strstr(error.text, "account 3 (G, 127.0.0.9)"));
}

static void the_example_is_valid(void **state)
{
    (void)state;
    struct ipc_snapshot_image image;
    struct ipc_error error;
    void *memory;
    if (ctl_snapshot_read_file(LS_TEST_SOURCE_DIR "/conf/snapshot.example.json", NULL, key, arena,
            &image, &memory, &error) != IPC_OK)
        fail_msg("%s", error.text);
    validate(&image);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_becomes_rows),
        cmocka_unit_test(numbers_and_slots_are_permanent),
        cmocka_unit_test(identities_do_not_change),
        cmocka_unit_test(complaints_name_line_and_field),
        cmocka_unit_test(shards_hold_an_address_together),
        cmocka_unit_test(the_example_is_valid),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
