// What scenarios need and do not test: made while nothing counts.

#define _GNU_SOURCE

#include "Interpose.h"

#if defined(__linux__)

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/// The library's functions, as they are called without a plan.
#define PLAIN(name) ((__typeof__(&name))torture_next(#name))

int torture_terminal_pair(int *controller, int *terminal) {
    char name[64];
    *controller = PLAIN(open)("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*controller < 0 || grantpt(*controller) != 0 || unlockpt(*controller) != 0) return -1;
    if (ptsname_r(*controller, name, sizeof name) != 0) return -1;
    *terminal = PLAIN(open)(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return *terminal < 0 ? -1 : 0;
}

int torture_socket_pair(int *first, int *second) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return -1;
    *first = ends[0];
    *second = ends[1];
    return 0;
}

int torture_datagram_socket(void) { return PLAIN(socket)(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); }

int torture_pipe(int *reading, int *writing) {
    int ends[2];
    if (PLAIN(pipe2)(ends, O_CLOEXEC) != 0) return -1;
    *reading = ends[0];
    *writing = ends[1];
    return 0;
}

int torture_bound_socket(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    int descriptor = PLAIN(socket)(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    if (PLAIN(bind)(descriptor, (const struct sockaddr *)&address, sizeof address) == 0) return descriptor;
    close(descriptor);
    return -1;
}

#endif
