// An echo server on epoll alone, in one thread: the floor under every other figure.
//
// Level-triggered, one read per event, the answer written at once from the same buffer. Only when the kernel takes less
// than all of it is memory allocated: the rest is kept, and the connection waits for room instead of for more to read,
// so that a client that never reads costs one buffer and no more.

#define _GNU_SOURCE

#include "CPeers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_SIZE = 64 * 1024, EVENTS_PER_WAIT = 1024, BACKLOG = 1024 };

/// What the kernel has not taken yet of an answer.
struct rest {
    size_t length;
    size_t sent;
    char bytes[];
};

static char buffer[BUFFER_SIZE];
static struct rest **rest_of;  // by descriptor
static int epoll_descriptor, listener, signals;

static int failed(const char *call) {
    fprintf(stderr, "epoll echo server: %s: %s\n", call, strerror(errno));
    return 1;
}

static int watch(int operation, int descriptor, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = descriptor};
    return epoll_ctl(epoll_descriptor, operation, descriptor, &event);
}

static void end_connection(int descriptor) {
    free(rest_of[descriptor]);
    rest_of[descriptor] = NULL;
    close(descriptor);
}

/// Accepts all that wait. Running out of descriptors ends the server: a benchmark must not go on with half its clients.
static int accept_all(void) {
    while (true) {
        int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0) {
            if (errno == EINTR || errno == ECONNABORTED) continue;
            return errno == EAGAIN ? 0 : failed("accept4");
        }
        int on = 1;
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (watch(EPOLL_CTL_ADD, descriptor, EPOLLIN) < 0) return failed("epoll_ctl");
    }
}

static void keep_rest(int descriptor, const char *bytes, size_t length) {
    struct rest *rest = malloc(sizeof *rest + length);
    if (!rest || watch(EPOLL_CTL_MOD, descriptor, EPOLLOUT) < 0) {
        free(rest);
        end_connection(descriptor);
        return;
    }
    rest->length = length;
    rest->sent = 0;
    memcpy(rest->bytes, bytes, length);
    rest_of[descriptor] = rest;
}

static void write_rest(int descriptor) {
    struct rest *rest = rest_of[descriptor];
    ssize_t sent = write(descriptor, rest->bytes + rest->sent, rest->length - rest->sent);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) end_connection(descriptor);
        return;
    }
    rest->sent += (size_t)sent;
    if (rest->sent < rest->length) return;
    free(rest);
    rest_of[descriptor] = NULL;
    if (watch(EPOLL_CTL_MOD, descriptor, EPOLLIN) < 0) end_connection(descriptor);
}

static void echo(int descriptor) {
    ssize_t got = read(descriptor, buffer, sizeof buffer);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) end_connection(descriptor);
        return;
    }
    ssize_t sent = write(descriptor, buffer, (size_t)got);
    if (sent == got) return;
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        end_connection(descriptor);
        return;
    }
    size_t taken = sent < 0 ? 0 : (size_t)sent;
    keep_rest(descriptor, buffer + taken, (size_t)got - taken);
}

static int serve(void) {
    static struct epoll_event events[EVENTS_PER_WAIT];
    while (true) {
        int count = epoll_wait(epoll_descriptor, events, EVENTS_PER_WAIT, -1);
        if (count < 0 && errno != EINTR) return failed("epoll_wait");
        for (int i = 0; i < count; i++) {
            int descriptor = events[i].data.fd;
            if (descriptor == signals) return 0;
            if (descriptor == listener) {
                if (accept_all() != 0) return 1;
            } else if (rest_of[descriptor]) {
                write_rest(descriptor);
            } else {
                echo(descriptor);
            }
        }
    }
}

static int start_listening(const char *host, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t length = sizeof address;
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        errno = EINVAL;
        return failed(host);
    }
    int on = 1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0) return failed("socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) return failed("setsockopt");
    if (bind(listener, (struct sockaddr *)&address, length) < 0) return failed("bind");
    if (listen(listener, BACKLOG) < 0) return failed("listen");
    if (getsockname(listener, (struct sockaddr *)&address, &length) < 0) return failed("getsockname");
    if (watch(EPOLL_CTL_ADD, listener, EPOLLIN) < 0) return failed("epoll_ctl");
    printf("listening on %s:%d\n", host, ntohs(address.sin_port));
    return fflush(stdout) == 0 ? 0 : failed("stdout");
}

int peer_epoll_echo(const char *host, int port) {
    sigset_t end;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &end, NULL) < 0) return failed("sigprocmask");
    signals = signalfd(-1, &end, SFD_CLOEXEC);
    epoll_descriptor = epoll_create1(EPOLL_CLOEXEC);
    if (signals < 0 || epoll_descriptor < 0) return failed("signalfd, epoll_create1");
    if (watch(EPOLL_CTL_ADD, signals, EPOLLIN) < 0) return failed("epoll_ctl");

    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return failed("getrlimit");
    rest_of = calloc(limit.rlim_cur, sizeof *rest_of);
    if (!rest_of) return failed("calloc");
    return start_listening(host, port) == 0 ? serve() : 1;
}
