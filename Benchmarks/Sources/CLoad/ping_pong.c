// Every connection keeps a fixed number of messages in flight, and sends as many new ones as came back complete, in one
// `write`. The messages to be sent are one common supply, so that no connection finishes long before the others. When
// it is used up, the answers that are still missing are waited for: the server is asleep when its time is read.

#define _GNU_SOURCE

#include "internal.h"

#include "CMeasure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS_PER_WAIT = 1024 };

struct connection {
    int descriptor;
    uint32_t number;
    uint64_t sent;      // bytes that the kernel has taken
    uint64_t to_send;   // bytes of the messages begun
    uint64_t received;  // bytes that came back
    int64_t *sent_at;   // a ring with a place for every message in flight
};

struct load {
    const struct load_options *options;
    struct connection *connections;
    int epoll;
    int64_t supply;  // messages not begun yet
    int64_t open;    // messages begun and not back yet
    struct histogram histogram;
};

static char incoming[LOAD_CHUNK];

static int watch(struct load *load, struct connection *connection, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(load->epoll, operation, connection->descriptor, &event) == 0) return 0;
    return load_fail("epoll_ctl: %s", strerror(errno));
}

/// Gives the kernel what has been begun. What it does not take waits for room.
static int flush(struct load *load, struct connection *connection) {
    size_t length = (size_t)(connection->to_send - connection->sent);
    const char *bytes = pattern_at(connection->number, connection->sent);
    ssize_t taken = write(connection->descriptor, bytes, length);
    if (taken == (ssize_t)length) {
        connection->sent += length;
        return 0;
    }
    if (taken < 0 && errno != EAGAIN && errno != EINTR) return load_fail("write: %s", strerror(errno));
    if (taken > 0) connection->sent += (uint64_t)taken;
    return watch(load, connection, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
}

static int send_messages(struct load *load, struct connection *connection, int64_t count, int64_t now) {
    const struct load_options *options = load->options;
    if (count > load->supply) count = load->supply;
    if (count == 0) return 0;
    uint64_t first = connection->to_send / (uint64_t)options->message_size;
    for (int64_t i = 0; i < count; i++) {
        connection->sent_at[(first + (uint64_t)i) % (uint64_t)options->in_flight] = now;
    }
    bool behind = connection->to_send > connection->sent;
    connection->to_send += (uint64_t)(count * options->message_size);
    load->supply -= count;
    load->open += count;
    return behind ? 0 : flush(load, connection);
}

static int receive(struct load *load, struct connection *connection) {
    const struct load_options *options = load->options;
    ssize_t got = read(connection->descriptor, incoming, sizeof incoming);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (got < 0) return load_fail("read: %s", strerror(errno));
    if (got == 0) return load_fail("connection %u: the server closed it", connection->number);
    if (connection->received + (uint64_t)got > connection->sent) {
        return load_fail("connection %u: more came back than was sent", connection->number);
    }
    if (verify(connection->number, connection->received, incoming, (size_t)got) < 0) return -1;
    int64_t now = measure_now();
    uint64_t size = (uint64_t)options->message_size, before = connection->received / size;
    connection->received += (uint64_t)got;
    uint64_t after = connection->received / size;
    for (uint64_t message = before; message < after; message++) {
        histogram_add(&load->histogram, now - connection->sent_at[message % (uint64_t)options->in_flight]);
    }
    load->open -= (int64_t)(after - before);
    return send_messages(load, connection, (int64_t)(after - before), now);
}

static int handle(struct load *load, struct epoll_event *event) {
    struct connection *connection = event->data.ptr;
    if (event->events & EPOLLOUT) {
        if (flush(load, connection) < 0) return -1;
        if (connection->sent == connection->to_send && watch(load, connection, EPOLLIN, EPOLL_CTL_MOD) < 0) return -1;
    }
    return event->events & ~(uint32_t)EPOLLOUT ? receive(load, connection) : 0;
}

/// Exchanges so many messages, and returns when the last one is back.
static int exchange(struct load *load, int64_t messages) {
    static struct epoll_event events[EVENTS_PER_WAIT];
    const struct load_options *options = load->options;
    int64_t started = measure_now();
    load->supply = messages;
    for (int i = 0; i < options->connections; i++) {
        if (send_messages(load, &load->connections[i], options->in_flight, measure_now()) < 0) return -1;
    }
    while (load->open > 0) {
        int count = epoll_wait(load->epoll, events, EVENTS_PER_WAIT, 100);
        if (count < 0 && errno != EINTR) return load_fail("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < count; i++) {
            if (handle(load, &events[i]) < 0) return -1;
        }
        if (out_of_time(options, started)) {
            return load_fail("out of time with %lld messages on the way", (long long)load->open);
        }
    }
    return 0;
}

static int open_connections(struct load *load) {
    const struct load_options *options = load->options;
    for (int i = 0; i < options->connections; i++) {
        struct connection *connection = &load->connections[i];
        connection->number = (uint32_t)i;
        connection->sent_at = calloc((size_t)options->in_flight, sizeof *connection->sent_at);
        connection->descriptor = connect_to(options, 0);
        if (connection->descriptor < 0) return -1;
        if (!connection->sent_at) return load_fail("out of memory");
        if (fcntl(connection->descriptor, F_SETFL, O_NONBLOCK) < 0) return load_fail("fcntl: %s", strerror(errno));
        if (watch(load, connection, EPOLLIN, EPOLL_CTL_ADD) < 0) return -1;
    }
    return 0;
}

int run_ping_pong(const struct load_options *options, struct load_report *report) {
    static struct load load;
    struct snapshot before;
    load.options = options;
    load.connections = calloc((size_t)options->connections, sizeof *load.connections);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!load.connections || load.epoll < 0) return load_fail("starting: %s", strerror(errno));
    if (open_connections(&load) < 0 || exchange(&load, options->warm_up) < 0) return -1;
    histogram_clear(&load.histogram);
    if (take_snapshot(options, &before) < 0 || exchange(&load, options->messages) < 0) return -1;
    if (report_since(&before, options, report) < 0) return -1;
    report->messages = options->messages;
    report->p50_ns = histogram_at(&load.histogram, 0.5);
    report->p99_ns = histogram_at(&load.histogram, 0.99);
    return 0;
}
