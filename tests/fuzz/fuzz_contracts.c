/* Arbitrary contract files through every format: no crash, and a row that is believed is one that
 * the snapshot's rules take. */
#include "adapters/broker/contract.h"

#include <string.h>

#include "adapters/broker/dialect.h"
#include "ipc/snapshot_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void check_row(const struct adp_contract *contract)
{
    const struct ipc_row_instrument *row = &contract->row;
    LS_CHECK(ipc_exchange_valid(row->exchange) && ipc_instrument_kind_valid(row->kind));
    const bool option = row->kind == IPC_KIND_OPTION;
    LS_CHECK(option ? row->right == 'C' || row->right == 'P' : row->right == 0);
    LS_CHECK(option == (row->strike_e8 > 0) && row->strike_e8 <= IPC_PRICE_E8_MAX);
    LS_CHECK((option || row->kind == IPC_KIND_FUTURE) == (row->expiry_yyyymmdd != 0));
    LS_CHECK(row->lot_qty_e8 >= LS_E8 && row->lot_qty_e8 <= IPC_QTY_E8_MAX);
    LS_CHECK(row->tick_e8 >= 1 && row->tick_e8 <= IPC_PRICE_E8_MAX);
    LS_CHECK(ipc_row_text_digits(row->token, sizeof(row->token)));
    LS_CHECK(ipc_row_text_plain(row->symbol, sizeof(row->symbol)));
    LS_CHECK(ipc_row_text_plain(row->underlying, sizeof(row->underlying)));
    LS_CHECK(row->instrument == 0 && row->flags == 0 && row->freeze_qty_e8 == 0);
    LS_CHECK(adp_contract_same(row, row));
    (void)adp_contract_identity(row, row->lot_qty_e8, row->tick_e8);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; adp_dialect_at(i) != NULL; i++) {
        const struct adp_contract_format *format =
            adp_contract_format_find(adp_dialect_at(i)->name);
        struct adp_span rest = {bytes, count}, line;
        struct adp_contract_layout layout;
        struct adp_contract_problem problem = {""};
        struct adp_contract contract;
        if (format == NULL || !adp_contract_next_line(&rest, true, &line) ||
            format->header(line, &layout, &problem) != ADP_OK)
            continue;
        while (adp_contract_next_line(&rest, false, &line)) {
            if (format->row(&layout, line, &contract, &problem) == ADP_OK)
                check_row(&contract);
            else
                LS_CHECK(problem.text[0] != '\0' &&
                         memchr(problem.text, '\0', sizeof(problem.text)) != NULL);
        }
    }
    return 0;
}
