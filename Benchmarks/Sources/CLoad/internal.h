// What the modes of the load generator share: failing with a sentence, bytes that know their place, a histogram of
// latencies, connections, and reading the server's costs around a run.

#ifndef CLOAD_INTERNAL_H
#define CLOAD_INTERNAL_H

#include "CLoad.h"

#include <stdbool.h>
#include <stddef.h>

/// The longest run of pattern that `pattern_at` hands out, and so the most that is read or written at once.
enum { LOAD_CHUNK = 256 * 1024 };

/// Keeps the sentence for `load_failure`, and returns -1.
int load_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// The bytes that belong at a position of a connection's stream. Valid for `LOAD_CHUNK` bytes.
const char *pattern_at(uint32_t connection, uint64_t position);

/// Fills the pattern; before anything else.
void pattern_prepare(const struct load_options *options);

/// Counts latencies in steps of at most 1.6 %.
struct histogram {
    uint64_t total;
    uint32_t counts[64 * 64];
};

void histogram_clear(struct histogram *histogram);
void histogram_add(struct histogram *histogram, int64_t nanoseconds);
int64_t histogram_at(const struct histogram *histogram, double fraction);

/// Connects, and waits until that is done. `source` picks the loopback address it comes from; 0: the kernel does.
int connect_to(const struct load_options *options, uint32_t source);

/// Compares what arrived with what was sent.
int verify(uint32_t connection, uint64_t position, const char *bytes, size_t length);

/// The server's costs, and when they were read.
struct snapshot {
    int64_t time_ns;
    int64_t cpu_ns;
    int64_t memory_bytes;
};

/// Gives the server the time to fall asleep, so that its CPU time is exact, and reads its costs.
int take_snapshot(const struct load_options *options, struct snapshot *snapshot);

/// Reads the costs again and puts what changed into the report.
int report_since(const struct snapshot *before, const struct load_options *options, struct load_report *report);

/// Whether the run has been going for longer than it may.
bool out_of_time(const struct load_options *options, int64_t started_ns);

int run_ping_pong(const struct load_options *options, struct load_report *report);
int run_churn(const struct load_options *options, struct load_report *report);
int run_bulk(const struct load_options *options, struct load_report *report);
int run_idle(const struct load_options *options, struct load_report *report);

#endif
