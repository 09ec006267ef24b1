// What Swift cannot import from <uv.h> by itself, as stateless inline wrappers, and the version gates.
//
// Nothing here may hold state: a `static` variable in a system-library header exists once in every Swift file
// that imports it.

#ifndef SWIFT_ASYNCIO_CLIBUV_SHIM_H
#define SWIFT_ASYNCIO_CLIBUV_SHIM_H

#include <uv.h>

#if UV_VERSION_HEX < 0x012a00
#error "swift-asyncio needs libuv 1.42 or later"
#endif

/// The version of the header that the program was compiled against, as `uv_version()` counts.
static inline unsigned int clibuv_header_version(void) { return UV_VERSION_HEX; }

/// Has a loop measure how long it waits in its polls; a function with any number of arguments is not imported.
static inline void clibuv_measure_idle_time(uv_loop_t *loop) { (void)uv_loop_configure(loop, UV_METRICS_IDLE_TIME); }

/// Lets a stream be read again whose end libuv has told of, which version 1.42 alone refuses from then on.
static inline void clibuv_make_readable(uv_stream_t *stream) {
    // UV_HANDLE_READABLE as it is there, which no header has.
    if (uv_version() >> 8 == 0x012a) stream->flags |= 0x4000;
}

#endif
