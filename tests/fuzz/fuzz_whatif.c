/* The line reader of lockstep-whatif, its judge and its printer: any bytes give a sentence or an
 * answer, an answer is JSON, and its numbers keep the rules that every decision keeps. */
#include <stdint.h>
#include <string.h>

#include "adapters/json.h"
#include "engine/whatif_case.h"

static struct whatif_case question;
static struct whatif_answer answer;
static char reply[WHATIF_TEXT_BYTES];

static void check(void)
{
    const struct eng_verdict *verdict = &answer.verdict;
    const struct eng_case_follower *follower = &question.judged.follower;
    LS_CHECK(verdict->leg_count <= 2 && answer.trace.count <= IPC_STEPS_MAX);
    for (uint32_t i = 0; i < verdict->leg_count; i++) {
        const struct eng_leg *leg = &verdict->legs[i];
        LS_CHECK(leg->qty_e8 > 0 && leg->slices >= 1);
        if (question.run != WHATIF_ONE || verdict->act != ENG_ACT_PLACE)
            continue;
        if (leg->flags & ENG_LEG_CLOSE)
            LS_CHECK(leg->side == IPC_SIDE_SELL ? follower->held_e8 >= leg->qty_e8
                                                : -(__int128)follower->held_e8 >= leg->qty_e8);
        else if (question.row.max_qty_e8 != 0 && question.shared.occasion == ENG_ON_ORDER &&
                 question.row.mode != IPC_MODE_SMART_TARGET)
            LS_CHECK(leg->qty_e8 <= question.row.max_qty_e8);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct ipc_error error = {0};
    struct adp_span line = {.bytes = bytes, .count = count};
    if (whatif_read_line(line, &question, &error) != IPC_OK) {
        LS_CHECK(error.text[0] != '\0' && strchr(error.text, '\n') == NULL);
        return 0;
    }
    whatif_run(&question, &answer);
    check();
    size_t length = whatif_print(&question, &answer, reply, sizeof reply);
    LS_CHECK(length == strlen(reply) && length < sizeof reply - 1);
    struct adp_span printed = {.bytes = (const uint8_t *)reply, .count = length};
    LS_CHECK(adp_json_check(printed) == ADP_OK);
    return 0;
}
