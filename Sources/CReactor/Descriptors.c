// See Descriptors.h.

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "CReactor.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>
#if defined(__linux__)
#include <sys/epoll.h>
#else
#include <sys/event.h>
#endif

int creactor_describe(int descriptor, creactor_description *description) {
    struct stat status;
    if (fstat(descriptor, &status) != 0) return -errno;
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0) return -errno;
    if (S_ISSOCK(status.st_mode)) description->kind = creactor_kind_socket;
    else if (S_ISFIFO(status.st_mode)) description->kind = creactor_kind_fifo;
    else if (S_ISCHR(status.st_mode)) description->kind = creactor_kind_character_device;
    else if (S_ISREG(status.st_mode)) description->kind = creactor_kind_file;
    else if (S_ISDIR(status.st_mode)) description->kind = creactor_kind_directory;
    else description->kind = creactor_kind_other;
    int access = flags & O_ACCMODE;
    description->readable = access == O_RDONLY || access == O_RDWR;
    description->writable = access == O_WRONLY || access == O_RDWR;
    description->nonblocking = (flags & O_NONBLOCK) != 0;
    return 0;
}

int creactor_socket_state_of(int descriptor, creactor_socket_state *state) {
    int type = 0;
    int status = creactor_get_option(descriptor, SOL_SOCKET, SO_TYPE, &type);
    if (status < 0) return status;
    int listening = 0;
    status = creactor_get_option(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening);
    if (status < 0) return status;
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    memset(&address, 0, sizeof address);
    if (getsockname(descriptor, (struct sockaddr *)&address, &length) != 0) return -errno;
    state->family = address.ss_family;
    state->is_stream = type == SOCK_STREAM;
    state->is_datagram = type == SOCK_DGRAM;
    state->is_listening = listening != 0;
    length = sizeof address;
    state->is_connected = getpeername(descriptor, (struct sockaddr *)&address, &length) == 0;
    // Apple's systems say EINVAL of one that was shut down.
    return state->is_connected || errno == ENOTCONN || errno == EINVAL ? 0 : -errno;
}

int creactor_set_datagram_options(
    int descriptor, int is_ipv6, int hops, int broadcast, int receive_buffer, int send_buffer
) {
    struct { int level, name, value; } options[] = {
        {is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, is_ipv6 ? IPV6_UNICAST_HOPS : IP_TTL, hops},
        {SOL_SOCKET, SO_BROADCAST, broadcast},
        {SOL_SOCKET, SO_RCVBUF, receive_buffer},
        {SOL_SOCKET, SO_SNDBUF, send_buffer},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (options[i].value == 0) continue;
        int status = creactor_set_option(descriptor, options[i].level, options[i].name, options[i].value);
        if (status < 0) return status;
    }
    return 0;
}

int creactor_set_ipv6_option(int descriptor, creactor_ipv6_option option, int value) {
    static const int names[] = {
        [creactor_ipv6_hops] = IPV6_UNICAST_HOPS,
        [creactor_ipv6_multicast_hops] = IPV6_MULTICAST_HOPS,
        [creactor_ipv6_multicast_loop] = IPV6_MULTICAST_LOOP,
        [creactor_ipv6_multicast_interface] = IPV6_MULTICAST_IF,
    };
    return creactor_set_option(descriptor, IPPROTO_IPV6, names[option], value);
}

int creactor_is_pollable(int descriptor) {
#if defined(__linux__)
    int poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0) return -errno;
    struct epoll_event event = {.events = EPOLLIN};
    int status = epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) == 0 ? 1 : errno == EPERM ? 0 : -errno;
#else
    int poller = kqueue();
    if (poller < 0) return -errno;
    struct kevent event;
    EV_SET(&event, descriptor, EVFILT_READ, EV_ADD, 0, 0, 0);
    int status = kevent(poller, &event, 1, NULL, 0, NULL) == 0;
#endif
    close(poller);
    return status;
}

int creactor_peer_set(void) {
#if defined(__linux__)
    int set = epoll_create1(EPOLL_CLOEXEC);
    return set >= 0 ? set : -errno;
#else
    return -ENOSYS;
#endif
}

int creactor_add_peer(int set, int descriptor, uint64_t number) {
#if defined(__linux__)
    // By edges, or else what is over would be told of without end. Errors are always told of.
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.u64 = number};
    return epoll_ctl(set, EPOLL_CTL_ADD, descriptor, &event) == 0 ? 0 : -errno;
#else
    (void)set, (void)descriptor, (void)number;
    return -ENOSYS;
#endif
}

int creactor_next_peer(int set, uint64_t *number, int *events) {
#if defined(__linux__)
    struct epoll_event event;
    if (epoll_wait(set, &event, 1, 0) != 1) return 0;
    *number = event.data.u64;
    *events = (event.events & EPOLLRDHUP ? CREACTOR_PEER_ENDED : 0) | (event.events & EPOLLHUP ? CREACTOR_PEER_HUNG_UP : 0)
        | (event.events & EPOLLERR ? CREACTOR_PEER_BROKE : 0);
    return 1;
#else
    (void)set, (void)number, (void)events;
    return 0;
#endif
}

int creactor_is_terminal(int descriptor) { return isatty(descriptor); }

