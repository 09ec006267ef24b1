// What a process asks about itself: its program, when it is to end, where it prints, and what an error means.

#define _GNU_SOURCE

#include "CMeasure.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int measure_end_with_parent(void) {
    return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? -errno : 0;
}

static sigset_t only_end(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    return set;
}

int measure_block_end(void) {
    sigset_t end = only_end();
    return -pthread_sigmask(SIG_BLOCK, &end, NULL);
}

int measure_wait_for_end(void) {
    sigset_t end = only_end();
    int signal_number;
    return -sigwait(&end, &signal_number);
}

int measure_own_path(char *path, size_t capacity) {
    ssize_t length = readlink("/proc/self/exe", path, capacity - 1);
    if (length < 0) return -errno;
    path[length] = 0;
    return (int)length;
}

int measure_print(int descriptor, const char *text) {
    for (size_t left = strlen(text); left > 0;) {
        ssize_t written = write(descriptor, text, left);
        if (written < 0 && errno != EINTR) return -errno;
        if (written < 0) continue;
        text += written;
        left -= (size_t)written;
    }
    return 0;
}

const char *measure_reason(int64_t result) {
    return strerror((int)-result);
}

int measure_is_end(int64_t result) {
    return result == -ENODATA;
}

int measure_is_missing(int64_t result) {
    return result == -ENOENT;
}
