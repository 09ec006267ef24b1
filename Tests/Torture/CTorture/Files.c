// The C library's functions on files, pipes, terminals, threads and names that fail.

#define _GNU_SOURCE

#include "Interpose.h"

#if defined(__linux__)

#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

// MARK: What is read and written

/// Which descriptors are ends of pipes that the program has made: libuv ends the process if one of its own fails.
static unsigned char is_own_pipe[1024];

int pipe2(int ends[2], int flags) {
    REAL(pipe2);
    int how = torture_hit(KIND_pipe2, KIND_pipe2, CALLER);
    if (how) return torture_fail(how);
    int status = real(ends, flags);
    for (int end = 0; status == 0 && end < 2; end++)
        if (ends[end] < (int)sizeof is_own_pipe) is_own_pipe[ends[end]] = (unsigned char)torture_is_program(CALLER);
    return status;
}

enum what { NOTHING, STREAM, FILE_ON_DISK };

/// What a descriptor is, as far as reading and writing fail for it.
static enum what what_is(int fd) {
    static int (*real_fstat)(int, struct stat *);
    if (!real_fstat) real_fstat = (int (*)(int, struct stat *))torture_next("fstat");
    struct stat status;
    int kept = errno;
    int known = real_fstat(fd, &status) == 0;
    errno = kept;
    if (!known) return NOTHING;
    if (S_ISREG(status.st_mode)) return FILE_ON_DISK;
    if (S_ISFIFO(status.st_mode)) return fd < (int)sizeof is_own_pipe && is_own_pipe[fd] ? STREAM : NOTHING;
    return S_ISSOCK(status.st_mode) || S_ISCHR(status.st_mode) ? STREAM : NOTHING;
}

static int hit_reading(int fd, const void *caller) {
    switch (what_is(fd)) {
    case STREAM: return torture_hit(KIND_read, KIND_read_short, caller);
    case FILE_ON_DISK: return torture_hit(KIND_file_read, KIND_file_read_short, caller);
    default: return 0;
    }
}

static int hit_writing(int fd, const void *caller) {
    switch (what_is(fd)) {
    case STREAM: return torture_hit(KIND_write, KIND_write_short, caller);
    case FILE_ON_DISK: return torture_hit(KIND_file_write, KIND_file_write_short, caller);
    default: return 0;
    }
}

ssize_t read(int fd, void *bytes, size_t count) {
    REAL(read);
    int how = hit_reading(fd, CALLER);
    if (how == TORTURE_SHORT) return real(fd, bytes, count > 1 ? 1 : count);
    return how ? torture_fail(how) : real(fd, bytes, count);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    REAL(write);
    int how = hit_writing(fd, CALLER);
    if (how == TORTURE_SHORT) return real(fd, bytes, count > 1 ? 1 : count);
    return how ? torture_fail(how) : real(fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    int how = hit_writing(fd, CALLER);
    if (how == TORTURE_SHORT && parts[0].iov_len > 1) {
        struct iovec first = {parts[0].iov_base, 1};
        return real(fd, &first, 1);
    }
    return how && how != TORTURE_SHORT ? torture_fail(how) : real(fd, parts, count);
}

static ssize_t read_at(ssize_t (*real)(int, void *, size_t, off_t), int fd, void *bytes, size_t count, off_t place,
                       const void *caller) {
    int how = torture_hit(KIND_pread, KIND_pread_short, caller);
    if (how == TORTURE_SHORT) return real(fd, bytes, count > 1 ? 1 : count, place);
    return how ? torture_fail(how) : real(fd, bytes, count, place);
}

ssize_t pread(int fd, void *bytes, size_t count, off_t place) {
    REAL(pread);
    return read_at(real, fd, bytes, count, place, CALLER);
}

// MARK: Descriptors and files

/// Those with a parameter that may be there.
static void *optional(va_list list) { return va_arg(list, void *); }

#define WITH_OPTIONAL(kind, name, first_type, second_type) \
    int name(first_type first, second_type second, ...) { \
        REAL(name); \
        va_list list; \
        va_start(list, second); \
        void *third = optional(list); \
        va_end(list); \
        int how = torture_hit(KIND_##kind, KIND_##kind, CALLER); \
        return how ? torture_fail(how) : real(first, second, third); \
    }

WITH_OPTIONAL(fcntl, fcntl, int, int)
WITH_OPTIONAL(fcntl, fcntl64, int, int)
WITH_OPTIONAL(ioctl, ioctl, int, unsigned long)

/// A pipe that the program opens once more is one of its own.
static int note_opened(int fd, const void *caller) {
    if (fd >= 0 && fd < (int)sizeof is_own_pipe) is_own_pipe[fd] = (unsigned char)torture_is_program(caller);
    return fd;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        va_list list; \
        va_start(list, flags); \
        void *mode = optional(list); \
        va_end(list); \
        int how = torture_hit(KIND_open, KIND_open, CALLER); \
        return how ? torture_fail(how) : note_opened(real(path, flags, mode), CALLER); \
    }

OPEN(open)
OPEN(open64)

LIBC(int, fstat, (int fd, struct stat *status), (fd, status))
LIBC(int, lstat, (const char *path, struct stat *status), (path, status))
LIBC(int, chmod, (const char *path, mode_t mode), (path, mode))
LIBC(int, unlink, (const char *path), (path))
LIBC(ssize_t, readlink, (const char *path, char *room, size_t size), (path, room, size))
LIBC(int, epoll_create1, (int flags), (flags))
LIBC_OURS(int, epoll_ctl, (int poller, int change, int fd, struct epoll_event *event), (poller, change, fd, event))

// MARK: Terminals

LIBC(int, tcgetattr, (int fd, struct termios *settings), (fd, settings))
LIBC(int, tcsetattr, (int fd, int when, const struct termios *settings), (fd, when, settings))

int ttyname_r(int fd, char *room, size_t size) {
    REAL(ttyname_r);
    int how = torture_hit(KIND_ttyname_r, KIND_ttyname_r, CALLER);
    return how ? how : real(fd, room, size);
}

// MARK: Threads and names

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *context) {
    REAL(pthread_create);
    int how = torture_hit(KIND_pthread_create, KIND_pthread_create, CALLER);
    return how ? how : real(thread, attributes, body, context);
}

static int fail_names(int how) {
    if (how == -EAI_SYSTEM) errno = EMFILE;
    return -how;
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    REAL(getaddrinfo);
    int how = torture_hit(KIND_getaddrinfo, KIND_getaddrinfo, CALLER);
    return how ? fail_names(how) : real(host, service, hints, found);
}

int getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size, char *service,
                socklen_t service_size, int flags) {
    REAL(getnameinfo);
    int how = torture_hit(KIND_getnameinfo, KIND_getnameinfo, CALLER);
    return how ? fail_names(how) : real(address, length, host, host_size, service, service_size, flags);
}

#endif
