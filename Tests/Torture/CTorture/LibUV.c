// libuv's functions that fail.

#define _GNU_SOURCE

#include "Interpose.h"

#if defined(__linux__)

#include <stdlib.h>
#include <uv.h>

#define UV(name, parameters, arguments) \
    int name parameters { \
        REAL(name); \
        int how = torture_hit(KIND_##name, KIND_##name, CALLER); \
        return how ? -how : real arguments; \
    }

// MARK: The loop

UV(uv_loop_init, (uv_loop_t * loop), (loop))
UV(uv_async_init, (uv_loop_t * loop, uv_async_t *handle, uv_async_cb callback), (loop, handle, callback))
UV(uv_async_send, (uv_async_t * handle), (handle))
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

static void *libuv_malloc(size_t size) {
    return torture_hit(KIND_uv_malloc, KIND_uv_malloc, CALLER) ? NULL : malloc(size);
}

static void *libuv_calloc(size_t count, size_t size) {
    return torture_hit(KIND_uv_malloc, KIND_uv_malloc, CALLER) ? NULL : calloc(count, size);
}

__attribute__((constructor)) static void replace_allocator(void) {
    uv_replace_allocator(libuv_malloc, realloc, libuv_calloc, free);
}

// MARK: Streams

UV(uv_tcp_init, (uv_loop_t * loop, uv_tcp_t *handle), (loop, handle))
UV(uv_tcp_open, (uv_tcp_t * handle, uv_os_sock_t socket), (handle, socket))
UV(uv_tcp_connect, (uv_connect_t * request, uv_tcp_t *handle, const struct sockaddr *address, uv_connect_cb callback),
   (request, handle, address, callback))
UV(uv_pipe_init, (uv_loop_t * loop, uv_pipe_t *handle, int ipc), (loop, handle, ipc))
UV(uv_pipe_open, (uv_pipe_t * handle, uv_file file), (handle, file))
UV(uv_tty_init, (uv_loop_t * loop, uv_tty_t *handle, uv_file file, int unused), (loop, handle, file, unused))
UV(uv_tty_set_mode, (uv_tty_t * handle, uv_tty_mode_t mode), (handle, mode))
UV(uv_tty_get_winsize, (uv_tty_t * handle, int *columns, int *rows), (handle, columns, rows))
UV(uv_read_start, (uv_stream_t * handle, uv_alloc_cb allocate, uv_read_cb read), (handle, allocate, read))
UV(uv_write,
   (uv_write_t * request, uv_stream_t *handle, const uv_buf_t buffers[], unsigned int count, uv_write_cb callback),
   (request, handle, buffers, count, callback))
UV(uv_try_write, (uv_stream_t * handle, const uv_buf_t buffers[], unsigned int count), (handle, buffers, count))
UV(uv_shutdown, (uv_shutdown_t * request, uv_stream_t *handle, uv_shutdown_cb callback), (request, handle, callback))

// MARK: Datagrams

UV(uv_udp_init_ex, (uv_loop_t * loop, uv_udp_t *handle, unsigned int flags), (loop, handle, flags))
UV(uv_udp_bind, (uv_udp_t * handle, const struct sockaddr *address, unsigned int flags), (handle, address, flags))
UV(uv_udp_connect, (uv_udp_t * handle, const struct sockaddr *address), (handle, address))
UV(uv_udp_getsockname, (const uv_udp_t *handle, struct sockaddr *name, int *length), (handle, name, length))
UV(uv_udp_getpeername, (const uv_udp_t *handle, struct sockaddr *name, int *length), (handle, name, length))
UV(uv_udp_recv_start, (uv_udp_t * handle, uv_alloc_cb allocate, uv_udp_recv_cb receive), (handle, allocate, receive))
UV(uv_udp_send,
   (uv_udp_send_t * request, uv_udp_t *handle, const uv_buf_t buffers[], unsigned int count,
    const struct sockaddr *address, uv_udp_send_cb callback),
   (request, handle, buffers, count, address, callback))
UV(uv_udp_set_membership,
   (uv_udp_t * handle, const char *group, const char *interface, uv_membership membership),
   (handle, group, interface, membership))
UV(uv_udp_set_source_membership,
   (uv_udp_t * handle, const char *group, const char *interface, const char *source, uv_membership membership),
   (handle, group, interface, source, membership))
UV(uv_udp_set_multicast_ttl, (uv_udp_t * handle, int hops), (handle, hops))
UV(uv_udp_set_multicast_loop, (uv_udp_t * handle, int on), (handle, on))
UV(uv_udp_set_multicast_interface, (uv_udp_t * handle, const char *interface), (handle, interface))
UV(uv_udp_set_broadcast, (uv_udp_t * handle, int on), (handle, on))
UV(uv_udp_set_ttl, (uv_udp_t * handle, int hops), (handle, hops))
UV(uv_recv_buffer_size, (uv_handle_t * handle, int *size), (handle, size))
UV(uv_send_buffer_size, (uv_handle_t * handle, int *size), (handle, size))

#endif
