// An echo server on libuv, as somebody who knows the library would write it: the limit for the package.
//
// One static read buffer for all connections, because an answer is written before the next read. `uv_try_write` first:
// it is one `write` and no request, where `uv_write` would cost a request and, in libuv 1.44, an `epoll_ctl` besides.
// Only what the kernel refuses is copied into a request of its own, and reading stops until that has gone out.

#include "CPeers.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { BUFFER_SIZE = 64 * 1024, BACKLOG = 1024 };

/// What the kernel has not taken yet of an answer.
struct rest {
    uv_write_t request;
    char bytes[];
};

static char buffer[BUFFER_SIZE];
static int outcome = 0;

static int failed(const char *call, int status) {
    fprintf(stderr, "libuv echo server: %s: %s\n", call, uv_strerror(status));
    return 1;
}

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *result) {
    (void)handle;
    (void)suggested;
    result->base = buffer;
    result->len = sizeof buffer;
}

static void free_handle(uv_handle_t *handle) {
    free(handle);
}

static void end_connection(uv_stream_t *stream) {
    if (!uv_is_closing((uv_handle_t *)stream)) uv_close((uv_handle_t *)stream, free_handle);
}

static void echo(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes);

static void rest_written(uv_write_t *request, int status) {
    uv_stream_t *stream = request->handle;
    free(request);
    if (status < 0 || uv_read_start(stream, lend_buffer, echo) < 0) end_connection(stream);
}

static void write_rest(uv_stream_t *stream, const char *bytes, size_t length) {
    struct rest *rest = malloc(sizeof *rest + length);
    if (!rest) {
        end_connection(stream);
        return;
    }
    memcpy(rest->bytes, bytes, length);
    uv_buf_t out = uv_buf_init(rest->bytes, (unsigned)length);
    uv_read_stop(stream);
    if (uv_write(&rest->request, stream, &out, 1, rest_written) < 0) {
        free(rest);
        end_connection(stream);
    }
}

static void echo(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes) {
    if (got <= 0) {
        if (got < 0) end_connection(stream);
        return;
    }
    uv_buf_t out = uv_buf_init(bytes->base, (unsigned)got);
    int sent = uv_try_write(stream, &out, 1);
    if (sent == got) return;
    if (sent < 0 && sent != UV_EAGAIN) {
        end_connection(stream);
        return;
    }
    size_t taken = sent < 0 ? 0 : (size_t)sent;
    write_rest(stream, bytes->base + taken, (size_t)got - taken);
}

/// Running out of descriptors ends the server: a benchmark must not go on with half its clients.
static void accept_one(uv_stream_t *listener, int status) {
    uv_tcp_t *connection = status < 0 ? NULL : malloc(sizeof *connection);
    if (!connection) {
        outcome = failed("accept", status < 0 ? status : UV_ENOMEM);
        uv_stop(listener->loop);
        return;
    }
    uv_tcp_init(listener->loop, connection);
    uv_stream_t *stream = (uv_stream_t *)connection;
    if (uv_accept(listener, stream) < 0 || uv_read_start(stream, lend_buffer, echo) < 0) {
        end_connection(stream);
        return;
    }
    uv_tcp_nodelay(connection, 1);
}

static void terminated(uv_signal_t *handle, int signal_number) {
    (void)signal_number;
    uv_stop(handle->loop);
}

static int start_listening(uv_loop_t *loop, uv_tcp_t *listener, const char *host, int port) {
    struct sockaddr_storage address;
    int length = sizeof address;
    int status = uv_ip4_addr(host, port, (struct sockaddr_in *)&address);
    if (status < 0) return failed(host, status);
    if ((status = uv_tcp_init(loop, listener)) < 0) return failed("uv_tcp_init", status);
    if ((status = uv_tcp_bind(listener, (struct sockaddr *)&address, 0)) < 0) return failed("uv_tcp_bind", status);
    status = uv_listen((uv_stream_t *)listener, BACKLOG, accept_one);
    if (status < 0) return failed("uv_listen", status);
    status = uv_tcp_getsockname(listener, (struct sockaddr *)&address, &length);
    if (status < 0) return failed("uv_tcp_getsockname", status);
    printf("listening on %s:%d\n", host, ntohs(((struct sockaddr_in *)&address)->sin_port));
    return fflush(stdout) == 0 ? 0 : failed("stdout", UV_EIO);
}

int peer_libuv_echo(const char *host, int port) {
    uv_loop_t *loop = uv_default_loop();
    uv_signal_t termination;
    uv_tcp_t listener;
    signal(SIGPIPE, SIG_IGN);
    int status = loop ? uv_signal_init(loop, &termination) : UV_ENOMEM;
    if (status == 0) status = uv_signal_start(&termination, terminated, SIGTERM);
    if (status < 0) return failed("uv_signal_start", status);
    if (start_listening(loop, &listener, host, port) != 0) return 1;
    uv_run(loop, UV_RUN_DEFAULT);
    return outcome;
}

const char *peer_libuv_version(void) {
    return uv_version_string();
}
