// Connect, one message there and back, close; so many at a time, each replaced by the next as soon as it is done.
//
// One in four is closed with FIN, the others with RST. FIN leaves an address pair behind for a minute, and the kernel
// keeps 131,072 of them at most: a run that closed all of its connections so would measure that limit after a while.

#define _GNU_SOURCE

#include "internal.h"

#include "CMeasure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_PER_WAIT = 256, GRACEFUL_EVERY = 4 };

struct slot {
    int descriptor;
    uint32_t number;
    size_t received;
    int64_t started;
};

struct load {
    const struct load_options *options;
    int epoll;
    int64_t supply;  // connections not begun yet
    int64_t open;
    uint32_t begun;
    struct histogram histogram;
};

static char incoming[LOAD_CHUNK];

/// Connects and sends the message: on loopback neither waits, as long as the server's backlog is longer than our list.
static int begin(struct load *load, struct slot *slot) {
    const struct load_options *options = load->options;
    slot->number = load->begun++;
    slot->received = 0;
    slot->started = measure_now();
    slot->descriptor = connect_to(options, 1 + slot->number % 1024);
    if (slot->descriptor < 0) return -1;
    if (slot->number % GRACEFUL_EVERY != 0) {
        struct linger reset = {.l_onoff = 1, .l_linger = 0};
        setsockopt(slot->descriptor, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    ssize_t sent = write(slot->descriptor, pattern_at(slot->number, 0), (size_t)options->message_size);
    if (sent != options->message_size) return load_fail("write: %s", sent < 0 ? strerror(errno) : "not all at once");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = slot};
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, slot->descriptor, &event) < 0) {
        return load_fail("epoll_ctl: %s", strerror(errno));
    }
    load->supply--;
    load->open++;
    return 0;
}

static int receive(struct load *load, struct slot *slot) {
    size_t missing = (size_t)load->options->message_size - slot->received;
    ssize_t got = read(slot->descriptor, incoming, missing);
    if (got < 0) return load_fail("read: %s", strerror(errno));
    if (got == 0) return load_fail("connection %u: the server closed it", slot->number);
    if (verify(slot->number, slot->received, incoming, (size_t)got) < 0) return -1;
    slot->received += (size_t)got;
    if ((size_t)got < missing) return 0;
    histogram_add(&load->histogram, measure_now() - slot->started);
    close(slot->descriptor);
    load->open--;
    return load->supply > 0 ? begin(load, slot) : 0;
}

/// Makes so many connections, and returns when the last one is closed.
static int churn(struct load *load, struct slot *slots, int64_t connections) {
    static struct epoll_event events[EVENTS_PER_WAIT];
    int64_t started = measure_now();
    load->supply = connections;
    for (int i = 0; i < load->options->connections && load->supply > 0; i++) {
        if (begin(load, &slots[i]) < 0) return -1;
    }
    while (load->open > 0) {
        int count = epoll_wait(load->epoll, events, EVENTS_PER_WAIT, 100);
        if (count < 0 && errno != EINTR) return load_fail("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < count; i++) {
            if (receive(load, events[i].data.ptr) < 0) return -1;
        }
        if (out_of_time(load->options, started)) {
            return load_fail("out of time with %lld connections open", (long long)load->open);
        }
    }
    return 0;
}

int run_churn(const struct load_options *options, struct load_report *report) {
    static struct load load;
    struct snapshot before;
    struct slot *slots = calloc((size_t)options->connections, sizeof *slots);
    load.options = options;
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!slots || load.epoll < 0) return load_fail("starting: %s", strerror(errno));
    if (churn(&load, slots, options->warm_up) < 0) return -1;
    histogram_clear(&load.histogram);
    if (take_snapshot(options, &before) < 0 || churn(&load, slots, options->messages) < 0) return -1;
    if (report_since(&before, options, report) < 0) return -1;
    report->messages = options->messages;
    report->p50_ns = histogram_at(&load.histogram, 0.5);
    report->p99_ns = histogram_at(&load.histogram, 0.99);
    free(slots);
    return 0;
}
