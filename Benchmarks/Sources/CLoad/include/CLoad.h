// The load generator: one thread on epoll that is cheaper per message than any server it is pointed at, and that
// compares every byte that comes back with what it sent.
//
// All four modes take the same options and fill the same report, so that a caller needs one call. Every run is bounded
// by a number of messages and by time.

#ifndef CLOAD_H
#define CLOAD_H

#include <stdint.h>
#include <sys/types.h>

enum load_mode {
    /// Each connection keeps a fixed number of messages in flight.
    LOAD_PING_PONG,
    /// Connect, one message, close; a fixed number of connections at a time.
    LOAD_CHURN,
    /// Both directions as full as they will go.
    LOAD_BULK,
    /// Connections that exchanged one message and then stay open.
    LOAD_IDLE
};

struct load_options {
    enum load_mode mode;
    /// A dotted IPv4 address.
    const char *host;
    int port;
    /// Whose CPU time and memory are to be measured; 0: nobody's.
    pid_t server;
    int connections;
    int message_size;
    /// Messages that a connection has on the way at most. Together no more than 256 KiB, but in `LOAD_BULK`.
    int in_flight;
    /// Whether each message is a line, its last byte a line feed.
    int lines;
    /// Over all connections. In `LOAD_CHURN` also the number of connections, in `LOAD_IDLE` one per connection.
    int64_t messages;
    /// Exchanged before anything is measured.
    int64_t warm_up;
    /// The run fails if it takes longer than this.
    int64_t limit_milliseconds;
};

struct load_report {
    int64_t messages;
    int64_t elapsed_ns;
    /// What the server spent on a core while the messages were exchanged.
    int64_t server_cpu_ns;
    /// How much the server's own memory grew: in `LOAD_IDLE` by the connections that stay open.
    int64_t server_memory_bytes;
    /// From giving a message to the kernel until its last byte is back; in `LOAD_CHURN` from before `connect`.
    int64_t p50_ns;
    int64_t p99_ns;
};

/// Runs a load. Returns 0, or -1 with the reason in `load_failure()`.
int load_run(const struct load_options *options, struct load_report *report);

/// Why the last run failed, as a sentence.
const char *load_failure(void);

#endif
