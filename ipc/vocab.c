#include "ipc/enum.h"
#include "ipc/command.h"
#include "ipc/event.h"
#include "ipc/fact.h"
#include "ipc/rows.h"

IPC_DEFINE_ENUM(ipc_side, IPC_SIDE_LIST)
IPC_DEFINE_ENUM(ipc_type, IPC_TYPE_LIST)
IPC_DEFINE_ENUM(ipc_product, IPC_PRODUCT_LIST)
IPC_DEFINE_ENUM(ipc_validity, IPC_VALIDITY_LIST)
IPC_DEFINE_ENUM(ipc_status, IPC_STATUS_LIST)
IPC_DEFINE_ENUM(ipc_source, IPC_SOURCE_LIST)
IPC_DEFINE_ENUM(ipc_exchange, IPC_EXCHANGE_LIST)
IPC_DEFINE_ENUM(ipc_switch, IPC_SWITCH_LIST)
IPC_DEFINE_ENUM(ipc_mode, IPC_MODE_LIST)
IPC_DEFINE_ENUM(ipc_copy, IPC_COPY_LIST)
IPC_DEFINE_ENUM(ipc_action, IPC_ACTION_LIST)
IPC_DEFINE_ENUM(ipc_lanes, IPC_LANES_LIST)

IPC_DEFINE_ENUM(ipc_event_kind, IPC_EVENT_LIST)

IPC_DEFINE_ENUM(ipc_outcome_class, IPC_OUTCOME_LIST)
IPC_DEFINE_ENUM(ipc_evidence, IPC_EVIDENCE_LIST)

IPC_DEFINE_ENUM(ipc_fact_type, IPC_FACT_LIST)
IPC_DEFINE_ENUM(ipc_transition, IPC_TRANSITION_LIST)
IPC_DEFINE_ENUM(ipc_child_kind, IPC_CHILD_LIST)
IPC_DEFINE_ENUM(ipc_alarm, IPC_ALARM_LIST)

IPC_DEFINE_ENUM(ipc_instrument_kind, IPC_KIND_LIST)
