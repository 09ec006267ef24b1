// See CReactor.h: thread-locals, a mutex, threads, and the few system calls that the reactor makes itself.

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "CReactor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#if defined(__linux__)
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#endif
#include <time.h>
#include <unistd.h>
#include <uv.h>

_Thread_local const void *creactor_current_loop_storage CREACTOR_TLS = NULL;

long creactor_find(const void *bytes, size_t count, const void *wanted, size_t length) {
    if (length == 1) return creactor_find_byte(bytes, count, *(const unsigned char *)wanted);
    const void *found = memmem(bytes, count, wanted, length);
    return found ? (long)((const char *)found - (const char *)bytes) : -1;
}

static _Thread_local char thread_marker;
uintptr_t creactor_thread_id(void) { return (uintptr_t)&thread_marker; }

struct creactor_mutex {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
};

creactor_mutex *creactor_mutex_create(void) {
    creactor_mutex *mutex = malloc(sizeof *mutex);
    if (mutex == NULL) abort();
    if (pthread_mutex_init(&mutex->mutex, NULL) != 0 || pthread_cond_init(&mutex->condition, NULL) != 0) abort();
    return mutex;
}

void creactor_mutex_destroy(creactor_mutex *mutex) {
    pthread_cond_destroy(&mutex->condition);
    pthread_mutex_destroy(&mutex->mutex);
    free(mutex);
}

void creactor_mutex_lock(creactor_mutex *mutex) { pthread_mutex_lock(&mutex->mutex); }
void creactor_mutex_unlock(creactor_mutex *mutex) { pthread_mutex_unlock(&mutex->mutex); }
void creactor_mutex_wait(creactor_mutex *mutex) { pthread_cond_wait(&mutex->condition, &mutex->mutex); }
int creactor_mutex_wait_for(creactor_mutex *mutex, uint64_t nanoseconds) {
    // The condition waits on the real-time clock: a jump of that clock makes a wait longer or shorter, not wrong, as
    // callers look at what they wait for.
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    uint64_t rest = nanoseconds % 1000000000u + (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(nanoseconds / 1000000000u + rest / 1000000000u);
    until.tv_nsec = (long)(rest % 1000000000u);
    return pthread_cond_timedwait(&mutex->condition, &mutex->mutex, &until);
}
void creactor_mutex_signal(creactor_mutex *mutex) { pthread_cond_signal(&mutex->condition); }

uint64_t creactor_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    return creactor_descriptor_limit();
}

void creactor_yield(void) { sched_yield(); }

struct thread_start {
    char name[16];
    void (*body)(void *);
    void *context;
};

static void *thread_main(void *argument) {
    struct thread_start start = *(struct thread_start *)argument;
    free(argument);
#if defined(__APPLE__)
    pthread_setname_np(start.name);
#else
    pthread_setname_np(pthread_self(), start.name);
#endif
    start.body(start.context);
    return NULL;
}

int creactor_thread_start(const char *name, void (*body)(void *), void *context) {
    struct thread_start *start = malloc(sizeof *start);
    if (start == NULL) return ENOMEM;
    strncpy(start->name, name, sizeof start->name - 1);
    start->name[sizeof start->name - 1] = 0;
    start->body = body;
    start->context = context;

    // Signals belong to the threads that watch them: a thread of ours never takes one.
    sigset_t all, previous;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &previous);
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error == 0) {
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_t thread;
        error = pthread_create(&thread, &attributes, thread_main, start);
        pthread_attr_destroy(&attributes);
    }
    pthread_sigmask(SIG_SETMASK, &previous, NULL);
    if (error != 0) free(start);
    return error;
}

void creactor_ignore_sigpipe(void) {
    struct sigaction action;
    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL) signal(SIGPIPE, SIG_IGN);
}

void creactor_setenv_default(const char *name, const char *value) { setenv(name, value, 0); }

uint64_t creactor_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
    return (uint64_t)limit.rlim_cur;
}

int creactor_linger_zero(int descriptor) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    return setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0 ? 0 : -errno;
}

