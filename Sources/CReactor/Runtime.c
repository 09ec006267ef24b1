// The hooks of Swift's concurrency runtime, as functions with the runtime's calling convention and its symbols by name:
// that links with the dynamic and with the static standard library, where looking them up finds only the former.
//
// Hooks are installed once and stay. What they do depends on the thread: without a loop that keeps jobs they pass
// everything on, to the hook that was there before or to the runtime.

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "CReactor.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

typedef CREACTOR_SWIFT void (*enqueue_function)(void *job);
typedef CREACTOR_SWIFT creactor_executor (*get_main_function)(void);
typedef CREACTOR_SWIFT bool (*is_main_function)(creactor_executor executor);

typedef CREACTOR_SWIFT void (*enqueue_hook)(void *job, enqueue_function original);
typedef CREACTOR_SWIFT creactor_executor (*get_main_hook)(get_main_function original);
typedef CREACTOR_SWIFT bool (*is_main_hook)(creactor_executor executor, is_main_function original);

extern enqueue_hook swift_task_enqueueGlobal_hook;
extern get_main_hook swift_task_getMainExecutor_hook;
extern is_main_hook swift_task_isMainExecutor_hook;
extern CREACTOR_SWIFT void swift_task_enqueueGlobal(void *job);

_Thread_local void *creactor_keeping_loop_storage CREACTOR_TLS = NULL;

static void (*keep_job)(void *loop, void *job);
static _Atomic(enqueue_hook) previous_enqueue;
static is_main_hook previous_is_main;
static creactor_executor main_executor;
// Set when what is above has been; whoever finds it set sees all of that.
static atomic_bool main_executor_is_set;

static CREACTOR_SWIFT void enqueue_global(void *job, enqueue_function original) {
    void *loop = creactor_keeping_loop_storage;
    if (loop != NULL) {
        keep_job(loop, job);
        return;
    }
    enqueue_hook previous = atomic_load_explicit(&previous_enqueue, memory_order_acquire);
    if (previous != NULL) {
        previous(job, original);
    } else {
        original(job);
    }
}

static CREACTOR_SWIFT creactor_executor get_main(get_main_function original) {
    return atomic_load_explicit(&main_executor_is_set, memory_order_acquire) ? main_executor : original();
}

static CREACTOR_SWIFT bool is_main(creactor_executor executor, is_main_function original) {
    if (executor.identity == main_executor.identity) return true;
    // Dispatch's main queue, of which somebody may still hold the executor, is served by the same thread.
    return previous_is_main != NULL ? previous_is_main(executor, original) : original(executor);
}

void creactor_keep_jobs(void (*keep)(void *loop, void *job)) {
    keep_job = keep;
    atomic_store_explicit(&previous_enqueue, swift_task_enqueueGlobal_hook, memory_order_release);
    swift_task_enqueueGlobal_hook = enqueue_global;
}

void creactor_set_main_executor(creactor_executor executor) {
    main_executor = executor;
    previous_is_main = swift_task_isMainExecutor_hook;
    atomic_store_explicit(&main_executor_is_set, true, memory_order_release);
    swift_task_isMainExecutor_hook = is_main;
    swift_task_getMainExecutor_hook = get_main;
}

void creactor_enqueue_global(void *job) {
    void *loop = creactor_keeping_loop_storage;
    creactor_keeping_loop_storage = NULL;
    swift_task_enqueueGlobal(job);
    creactor_keeping_loop_storage = loop;
}

typedef CREACTOR_SWIFT void (*cancellation_function)(CREACTOR_CONTEXT void *context);
extern CREACTOR_SWIFT void *swift_task_addCancellationHandler(cancellation_function function, void *context);
extern CREACTOR_SWIFT void swift_task_removeCancellationHandler(void *record);

static void (*heard_of_cancellation)(void *context);

static CREACTOR_SWIFT void pass_cancellation(CREACTOR_CONTEXT void *context) { heard_of_cancellation(context); }

void creactor_hear_of_cancellation(void (*heard)(void *context)) { heard_of_cancellation = heard; }

void *creactor_add_cancellation_handler(void *context) {
    return swift_task_addCancellationHandler(pass_cancellation, context);
}

void creactor_remove_cancellation_handler(void *record) { swift_task_removeCancellationHandler(record); }

int creactor_locals_place = 0;
const void *creactor_carried_local = NULL;
static atomic_flag is_looking_for_locals = ATOMIC_FLAG_INIT;
static int attempts_left = 8;

int creactor_locals_begin(void) {
    if (atomic_flag_test_and_set(&is_looking_for_locals)) return 0;
    if (creactor_locals_are_unknown()) return 1;
    atomic_flag_clear(&is_looking_for_locals);
    return 0;
}

void creactor_locals_end(int place) {
    if (place > 0 || --attempts_left == 0) __atomic_store_n(&creactor_locals_place, place, __ATOMIC_RELAXED);
    atomic_flag_clear(&is_looking_for_locals);
}

int creactor_peek(uintptr_t address, void *words) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (address < page || address % sizeof(uintptr_t) != 0) return 0;
    uintptr_t first = address / page * page, last = (address + 2 * sizeof(uintptr_t) - 1) / page * page;
    // Asks the kernel, which says no for what is no memory.
#if defined(__APPLE__)
    char in_core[2];
#else
    unsigned char in_core[2];
#endif
    if (mincore((void *)first, last - first + page, in_core) != 0) return 0;
    memcpy(words, (const void *)address, 2 * sizeof(uintptr_t));
    return 1;
}

int creactor_is_main_thread(void) {
#if defined(__linux__)
    return syscall(SYS_gettid) == getpid();
#else
    return pthread_main_np();
#endif
}

#if defined(__linux__)
extern int _dispatch_get_main_queue_handle_4CF(void);
extern void _dispatch_main_queue_callback_4CF(void *message);
int creactor_main_queue_descriptor(void) { return _dispatch_get_main_queue_handle_4CF(); }
void creactor_drain_main_queue(void) {
    // The descriptor counts; what is enqueued from here on makes it readable again.
    uint64_t count;
    ssize_t ignored = read(_dispatch_get_main_queue_handle_4CF(), &count, sizeof count);
    (void)ignored;
    _dispatch_main_queue_callback_4CF(NULL);
}
#else
int creactor_main_queue_descriptor(void) { return -1; }
void creactor_drain_main_queue(void) {}
#endif

int creactor_signal_is_default(int signal) {
    struct sigaction action;
    return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_DFL;
}

int creactor_raise(int signal) { return raise(signal); }

int creactor_processor_count(void) {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
#endif
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (int)count : 1;
}
