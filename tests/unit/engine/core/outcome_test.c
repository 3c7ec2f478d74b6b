/* outcome_test: what may be sent again after a loss; every kind of evidence, every kind of trust.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/core/outcome.h"

static void only_proof_is_not_sent(void **state)
{
    (void)state;
    static const struct {
        enum ipc_evidence evidence;
        uint32_t h2_error;
        bool trusts[4]; /* NOT_SENT with: no trust, goaway, refused, both */
    } cases[] = {
        {IPC_EVIDENCE_REPLY, 0, {false, false, false, false}},
        {IPC_EVIDENCE_MALFORMED, 0, {false, false, false, false}},
        {IPC_EVIDENCE_TIMEOUT, 0, {false, false, false, false}},
        {IPC_EVIDENCE_RESET, 0, {false, false, false, false}},
        {IPC_EVIDENCE_RST_STREAM, 7, {false, false, true, true}},   /* REFUSED_STREAM */
        {IPC_EVIDENCE_RST_STREAM, 8, {false, false, false, false}}, /* CANCEL */
        {IPC_EVIDENCE_RST_STREAM, 0, {false, false, false, false}},
        {IPC_EVIDENCE_GOAWAY, 0, {false, true, false, true}},
        {IPC_EVIDENCE_NO_BYTES, 0, {true, true, true, true}},
        {IPC_EVIDENCE_PROTOCOL, 7, {false, false, false, false}},
        {IPC_EVIDENCE_RECOVERY, 0, {false, false, false, false}},
        {IPC_EVIDENCE_STALE_BYTES, 0, {false, false, false, false}},
    };
    for (size_t i = 0; i < LS_COUNT_OF(cases); i++)
        for (unsigned trust = 0; trust < 4; trust++)
            assert_int_equal(eng_loss_class(cases[i].evidence, cases[i].h2_error, (trust & 1) != 0,
                                 (trust & 2) != 0),
                cases[i].trusts[trust] ? IPC_OUTCOME_NOT_SENT : IPC_OUTCOME_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_proof_is_not_sent)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
