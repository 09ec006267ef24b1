// The kinds of calls that fail, how, and what is to come of it. Part of CTorture.
//
// What is not here, and why: a failure of libuv's own `epoll_ctl` or `epoll_wait`, or of the growth of libuv's table of
// descriptors, or of `sigaction` as a handler is taken away, makes libuv end the process by design. `uv_fileno`, `uv_prepare_start` and their like cannot fail for the
// handles that they are called with.

#ifndef SWIFT_ASYNCIO_TORTURE_KINDS_H
#define SWIFT_ASYNCIO_TORTURE_KINDS_H

#include "CTorture.h"
#include <errno.h>
#include <netdb.h>

/// The failure is mended: nobody is told.
#define MENDED(failure) ((failure) | TORTURE_IS_MENDED)
/// Nobody need be told: it may be that there is nobody, or that what failed can be done without.
#define EITHER(failure) ((failure) | TORTURE_IS_EITHER)
/// One of the codes of `getaddrinfo`, which are negative.
#define NAMES(failure) (-(failure) | TORTURE_IS_OF_NAMES)

/// Name, on which threads it counts, three ways in which it fails.
///
/// Kinds of one call follow one another.
#define KINDS(X)                                                                                                          \
    X(uv_loop_init, HERE, ENOMEM, EMFILE, 0)                                                                              \
    X(uv_async_init, HERE, EMFILE, 0, 0)                                                                                  \
    X(uv_prepare_init, HERE, ENOMEM, 0, 0)                                                                                \
    X(uv_check_init, HERE, ENOMEM, 0, 0)                                                                                  \
    X(uv_idle_init, HERE, ENOMEM, 0, 0)                                                                                   \
    X(uv_timer_init, HERE, ENOMEM, 0, 0)                                                                                  \
    X(uv_timer_start, HERE, EITHER(EINVAL), 0, 0)                                                                         \
    X(uv_signal_init, HERE, EMFILE, 0, 0)                                                                                 \
    X(uv_signal_start, HERE, EINVAL, 0, 0)                                                                                \
    X(uv_poll_init, HERE, EITHER(ENOMEM), EITHER(EEXIST), 0)                                                              \
    X(uv_poll_start, HERE, EITHER(ENOMEM), 0, 0)                                                                          \
    X(uv_tcp_init, HERE, ENOMEM, 0, 0)                                                                                    \
    X(uv_tcp_open, HERE, ENOMEM, EEXIST, 0)                                                                               \
    X(uv_tcp_connect, HERE, ENOMEM, ECONNREFUSED, 0)                                                                      \
    X(uv_pipe_init, HERE, ENOMEM, 0, 0)                                                                                   \
    X(uv_pipe_open, HERE, ENOMEM, EEXIST, 0)                                                                              \
    X(uv_tty_init, HERE, EINVAL, EMFILE, 0)                                                                               \
    X(uv_tty_set_mode, HERE, EITHER(EIO), 0, 0)                                                                           \
    X(uv_tty_get_winsize, HERE, EIO, 0, 0)                                                                                \
    X(uv_udp_init_ex, HERE, ENOMEM, EMFILE, 0)                                                                            \
    X(uv_udp_bind, HERE, EADDRINUSE, 0, 0)                                                                                \
    X(uv_udp_connect, HERE, ENETUNREACH, 0, 0)                                                                            \
    X(uv_udp_getsockname, HERE, EITHER(ENOBUFS), 0, 0)                                                                    \
    X(uv_udp_getpeername, HERE, EITHER(ENOTCONN), 0, 0)                                                                   \
    X(uv_udp_recv_start, HERE, ENOMEM, 0, 0)                                                                              \
    X(uv_udp_send, HERE, ENOMEM, ENOBUFS, 0)                                                                              \
    X(uv_udp_set_membership, HERE, ENODEV, 0, 0)                                                                          \
    X(uv_udp_set_source_membership, HERE, EADDRNOTAVAIL, 0, 0)                                                            \
    X(uv_udp_set_multicast_ttl, HERE, EINVAL, 0, 0)                                                                       \
    X(uv_udp_set_multicast_loop, HERE, EINVAL, 0, 0)                                                                      \
    X(uv_udp_set_multicast_interface, HERE, EINVAL, 0, 0)                                                                 \
    X(uv_udp_set_broadcast, HERE, EACCES, 0, 0)                                                                           \
    X(uv_udp_set_ttl, HERE, EINVAL, 0, 0)                                                                                 \
    X(uv_recv_buffer_size, HERE, ENOBUFS, 0, 0)                                                                           \
    X(uv_send_buffer_size, HERE, ENOBUFS, 0, 0)                                                                           \
    X(uv_read_start, HERE, ENOTCONN, 0, 0)                                                                                \
    X(uv_write, HERE, ENOMEM, EPIPE, 0)                                                                                   \
    X(uv_try_write, HERE, MENDED(EAGAIN), EPIPE, 0)                                                                       \
    X(uv_shutdown, HERE, ENOTCONN, ENOMEM, 0)                                                                             \
    X(uv_async_send, HERE, EITHER(EINVAL), 0, 0)                                                                          \
    X(uv_malloc, HERE, ENOMEM, 0, 0)                                                                                      \
    X(socket, HERE, EMFILE, ENOBUFS, 0)                                                                                   \
    X(bind, HERE, EADDRINUSE, EACCES, 0)                                                                                  \
    X(listen, HERE, EADDRINUSE, 0, 0)                                                                                     \
    X(accept4, HERE, EMFILE, MENDED(ECONNABORTED), MENDED(EINTR))                                                         \
    X(connect, HERE, ECONNREFUSED, ENETUNREACH, 0)                                                                        \
    X(setsockopt, HERE, EITHER(EINVAL), EITHER(ENOMEM), 0)                                                                \
    X(getsockopt, HERE, EITHER(ENOBUFS), 0, 0)                                                                            \
    X(getsockname, HERE, EITHER(ENOBUFS), 0, 0)                                                                           \
    X(getpeername, HERE, EITHER(ENOTCONN), EITHER(ENOBUFS), 0)                                                                          \
    X(sendfile, HERE, MENDED(EAGAIN), EIO, MENDED(EINTR))                                                                 \
    X(sendfile_not, HERE, MENDED(EINVAL), 0, 0)                                                                           \
    X(sendfile_short, HERE, MENDED(TORTURE_SHORT), 0, 0)                                                                  \
    X(pipe2, HERE, EMFILE, 0, 0)                                                                                          \
    X(send, HERE, MENDED(EAGAIN), ECONNRESET, MENDED(EINTR))                                                              \
    X(send_full, HERE, ENOBUFS, 0, 0)                                                                                     \
    X(send_short, HERE, MENDED(TORTURE_SHORT), 0, 0)                                                                      \
    X(sendto, HERE, MENDED(EAGAIN), ECONNREFUSED, MENDED(EINTR))                                                          \
    X(sendto_full, HERE, ENOBUFS, EMSGSIZE, ENETUNREACH)                                                                  \
    X(sendmmsg, HERE, MENDED(EAGAIN), ECONNREFUSED, MENDED(EINTR))                                                        \
    X(sendmmsg_full, HERE, EPERM, EMSGSIZE, 0)                                                                            \
    X(sendmmsg_short, HERE, MENDED(TORTURE_SHORT), 0, 0)                                                                  \
    X(read, HERE, ECONNRESET, MENDED(EINTR), 0)                                                                           \
    X(read_again, HERE, MENDED(EAGAIN), ETIMEDOUT, 0)                                                                     \
    X(read_short, HERE, MENDED(TORTURE_SHORT), 0, 0)                                                                      \
    X(recv, HERE, MENDED(EAGAIN), ECONNRESET, MENDED(EINTR))                                                              \
    X(recv_short, HERE, MENDED(TORTURE_SHORT), 0, 0)                                                                      \
    X(recvmsg, HERE, MENDED(EAGAIN), ECONNREFUSED, MENDED(EINTR))                                                         \
    X(recvmmsg, HERE, MENDED(EAGAIN), ECONNREFUSED, MENDED(EINTR))                                                        \
    X(write, HERE, MENDED(EAGAIN), EPIPE, MENDED(EINTR))                                                                  \
    X(write_short, HERE, MENDED(TORTURE_SHORT), 0, 0)                                                                     \
    X(shutdown, HERE, ENOBUFS, 0, 0)                                                                                      \
    X(eventfd, HERE, EMFILE, 0, 0)                                                                                        \
    X(epoll_create1, HERE, EMFILE, 0, 0)                                                                                  \
    X(epoll_ctl, HERE, ENOSPC, 0, 0)                                                                                      \
    X(pthread_create, HERE, EAGAIN, 0, 0)                                                                                 \
    X(open, ANYWHERE, EITHER(EMFILE), EITHER(EACCES), MENDED(EINTR))                                                      \
    X(pread, ANYWHERE, EIO, MENDED(EINTR), 0)                                                                             \
    X(pread_short, ANYWHERE, MENDED(TORTURE_SHORT), 0, 0)                                                                 \
    X(file_read, ANYWHERE, EIO, MENDED(EINTR), 0)                                                                         \
    X(file_read_short, ANYWHERE, MENDED(TORTURE_SHORT), 0, 0)                                                             \
    X(file_write, ANYWHERE, ENOSPC, MENDED(EINTR), 0)                                                                     \
    X(file_write_short, ANYWHERE, MENDED(TORTURE_SHORT), 0, 0)                                                            \
    X(fcntl, HERE, EITHER(EMFILE), EITHER(EBADF), 0)                                                                      \
    X(ioctl, HERE, EITHER(EIO), 0, 0)                                                                                     \
    X(fstat, HERE, EITHER(EIO), 0, 0)                                                                                     \
    X(lstat, HERE, EITHER(EACCES), 0, 0)                                                                                  \
    X(chmod, HERE, EPERM, 0, 0)                                                                                           \
    X(unlink, HERE, EITHER(EACCES), 0, 0)                                                                                 \
    X(readlink, HERE, EITHER(EACCES), 0, 0)                                                                               \
    X(ttyname_r, HERE, EITHER(ENODEV), 0, 0)                                                                              \
    X(tcgetattr, HERE, EITHER(EIO), 0, 0)                                                                                 \
    X(tcsetattr, HERE, EITHER(EIO), 0, 0)                                                                                 \
    X(getaddrinfo, ANYWHERE, EITHER(NAMES(EAI_AGAIN)), EITHER(NAMES(EAI_MEMORY)), EITHER(NAMES(EAI_SYSTEM)))              \
    X(getnameinfo, ANYWHERE, NAMES(EAI_AGAIN), NAMES(EAI_FAIL), 0)

#define AS_ENUM(name, where, first, second, third) KIND_##name,
enum { KINDS(AS_ENUM) KIND_COUNT };

#endif
