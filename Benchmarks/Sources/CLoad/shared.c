// The parts of the load generator that its modes have in common.
//
// The pattern repeats after a prime number of bytes, and each connection starts elsewhere in it: a byte that is lost,
// doubled, or delivered to the wrong connection puts all that follows out of step, whatever the sizes of the buffers.

#define _GNU_SOURCE

#include "internal.h"

#include "CMeasure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

//
// With lines every message is one: the pattern then repeats after a whole number of messages, the last byte of each is a
// line feed, and no other is.
enum { PATTERN_PERIOD = 65521, SOURCE_ADDRESSES = 64, SPARE_DESCRIPTORS = 64 };

static char failure[256];
static char pattern[PATTERN_PERIOD + LOAD_CHUNK];
static size_t period, stride;

int load_fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(failure, sizeof failure, format, arguments);
    va_end(arguments);
    return -1;
}

const char *load_failure(void) {
    return failure;
}

void pattern_prepare(const struct load_options *options) {
    size_t size = (size_t)options->message_size;
    period = options->lines ? PATTERN_PERIOD / size * size : PATTERN_PERIOD;
    stride = options->lines ? 7919 * size : 7919;
    uint32_t state = 1;
    for (size_t i = 0; i < period; i++) {
        state = state * 1664525u + 1013904223u;
        pattern[i] = (char)(state >> 24);
        if (options->lines && pattern[i] == '\n') pattern[i] = ' ';
        if (options->lines && i % size == size - 1) pattern[i] = '\n';
    }
    for (size_t i = period; i < sizeof pattern; i++) pattern[i] = pattern[i - period];
}

const char *pattern_at(uint32_t connection, uint64_t position) {
    return pattern + ((uint64_t)connection * stride + position) % period;
}

int verify(uint32_t connection, uint64_t position, const char *bytes, size_t length) {
    const char *expected = pattern_at(connection, position);
    if (memcmp(expected, bytes, length) == 0) return 0;
    size_t same = 0;
    while (expected[same] == bytes[same]) same++;
    return load_fail("connection %u: byte %llu of the echo is %d instead of %d", connection,
                     (unsigned long long)(position + same), bytes[same], expected[same]);
}

int connect_to(const struct load_options *options, uint32_t source) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options->port)};
    if (inet_pton(AF_INET, options->host, &address.sin_addr) != 1) {
        return load_fail("%s is not an IPv4 address", options->host);
    }
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return load_fail("socket: %s", strerror(errno));
    int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (source != 0) {
        // A closed connection keeps its pair of addresses for a minute, and one address has 28,000 ports.
        struct sockaddr_in from = {.sin_family = AF_INET};
        from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + source % SOURCE_ADDRESSES);
        setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(descriptor, (struct sockaddr *)&from, sizeof from) < 0) {
            load_fail("bind: %s", strerror(errno));
            close(descriptor);
            return -1;
        }
    }
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) < 0) {
        load_fail("connect: %s", strerror(errno));
        close(descriptor);
        return -1;
    }
    return descriptor;
}

int take_snapshot(const struct load_options *options, struct snapshot *snapshot) {
    measure_sleep(options->mode == LOAD_CHURN || options->mode == LOAD_IDLE ? 50 : 5);
    snapshot->cpu_ns = 0;
    snapshot->memory_bytes = 0;
    if (options->server != 0) {
        snapshot->cpu_ns = measure_cpu_time(options->server);
        snapshot->memory_bytes = measure_anonymous_memory(options->server);
        if (snapshot->cpu_ns < 0) return load_fail("the server's CPU time: %s", measure_reason(snapshot->cpu_ns));
        if (snapshot->memory_bytes < 0) {
            return load_fail("the server's memory: %s", measure_reason(snapshot->memory_bytes));
        }
    }
    snapshot->time_ns = measure_now();
    return 0;
}

int report_since(const struct snapshot *before, const struct load_options *options, struct load_report *report) {
    struct snapshot now;
    report->elapsed_ns = measure_now() - before->time_ns;
    if (take_snapshot(options, &now) < 0) return -1;
    report->server_cpu_ns = now.cpu_ns - before->cpu_ns;
    report->server_memory_bytes = now.memory_bytes - before->memory_bytes;
    return 0;
}

bool out_of_time(const struct load_options *options, int64_t started_ns) {
    return measure_now() - started_ns > options->limit_milliseconds * 1000000;
}

int load_run(const struct load_options *options, struct load_report *report) {
    memset(report, 0, sizeof *report);
    if (options->connections < 1 || options->messages < 1) return load_fail("nothing to send");
    int64_t window = (int64_t)options->message_size * options->in_flight;
    if (options->message_size < 1 || options->in_flight < 1 || (options->mode != LOAD_BULK && window > LOAD_CHUNK)) {
        return load_fail("messages in flight must be 1 to %d bytes together", LOAD_CHUNK);
    }
    int64_t limit = measure_raise_descriptor_limit();
    if (limit < 0) return load_fail("descriptor limit: %s", measure_reason(limit));
    if (limit < options->connections + SPARE_DESCRIPTORS) {
        return load_fail("%d connections need more descriptors than the limit of %lld", options->connections,
                         (long long)limit);
    }
    signal(SIGPIPE, SIG_IGN);
    if (options->lines && options->message_size > PATTERN_PERIOD) return load_fail("no line is that long");
    pattern_prepare(options);
    switch (options->mode) {
        case LOAD_PING_PONG: return run_ping_pong(options, report);
        case LOAD_CHURN: return run_churn(options, report);
        case LOAD_BULK: return run_bulk(options, report);
        case LOAD_IDLE: return run_idle(options, report);
    }
    return load_fail("unknown mode %d", options->mode);
}
