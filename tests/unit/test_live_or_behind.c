/* The model of attach x commit x dispatch x page (docs/design.md, "A session is live or behind").
 *
 * The real catch_up and connection_manager run on the real inbox against a broker whose every step
 * is an action of its own: a message is kept, later dispatched; a page is asked for, later
 * photographed, later arrives; between any two of them sessions open, drain and close, subscribe
 * and unsubscribe, messages are pruned and the inbox overflows. Small scenarios run through every
 * interleaving (states seen before are not entered again), longer ones through random walks from
 * fixed seeds. After each action the promises are checked; where nothing is left to happen, that
 * nothing is missing. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/metrics.h"
#include "engine/broker.h"
#include "engine/catch_up.h"
#include "model/connection_manager.h"

enum {
    ALICE,
    BOB,
    EVERYONE,
    NEWS,
    SPORT,
    PLACES,
    CHANNELS = PLACES - NEWS,
    MAX_MESSAGES = 40,
    MAX_GUESTS = 12,
    MAX_GAPS = 64,
    MAX_READS = 8,
    MAX_STEPS = 4000,
    COST = 10, /* of one message in a queue */
    NOBODY = -1,
    LIFE = 1000 /* the floor: ids of this life lie above, older cursors below */
};

enum start { FROM_NOW, FROM_ALL, FROM_OLD_LIFE, FROM_FLOOR, FROM_FIRST, FROM_FUTURE };

struct plan {
    int to;
    bool fleeting; /* ttl 0 */
    int except;    /* a guest or NOBODY */
};

struct guest {
    int user;
    enum start start;
    bool leaves;       /* may close at any time */
    unsigned channels; /* a bit each: what it opens with */
    unsigned changes;  /* and what it may come to and leave at any time */
};

struct scenario {
    const char *name;
    struct plan messages[MAX_MESSAGES];
    size_t message_count;
    struct guest guests[MAX_GUESTS];
    size_t guest_count;
    size_t page;       /* messages */
    size_t queue_high; /* messages */
    size_t inbox_room; /* messages */
    int prunes;
    int changes;     /* subscriptions that begin or end */
    int losses;      /* dispatches that leave only a doubt */
    int failures;    /* reads that are answered with an error */
    bool at_once;    /* reads are answered at once, as the memory broker does */
    bool one_by_one; /* sockets take one message at a time, not all */
};

enum kind {
    KEEP,
    DISPATCH,
    LOSE,
    TAKE,
    HANDLE,
    RUN,
    PHOTO,
    ARRIVE,
    FAIL,
    DRAIN,
    OPEN,
    CLOSE,
    PRUNE,
    CHANGE
};

static const char *const kind_names[] = {"keep", "dispatch", "lose",   "take",  "handle",
                                         "run",  "photo",    "arrive", "fail",  "drain",
                                         "open", "close",    "prune",  "change"};

struct action {
    enum kind kind;
    int which;
};

struct gap {
    uint64_t after, resumes;
    int channel; /* NOBODY: of all */
};

struct visit { /* a guest's session; allocated while open, so that a late touch is seen */
    struct session session;
    struct world *world;
    int guest;
    uint64_t start;
    bool hears[PLACES];    /* user and channels */
    uint64_t from[PLACES]; /* what came up to here is not for it */
    uint64_t had[PLACES]; /* its cursor when it came to this channel: order forbids what is below */
    uint64_t last;        /* id delivered last */
    uint64_t given;       /* a bit a message */
    uint64_t excused;     /* gone before a reader of all that is kept looked for the first time */
    struct gap gaps[MAX_GAPS];
    size_t gap_count;
    size_t old_gaps; /* told before it last came to a channel, for which all is new */
    size_t queued;
    bool asked_to_close;
};

struct under_way {
    struct read_call *read;
    int guest; /* NOBODY once it left */
    enum { ASKED, PHOTOGRAPHED, PUSHED } stage;
};

struct world {
    const struct scenario *scenario;
    struct inbox inbox;
    struct list batch;
    struct metrics metrics;
    struct connection_manager *manager;
    struct catch_up *catch_up;
    struct message *messages[MAX_MESSAGES];
    size_t numbered, dispatched;
    uint64_t pruned; /* a bit a message */
    uint64_t pruned_upto[PLACES];
    uint32_t watching[PLACES];
    struct under_way reads[MAX_READS];
    size_t read_count;
    struct visit *visits[MAX_GUESTS];
    bool came[MAX_GUESTS];
    int order[MAX_GUESTS]; /* in which they came */
    size_t came_count;
    int prunes, changes, losses, failures;
    struct action steps[MAX_STEPS];
    size_t step_count;
};

static void broken(const struct world *world, const char *promise)
{
    print_error("%s: %s\n", world->scenario->name, promise);
    for (size_t i = 0; i < world->step_count; i++)
        print_error(" %s %d;", kind_names[world->steps[i].kind], world->steps[i].which);
    print_error("\n");
    fail();
}