int creactor_unacknowledged(int descriptor) {
#if defined(__linux__)
    // SIOCOUTQ by its other name, which needs no header of the kernel's.
    int count = 0;
    if (ioctl(descriptor, TIOCOUTQ, &count) != 0) return -errno;
    if (count == 0) return 0;
    int error = creactor_socket_error(descriptor);
    if (error != 0) return error;
    // Whoever asked for the error before has taken it.
    struct tcp_info info;
    socklen_t length = sizeof info;
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return -errno;
    return info.tcpi_state == TCP_CLOSE ? -ECONNRESET : count;
#elif defined(TCP_CONNECTION_INFO)
    struct tcp_connection_info info;
    socklen_t length = sizeof info;
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_CONNECTION_INFO, &info, &length) != 0) return -errno;
    if (info.tcpi_snd_sbbytes == 0) return 0;
    int error = creactor_socket_error(descriptor);
    return error != 0 ? error : info.tcpi_snd_sbbytes > INT_MAX ? INT_MAX : (int)info.tcpi_snd_sbbytes;
#else
    (void)descriptor;
    return -ENOSYS;
#endif
}

int creactor_set_tcp_options(int descriptor, int no_delay, unsigned int idle_seconds) {
    int on = 1;
    if (no_delay && setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) return -errno;
    if (idle_seconds == 0) return 0;
    if (setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) != 0) return -errno;
#if defined(TCP_KEEPIDLE)
    int idle = (int)idle_seconds;
    if (setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle) != 0) return -errno;
#elif defined(TCP_KEEPALIVE)
    int idle = (int)idle_seconds;
    if (setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPALIVE, &idle, sizeof idle) != 0) return -errno;
#endif
    return 0;
}

int creactor_set_more_tcp_options(
    int descriptor, unsigned int interval, unsigned int count, unsigned int user_timeout, int send_buffer, int receive_buffer
) {
    struct { int level, name, value; } options[] = {
#if defined(TCP_KEEPINTVL)
        {IPPROTO_TCP, TCP_KEEPINTVL, (int)interval},
        {IPPROTO_TCP, TCP_KEEPCNT, (int)count},
#endif
#if defined(TCP_USER_TIMEOUT)
        {IPPROTO_TCP, TCP_USER_TIMEOUT, (int)user_timeout},
#elif defined(TCP_RXT_CONNDROPTIME)
        {IPPROTO_TCP, TCP_RXT_CONNDROPTIME, (int)((user_timeout + 999) / 1000)},
#endif
        {SOL_SOCKET, SO_SNDBUF, send_buffer},
        {SOL_SOCKET, SO_RCVBUF, receive_buffer},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (options[i].value == 0) continue;
        if (setsockopt(descriptor, options[i].level, options[i].name, &options[i].value, sizeof(int)) != 0) return -errno;
    }
    return 0;
}

int creactor_listen(int descriptor, int backlog) { return listen(descriptor, backlog) == 0 ? 0 : -errno; }

static int is_listening(int descriptor) {
    int listening = 0;
    socklen_t length = sizeof listening;
    return getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening;
}

