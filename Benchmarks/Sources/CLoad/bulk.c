// Both directions of a few connections, as full as a window allows: what came back is compared and at once followed by
// as many new bytes, whatever the sizes of the pieces. A message is no more than a unit to count in here.
//
// Without the window the kernel would let each socket grow to tens of megabytes, and the figures would be those of the
// machine's memory: half the throughput, and three times the spread.

#define _GNU_SOURCE

#include "internal.h"

#include "CMeasure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/// As much as the servers read at once: more would only make the client's own copies leave the cache.
enum { PIECE = 64 * 1024, EVENTS_PER_WAIT = 64 };

struct stream {
    int descriptor;
    uint32_t number;
    uint64_t sent;
    uint64_t received;
    uint64_t goal;
    bool waits_for_room;
};

struct load {
    const struct load_options *options;
    struct stream *streams;
    int epoll;
    int unfinished;
};

static char incoming[PIECE];

static int watch(struct load *load, struct stream *stream, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.ptr = stream};
    if (epoll_ctl(load->epoll, operation, stream->descriptor, &event) == 0) return 0;
    return load_fail("epoll_ctl: %s", strerror(errno));
}

/// Sends what the window still has room for. When the kernel has none, it tells when it has.
static int fill(struct load *load, struct stream *stream) {
    uint64_t window = (uint64_t)load->options->message_size * (uint64_t)load->options->in_flight;
    uint64_t end = stream->received + window < stream->goal ? stream->received + window : stream->goal;
    bool refused = false;
    while (stream->sent < end && !refused) {
        size_t length = end - stream->sent < PIECE ? (size_t)(end - stream->sent) : PIECE;
        ssize_t taken = write(stream->descriptor, pattern_at(stream->number, stream->sent), length);
        if (taken < 0 && errno == EINTR) continue;
        if (taken < 0 && errno != EAGAIN) return load_fail("write: %s", strerror(errno));
        if (taken > 0) stream->sent += (uint64_t)taken;
        refused = taken < (ssize_t)length;
    }
    if (refused == stream->waits_for_room) return 0;
    stream->waits_for_room = refused;
    return watch(load, stream, refused ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
}

static int receive(struct load *load, struct stream *stream) {
    ssize_t got = read(stream->descriptor, incoming, sizeof incoming);
    if (got < 0) return errno == EAGAIN || errno == EINTR ? 0 : load_fail("read: %s", strerror(errno));
    if (got == 0) return load_fail("connection %u: the server closed it", stream->number);
    if (stream->received + (uint64_t)got > stream->sent) {
        return load_fail("connection %u: more came back than was sent", stream->number);
    }
    if (verify(stream->number, stream->received, incoming, (size_t)got) < 0) return -1;
    stream->received += (uint64_t)got;
    if (stream->received == stream->goal) load->unfinished--;
    return stream->waits_for_room ? 0 : fill(load, stream);
}

/// Sends so many bytes over each connection, and returns when all are back.
static int exchange(struct load *load, uint64_t bytes_each) {
    struct epoll_event events[EVENTS_PER_WAIT];
    const struct load_options *options = load->options;
    int64_t started = measure_now();
    load->unfinished = bytes_each > 0 ? options->connections : 0;
    for (int i = 0; i < load->unfinished; i++) {
        load->streams[i].goal += bytes_each;
        if (fill(load, &load->streams[i]) < 0) return -1;
    }
    while (load->unfinished > 0) {
        int count = epoll_wait(load->epoll, events, EVENTS_PER_WAIT, 100);
        if (count < 0 && errno != EINTR) return load_fail("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < count; i++) {
            struct stream *stream = events[i].data.ptr;
            if ((events[i].events & EPOLLOUT) && fill(load, stream) < 0) return -1;
            if ((events[i].events & ~(uint32_t)EPOLLOUT) && receive(load, stream) < 0) return -1;
        }
        if (out_of_time(options, started)) return load_fail("out of time with %d streams unfinished", load->unfinished);
    }
    return 0;
}

static int open_streams(struct load *load) {
    for (int i = 0; i < load->options->connections; i++) {
        struct stream *stream = &load->streams[i];
        stream->number = (uint32_t)i;
        stream->descriptor = connect_to(load->options, 0);
        if (stream->descriptor < 0) return -1;
        if (fcntl(stream->descriptor, F_SETFL, O_NONBLOCK) < 0) return load_fail("fcntl: %s", strerror(errno));
        if (watch(load, stream, EPOLLIN, EPOLL_CTL_ADD) < 0) return -1;
    }
    return 0;
}

int run_bulk(const struct load_options *options, struct load_report *report) {
    static struct load load;
    struct snapshot before;
    uint64_t size = (uint64_t)options->message_size, streams = (uint64_t)options->connections;
    uint64_t each = (uint64_t)options->messages / streams;
    if (each == 0) return load_fail("fewer messages than connections");
    load.options = options;
    load.streams = calloc((size_t)streams, sizeof *load.streams);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!load.streams || load.epoll < 0) return load_fail("starting: %s", strerror(errno));
    if (open_streams(&load) < 0 || exchange(&load, (uint64_t)options->warm_up / streams * size) < 0) return -1;
    if (take_snapshot(options, &before) < 0 || exchange(&load, each * size) < 0) return -1;
    if (report_since(&before, options, report) < 0) return -1;
    report->messages = (int64_t)(each * streams);
    return 0;
}
