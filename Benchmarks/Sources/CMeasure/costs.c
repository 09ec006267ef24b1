// What another process has cost so far, read from /proc.
//
// CPU time comes from `schedstat`, in nanoseconds: `stat` counts in hundredths of a second, which is as long as ten
// thousand messages take. Memory is `Anonymous` of `smaps_rollup`: resident memory would also count pages of the
// standard library that happened to be touched for the first time.

#define _GNU_SOURCE

#include "CMeasure.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <sys/resource.h>

/// The first number of a thread's schedstat: nanoseconds on a core. A thread that ended in between counts as nothing.
static int64_t thread_cpu_time(pid_t pid, const char *thread) {
    char path[96];
    snprintf(path, sizeof path, "/proc/%d/task/%.32s/schedstat", (int)pid, thread);
    FILE *file = fopen(path, "re");
    if (!file) return errno == ENOENT ? 0 : -errno;
    int64_t nanoseconds = 0;
    int fields = fscanf(file, "%" SCNd64, &nanoseconds);
    fclose(file);
    return fields == 1 ? nanoseconds : -EPROTO;
}

int64_t measure_cpu_time(pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    if (!threads) return -errno;
    int64_t sum = 0;
    for (struct dirent *thread; sum >= 0 && (thread = readdir(threads));) {
        if (thread->d_name[0] == '.') continue;
        int64_t one = thread_cpu_time(pid, thread->d_name);
        sum = one < 0 ? one : sum + one;
    }
    closedir(threads);
    return sum;
}

int64_t measure_own_cpu_time(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int64_t measure_anonymous_memory(pid_t pid) {
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file) return -errno;
    int64_t kibibytes = -1;
    while (kibibytes < 0 && fgets(line, sizeof line, file)) {
        if (sscanf(line, "Anonymous: %" SCNd64 " kB", &kibibytes) != 1) kibibytes = -1;
    }
    fclose(file);
    return kibibytes >= 0 ? kibibytes * 1024 : -EPROTO;
}

int64_t measure_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
    return (int64_t)limit.rlim_cur;
}
