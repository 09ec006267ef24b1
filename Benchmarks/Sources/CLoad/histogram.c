// Latencies by size: 64 steps to each doubling, so that any value is known to 1.6 % and adding one is a shift.

#include "internal.h"

#include <string.h>

enum { STEP_BITS = 6, STEPS = 1 << STEP_BITS };

void histogram_clear(struct histogram *histogram) {
    memset(histogram, 0, sizeof *histogram);
}

/// Values below `STEPS` have a place each; above, the leading `STEP_BITS` + 1 bits decide.
void histogram_add(struct histogram *histogram, int64_t nanoseconds) {
    uint64_t value = nanoseconds < 0 ? 0 : (uint64_t)nanoseconds;
    size_t index = value;
    if (value >= STEPS) {
        int doublings = 63 - __builtin_clzll(value) - STEP_BITS;
        index = (size_t)(doublings + 1) * STEPS + (size_t)((value >> doublings) - STEPS);
    }
    histogram->counts[index]++;
    histogram->total++;
}

/// The middle of the values that share a place.
static int64_t value_of(size_t index) {
    if (index < STEPS) return (int64_t)index;
    int doublings = (int)(index / STEPS) - 1;
    uint64_t lowest = (uint64_t)(index % STEPS + STEPS) << doublings;
    return (int64_t)(lowest + ((1ull << doublings) >> 1));
}

int64_t histogram_at(const struct histogram *histogram, double fraction) {
    uint64_t wanted = (uint64_t)(fraction * (double)histogram->total), seen = 0;
    if (histogram->total == 0) return 0;
    if (wanted >= histogram->total) wanted = histogram->total - 1;
    for (size_t index = 0; index < sizeof histogram->counts / sizeof histogram->counts[0]; index++) {
        seen += histogram->counts[index];
        if (seen > wanted) return value_of(index);
    }
    return 0;
}
