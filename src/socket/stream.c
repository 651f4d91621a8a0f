#include "socket/stream.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/need.h"
#include "engine/reactor.h"
#include "model/message.h"

#define READ_SIZE  65536 /* one read a wake-up: a fast sender cannot hold the loop */
#define MAX_EVENTS 256
#define MAX_PIECES 64
#define PIECE_COST 64 /* of a queued frame besides its bytes: two small allocations */

struct queued {
    struct queued *next;
    struct chunk *frame; /* one reference */
};

struct streams {
    struct reactor *reactor;
    int epoll;
    int64_t stall_seconds;
    uv_poll_t poll;
    struct reactor_hook turn;
    struct reactor_hook second;
    struct list dirty;   /* have output and a willing socket */
    struct list blocked; /* have output and wait for the socket */
    struct list dead;    /* closed in this turn */
    char buffer[READ_SIZE];
};

static void watch(struct stream *stream)
{
    struct epoll_event event = {.data.ptr = stream};
    event.events = (stream->paused ? 0 : EPOLLIN) | (stream->blocked ? EPOLLOUT : 0);
    /* Changing a registration can fail only for descriptors that are not there. */
    epoll_ctl(stream->streams->epoll, EPOLL_CTL_MOD, stream->fd, &event);
}

/* Neither a socket nor one to come. */
static bool is_closed(const struct stream *stream)
{
    return stream->fd < 0 && !stream->held;
}

static void make_dirty(struct stream *stream)
{
    if (!stream->held && !stream->blocked && list_empty(&stream->link))
        list_append(&stream->streams->dirty, &stream->link);
}

void stream_hold(struct stream *stream, struct streams *streams, const struct stream_ops *ops)
{
    *stream = (struct stream){.ops = ops, .streams = streams, .fd = -1, .held = true};
    list_init(&stream->link);
}

bool stream_attach(struct stream *stream, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = stream};
    int one = 1;
    /* libmicrohttpd switches Nagle's algorithm back on when it hands a socket over. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (epoll_ctl(stream->streams->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        return false;
    stream->fd = fd;
    stream->held = false;
    if (stream->head || stream->failure)
        make_dirty(stream);
    return true;
}

bool stream_open(struct stream *stream, struct streams *streams, const struct stream_ops *ops,
                 int fd)
{
    stream_hold(stream, streams, ops);
    return stream_attach(stream, fd);
}

/* ---- out ---- */

bool stream_send(struct stream *stream, struct chunk *frame)
{
    struct queued *queued = is_closed(stream) ? NULL : malloc(sizeof *queued);
    if (!queued)
        return false;
    queued->next = NULL;
    queued->frame = frame_ref(frame);
    if (stream->tail)
        stream->tail->next = queued;
    else
        stream->head = queued;
    stream->tail = queued;
    stream->queued += frame->size + PIECE_COST;
    make_dirty(stream);
    return true;
}

static void pop(struct stream *stream)
{
    struct queued *queued = stream->head;
    stream->head = queued->next;
    if (!stream->head)
        stream->tail = NULL;
    stream->head_offset = 0;
    stream->queued -= PIECE_COST;
    frame_unref(queued->frame);
    free(queued);
}

static void consume(struct stream *stream, size_t written)
{
    stream->queued -= (uint32_t)written;
    while (written) {
        size_t left = stream->head->frame->size - stream->head_offset;
        if (written < left) {
            stream->head_offset += (uint32_t)written;
            return;
        }
        written -= left;
        pop(stream);
    }
}

