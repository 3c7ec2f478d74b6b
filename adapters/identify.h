/* identify.h: what a dialect cannot know of an order that it has read: whose it is, its keys, and
 * whether its tag is one of ours. Pure; any thread. */
#ifndef LS_ADAPTERS_IDENTIFY_H
#define LS_ADAPTERS_IDENTIFY_H

#include "ipc/event.h"
#include "ipc/rows.h"

/* adp_identify fills kind, account, flags, tag, order key and order digits of a decoded order; the
 * event key is made last, by whoever sets the version (ipc_event_key).
 *   client_tag  as the broker gave it, "" for none; only a tag of our form stays */
void adp_identify(const char *cluster_id, const struct ipc_row_account *row, const char *client_tag,
    bool is_from_book, struct ipc_event *event);

/* adp_book_version is the version of a state that a book says, on its own: the broker's update time
 * where it has one, within its second by when the book was read, less the book's lag; else the time
 * of the reading, less that lag. */
int64_t adp_book_version(int64_t broker_version_ns, int64_t read_wall_ns, int64_t book_lag_ns);

#endif
