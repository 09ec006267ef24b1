// Cores and clocks. Servers run on the first core that this process may use and their clients on the last, so that
// neither takes the other's time; on a machine with one core they share it, and the figures say how many there were.

#define _GNU_SOURCE

#include "CMeasure.h"

#include <errno.h>
#include <sched.h>
#include <time.h>

/// The set may have holes: a container is often given cores 4 and 7.
static int find_core(const cpu_set_t *allowed, enum measure_core which) {
    int found = -1;
    for (int core = 0; core < CPU_SETSIZE; core++) {
        if (!CPU_ISSET(core, allowed)) continue;
        found = core;
        if (which == MEASURE_FIRST_CORE) break;
    }
    return found;
}

/// The cores of the whole process, whatever the calling thread was bound to before: a thread that a bound thread
/// starts inherits its one core, and must still be able to move to the other.
static int allowed_cores(cpu_set_t *allowed) {
    static cpu_set_t first_seen;
    static int seen = 0;
    if (!__atomic_load_n(&seen, __ATOMIC_ACQUIRE)) {
        if (sched_getaffinity(0, sizeof first_seen, &first_seen) < 0) return -errno;
        __atomic_store_n(&seen, 1, __ATOMIC_RELEASE);
    }
    *allowed = first_seen;
    return 0;
}

int measure_core_count(void) {
    cpu_set_t allowed;
    int status = allowed_cores(&allowed);
    if (status < 0) return status;
    return CPU_COUNT(&allowed);
}

int measure_pin(enum measure_core which) {
    cpu_set_t allowed, chosen;
    int status = allowed_cores(&allowed);
    if (status < 0) return status;
    int core = find_core(&allowed, which);
    if (core < 0) return -EINVAL;
    CPU_ZERO(&chosen);
    CPU_SET(core, &chosen);
    return sched_setaffinity(0, sizeof chosen, &chosen) < 0 ? -errno : 0;
}

int64_t measure_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void measure_sleep(int64_t milliseconds) {
    struct timespec pause = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
    while (nanosleep(&pause, &pause) < 0 && errno == EINTR) continue;
}
