// libuv's own cost of waking another thread and of a timer that is started and stopped again: what the same things in
// the package are compared with. No figure here contains more than the calls it is named after.

#include "CMeasure.h"
#include "CPeers.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static double failed(const char *call, int status) {
    fprintf(stderr, "libuv micro-benchmark: %s: %s\n", call, uv_strerror(status));
    return -1;
}

/// One of two loops that wake each other. The first counts; the second only answers.
struct side {
    uv_loop_t loop;
    uv_async_t wake;
    struct side *other;
    int64_t left;
    int answers;
};

static void woken(uv_async_t *wake) {
    struct side *side = wake->data;
    if (!side->answers && --side->left < 0) {
        uv_stop(&side->loop);
        side->other->left = -1;
    }
    uv_async_send(&side->other->wake);
    if (side->answers && side->left < 0) uv_stop(&side->loop);
}

static int prepare_side(struct side *side, struct side *other, int64_t count, int answers) {
    side->other = other;
    side->left = answers ? 0 : count;
    side->answers = answers;
    int status = uv_loop_init(&side->loop);
    if (status == 0) status = uv_async_init(&side->loop, &side->wake, woken);
    side->wake.data = side;
    return status;
}

/// Each loop keeps to a core of its own: left alone, the kernel now and then puts both on one, at half the price.
static void run_side(void *argument) {
    struct side *side = argument;
    if (measure_pin(side->answers ? MEASURE_LAST_CORE : MEASURE_FIRST_CORE) < 0) failed("pinning", UV_EINVAL);
    uv_run(&side->loop, UV_RUN_DEFAULT);
}

double peer_libuv_round_trip(int64_t count) {
    static struct side here, there;
    uv_thread_t thread;
    int status = prepare_side(&here, &there, count, 0);
    if (status == 0) status = prepare_side(&there, &here, count, 1);
    if (status == 0) status = uv_thread_create(&thread, run_side, &there);
    if (status < 0) return failed("preparing two loops", status);
    uint64_t start = uv_hrtime();
    uv_async_send(&here.wake);
    run_side(&here);
    uint64_t end = uv_hrtime();
    uv_thread_join(&thread);
    return (double)(end - start) / (double)count;
}

static void expired(uv_timer_t *timer) {
    (void)timer;
}

/// Half an hour to an hour and a half, in milliseconds, in an order that every peer draws the same: idle timeouts, say.
static uint64_t next_pending_delay(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return 1800000 + (*state >> 10) % 3600000;
}

double peer_libuv_timers(int64_t pending, int64_t count) {
    uv_loop_t loop;
    uv_timer_t *waiting = calloc((size_t)pending + 1, sizeof *waiting);
    int status = waiting ? uv_loop_init(&loop) : UV_ENOMEM;
    if (status < 0) return failed("uv_loop_init", status);
    uint32_t state = 1;
    for (int64_t i = 0; i < pending; i++) {
        uv_timer_init(&loop, &waiting[i]);
        uv_timer_start(&waiting[i], expired, next_pending_delay(&state), 0);
    }
    uv_timer_t *timer = &waiting[pending];
    uv_timer_init(&loop, timer);
    uint64_t start = uv_hrtime();
    for (int64_t i = 0; i < count; i++) {
        // Due before all that wait, as the timeout of a request is: the far end of a heap's work.
        uv_timer_start(timer, expired, 1000, 0);
        uv_timer_stop(timer);
    }
    uint64_t end = uv_hrtime();
    free(waiting);
    return (double)(end - start) / (double)count;
}