int creactor_set_nonblocking(int descriptor, int on) {
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0) return -errno;
    int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    if (wanted == flags) return 0;
    return fcntl(descriptor, F_SETFL, wanted) == 0 ? 0 : -errno;
}

int creactor_duplicate(int descriptor) {
    int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
    return copy >= 0 ? copy : -errno;
}

int creactor_reopen(int descriptor, int writing) {
    int flags = O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (writing ? O_WRONLY : O_RDONLY);
    char path[128];
    if (isatty(descriptor)) {
        int error = ttyname_r(descriptor, path, sizeof path);
        if (error != 0) return -error;
        // A terminal is one thing in both directions, and is opened as it is.
        int opened = fcntl(descriptor, F_GETFL);
        if (opened < 0) return -errno;
        flags = O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (opened & O_ACCMODE);
    } else {
#if defined(__linux__)
        snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
        // A FIFO with a name that is opened when its writers have gone would never tell of their end.
        char target[8];
        ssize_t length = readlink(path, target, sizeof target);
        if (length < 5 || strncmp(target, "pipe:", 5) != 0) {
            struct stat status;
            if (fstat(descriptor, &status) != 0) return -errno;
            if (S_ISFIFO(status.st_mode)) return -ENOTSUP;
        }
#else
        // There /dev/fd only duplicates.
        return -ENOTSUP;
#endif
    }
    int reopened;
    do {
        reopened = open(path, flags);
    } while (reopened < 0 && errno == EINTR);
    return reopened >= 0 ? reopened : -errno;
}

long creactor_write(int descriptor, const void *bytes, size_t count) {
    ssize_t written;
    do {
        written = write(descriptor, bytes, count);
    } while (written < 0 && errno == EINTR);
    return written >= 0 ? (long)written : -(long)errno;
}

long creactor_read(int descriptor, void *bytes, size_t count) {
    ssize_t received;
    do {
        received = read(descriptor, bytes, count);
    } while (received < 0 && errno == EINTR);
    return received >= 0 ? (long)received : -(long)errno;
}

int creactor_write_all(int descriptor, const void *bytes, size_t count) {
    const char *next = bytes;
    while (count > 0) {
        long written = creactor_write(descriptor, next, count);
        if (written == -EAGAIN) {
            // Somebody who shares it has made it so.
            struct pollfd waiting = {.fd = descriptor, .events = POLLOUT};
            poll(&waiting, 1, -1);
            continue;
        }
        if (written < 0) return (int)written;
        next += written;
        count -= (size_t)written;
    }
    return 0;
}

int creactor_pipe(int descriptors[2]) {
#if defined(__linux__)
    return pipe2(descriptors, O_CLOEXEC | O_NONBLOCK) == 0 ? 0 : -errno;
#else
    if (pipe(descriptors) != 0) return -errno;
    for (int end = 0; end < 2; end++) {
        fcntl(descriptors[end], F_SETFD, FD_CLOEXEC);
        fcntl(descriptors[end], F_SETFL, fcntl(descriptors[end], F_GETFL) | O_NONBLOCK);
    }
    return 0;
#endif
}

int creactor_get_option(int descriptor, int level, int name, int *value) {
    socklen_t length = sizeof *value;
    return getsockopt(descriptor, level, name, value, &length) == 0 ? 0 : -errno;
}

int creactor_set_option(int descriptor, int level, int name, int value) {
    return setsockopt(descriptor, level, name, &value, sizeof value) == 0 ? 0 : -errno;
}

int creactor_unix_socket(void) { return creactor_socket(AF_UNIX, 0); }

int creactor_connect_unix(int descriptor, const void *address, int length) {
    int status;
    do {
        status = connect(descriptor, address, (socklen_t)length);
    } while (status != 0 && errno == EINTR);
    return status == 0 || errno == EISCONN ? 0 : -errno;
}

int creactor_bind_unix(int descriptor, const void *address, int length, const char *path, int replaces_stale, int mode,
                       uint64_t *device, uint64_t *inode, const char **call) {
    struct stat status;
    *device = *inode = 0;
    // What else is at the path stays, and makes binding fail, as does what cannot be removed.
    if (path != NULL && replaces_stale && lstat(path, &status) == 0 && S_ISSOCK(status.st_mode)) unlink(path);
    *call = "bind";
    if (bind(descriptor, address, (socklen_t)length) != 0) return -errno;
    if (path == NULL) return 0;
    if (lstat(path, &status) == 0) {
        *device = (uint64_t)status.st_dev;
        *inode = (uint64_t)status.st_ino;
    }
    // Nobody can connect before it listens.
    if (mode >= 0 && chmod(path, (mode_t)mode) != 0) {
        int error = errno;
        *call = "chmod";
        creactor_unlink_if_same(path, *device, *inode);
        return -error;
    }
    return 0;
}

void creactor_unlink_if_same(const char *path, uint64_t device, uint64_t inode) {
    struct stat status;
    if (inode == 0 || lstat(path, &status) != 0) return;
    if ((uint64_t)status.st_dev == device && (uint64_t)status.st_ino == inode) unlink(path);
}

static void reset_terminal(void) { uv_tty_reset_mode(); }
static pthread_once_t reset_once = PTHREAD_ONCE_INIT;
static void register_reset(void) { atexit(reset_terminal); }
void creactor_reset_terminal_at_exit(void) { pthread_once(&reset_once, register_reset); }
