// The C library's functions on sockets that fail.

#define _GNU_SOURCE

#include "Interpose.h"

#if defined(__linux__)

#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

LIBC(int, socket, (int domain, int type, int protocol), (domain, type, protocol))
LIBC(int, bind, (int fd, const struct sockaddr *address, socklen_t length), (fd, address, length))
LIBC(int, listen, (int fd, int backlog), (fd, backlog))
LIBC(int, accept4, (int fd, struct sockaddr *address, socklen_t *length, int flags), (fd, address, length, flags))
LIBC(int, connect, (int fd, const struct sockaddr *address, socklen_t length), (fd, address, length))
LIBC(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t length), (fd, level, name, value, length))
LIBC_OURS(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *length), (fd, level, name, value, length))
LIBC(int, getsockname, (int fd, struct sockaddr *address, socklen_t *length), (fd, address, length))
LIBC(int, getpeername, (int fd, struct sockaddr *address, socklen_t *length), (fd, address, length))
LIBC(int, shutdown, (int fd, int how_much), (fd, how_much))
LIBC(int, eventfd, (unsigned int count, int flags), (count, flags))

// MARK: Streams

ssize_t send(int fd, const void *bytes, size_t count, int flags) {
    REAL(send);
    int how = torture_hit(KIND_send, KIND_send_short, CALLER);
    if (how == TORTURE_SHORT) return real(fd, bytes, count > 1 ? 1 : count, flags);
    return how ? torture_fail(how) : real(fd, bytes, count, flags);
}

ssize_t recv(int fd, void *bytes, size_t count, int flags) {
    REAL(recv);
    int how = torture_hit(KIND_recv, KIND_recv_short, CALLER);
    if (how == TORTURE_SHORT) return real(fd, bytes, count > 1 ? 1 : count, flags);
    return how ? torture_fail(how) : real(fd, bytes, count, flags);
}

ssize_t sendfile(int fd, int file, off_t *place, size_t count) {
    REAL(sendfile);
    int how = torture_hit(KIND_sendfile, KIND_sendfile_short, CALLER);
    if (how == TORTURE_SHORT) return real(fd, file, place, count > 1 ? 1 : count);
    return how ? torture_fail(how) : real(fd, file, place, count);
}

// MARK: Datagrams

ssize_t sendto(int fd, const void *bytes, size_t count, int flags, const struct sockaddr *address, socklen_t length) {
    REAL(sendto);
    if (torture_refuses(CALLER)) return torture_fail(EAGAIN);
    int how = torture_hit(KIND_sendto, KIND_sendto_full, CALLER);
    return how ? torture_fail(how) : real(fd, bytes, count, flags, address, length);
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags) {
    REAL(sendmmsg);
    if (torture_refuses(CALLER)) return torture_fail(EAGAIN);
    int how = torture_hit(KIND_sendmmsg, KIND_sendmmsg_short, CALLER);
    if (how == TORTURE_SHORT) return real(fd, messages, count > 1 ? 1 : count, flags);
    return how ? torture_fail(how) : real(fd, messages, count, flags);
}

LIBC(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
LIBC(int, recvmmsg, (int fd, struct mmsghdr *messages, unsigned int count, int flags, struct timespec *limit),
     (fd, messages, count, flags, limit))
/// libuv sends one datagram that way, from 1.50 on; earlier, and several, by `sendmmsg`.
LIBC_AS(sendmmsg, ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))

/// By which libuv up to 1.48 calls what was not in every C library then.
long syscall(long number, ...) {
    REAL(syscall);
    long a[6];
    va_list list;
    va_start(list, number);
    for (int index = 0; index < 6; index++) a[index] = va_arg(list, long);
    va_end(list);
    int how = 0;
    if (number == SYS_sendmmsg) how = torture_hit(KIND_sendmmsg, KIND_sendmmsg_short, CALLER);
    if (number == SYS_recvmmsg) how = torture_hit(KIND_recvmmsg, KIND_recvmmsg, CALLER);
    if (how == TORTURE_SHORT) {
        a[2] = 1;
        how = 0;
    }
    return how ? torture_fail(how) : real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#endif