static ssize_t write_some(struct stream *stream)
{
    const struct chunk *first = stream->head->frame;
    if (!stream->head->next)
        return send(stream->fd, first->bytes + stream->head_offset,
                    first->size - stream->head_offset, MSG_NOSIGNAL | MSG_DONTWAIT);
    struct iovec pieces[MAX_PIECES];
    struct msghdr message = {.msg_iov = pieces};
    uint32_t offset = stream->head_offset;
    for (struct queued *at = stream->head; at && message.msg_iovlen < MAX_PIECES; at = at->next) {
        pieces[message.msg_iovlen++] =
            (struct iovec){at->frame->bytes + offset, at->frame->size - offset};
        offset = 0;
    }
    return sendmsg(stream->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void end(struct stream *stream, enum err reason)
{
    if (stream->fd < 0 || (stream->ended && reason != ERR_CONNECTION_LOST))
        return;
    stream->ended = true;
    stream->ops->on_end(stream, reason);
}

static void block(struct stream *stream)
{
    if (stream->blocked)
        return;
    stream->blocked = true;
    stream->still_seconds = 0;
    stream->unacked = 0;
    list_append(&stream->streams->blocked, &stream->link);
    watch(stream);
}

static void unblock(struct stream *stream)
{
    if (!stream->blocked)
        return;
    stream->blocked = false;
    list_remove(&stream->link);
    watch(stream);
}

enum err stream_take_failure(struct stream *stream)
{
    enum err failure = (enum err)stream->failure;
    stream->failure = 0;
    return failure;
}

/* Writes what the socket takes. The stream is on no list but perhaps the blocked one. */
static void flush(struct stream *stream)
{
    bool drained = false;
    enum err failure = stream_take_failure(stream);
    if (failure) {
        if (stream->blocked) { /* it left that list; the next write finds out anew */
            stream->blocked = false;
            watch(stream);
        }
        end(stream, failure);
        return;
    }
    while (stream->head) {
        ssize_t written = write_some(stream);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno != EAGAIN && errno != ENOBUFS) {
            end(stream, ERR_CONNECTION_LOST);
            return;
        }
        if (written < 0) {
            block(stream);
            break;
        }
        consume(stream, (size_t)written);
        stream->still_seconds = 0;
        drained = true;
    }
    if (!stream->head)
        unblock(stream);
    if (drained)
        stream->ops->on_drained(stream);
}

void stream_fail(struct stream *stream, enum err reason)
{
    if (is_closed(stream) || stream->failure)
        return;
    stream->failure = (uint8_t)reason;
    if (stream->held)
        return;
    list_remove(&stream->link);
    list_append(&stream->streams->dirty, &stream->link);
}

void stream_drop_queue(struct stream *stream)
{
    while (stream->head && !(stream->head_offset && !stream->head->next)) {
        struct queued *begun = stream->head_offset ? stream->head : NULL;
        struct queued *dropped = begun ? begun->next : stream->head;
        if (begun)
            begun->next = dropped->next;
        else
            stream->head = dropped->next;
        if (stream->tail == dropped)
            stream->tail = begun;
        stream->queued -= dropped->frame->size + PIECE_COST;
        frame_unref(dropped->frame);
        free(dropped);
    }
}

/* ---- in ---- */

static void read_some(struct stream *stream)
{
    char *buffer = stream->streams->buffer;
    ssize_t size = recv(stream->fd, buffer, READ_SIZE, MSG_DONTWAIT);
    if (size > 0)
        stream->ops->on_data(stream, buffer, (size_t)size);
    else if (size == 0 || (errno != EAGAIN && errno != EINTR))
        end(stream, ERR_CONNECTION_LOST);
}

static void on_event(struct stream *stream, uint32_t events)
{
    /* A stream closed earlier in this batch stays in memory until the turn's end. */
    if (stream->fd >= 0 && (events & EPOLLOUT) && stream->blocked)
        flush(stream);
    if (stream->fd >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        read_some(stream);
}

static void on_poll(uv_poll_t *poll, int status, int uv_events)
{
    (void)status;
    (void)uv_events;
    struct streams *streams = poll->data;
    struct epoll_event events[MAX_EVENTS];
    /* What does not fit comes at the next turn: the set is polled level-triggered. */
    int count = epoll_wait(streams->epoll, events, MAX_EVENTS, 0);
    for (int i = 0; i < count; i++)
        on_event(events[i].data.ptr, events[i].events);
}

bool stream_is_left(const struct stream *stream)
{
    char byte;
    ssize_t size = recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR);
}

void stream_look(struct stream *stream)
{
    if (stream->fd >= 0 && !stream->paused)
        read_some(stream);
}

void stream_pause(struct stream *stream)
{
    if (stream->paused || stream->fd < 0)
        return;
    stream->paused = true;
    watch(stream);
}

void stream_resume(struct stream *stream)
{
    if (!stream->paused || stream->fd < 0)
        return;
    stream->paused = false;
    watch(stream);
}

void stream_shutdown(struct stream *stream)
{
    if (stream->fd >= 0)
        shutdown(stream->fd, SHUT_WR);
}

void stream_close(struct stream *stream)
{
    if (is_closed(stream))
        return;
    /* Closing alone does not take it out of the epoll set while another thread has the socket open,
     * as libmicrohttpd may have at the worker that it came from. */
    if (stream->fd >= 0) {
        epoll_ctl(stream->streams->epoll, EPOLL_CTL_DEL, stream->fd, NULL);
        close(stream->fd);
    }
    stream->fd = -1;
    stream->held = false;
    while (stream->head)
        pop(stream);
    stream->queued = 0;
    list_remove(&stream->link);
    list_append(&stream->streams->dead, &stream->link);
    reactor_again(stream->streams->reactor);
}

void stream_peer(const struct stream *stream, char ret_peer[static STREAM_PEER_SIZE])
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } peer;
    socklen_t size = sizeof peer;
    char text[INET6_ADDRSTRLEN] = "?";
    snprintf(ret_peer, STREAM_PEER_SIZE, "?");
    if (stream->fd < 0 || getpeername(stream->fd, &peer.any, &size) != 0)
        return;
    if (peer.any.sa_family == AF_UNIX) {
        snprintf(ret_peer, STREAM_PEER_SIZE, "unix");
    } else if (peer.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &peer.v6.sin6_addr, text, sizeof text);
        snprintf(ret_peer, STREAM_PEER_SIZE, "[%s]:%u", text, ntohs(peer.v6.sin6_port));
    } else {
        inet_ntop(AF_INET, &peer.v4.sin_addr, text, sizeof text);
        snprintf(ret_peer, STREAM_PEER_SIZE, "%s:%u", text, ntohs(peer.v4.sin_port));
    }
}

