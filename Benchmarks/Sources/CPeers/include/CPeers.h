// The peers in C: what is possible on this machine, and what is possible through libuv.
//
// The echo servers are the whole of a process. Each prints `listening on HOST:PORT` once it accepts, serves until
// SIGTERM, and returns the process's exit code; a reason for failing goes to stderr.

#ifndef CPEERS_H
#define CPEERS_H

#include <stdint.h>

/// The floor: nothing between the sockets and epoll.
int peer_epoll_echo(const char *host, int port);

/// The limit that the package is held against: libuv as somebody who knows it well would use it.
int peer_libuv_echo(const char *host, int port);

/// Two libuv loops on two threads wake each other in turn. Returns nanoseconds per there-and-back, or -1.
double peer_libuv_round_trip(int64_t count);

/// Starts and stops one libuv timer while `pending` others wait. Returns nanoseconds per pair, or -1.
double peer_libuv_timers(int64_t pending, int64_t count);

/// The libuv that is linked here.
const char *peer_libuv_version(void);

#endif