/* The failed world is left as it is. */
#define must(world, what)                                                                          \
    do {                                                                                           \
        if (!(what))                                                                               \
            broken((world), #what);                                                                \
    } while (0)

static uint64_t id_of(size_t i)
{
    return LIFE + 1 + i;
}

static uint64_t bit(size_t i)
{
    return (uint64_t)1 << i;
}

static struct topic place(int which)
{
    static const char *const names[PLACES] = {"alice", "bob", "", "news", "sport"};
    if (which == EVERYONE)
        return all_of_them();
    return which < EVERYONE ? a_user(names[which]) : a_channel(names[which]);
}

static int place_of(const struct topic *topic)
{
    for (int p = 0; p < PLACES; p++) {
        struct topic known = place(p);
        if (topic_equal(topic, &known))
            return p;
    }
    fail_msg("an address nobody made: its name is gone");
    return NOBODY;
}

/* Is this message in the visitor's stream as it is now? */
static bool concerns(const struct visit *visit, size_t i)
{
    int to = visit->world->scenario->messages[i].to;
    return visit->hears[to] && id_of(i) > visit->from[to];
}

/* ---- what sessions are given ---- */

static bool on_deliver(struct session *session, struct message *message)
{
    struct visit *visit = (struct visit *)session;
    const struct scenario *scenario = visit->world->scenario;
    size_t i = message->id - id_of(0);
    const struct plan *plan = &scenario->messages[i];
    must(visit->world, message->id > visit->last);
    must(visit->world, message->id > visit->start);
    must(visit->world, !(visit->given & bit(i)));
    must(visit->world, concerns(visit, i));
    must(visit->world, plan->except != visit->guest);
    visit->last = message->id;
    visit->given |= bit(i);
    visit->queued += COST;
    must(visit->world, visit->queued <= (scenario->queue_high + scenario->page) * COST);
    return true;
}

/* A loss in a channel is the channel's, unless own mail or broadcasts have one, too. */
static int where(int to)
{
    return to >= NEWS ? to : NOBODY;
}

/* Is there a reason to tell this visitor of a loss up to there? */
static bool something_is_gone(const struct visit *visit, uint64_t after, uint64_t resumes,
                              int channel)
{
    const struct scenario *scenario = visit->world->scenario;
    if (after > 0 && after < LIFE && (channel == NOBODY || visit->from[channel] < LIFE))
        return true;
    for (size_t i = 0; i < visit->world->numbered; i++) {
        if ((visit->world->pruned & bit(i)) && id_of(i) > after && id_of(i) <= resumes &&
            concerns(visit, i) && where(scenario->messages[i].to) == channel)
            return true;
    }
    return false;
}

static bool on_gap(struct session *session, uint64_t after, uint64_t resumes,
                   const struct topic *topic)
{
    struct visit *visit = (struct visit *)session;
    int channel = topic ? place_of(topic) : NOBODY;
    must(visit->world, channel == NOBODY || (channel >= NEWS && visit->hears[channel]));
    if (resumes < after) /* a cursor nobody gave */
        visit->start = resumes;
    else
        must(visit->world, something_is_gone(visit, after, resumes, channel));
    for (size_t g = visit->old_gaps; g < visit->gap_count; g++) /* each loss is told once */
        must(visit->world, visit->gaps[g].resumes != resumes || visit->gaps[g].channel != channel);
    must(visit->world, visit->gap_count < MAX_GAPS);
    visit->gaps[visit->gap_count++] = (struct gap){after, resumes, channel};
    return true;
}

static size_t on_queued(const struct session *session)
{
    return ((const struct visit *)session)->queued;
}

static void on_close(struct session *session, enum err reason)
{
    struct visit *visit = (struct visit *)session;
    must(visit->world, reason == ERR_BROKER_DOWN);
    visit->asked_to_close = true;
}

static const struct session_ops visit_ops = {
    .transport = "websocket",
    .deliver = on_deliver,
    .tell_gap = on_gap,
    .queued = on_queued,
    .close = on_close,
};

/* ---- the scripted broker ---- */

int __wrap_broker_watch(struct broker *broker, int member, const struct topic *topics, size_t count,
                        int delta, uint64_t *ret_head);
uint32_t __wrap_broker_count(struct broker *broker, const struct topic *topic);
enum broker_end __wrap_broker_read(struct broker *broker, int member, struct read_call *read);

int __wrap_broker_watch(struct broker *broker, int member, const struct topic *topics, size_t count,
                        int delta, uint64_t *ret_head)
{
    struct world *world = (struct world *)broker;
    (void)member;
    for (size_t i = 0; i < count; i++)
        world->watching[place_of(&topics[i])] += (uint32_t)delta;
    if (ret_head)
        *ret_head = LIFE + world->dispatched;
    return 0;
}

uint32_t __wrap_broker_count(struct broker *broker, const struct topic *topic)
{
    return ((struct world *)broker)->watching[place_of(topic)];
}

static uint64_t greatest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void photograph_gaps(const struct world *world, struct read_call *read)
{
    for (size_t a = 0; a < read->topic_count; a++) {
        struct read_topic *from = &read->topics[a];
        uint64_t pruned_upto = world->pruned_upto[place_of(&from->topic)];
        uint64_t known = greatest(greatest(read->after, from->from), from->told);
        from->gap = known > 0 && known < pruned_upto;
        from->told = greatest(from->told, pruned_upto);
    }
}

static bool asks_for(const struct read_call *read, int where, uint64_t id)
{
    for (size_t a = 0; a < read->topic_count; a++) {
        const struct read_topic *from = &read->topics[a];
        if (place_of(&from->topic) == where)
            return id > greatest(read->after, from->from);
    }
    return false;
}

static void photograph(struct world *world, struct read_call *read, int guest)
{
    if (guest != NOBODY && read->after == 0 && read->topics[0].told == 0)
        world->visits[guest]->excused = world->pruned;
    read->head = LIFE + world->numbered;
    read->above_head = read->after > read->head;
    photograph_gaps(world, read);
    for (size_t i = 0; i < world->numbered && !read->above_head; i++) {
        const struct plan *plan = &world->scenario->messages[i];
        if (plan->fleeting || (world->pruned & bit(i)) || !asks_for(read, plan->to, id_of(i)))
            continue;
        if (read->count == world->scenario->page) {
            read->more = true;
            return;
        }
        read->messages[read->count++] = message_ref(world->messages[i]);
    }
}

/* Whose read is it? The one that says it is reading and has none under way. */
static int who_asks(const struct world *world)
{
    int found = NOBODY;
    for (int g = 0; g < MAX_GUESTS; g++) {
        bool known = false;
        for (size_t r = 0; r < world->read_count; r++)
            known = known || world->reads[r].guest == g;
        if (world->visits[g] && world->visits[g]->session.reading && !known) {
            must(world, found == NOBODY);
            found = g;
        }
    }
    must(world, found != NOBODY);
    return found;
}

/* A page is asked for all that the visitor hears, from where it hears it. */
static void check_topics(const struct visit *visit, const struct read_call *read)
{
    size_t heard = 0;
    for (int p = 0; p < PLACES; p++)
        heard += visit->hears[p];
    must(visit->world, read->topic_count == heard);
    for (size_t a = 0; a < heard; a++) {
        int where = place_of(&read->topics[a].topic);
        must(visit->world, visit->hears[where]);
        must(visit->world, read->topics[a].from == visit->from[where]);
        for (size_t b = 0; b < a; b++)
            must(visit->world, where != place_of(&read->topics[b].topic));
    }
}

enum broker_end __wrap_broker_read(struct broker *broker, int member, struct read_call *read)
{
    struct world *world = (struct world *)broker;
    (void)member;
    must(world, world->read_count < MAX_READS);
    int guest = who_asks(world);
    struct visit *visit = world->visits[guest];
    check_topics(visit, read);
    must(world, visit->session.state == SESSION_BEHIND && !visit->session.more);
    must(world, visit->queued <= world->scenario->queue_high * COST / 2);
    if (world->scenario->at_once) {
        photograph(world, read, guest);
        return BROKER_ANSWERED;
    }
    world->reads[world->read_count++] = (struct under_way){read, guest, ASKED};
    return BROKER_PENDING;
}

/* ---- the actions ---- */

static void keep(struct world *world)
{
    const struct plan *plan = &world->scenario->messages[world->numbered];
    struct topic topic = place(plan->to);
    struct draft draft = a_draft(&topic, 1, plan->fleeting ? 0 : 1000);
    draft.except = plan->except == NOBODY ? 0 : (uint64_t)plan->except + 1;
    world->messages[world->numbered] = message_create(id_of(world->numbered), 0, &draft);
    world->numbered++;
}

/* Looks up who watches and pushes; lost: the inbox cannot take it. */
static void dispatch(struct world *world, bool lost)
{
    size_t i = world->dispatched++;
    if (!world->watching[world->scenario->messages[i].to])
        return;
    if (lost) {
        inbox_overflow(&world->inbox, false);
        return;
    }
    struct message_record *record = malloc(sizeof *record);
    record->record.kind = RECORD_MESSAGE;
    record->record.bytes = COST;
    record->message = message_ref(world->messages[i]);
    if (!inbox_offer(&world->inbox, &record->record, false)) {
        message_unref(record->message);
        free(record);
    }
}

static void deliver(struct world *world, struct message_record *record)
{
    connection_manager_deliver(world->manager, record->message);
    message_unref(record->message);
    free(record);
}

static void forget_read(struct world *world, const struct inbox_record *record)
{
    for (size_t r = 0; r < world->read_count; r++) {
        if (&world->reads[r].read->call.record != record)
            continue;
        world->read_count--;
        memmove(&world->reads[r], &world->reads[r + 1],
                (world->read_count - r) * sizeof *world->reads);
        return;
    }
    must(world, !"a page that nobody asked for");
}

static void handle(struct world *world)
{
    struct inbox_record *record = list_first(&world->batch, struct inbox_record, link);
    list_remove(&record->link);
    if (record->kind == RECORD_MESSAGE) {
        deliver(world, (struct message_record *)record);
    } else if (record->kind == RECORD_OVERFLOW) {
        catch_up_resync(world->catch_up);
    } else {
        forget_read(world, record);
        call_finish(record);
    }
}

static void arrive(struct world *world, struct under_way *under_way, enum err err)
{
    under_way->stage = PUSHED;
    under_way->read->call.err = err;
    under_way->read->call.record.kind = RECORD_CALL;
    under_way->read->call.record.bytes = 0;
    inbox_push(&world->inbox, &under_way->read->call.record, false);
}

static void drain(struct world *world, struct visit *visit)
{
    visit->queued = world->scenario->one_by_one ? visit->queued - COST : 0;
    catch_up_drained(world->catch_up, &visit->session);
}

static size_t hear(struct visit *visit, struct topic ret_channels[static CHANNELS])
{
    const struct guest *guest = &visit->world->scenario->guests[visit->guest];
    size_t count = 0;
    visit->hears[guest->user] = visit->hears[EVERYONE] = true;
    for (int p = NEWS; p < PLACES; p++) {
        visit->hears[p] = guest->channels & bit((size_t)p - NEWS);
        if (visit->hears[p])
            ret_channels[count++] = place(p);
    }
    return count;
}

static void open_visit(struct world *world, int g)
{
    static const uint64_t cursors[] = {0, 0, LIFE - 1, LIFE, LIFE + 1, LIFE + 500};
    const struct guest *guest = &world->scenario->guests[g];
    struct topic channels[CHANNELS];
    struct visit *visit = calloc(1, sizeof *visit);
    visit->world = world;
    visit->guest = g;
    struct catch_up_start start = {.user = place(guest->user),
                                   .channels = channels,
                                   .channel_count = hear(visit, channels),
                                   .has_after = guest->start != FROM_NOW,
                                   .after = cursors[guest->start]};
    session_init(&visit->session);
    visit->session.ops = &visit_ops;
    visit->session.id = (uint64_t)g + 1;
    visit->session.queue_high = (uint32_t)(world->scenario->queue_high * COST);
    must(world, catch_up_open(world->catch_up, &visit->session, &start) == 0);
    must(world, guest->start != FROM_NOW || visit->session.cursor == LIFE + world->dispatched);
    visit->start = visit->session.cursor;
    world->visits[g] = visit;
    world->came[g] = true;
    world->order[world->came_count++] = g;
}

/* Its page, if one is on its way, is nobody's. */
static void leave_reads(struct world *world, int g)
{
    for (size_t r = 0; r < world->read_count; r++) {
        if (world->reads[r].guest == g)
            world->reads[r].guest = NOBODY;
    }
}

/* The visitor begins or ends to hear a channel. */
static void change(struct world *world, int g, int channel)
{
    struct visit *visit = world->visits[g];
    struct topic topic = place(channel);
    leave_reads(world, g);
    if (visit->hears[channel]) {
        must(world, catch_up_unsubscribe(world->catch_up, &visit->session, &topic));
        must(world, !catch_up_unsubscribe(world->catch_up, &visit->session, &topic));
    } else {
        must(world, catch_up_subscribe(world->catch_up, &visit->session, &topic) == 0);
        must(world, catch_up_subscribe(world->catch_up, &visit->session, &topic) == 0);
        visit->from[channel] = LIFE + world->dispatched;
        visit->old_gaps = visit->gap_count;
        visit->had[channel] = visit->session.cursor > LIFE + world->numbered
                                  ? 0 /* nobody gave that one, and it will not stay */
                                  : visit->session.cursor;
    }
    visit->hears[channel] = !visit->hears[channel];
}

static void close_visit(struct world *world, int g)
{
    leave_reads(world, g);
    catch_up_close(world->catch_up, &world->visits[g]->session);
    catch_up_close(world->catch_up, &world->visits[g]->session);
    free(world->visits[g]);
    world->visits[g] = NULL;
}

/* The oldest at this place that can be pruned, or MAX_MESSAGES. */
static size_t oldest_at(const struct world *world, int where)
{
    for (size_t i = 0; i < world->numbered; i++) {
        const struct plan *plan = &world->scenario->messages[i];
        if (plan->to == where && !plan->fleeting && !(world->pruned & bit(i)))
            return i;
    }
    return MAX_MESSAGES;
}

static void prune(struct world *world, int where)
{
    size_t i = oldest_at(world, where);
    world->pruned |= bit(i);
    world->pruned_upto[where] = id_of(i);
}

static void act(struct world *world, struct action action)
{
    must(world, world->step_count < MAX_STEPS);
    world->steps[world->step_count++] = action;
    switch (action.kind) {
    case KEEP:
        return keep(world);
    case DISPATCH:
        return dispatch(world, false);
    case LOSE:
        world->losses--;
        return dispatch(world, true);
    case TAKE:
        return inbox_take(&world->inbox, &world->batch);
    case HANDLE:
        return handle(world);
    case RUN:
        return (void)catch_up_run(world->catch_up);
    case PHOTO:
        photograph(world, world->reads[action.which].read, world->reads[action.which].guest);
        world->reads[action.which].stage = PHOTOGRAPHED;
        return;
    case ARRIVE:
        return arrive(world, &world->reads[action.which], ERR_NONE);
    case FAIL:
        world->failures--;
        return arrive(world, &world->reads[action.which], ERR_BROKER_DOWN);
    case DRAIN:
        return drain(world, world->visits[action.which]);
    case OPEN:
        return open_visit(world, action.which);
    case CLOSE:
        return close_visit(world, action.which);
    case PRUNE:
        world->prunes--;
        return prune(world, action.which);
    case CHANGE:
        world->changes--;
        return change(world, action.which / PLACES, action.which % PLACES);
    }
}

static size_t add(struct action *actions, size_t n, bool possible, enum kind kind, size_t which)
{
    actions[n] = (struct action){kind, (int)which};
    return n + possible;
}

static size_t list_guest_actions(const struct world *world, struct action *actions, size_t n)
{
    for (size_t g = 0; g < world->scenario->guest_count; g++) {
        const struct visit *visit = world->visits[g];
        n = add(actions, n, !world->came[g], OPEN, g);
        if (!visit)
            continue;
        n = add(actions, n, visit->queued > 0, DRAIN, g);
        n = add(actions, n, world->scenario->guests[g].leaves || visit->asked_to_close, CLOSE, g);
        for (size_t p = NEWS; p < PLACES; p++)
            n = add(actions, n,
                    world->changes && (world->scenario->guests[g].changes & bit(p - NEWS)), CHANGE,
                    g * PLACES + p);
    }
    return n;
}

enum { MAX_ACTIONS = 7 + 3 * MAX_READS + (3 + CHANNELS) * MAX_GUESTS + PLACES };

/* Everything that could happen now. */
static size_t list_actions(const struct world *world, struct action *actions)
{
    size_t n = 0;
    n = add(actions, n, world->numbered < world->scenario->message_count, KEEP, 0);
    n = add(actions, n, world->dispatched < world->numbered, DISPATCH, 0);
    n = add(actions, n, world->dispatched < world->numbered && world->losses, LOSE, 0);
    bool handling = !list_empty(&world->batch);
    n = add(actions, n, !handling && !list_empty(&world->inbox.records), TAKE, 0);
    n = add(actions, n, handling, HANDLE, 0);
    n = add(actions, n, catch_up_waiting(world->catch_up), RUN, 0);
    for (size_t r = 0; r < world->read_count; r++) {
        n = add(actions, n, world->reads[r].stage == ASKED, PHOTO, r);
        n = add(actions, n, world->reads[r].stage == PHOTOGRAPHED, ARRIVE, r);
        n = add(actions, n, world->reads[r].stage == ASKED && world->failures, FAIL, r);
    }
    for (int p = 0; p < PLACES; p++)
        n = add(actions, n, world->prunes && oldest_at(world, p) < MAX_MESSAGES, PRUNE, (size_t)p);
    return list_guest_actions(world, actions, n);
}

/* ---- the promises ---- */

static bool told(const struct visit *visit, size_t i)
{
    for (size_t g = 0; g < visit->gap_count; g++) {
        const struct gap *gap = &visit->gaps[g];
        if (gap->after < id_of(i) && id_of(i) <= gap->resumes &&
            (gap->channel == NOBODY || gap->channel == visit->world->scenario->messages[i].to))
            return true;
    }
    return false;
}

static void check_nothing_is_missing(const struct visit *visit)
{
    const struct world *world = visit->world;
    must(world, visit->session.state == SESSION_LIVE);
    must(world, visit->start <= LIFE + world->numbered);
    for (size_t i = 0; i < world->numbered; i++) {
        const struct plan *plan = &world->scenario->messages[i];
        if (plan->fleeting || plan->except == visit->guest || id_of(i) <= visit->start ||
            id_of(i) <= visit->had[plan->to] || (visit->excused & bit(i)) || !concerns(visit, i))
            continue;
        bool given = visit->given & bit(i), gone = world->pruned & bit(i);
        must(world, given || (gone && told(visit, i)));
    }
}

static bool is_settled(const struct world *world)
{
    for (int g = 0; g < MAX_GUESTS; g++) {
        if (world->visits[g] && (world->visits[g]->queued || world->visits[g]->asked_to_close))
            return false;
    }
    return world->dispatched == world->numbered && list_empty(&world->batch) &&
           list_empty(&world->inbox.records) && !world->read_count &&
           !catch_up_waiting(world->catch_up);
}

/* The counts of sessions by state, and of those who watch, are what they should be. */
static void check_counts(const struct world *world)
{
    int64_t live = 0, behind = 0;
    uint32_t watching[PLACES] = {0};
    size_t channels = 0;
    for (int g = 0; g < MAX_GUESTS; g++) {
        const struct visit *visit = world->visits[g];
        live += visit && visit->session.state == SESSION_LIVE;
        behind += visit && visit->session.state == SESSION_BEHIND;
        for (int p = 0; p < PLACES; p++)
            watching[p] += visit && visit->hears[p];
    }
    must(world, world->metrics.live[0] == live);
    must(world, world->metrics.behind[0] == behind);
    must(world, !memcmp(world->watching, watching, sizeof watching));
    for (int p = NEWS; p < PLACES; p++)
        channels += watching[p] > 0;
    must(world, connection_manager_channels(world->manager) == channels);
}

static void check(const struct world *world)
{
    must(world, catch_up_in_flight(world->catch_up) == world->read_count);
    check_counts(world);
    if (!is_settled(world))
        return;
    for (int g = 0; g < MAX_GUESTS; g++) {
        if (world->visits[g])
            check_nothing_is_missing(world->visits[g]);
    }
}

/* ---- worlds ---- */

static void no_wake(void *context)
{
    (void)context;
}

static void world_begin(struct world *world, const struct scenario *scenario)
{
    static const struct catch_up_limits limits = {
        .sessions_per_user = MAX_GUESTS, .channels_per_session = CHANNELS, .channels = CHANNELS};
    *world = (struct world){
        .scenario = scenario,
        .prunes = scenario->prunes,
        .changes = scenario->changes,
        .losses = scenario->losses,
        .failures = scenario->failures,
    };
    for (int p = 0; p < PLACES; p++)
        world->pruned_upto[p] = LIFE;
    inbox_init(&world->inbox, scenario->inbox_room * COST, RECORD_OVERFLOW, no_wake, NULL);
    list_init(&world->batch);
    world->manager = connection_manager_create(&world->metrics);
    world->catch_up =
        catch_up_create(world->manager, (struct broker *)world, 0, &world->metrics, &limits);
}

/* Everyone leaves, what is on its way arrives, and nothing may be left. */
static void world_end(struct world *world)
{
    for (int g = 0; g < MAX_GUESTS; g++) {
        if (world->visits[g])
            close_visit(world, g);
    }
    for (size_t r = 0; r < world->read_count; r++) {
        if (world->reads[r].stage != PUSHED)
            arrive(world, &world->reads[r], ERR_NONE);
    }
    inbox_take(&world->inbox, &world->batch);
    while (!list_empty(&world->batch))
        handle(world);
    check_counts(world);
    catch_up_destroy(world->catch_up);
    connection_manager_destroy(world->manager);
    inbox_finish(&world->inbox);
    for (size_t i = 0; i < world->numbered; i++)
        message_unref(world->messages[i]);
}

/* ---- every interleaving ---- */

static uint64_t *seen; /* digests of the states that were entered; 0: free */
static size_t seen_count, seen_capacity;

static bool remember(uint64_t digest)
{
    if (seen_count * 2 >= seen_capacity) {
        uint64_t *old = seen;
        size_t old_capacity = seen_capacity;
        seen_capacity = old_capacity ? old_capacity * 2 : 1024;
        seen = calloc(seen_capacity, sizeof *seen);
        seen_count = 0;
        for (size_t i = 0; i < old_capacity; i++) {
            if (old[i])
                remember(old[i]);
        }
        free(old);
    }
    digest |= 1;
    size_t i = (digest >> 1) & (seen_capacity - 1);
    for (; seen[i]; i = (i + 1) & (seen_capacity - 1)) {
        if (seen[i] == digest)
            return false;
    }
    seen[i] = digest;
    seen_count++;
    return true;
}

static void mix(uint64_t *digest, uint64_t value)
{
    *digest = (*digest ^ value) * 0x9e3779b97f4a7c15;
    *digest ^= *digest >> 29;
}

static void mix_visit(uint64_t *digest, const struct visit *visit)
{
    const struct session *session = &visit->session;
    mix(digest, session->cursor);
    mix(digest, session->cold ? session->cold->told : 0);
    mix(digest, session->cold ? session->cold->all_told : 0);
    mix(digest, (uint64_t)session->state << 8 | (uint64_t)session->more << 4 |
                    (uint64_t)session->reading << 3 | !list_empty(&session->waiting));
    mix(digest, visit->start);
    mix(digest, visit->old_gaps);
    for (int p = NEWS; p < PLACES; p++)
        mix(digest, visit->had[p]);
    mix(digest, visit->given);
    mix(digest, visit->excused);
    mix(digest, visit->queued << 1 | visit->asked_to_close);
    for (size_t g = 0; g < visit->gap_count; g++) {
        mix(digest, visit->gaps[g].after);
        mix(digest, visit->gaps[g].resumes << 8 | (uint8_t)visit->gaps[g].channel);
    }
    for (const struct subscription *at = session->channels; at; at = at->next) {
        struct topic channel = connection_manager_channel(at);
        mix(digest, (uint64_t)place_of(&channel));
        mix(digest, at->from);
        mix(digest, at->told);
    }
}

static void mix_read(uint64_t *digest, const struct under_way *under_way)
{
    const struct read_call *read = under_way->read;
    mix(digest, (uint64_t)under_way->guest << 8 | (uint64_t)under_way->stage);
    mix(digest, read->after);
    mix(digest, read->head << 2 | (uint64_t)read->more << 1 | read->above_head);
    for (size_t i = 0; i < read->count; i++)
        mix(digest, read->messages[i]->id);
    for (size_t a = 0; a < read->topic_count; a++) {
        const struct read_topic *from = &read->topics[a];
        mix(digest, (uint64_t)place_of(&from->topic) << 1 | from->gap);
        mix(digest, from->from);
        mix(digest, from->told);
    }
}

static void mix_records(uint64_t *digest, const struct world *world, const struct list *records)
{
    mix(digest, 77);
    list_for_each(record, records, struct inbox_record, link) {
        uint64_t what = 0;
        if (record->kind == RECORD_MESSAGE)
            what = ((struct message_record *)record)->message->id;
        for (size_t r = 0; r < world->read_count && record->kind == RECORD_CALL; r++) {
            if (&world->reads[r].read->call.record == record)
                what = r + 1;
        }
        mix(digest, what);
    }
}

static const struct visit *waits_at(const struct world *world, const struct list *link)
{
    for (int g = 0; g < MAX_GUESTS; g++) {
        if (world->visits[g] && &world->visits[g]->session.waiting == link)
            return world->visits[g];
    }
    return NULL;
}

/* In which order they wait: around the ring from its head, the one link that is no visitor's. */
static void mix_waiting(uint64_t *digest, const struct world *world)
{
    const struct list *head = NULL;
    for (int g = 0; g < MAX_GUESTS && !head; g++) {
        if (!world->visits[g] || list_empty(&world->visits[g]->session.waiting))
            continue;
        head = &world->visits[g]->session.waiting;
        while (waits_at(world, head))
            head = head->next;
    }
    for (const struct list *at = head ? head->next : NULL; at != head; at = at->next)
        mix(digest, (uint64_t)waits_at(world, at)->guest + 1);
}

static uint64_t digest_of(const struct world *world)
{
    uint64_t digest = 1;
    mix(&digest, (uint64_t)world->numbered << 32 | world->dispatched);
    mix(&digest, world->pruned);
    mix(&digest,
        (uint64_t)world->prunes << 32 | (uint64_t)world->losses << 16 | (uint64_t)world->failures);
    mix(&digest, (uint64_t)world->changes);
    mix(&digest, (uint64_t)world->inbox.bytes << 1 | world->inbox.doubted);
    for (size_t i = 0; i < world->came_count; i++)
        mix(&digest, (uint64_t)world->order[i]);
    for (int g = 0; g < MAX_GUESTS; g++) {
        mix(&digest, (uint64_t)world->came[g] << 1 | (world->visits[g] != NULL));
        if (world->visits[g])
            mix_visit(&digest, world->visits[g]);
    }
    for (size_t r = 0; r < world->read_count; r++)
        mix_read(&digest, &world->reads[r]);
    mix_records(&digest, world, &world->inbox.records);
    mix_records(&digest, world, &world->batch);
    mix_waiting(&digest, world);
    return digest;
}

/* Goes on from this world in every way; ends it. Worlds cannot be copied, so all ways but the
 * first begin anew and walk the same path. */
static void explore(struct world *world)
{
    struct action actions[MAX_ACTIONS], path[64];
    size_t depth = world->step_count;
    size_t count = list_actions(world, actions);
    must(world, depth < COUNT_OF(path));
    must(world, count || is_settled(world));
    memcpy(path, world->steps, depth * sizeof *path);
    for (size_t a = 0; a < count; a++) {
        if (a > 0)
            world_begin(world, world->scenario);
        for (size_t i = 0; a > 0 && i < depth; i++)
            act(world, path[i]);
        act(world, actions[a]);
        check(world);
        if (remember(digest_of(world)))
            explore(world);
        else
            world_end(world);
    }
    if (!count)
        world_end(world);
}

static void explore_all_of(const struct scenario *scenario)
{
    static struct world world;
    world_begin(&world, scenario);
    explore(&world);
    if (getenv("PUSHWIRE_TEST_VERBOSE"))
        print_message("%s: %zu states\n", scenario->name, seen_count);
    free(seen);
    seen = NULL;
    seen_count = seen_capacity = 0;
}

#define TO(where)                                                                                  \
    {                                                                                              \
        (where), false, NOBODY                                                                     \
    }
#define FLEETING(where)                                                                            \
    {                                                                                              \
        (where), true, NOBODY                                                                      \
    }
#define NOT_TO(where, g)                                                                           \
    {                                                                                              \
        (where), false, (g)                                                                        \
    }

static const struct scenario small[] = {
    {.name = "two messages, a session from now on",
     .messages = {TO(ALICE), TO(EVERYONE)},
     .message_count = 2,
     .guests = {{ALICE, FROM_NOW, true}},
     .guest_count = 1,
     .page = 1,
     .queue_high = 2,
     .inbox_room = 9},
    {.name = "a session that reads all in pages of one",
     .messages = {TO(ALICE), TO(EVERYONE), TO(ALICE)},
     .message_count = 3,
     .guests = {{ALICE, FROM_ALL, true}},
     .guest_count = 1,
     .page = 1,
     .queue_high = 2,
     .inbox_room = 9},
    {.name = "the same from the floor, answered at once",
     .messages = {TO(ALICE), TO(EVERYONE), TO(ALICE)},
     .message_count = 3,
     .guests = {{ALICE, FROM_FLOOR, true}},
     .guest_count = 1,
     .page = 1,
     .queue_high = 2,
     .inbox_room = 9,
     .at_once = true},
    {.name = "a slow reader falls behind",
     .messages = {TO(ALICE), TO(ALICE), TO(ALICE), TO(ALICE), TO(ALICE)},
     .message_count = 5,
     .guests = {{ALICE, FROM_NOW, false}},
     .guest_count = 1,
     .page = 2,
     .queue_high = 2,
     .inbox_room = 9,
     .one_by_one = true},
    {.name = "a slow reader from the floor, the inbox overflows",
     .messages = {TO(ALICE), TO(ALICE), TO(ALICE), TO(ALICE)},
     .message_count = 4,
     .guests = {{ALICE, FROM_FLOOR, false}},
     .guest_count = 1,
     .page = 2,
     .queue_high = 2,
     .inbox_room = 1,
     .one_by_one = true},
    {.name = "the inbox overflows at one of two users",
     .messages = {TO(ALICE), TO(BOB), TO(ALICE)},
     .message_count = 3,
     .guests = {{ALICE, FROM_NOW, false}, {BOB, FROM_NOW, false}},
     .guest_count = 2,
     .page = 1,
     .queue_high = 2,
     .inbox_room = 1},
    {.name = "doubts while behind",
     .messages = {TO(ALICE), TO(EVERYONE), TO(ALICE)},
     .message_count = 3,
     .guests = {{ALICE, FROM_FLOOR, true}},
     .guest_count = 1,
     .page = 1,
     .queue_high = 2,
     .inbox_room = 9,
     .losses = 2},
    {.name = "pruning under a reader",
     .messages = {TO(ALICE), TO(EVERYONE), TO(ALICE)},
     .message_count = 3,
     .guests = {{ALICE, FROM_FLOOR, false}},
     .guest_count = 1,
     .page = 1,
     .queue_high = 2,
     .inbox_room = 9,
     .prunes = 2},
    {.name = "pruning under a reader of everything, with doubts",
     .messages = {TO(ALICE), TO(ALICE)},
     .message_count = 2,
     .guests = {{ALICE, FROM_ALL, false}},
     .guest_count = 1,
     .page = 1,
     .queue_high = 2,
     .inbox_room = 9,
     .prunes = 2,
     .losses = 2},
    {.name = "cursors of another life and of none",
     .messages = {TO(ALICE), TO(ALICE)},
     .message_count = 2,
     .guests = {{ALICE, FROM_OLD_LIFE, false}, {ALICE, FROM_FUTURE, false}},
     .guest_count = 2,
     .page = 1,
     .queue_high = 2,
     .inbox_room = 9},
    {.name = "a cursor that is just being given",
     .messages = {TO(ALICE), TO(ALICE), TO(ALICE)},
     .message_count = 3,
     .guests = {{ALICE, FROM_FIRST, true}},
     .guest_count = 1,
     .page = 1,
     .queue_high = 2,
     .inbox_room = 9,
     .prunes = 1},
    {.name = "messages that are not kept, and one that must pass by",
     .messages = {FLEETING(ALICE), NOT_TO(EVERYONE, 0), FLEETING(EVERYONE), TO(ALICE)},
     .message_count = 4,
     .guests = {{ALICE, FROM_FLOOR, false}},
     .guest_count = 1,
     .page = 1,
     .queue_high = 2,
     .inbox_room = 9,
     .losses = 1},
    {.name = "reads fail and sessions leave in mid-read",
     .messages = {TO(ALICE), TO(ALICE)},
     .message_count = 2,
     .guests = {{ALICE, FROM_ALL, true}, {ALICE, FROM_NOW, true}},
     .guest_count = 2,
     .page = 1,
     .queue_high = 2,
     .inbox_room = 1,
     .failures = 1},
    {.name = "channels of a reader of everything",
     .messages = {TO(NEWS), TO(ALICE), TO(SPORT), TO(EVERYONE)},
     .message_count = 4,
     .guests = {{ALICE, FROM_ALL, true, .channels = 1}},
     .guest_count = 1,
     .page = 1,
     .queue_high = 2,
     .inbox_room = 9},
    {.name = "a live session comes to a channel and leaves it",
     .messages = {TO(NEWS), TO(ALICE), TO(NEWS)},
     .message_count = 3,
     .guests = {{ALICE, FROM_NOW, false, .changes = 1}},
     .guest_count = 1,
     .page = 1,
     .queue_high = 2,
     .inbox_room = 9,
     .changes = 2,
     .losses = 1},
    {.name = "a session behind comes to a channel",
     .messages = {TO(NEWS), TO(ALICE), TO(NEWS)},
     .message_count = 3,
     .guests = {{ALICE, FROM_FLOOR, false, .changes = 1}},
     .guest_count = 1,
     .page = 2,
     .queue_high = 2,
     .inbox_room = 9,
     .changes = 1},
    {.name = "a session behind leaves a channel and comes again",
     .messages = {TO(NEWS), TO(NEWS)},
     .message_count = 2,
     .guests = {{ALICE, FROM_ALL, false, .channels = 1, .changes = 1}},
     .guest_count = 1,
     .page = 1,
     .queue_high = 2,
     .inbox_room = 9,
     .changes = 2},
    {.name = "pruning in a channel that is left, or not",
     .messages = {TO(NEWS), TO(ALICE)},
     .message_count = 2,
     .guests = {{ALICE, FROM_FLOOR, false, .channels = 1, .changes = 1}},
     .guest_count = 1,
     .page = 1,
     .queue_high = 2,
     .inbox_room = 9,
     .prunes = 2,
     .changes = 1},
    {.name = "one comes to a channel where another is",
     .messages = {TO(NEWS), TO(NEWS)},
     .message_count = 2,
     .guests = {{ALICE, FROM_NOW, false, .changes = 1}, {BOB, FROM_NOW, false, .channels = 1}},
     .guest_count = 2,
     .page = 1,
     .queue_high = 2,
     .inbox_room = 1,
     .changes = 1},
};

static void every_interleaving_keeps_the_promises(void **state)
{
    (void)state;

    for (size_t i = 0; i < COUNT_OF(small); i++)
        explore_all_of(&small[i]);
}

/* ---- random walks ---- */

static int below(uint64_t *seed, int n)
{
    return (int)(next_random(seed) % (uint32_t)n);
}

static void invent(struct scenario *scenario, uint64_t *seed)
{
    int crowd = below(seed, 8) ? 3 : MAX_GUESTS; /* now and then more than reads may be in flight */
    *scenario = (struct scenario){
        .name = "a random walk",
        .message_count = (size_t)below(seed, below(seed, 2) ? 8 : MAX_MESSAGES),
        .guest_count = 1 + (size_t)below(seed, crowd),
        .page = 1 + (size_t)below(seed, 4),
        .queue_high = 2 + (size_t)below(seed, 4),
        .inbox_room = below(seed, 2) ? MAX_MESSAGES : 1 + (size_t)below(seed, 4),
        .prunes = below(seed, 2) ? 0 : below(seed, 8),
        .changes = below(seed, 2) ? 0 : below(seed, 8),
        .losses = below(seed, 2) ? 0 : below(seed, 6),
        .failures = below(seed, 4) ? 0 : 1,
        .at_once = below(seed, 4) == 0,
        .one_by_one = below(seed, 2) == 0,
    };
    for (size_t i = 0; i < scenario->message_count; i++) {
        int except = below(seed, 4) ? NOBODY : below(seed, (int)scenario->guest_count);
        scenario->messages[i] = (struct plan){below(seed, PLACES), below(seed, 5) == 0, except};
    }
    for (size_t g = 0; g < scenario->guest_count; g++)
        scenario->guests[g] = (struct guest){
            below(seed, 2), (enum start)below(seed, FROM_FUTURE + 1), below(seed, 3) == 0,
            (unsigned)below(seed, 1 << CHANNELS), (unsigned)below(seed, 1 << CHANNELS)};
}

/* Each walk likes some kinds of action more than others, so that all corners are visited. */
static struct action choose(const struct action *actions, size_t count, const uint32_t *likes,
                            uint64_t *seed)
{
    uint32_t sum = 0;
    for (size_t a = 0; a < count; a++)
        sum += likes[actions[a].kind];
    uint32_t at = next_random(seed) % sum;
    for (size_t a = 0;; a++) {
        if (at < likes[actions[a].kind])
            return actions[a];
        at -= likes[actions[a].kind];
    }
}

static void walk(uint64_t seed)
{
    static struct world world;
    struct scenario scenario;
    struct action actions[MAX_ACTIONS];
    uint32_t likes[CHANGE + 1];
    invent(&scenario, &seed);
    for (size_t k = 0; k < COUNT_OF(likes); k++)
        likes[k] = 1u << below(&seed, 6);
    likes[CLOSE] = 1;
    world_begin(&world, &scenario);
    for (size_t count; (count = list_actions(&world, actions));) {
        act(&world, choose(actions, count, likes, &seed));
        check(&world);
    }
    must(&world, is_settled(&world));
    world_end(&world);
}

static void random_walks_keep_the_promises(void **state)
{
    const char *wanted = getenv("PUSHWIRE_TEST_WALKS");
    uint64_t walks = wanted ? strtoull(wanted, NULL, 10) : 200000;
    (void)state;

    for (uint64_t seed = 1; seed <= walks; seed++)
        walk(seed * 0x9e3779b97f4a7c15u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_interleaving_keeps_the_promises),
        cmocka_unit_test(random_walks_keep_the_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
