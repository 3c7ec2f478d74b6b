/* contracts.h: contract masters in the layout that Alice Blue publishes: written for a date, and
 * read into a book.
 *
 * Files are read by their header line, never by position. Also read: qtyfreeze.csv in NSE's layout,
 * and prices.csv
 * ("Exch,Token,Price"), the last prices to begin with. */
#ifndef LS_ADP_SIM_CONTRACTS_H
#define LS_ADP_SIM_CONTRACTS_H

#include "adapters/sim/book.h"
#include "adapters/sim/net.h"

/* adp_sim_contracts_write writes NSE.csv, BSE.csv, NFO.csv, BFO.csv, INDICES.csv, qtyfreeze.csv and
 * prices.csv into folder, made if it does not exist: cash shares, index and share futures of three
 * months, and options near the money. days      the trading day, days since 1970-01-01; expiries
 * are after it returns   false with a sentence in error */
LS_MUST_USE bool adp_sim_contracts_write(
    const char *folder, int64_t days, struct adp_sim_error *error);

/* adp_sim_contracts_load adds every instrument of the files of folder to the book. A file that does
 * not exist is skipped, but at least one exchange must be there. returns   the number of
 * instruments, or negative with a sentence that names file, line and column */
LS_MUST_USE int64_t adp_sim_contracts_load(
    struct adp_sim_book *book, const char *folder, struct adp_sim_error *error);

#endif
