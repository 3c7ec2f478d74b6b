#include "tests/support/story.h"

const struct ipc_fact_alarm story_filler = {.alarm = IPC_ALARM_FEED_GAP};

static uint64_t roll(struct ipc_prng *prng, uint64_t bound)
{
    return ipc_prng_below(prng, bound);
}

static void master_acts(struct story *story, struct world *world, struct ipc_prng *prng)
{
    struct ipc_event *event = &story->recent[roll(prng, LS_COUNT_OF(story->recent))];
    uint64_t what = world->order_counter < 3 ? 9 : roll(prng, 10);
    if (what < 4 && event->kind == IPC_EVENT_ORDER && event->status == IPC_STATUS_OPEN) {
        event->version++;
        if (what < 2)
            event->price_e8 += LS_E8;
        else if (what == 2)
            event->status = IPC_STATUS_CANCELLED;
        else {
            event->status = IPC_STATUS_FILLED;
            event->filled_qty_e8 = event->qty_e8;
            event->average_price_e8 = event->price_e8;
        }
    } else {
        *event = world_order(world, roll(prng, 3) == 0 ? IPC_SIDE_SELL : IPC_SIDE_BUY,
            (int64_t)(1 + roll(prng, 50)), 100 * LS_E8);
    }
    (void)world_event(world, event);
}

static void broker_answers(
    struct world *world, struct ipc_prng *prng, const struct ipc_command *command)
{
    uint64_t what = roll(prng, 16);
    if (what == 0)
        world_reply(world, command, IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_TIMEOUT, NULL);
    else if (what == 1)
        world_reply(world, command, IPC_OUTCOME_NOT_SENT, IPC_EVIDENCE_NO_BYTES, NULL);
    else if (what == 2)
        world_reply(world, command, IPC_OUTCOME_REJECTED, IPC_EVIDENCE_REPLY, NULL);
    else
        world_ack(world, command);
}

static void brokers_act(struct world *world, struct ipc_prng *prng, uint32_t from)
{
    for (uint32_t i = from; i < world->command_count; i++)
        broker_answers(world, prng, &world->commands[i]);
    uint32_t children = eng_core_child_count(world->core);
    for (uint32_t i = 0; i < 60 && children > 0; i++) {
        struct eng_child_view view;
        uint32_t child = (uint32_t)roll(prng, children);
        if (!eng_core_child(world->core, child, &view))
            continue;
        if (view.state == ENG_STATE_ACKED || view.state == ENG_STATE_UNKNOWN ||
            view.state == ENG_STATE_UNRESOLVED || view.state == ENG_STATE_OPEN)
            (void)world_update(world, child,
                roll(prng, 6) == 0 ? IPC_STATUS_CANCELLED : IPC_STATUS_FILLED, view.qty_e8 / LS_E8,
                100 * LS_E8);
    }
}

void story_act(struct story *story, struct world *world, struct ipc_prng *prng)
{
    uint32_t before = world->command_count;
    world->now_mono_ns += 50 * LS_NS_PER_MS;
    world->now_wall_ns += 50 * LS_NS_PER_MS;
    world->price_mono_ns = world->now_mono_ns;
    master_acts(story, world, prng);
    if (roll(prng, 6) == 0) { /* the list changes under the wave */
        (void)world_wave_step(world);
        world->followers[roll(prng, 8)].flags ^= IPC_FOLLOWER_PAUSED;
        if (story->followers == 0)
            story->followers = world->masters[0].count;
        world->masters[0].count = story->followers - (uint32_t)roll(prng, 5);
        world_adopt(world);
    }
    world->cannot_send[roll(prng, 8)] = roll(prng, 4) == 0;
    (void)world_waves(world);
    brokers_act(world, prng, before);
    before = world->command_count;
    (void)world_waves(world);
    (void)world_release(world);
    brokers_act(world, prng, before);
    if (roll(prng, 12) == 0)
        world_restart(world, roll(prng, 2) == 0);
}
