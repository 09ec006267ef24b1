// Counts heap allocations from the inside: the program's own `malloc` stands before the C library's and forwards to it,
// for Swift's runtime and every other shared library too, because a program's symbols are found first.
//
// Nothing is counted, and nothing but one predictable branch is paid, until `measure_count_allocations` is called.
// Only glibc offers the names that are forwarded to; elsewhere the count stays unavailable and says so.

#define _GNU_SOURCE

#include "CMeasure.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool counting = false;
static uint64_t allocations = 0;

#if defined(__GLIBC__)

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static inline void count_one(void) {
    if (__builtin_expect(counting, false)) __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t size) {
    count_one();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    count_one();
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    count_one();
    return __libc_realloc(memory, size);
}

void *memalign(size_t alignment, size_t size) {
    count_one();
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
    if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) return EINVAL;
    void *memory = memalign(alignment, size);
    if (!memory) return ENOMEM;
    *result = memory;
    return 0;
}

#endif

/// Runs as a signal handler, so the number is spelled out by hand: `printf` may allocate, and may not be called here.
static void report(int signal_number) {
    (void)signal_number;
    int saved = errno;
    char line[64] = "allocations=", digits[24];
    size_t length = strlen(line), count = 0;
    uint64_t rest = __atomic_load_n(&allocations, __ATOMIC_RELAXED);
    do digits[count++] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    while (count > 0) line[length++] = digits[--count];
    line[length++] = '\n';
    // A reader that went away is the reader's affair: it would have noticed the missing line.
    ssize_t written = write(STDERR_FILENO, line, length);
    (void)written;
    errno = saved;
}

uint64_t measure_allocations(void) { return __atomic_load_n(&allocations, __ATOMIC_RELAXED); }

int measure_count_allocations(void) {
#if defined(__GLIBC__)
    struct sigaction action = {.sa_handler = report, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGUSR1, &action, NULL) < 0) return -errno;
    counting = true;
    return 0;
#else
    (void)report;
    (void)counting;
    return -ENOSYS;
#endif
}
