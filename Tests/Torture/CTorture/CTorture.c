#define _GNU_SOURCE

#include "CTorture.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <uv.h>

// What is not here, and why: a failure of `epoll_ctl` or `epoll_wait`, or of the growth of its table of descriptors, makes
// libuv end the process by design.
#define KINDS(X)                                                                                                          \
    X(uv_loop_init, ENOMEM, EMFILE)                                                                                       \
    X(uv_async_init, EMFILE, 0)                                                                                           \
    X(uv_prepare_init, ENOMEM, 0)                                                                                         \
    X(uv_check_init, ENOMEM, 0)                                                                                           \
    X(uv_idle_init, ENOMEM, 0)                                                                                            \
    X(uv_timer_init, ENOMEM, 0)                                                                                           \
    X(uv_timer_start, EINVAL, 0)                                                                                          \
    X(uv_signal_init, EMFILE, 0)                                                                                          \
    X(uv_signal_start, EINVAL, 0)                                                                                         \
    X(uv_poll_init, ENOMEM, EEXIST)                                                                                       \
    X(uv_poll_start, ENOMEM, 0)                                                                                           \
    X(uv_tcp_init, ENOMEM, 0)                                                                                             \
    X(uv_tcp_open, ENOMEM, EEXIST)                                                                                        \
    X(uv_tcp_connect, ENOMEM, ECONNREFUSED)                                                                               \
    X(uv_tcp_getsockname, ENOTCONN, 0)                                                                                    \
    X(uv_tcp_getpeername, ENOTCONN, 0)                                                                                    \
    X(uv_pipe_init, ENOMEM, 0)                                                                                            \
    X(uv_pipe_open, ENOMEM, EEXIST)                                                                                       \
    X(uv_udp_init, ENOMEM, 0)                                                                                             \
    X(uv_udp_bind, EADDRINUSE, 0)                                                                                         \
    X(uv_udp_recv_start, ENOMEM, 0)                                                                                       \
    X(uv_udp_send, ENOMEM, ENOBUFS)                                                                                       \
    X(uv_udp_try_send, EAGAIN, ENOBUFS)                                                                                   \
    X(uv_read_start, ENOTCONN, 0)                                                                                         \
    X(uv_write, ENOMEM, EPIPE)                                                                                            \
    X(uv_try_write, EAGAIN, EPIPE)                                                                                        \
    X(uv_shutdown, ENOTCONN, ENOMEM)                                                                                      \
    X(uv_async_send, EINVAL, 0)                                                                                           \
    X(uv_malloc, ENOMEM, 0)                                                                                               \
    X(socket, EMFILE, ENOBUFS)                                                                                            \
    X(bind, EADDRINUSE, EACCES)                                                                                           \
    X(listen, EADDRINUSE, 0)                                                                                              \
    X(accept4, EMFILE, ECONNABORTED)                                                                                      \
    X(connect, ECONNREFUSED, ENETUNREACH)                                                                                 \
    X(setsockopt, EINVAL, ENOMEM)                                                                                         \
    X(getsockname, ENOBUFS, 0)                                                                                            \
    X(getpeername, ENOTCONN, 0)                                                                                           \
    X(sendfile, EAGAIN, EIO)                                                                                              \
    X(sendfile_short, TORTURE_SHORT, 0)                                                                                   \
    X(pipe2, EMFILE, 0)                                                                                                   \
    X(send, EAGAIN, ECONNRESET)                                                                                           \
    X(send_short, TORTURE_SHORT, 0)                                                                                       \
    X(send_full, ENOBUFS, EINTR)                                                                                          \
    X(read, ECONNRESET, EINTR)                                                                                            \
    X(read_again, EAGAIN, ETIMEDOUT)                                                                                      \
    X(read_short, TORTURE_SHORT, 0)                                                                                       \
    X(recv, EAGAIN, ECONNRESET)                                                                                           \
    X(recv_short, TORTURE_SHORT, 0)                                                                                       \
    X(write, EAGAIN, EPIPE)                                                                                               \
    X(write_short, TORTURE_SHORT, 0)                                                                                      \
    X(sendmsg, EAGAIN, EPIPE)                                                                                             \
    X(recvmsg, EAGAIN, ECONNREFUSED)                                                                                      \
    X(shutdown, ENOBUFS, 0)                                                                                               \
    X(eventfd, EMFILE, 0)                                                                                                 \
    X(pthread_create, EAGAIN, 0)

#define AS_ENUM(name, first, second) KIND_##name,
#define AS_ROW(name, first, second) {#name, {first, second}},

enum { KINDS(AS_ENUM) KIND_COUNT };
static const struct { const char *name; int failures[2]; } kinds[] = {KINDS(AS_ROW)};

static _Thread_local int armed_kind = -1;
static _Thread_local unsigned wanted, called;
static _Thread_local int failure, fired;