int creactor_accept(int descriptor, void *address, int *length) {
    for (;;) {
        socklen_t size = address ? (socklen_t)*length : 0;
#if defined(SOCK_CLOEXEC)
        int accepted = accept4(descriptor, address, address ? &size : NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
#else
        int accepted = accept(descriptor, address, address ? &size : NULL);
        if (accepted >= 0) {
            fcntl(accepted, F_SETFD, FD_CLOEXEC);
            fcntl(accepted, F_SETFL, O_NONBLOCK);
        }
#endif
        if (accepted >= 0) {
            if (address) *length = (int)size;
            return accepted;
        }
        // Linux hands pending network errors of the client to accept, which are nobody's but the client's.
        switch (errno) {
        case EINTR:
        case ECONNABORTED:
        case EPROTO:
        case ENETDOWN:
        case ENETUNREACH:
        case EHOSTDOWN:
        case EHOSTUNREACH:
        case ENOPROTOOPT:
            continue;
        case EOPNOTSUPP:
            // Also what a socket says that can never accept.
            if (is_listening(descriptor)) continue;
            return -ENOTSUP;
        case EWOULDBLOCK:
            return -EAGAIN;
        default:
            return -errno;
        }
    }
}

int creactor_socket_name(int descriptor, void *address, int *length) {
    socklen_t size = (socklen_t)*length;
    if (getsockname(descriptor, address, &size) != 0) return -errno;
    *length = (int)size;
    return 0;
}

void creactor_close(int descriptor) { close(descriptor); }

static int fail(int descriptor, const char **call, const char *name) {
    int error = errno;
    *call = name;
    if (descriptor >= 0) close(descriptor);
    return -error;
}

int creactor_bound_socket(const void *address, int length, int reuse_address, int reuse_port, const char **call) {
    sa_family_t family = ((const struct sockaddr *)address)->sa_family;
    int descriptor = creactor_socket(family, 0);
    if (descriptor < 0) return fail(-1, call, "socket");
    int on = 1;
    if (reuse_address && setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        return fail(descriptor, call, "setsockopt(SO_REUSEADDR)");
    if (reuse_port && setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
        return fail(descriptor, call, "setsockopt(SO_REUSEPORT)");
    // Dual stack is two sockets: an IPv6 socket that also took IPv4 would take the port from the IPv4 one.
    if (family == AF_INET6 && setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
        return fail(descriptor, call, "setsockopt(IPV6_V6ONLY)");
    if (bind(descriptor, address, (socklen_t)length) != 0) return fail(descriptor, call, "bind");
    return descriptor;
}

int creactor_send_to(int descriptor, const void *bytes, size_t count, const void *address, int length) {
    ssize_t sent;
    do {
        sent = sendto(descriptor, bytes, count, CREACTOR_SEND_FLAGS, address, (socklen_t)length);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) return 0;
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

int creactor_send_datagrams(int descriptor, const struct iovec *datagrams, unsigned int count, const void *address, int length) {
#if defined(__linux__)
    struct mmsghdr messages[CREACTOR_MOST_DATAGRAMS];
    if (count > CREACTOR_MOST_DATAGRAMS) count = CREACTOR_MOST_DATAGRAMS;
    memset(messages, 0, sizeof(struct mmsghdr) * count);
    for (unsigned int index = 0; index < count; index++) {
        messages[index].msg_hdr.msg_name = (void *)address;
        messages[index].msg_hdr.msg_namelen = (socklen_t)length;
        messages[index].msg_hdr.msg_iov = (struct iovec *)&datagrams[index];
        messages[index].msg_hdr.msg_iovlen = 1;
    }
    int sent;
    do {
        sent = sendmmsg(descriptor, messages, count, CREACTOR_SEND_FLAGS);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) return sent;
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
#else
    for (unsigned int index = 0; index < count; index++) {
        int status = creactor_send_to(descriptor, datagrams[index].iov_base, datagrams[index].iov_len, address, length);
        if (status < 0) return index > 0 ? (int)index : status;
    }
    return (int)count;
#endif
}

long creactor_receive(int descriptor, void *bytes, size_t count) {
    ssize_t received;
    do {
        received = recv(descriptor, bytes, count, MSG_DONTWAIT);
    } while (received < 0 && errno == EINTR);
    if (received >= 0) return (long)received;
    return errno == EWOULDBLOCK ? -EAGAIN : -(long)errno;
}

long creactor_receive_from(int descriptor, void *bytes, size_t count, void *address, int *length, int *is_truncated) {
    struct iovec room = {.iov_base = bytes, .iov_len = count};
    struct msghdr message = {0};
    message.msg_name = address;
    message.msg_namelen = (socklen_t)*length;
    message.msg_iov = &room;
    message.msg_iovlen = 1;
    ssize_t received;
    do {
        received = recvmsg(descriptor, &message, MSG_DONTWAIT);
    } while (received < 0 && errno == EINTR);
    if (received < 0) return errno == EWOULDBLOCK ? -EAGAIN : -(long)errno;
    *length = (int)message.msg_namelen;
    *is_truncated = (message.msg_flags & MSG_TRUNC) != 0;
    return (long)received;
}

int creactor_socket(int family, int is_datagram) {
    int type = is_datagram ? SOCK_DGRAM : SOCK_STREAM;
#if defined(SOCK_CLOEXEC)
    int descriptor = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return descriptor >= 0 ? descriptor : -errno;
#else
    int descriptor = socket(family, type, 0);
    if (descriptor < 0) return -errno;
    fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    fcntl(descriptor, F_SETFL, O_NONBLOCK);
    return descriptor;
#endif
}

int creactor_connect(int descriptor, const void *address, int length) {
    if (connect(descriptor, address, (socklen_t)length) == 0) return 0;
    // An interrupted one goes on by itself, and must not be begun again.
    return errno == EINPROGRESS || errno == EINTR ? 1 : -errno;
}

int creactor_socket_error(int descriptor) {
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return -errno;
    return -error;
}

int creactor_bind(int descriptor, const void *address, int length) {
    return bind(descriptor, address, (socklen_t)length) == 0 ? 0 : -errno;
}

int creactor_peer_name(int descriptor, void *address, int *length) {
    socklen_t size = (socklen_t)*length;
    if (getpeername(descriptor, address, &size) != 0) return -errno;
    *length = (int)size;
    return 0;
}

long creactor_send_file(int socket, int file, long long offset, size_t count) {
#if defined(__linux__)
    off_t place = (off_t)offset;
    ssize_t sent;
    do {
        sent = sendfile(socket, file, &place, count);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) return (long)sent;
#elif defined(__APPLE__)
    off_t sent = (off_t)count;
    if (sendfile(file, socket, (off_t)offset, &sent, NULL, 0) == 0 || sent > 0) return (long)sent;
    if (errno == EINTR) return -EAGAIN;
#else
    (void)socket, (void)file, (void)offset, (void)count;
    errno = ENOSYS;
#endif
    switch (errno) {
    case EWOULDBLOCK:
        return -EAGAIN;
    case EINVAL:
    case EOPNOTSUPP:
    case ENOTSOCK:
    case ESPIPE:
        return -ENOSYS;
    default:
        return -(long)errno;
    }
}

long creactor_read_file(int file, void *bytes, size_t count, long long offset) {
    ssize_t read;
    do {
        read = pread(file, bytes, count, (off_t)offset);
    } while (read < 0 && errno == EINTR);
    return read >= 0 ? (long)read : -(long)errno;
}

int creactor_open_file(const char *path) {
    int file;
    do {
        file = open(path, O_RDONLY | O_CLOEXEC);
    } while (file < 0 && errno == EINTR);
    return file >= 0 ? file : -errno;
}

int creactor_check_watchable(int descriptor) {
    struct stat status;
    if (fstat(descriptor, &status) != 0) return -errno;
    return S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) ? -EPERM : 0;
}

int creactor_reuse_port(int descriptor) {
    int on = 1;
    return setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0 ? 0 : -errno;
}

void creactor_own_groups_only(int descriptor, int is_ipv6) {
    // Old kernels know the one for IPv6 not; then it is as it was.
    int off = 0;
    (void)descriptor, (void)is_ipv6, (void)off;
#if defined(IP_MULTICAST_ALL)
    if (!is_ipv6) setsockopt(descriptor, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof off);
#endif
#if defined(IPV6_MULTICAST_ALL)
    if (is_ipv6) setsockopt(descriptor, IPPROTO_IPV6, IPV6_MULTICAST_ALL, &off, sizeof off);
#endif
}

int creactor_ipv6_only(int descriptor) {
    int on = 1;
    return setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0 ? 0 : -errno;
}

int creactor_client_socket(const void *address, int length, int bound, const char **call) {
    sa_family_t family = ((const struct sockaddr *)address)->sa_family;
    int descriptor = creactor_socket(family, 0);
    if (descriptor < 0) return fail(-1, call, "socket");
    if (!bound) return descriptor;
    int on = 1;
    if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        return fail(descriptor, call, "setsockopt(SO_REUSEADDR)");
#if defined(IP_BIND_ADDRESS_NO_PORT)
    // A port for each pair of ends and not for each end: with few ports many more connections. Old kernels do without.
    setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
#endif
    if (bind(descriptor, address, (socklen_t)length) != 0) return fail(descriptor, call, "bind");
    return descriptor;
}

int creactor_name_status(int error) {
    switch (error) {
    case 0: return 0;
#if defined(EAI_ADDRFAMILY)
    case EAI_ADDRFAMILY: return UV_EAI_ADDRFAMILY;
#endif
    case EAI_AGAIN: return UV_EAI_AGAIN;
    case EAI_BADFLAGS: return UV_EAI_BADFLAGS;
    case EAI_FAIL: return UV_EAI_FAIL;
    case EAI_FAMILY: return UV_EAI_FAMILY;
    case EAI_MEMORY: return UV_EAI_MEMORY;
#if defined(EAI_NODATA) && EAI_NODATA != EAI_NONAME
    case EAI_NODATA: return UV_EAI_NODATA;
#endif
    case EAI_NONAME: return UV_EAI_NONAME;
    case EAI_OVERFLOW: return UV_EAI_OVERFLOW;
    case EAI_SERVICE: return UV_EAI_SERVICE;
    case EAI_SOCKTYPE: return UV_EAI_SOCKTYPE;
    case EAI_SYSTEM: return errno != 0 ? -errno : UV_EAI_FAIL;
    default: return UV_EAI_FAIL;
    }
}

void creactor_write_stderr(const void *bytes, size_t count) {
    const char *next = bytes;
    while (count > 0) {
        ssize_t written = write(STDERR_FILENO, next, count);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return;
        next += written;
        count -= (size_t)written;
    }
}
