// Connections that exchange one message and then stay open, while the server's memory is read before and after.
//
// A first, smaller wave is opened and closed again before that, so that what a server sets up once is not counted as
// the price of a connection.

#define _GNU_SOURCE

#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static char incoming[LOAD_CHUNK];

/// One message there and back, waiting for it.
static int exchange_one(const struct load_options *options, int descriptor, uint32_t number) {
    size_t size = (size_t)options->message_size, received = 0;
    ssize_t sent = write(descriptor, pattern_at(number, 0), size);
    if (sent != (ssize_t)size) return load_fail("write: %s", sent < 0 ? strerror(errno) : "not all at once");
    while (received < size) {
        ssize_t got = read(descriptor, incoming, size - received);
        if (got < 0) return load_fail("connection %u: read: %s", number, strerror(errno));
        if (got == 0) return load_fail("connection %u: the server closed it", number);
        if (verify(number, received, incoming, (size_t)got) < 0) return -1;
        received += (size_t)got;
    }
    return 0;
}

/// Opens connections one after the other, so many as there is room for in `descriptors`.
static int open_wave(const struct load_options *options, int *descriptors, int64_t count) {
    struct timeval limit = {.tv_sec = options->limit_milliseconds / 1000, .tv_usec = 1};
    for (int64_t i = 0; i < count; i++) {
        descriptors[i] = connect_to(options, 1 + (uint32_t)i % 1024);
        if (descriptors[i] < 0) return -1;
        setsockopt(descriptors[i], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        if (exchange_one(options, descriptors[i], (uint32_t)i) < 0) return -1;
    }
    return 0;
}

static void close_wave(const int *descriptors, int64_t count) {
    for (int64_t i = 0; i < count; i++) close(descriptors[i]);
}

int run_idle(const struct load_options *options, struct load_report *report) {
    struct snapshot before;
    int64_t room = options->warm_up > options->connections ? options->warm_up : options->connections;
    int *descriptors = calloc((size_t)room, sizeof *descriptors);
    if (!descriptors) return load_fail("out of memory");
    if (open_wave(options, descriptors, options->warm_up) < 0) return -1;
    close_wave(descriptors, options->warm_up);
    if (take_snapshot(options, &before) < 0) return -1;
    if (open_wave(options, descriptors, options->connections) < 0) return -1;
    if (report_since(&before, options, report) < 0) return -1;
    report->messages = options->connections;
    close_wave(descriptors, options->connections);
    free(descriptors);
    return 0;
}