int torture_kind_count(void) { return KIND_COUNT; }
const char *torture_kind_name(int kind) { return kinds[kind].name; }
int torture_failure(int kind, int index) { return index < 2 ? kinds[kind].failures[index] : 0; }

void torture_arm(int kind, unsigned number, int how) {
    wanted = number;
    called = 0;
    fired = 0;
    failure = how;
    armed_kind = kind;
}

unsigned torture_disarm(void) {
    armed_kind = -1;
    return called;
}

int torture_has_fired(void) { return fired; }

/// Whether this call of `kind` is to fail; 0, an errno value, or `TORTURE_SHORT`.
static int hit(int kind) {
    if (armed_kind != kind || ++called != wanted) return 0;
    fired = 1;
    return failure;
}

static void *next(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (!function) {
        fprintf(stderr, "torture: there is no %s\n", name);
        abort();
    }
    return function;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))next(#name)

// MARK: libuv

#define UV(name, parameters, arguments) \
    int name parameters { \
        REAL(name); \
        int how = hit(KIND_##name); \
        return how ? -how : real arguments; \
    }

UV(uv_loop_init, (uv_loop_t * loop), (loop))
UV(uv_async_init, (uv_loop_t * loop, uv_async_t *handle, uv_async_cb callback), (loop, handle, callback))
UV(uv_prepare_init, (uv_loop_t * loop, uv_prepare_t *handle), (loop, handle))
UV(uv_check_init, (uv_loop_t * loop, uv_check_t *handle), (loop, handle))
UV(uv_idle_init, (uv_loop_t * loop, uv_idle_t *handle), (loop, handle))
UV(uv_timer_init, (uv_loop_t * loop, uv_timer_t *handle), (loop, handle))
UV(uv_timer_start, (uv_timer_t * handle, uv_timer_cb callback, uint64_t after, uint64_t each),
   (handle, callback, after, each))
UV(uv_signal_init, (uv_loop_t * loop, uv_signal_t *handle), (loop, handle))
UV(uv_signal_start, (uv_signal_t * handle, uv_signal_cb callback, int number), (handle, callback, number))
UV(uv_poll_init, (uv_loop_t * loop, uv_poll_t *handle, int fd), (loop, handle, fd))
UV(uv_poll_start, (uv_poll_t * handle, int events, uv_poll_cb callback), (handle, events, callback))
UV(uv_tcp_init, (uv_loop_t * loop, uv_tcp_t *handle), (loop, handle))
UV(uv_tcp_open, (uv_tcp_t * handle, uv_os_sock_t socket), (handle, socket))
UV(uv_tcp_connect, (uv_connect_t * request, uv_tcp_t *handle, const struct sockaddr *address, uv_connect_cb callback),
   (request, handle, address, callback))
UV(uv_tcp_getsockname, (const uv_tcp_t *handle, struct sockaddr *name, int *length), (handle, name, length))
UV(uv_tcp_getpeername, (const uv_tcp_t *handle, struct sockaddr *name, int *length), (handle, name, length))
UV(uv_pipe_init, (uv_loop_t * loop, uv_pipe_t *handle, int ipc), (loop, handle, ipc))
UV(uv_pipe_open, (uv_pipe_t * handle, uv_file file), (handle, file))
UV(uv_udp_init, (uv_loop_t * loop, uv_udp_t *handle), (loop, handle))
UV(uv_udp_bind, (uv_udp_t * handle, const struct sockaddr *address, unsigned int flags), (handle, address, flags))
UV(uv_udp_recv_start, (uv_udp_t * handle, uv_alloc_cb allocate, uv_udp_recv_cb receive), (handle, allocate, receive))
UV(uv_udp_send,
   (uv_udp_send_t * request, uv_udp_t *handle, const uv_buf_t buffers[], unsigned int count,
    const struct sockaddr *address, uv_udp_send_cb callback),
   (request, handle, buffers, count, address, callback))
UV(uv_udp_try_send,
   (uv_udp_t * handle, const uv_buf_t buffers[], unsigned int count, const struct sockaddr *address),
   (handle, buffers, count, address))
UV(uv_read_start, (uv_stream_t * handle, uv_alloc_cb allocate, uv_read_cb read), (handle, allocate, read))
UV(uv_write,
   (uv_write_t * request, uv_stream_t *handle, const uv_buf_t buffers[], unsigned int count, uv_write_cb callback),
   (request, handle, buffers, count, callback))
UV(uv_try_write, (uv_stream_t * handle, const uv_buf_t buffers[], unsigned int count), (handle, buffers, count))
UV(uv_shutdown, (uv_shutdown_t * request, uv_stream_t *handle, uv_shutdown_cb callback), (request, handle, callback))
UV(uv_async_send, (uv_async_t * handle), (handle))

static void *libuv_malloc(size_t size) { return hit(KIND_uv_malloc) ? NULL : malloc(size); }
static void *libuv_calloc(size_t count, size_t size) { return hit(KIND_uv_malloc) ? NULL : calloc(count, size); }

__attribute__((constructor)) static void replace_allocator(void) {
    uv_replace_allocator(libuv_malloc, realloc, libuv_calloc, free);
}

// MARK: The C library

#define LIBC(type, name, parameters, arguments) \
    type name parameters { \
        REAL(name); \
        int how = hit(KIND_##name); \
        if (how) { \
            errno = how; \
            return -1; \
        } \
        return real arguments; \
    }

LIBC(int, socket, (int domain, int type, int protocol), (domain, type, protocol))
LIBC(int, bind, (int fd, const struct sockaddr *address, socklen_t length), (fd, address, length))
LIBC(int, listen, (int fd, int backlog), (fd, backlog))
LIBC(int, accept4, (int fd, struct sockaddr *address, socklen_t *length, int flags), (fd, address, length, flags))
LIBC(int, connect, (int fd, const struct sockaddr *address, socklen_t length), (fd, address, length))
LIBC(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t length), (fd, level, name, value, length))
LIBC(int, getsockname, (int fd, struct sockaddr *address, socklen_t *length), (fd, address, length))
LIBC(int, getpeername, (int fd, struct sockaddr *address, socklen_t *length), (fd, address, length))
LIBC(int, pipe2, (int ends[2], int flags), (ends, flags))
LIBC(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
LIBC(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
LIBC(int, shutdown, (int fd, int how_much), (fd, how_much))
LIBC(int, eventfd, (unsigned int count, int flags), (count, flags))

/// Reading and writing is tortured on sockets only: the runtime and the library print and read files by the same calls.
static int is_socket(int fd) {
    int type;
    socklen_t length = sizeof type;
    int kept = errno;
    int is = armed_kind >= 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0;
    errno = kept;
    return is;
}

/// Which of three kinds is hit, all of which count the same calls.
static int hit_any(int fd, int first, int second, int third) {
    if (!is_socket(fd)) return 0;
    if (armed_kind == first) return hit(first);
    if (armed_kind == second) return hit(second);
    return armed_kind == third ? hit(third) : 0;
}

ssize_t send(int fd, const void *bytes, size_t count, int flags) {
    REAL(send);
    int how = hit_any(fd, KIND_send, KIND_send_short, KIND_send_full);
    if (how > 0) {
        errno = how;
        return -1;
    }
    return real(fd, bytes, how == TORTURE_SHORT && count > 1 ? 1 : count, flags);
}

ssize_t read(int fd, void *bytes, size_t count) {
    REAL(read);
    int how = hit_any(fd, KIND_read, KIND_read_again, KIND_read_short);
    if (how > 0) {
        errno = how;
        return -1;
    }
    return real(fd, bytes, how == TORTURE_SHORT && count > 1 ? 1 : count);
}

ssize_t recv(int fd, void *bytes, size_t count, int flags) {
    REAL(recv);
    int how = hit_any(fd, KIND_recv, KIND_recv_short, KIND_recv);
    if (how > 0) {
        errno = how;
        return -1;
    }
    return real(fd, bytes, how == TORTURE_SHORT && count > 1 ? 1 : count, flags);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    REAL(write);
    int how = hit_any(fd, KIND_write, KIND_write_short, KIND_write);
    if (how > 0) {
        errno = how;
        return -1;
    }
    return real(fd, bytes, how == TORTURE_SHORT && count > 1 ? 1 : count);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    int how = hit_any(fd, KIND_write, KIND_write_short, KIND_write);
    if (how > 0) {
        errno = how;
        return -1;
    }
    if (how != TORTURE_SHORT || parts[0].iov_len < 2) return real(fd, parts, count);
    struct iovec first = {parts[0].iov_base, 1};
    return real(fd, &first, 1);
}

ssize_t sendfile(int fd, int file, off_t *place, size_t count) {
    REAL(sendfile);
    int how = hit_any(fd, KIND_sendfile, KIND_sendfile_short, KIND_sendfile);
    if (how > 0) {
        errno = how;
        return -1;
    }
    return real(fd, file, place, how == TORTURE_SHORT && count > 1 ? 1 : count);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *context) {
    REAL(pthread_create);
    int how = hit(KIND_pthread_create);
    return how ? how : real(thread, attributes, body, context);
}

// MARK: The watch

static char watched[256];

static void on_alarm(int number) {
    (void)number;
    static const char prefix[] = "\ntorture: hung: ";
    ssize_t ignored = write(1, prefix, sizeof prefix - 1);
    ignored += write(1, watched, strlen(watched));
    ignored += write(1, "\n", 1);
    _exit(ignored > 0 ? 3 : 4);
}

void torture_watch(unsigned seconds, const char *what) {
    snprintf(watched, sizeof watched, "%s", what);
    signal(SIGALRM, on_alarm);
    alarm(seconds);
}