/* ---- the set ---- */

static void end_turn(struct reactor_hook *hook)
{
    struct streams *streams = list_entry(hook, struct streams, turn);
    for (struct stream *stream; (stream = list_first(&streams->dirty, struct stream, link));) {
        list_remove(&stream->link);
        flush(stream);
    }
    for (struct stream *stream; (stream = list_first(&streams->dead, struct stream, link));) {
        list_remove(&stream->link);
        stream->ops->free(stream);
    }
}

/* Has the peer taken anything since the last look? The socket asks for more only when a third of a
 * buffer of megabytes is free, so a slow reader shows in what the kernel still holds. */
static bool made_progress(struct stream *stream)
{
    int unacked;
    if (ioctl(stream->fd, SIOCOUTQ, &unacked) != 0)
        return false;
    bool progress = (uint32_t)unacked < stream->unacked;
    stream->unacked = (uint32_t)unacked;
    return progress;
}

static void on_second(struct reactor_hook *hook)
{
    struct streams *streams = list_entry(hook, struct streams, second);
    struct list visited; /* on_end may close the stream, and others may come to block meanwhile */
    list_init(&visited);
    list_splice(&visited, &streams->blocked);
    for (struct stream *stream; (stream = list_first(&visited, struct stream, link));) {
        list_remove(&stream->link);
        list_append(&streams->blocked, &stream->link);
        if (made_progress(stream))
            stream->still_seconds = 1; /* it may be nearly a second ago */
        else if (stream->still_seconds++ >= streams->stall_seconds)
            end(stream, ERR_STALLED);
    }
}

struct streams *streams_create(struct reactor *reactor, const struct streams_limits *limits)
{
    struct streams *streams = mem_alloc(sizeof *streams);
    streams->reactor = reactor;
    streams->stall_seconds = (limits->stall_ms + 999) / 1000;
    streams->epoll = epoll_create1(EPOLL_CLOEXEC);
    need(streams->epoll >= 0 ? 0 : errno, "a worker's epoll set");
    list_init(&streams->dirty);
    list_init(&streams->blocked);
    list_init(&streams->dead);
    uv_poll_init(&reactor->loop, &streams->poll, streams->epoll);
    streams->poll.data = streams;
    uv_poll_start(&streams->poll, UV_READABLE, on_poll);
    streams->turn.run = end_turn;
    reactor_on_turn(reactor, TURN_WRITE, &streams->turn);
    streams->second.run = on_second;
    reactor_on_second(reactor, &streams->second);
    return streams;
}

void streams_stop(struct streams *streams)
{
    uv_poll_stop(&streams->poll);
    uv_close((uv_handle_t *)&streams->poll, NULL);
}

void streams_destroy(struct streams *streams)
{
    if (!streams)
        return;
    assert(list_empty(&streams->dirty) && list_empty(&streams->blocked) &&
           list_empty(&streams->dead));
    close(streams->epoll);
    free(streams);
}
