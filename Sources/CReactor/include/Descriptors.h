// Descriptors that are no TCP socket made here: Unix sockets, pipes, terminals, and whatever a program brings along.
// Part of CReactor.h.

#ifndef SWIFT_ASYNCIO_DESCRIPTORS_H
#define SWIFT_ASYNCIO_DESCRIPTORS_H

#include <stddef.h>
#include <stdint.h>

/// What a descriptor is, as far as it matters to streams.
typedef enum {
    creactor_kind_other,
    creactor_kind_socket,
    creactor_kind_fifo,
    creactor_kind_character_device,
    creactor_kind_file,
    creactor_kind_directory,
} creactor_kind;

/// How a descriptor was opened.
typedef struct {
    creactor_kind kind;
    int readable;
    int writable;
    int nonblocking;
} creactor_description;

/// Finds out what a descriptor is. Returns 0 or a negative errno value.
int creactor_describe(int descriptor, creactor_description *description);
/// The state of a socket.
typedef struct {
    int family;
    int is_stream;
    int is_datagram;
    int is_listening;
    int is_connected;
} creactor_socket_state;
/// Finds out the state of a socket. Returns 0 or a negative errno value.
int creactor_socket_state_of(int descriptor, creactor_socket_state *state);
/// Sets what is not 0 of a datagram socket: how many routers a datagram may pass, SO_BROADCAST, SO_RCVBUF and SO_SNDBUF.
/// Returns 0 or a negative errno value. What the system may refuse comes first, so that nothing was set then.
int creactor_set_datagram_options(
    int descriptor, int is_ipv6, int hops, int broadcast, int receive_buffer, int send_buffer
);
/// The options of IPv6 sockets that libuv sets as those of IPv4 if it has not bound the socket itself.
typedef enum {
    creactor_ipv6_hops,
    creactor_ipv6_multicast_hops,
    creactor_ipv6_multicast_loop,
    creactor_ipv6_multicast_interface,
} creactor_ipv6_option;
/// Sets one of them. Returns 0 or a negative errno value.
int creactor_set_ipv6_option(int descriptor, creactor_ipv6_option option, int value);
/// Whether the system can tell when the descriptor is ready, which it cannot of files and some devices; a negative errno
/// value if that could not be found out.
int creactor_is_pollable(int descriptor);
/// A set of connections whose peers are looked at. Returns its descriptor, which can be polled, or a negative errno value:
/// -ENOSYS where there are no such sets.
int creactor_peer_set(void);
/// What can be told of a peer: it has ended its sending, both directions are over, the connection broke.
#define CREACTOR_PEER_ENDED 1
#define CREACTOR_PEER_HUNG_UP 2
#define CREACTOR_PEER_BROKE 4
/// Adds a connection to a set, by a number of the caller's. Returns 0 or a negative errno value.
int creactor_add_peer(int set, int descriptor, uint64_t number);
/// The next connection with news, each of which is told once. Returns 1, or 0 if there is none.
int creactor_next_peer(int set, uint64_t *number, int *events);
/// Whether a terminal, or the end of a pseudo-terminal that is used as one.
int creactor_is_terminal(int descriptor);
/// Makes a descriptor block or not. Returns 0 or a negative errno value.
int creactor_set_nonblocking(int descriptor, int on);
/// Another descriptor of the same open file, closed by exec. Returns it or a negative errno value.
int creactor_duplicate(int descriptor);
/// Opens what a descriptor stands for once more, so that it can be made not to block without others noticing. Returns a
/// descriptor of a new open file, not blocking and closed by exec, or a negative errno value where that is impossible.
int creactor_reopen(int descriptor, int writing);
/// Writes what the descriptor takes at once. Returns how many bytes that were, or a negative errno value.
long creactor_write(int descriptor, const void *bytes, size_t count);
/// Reads at most so many bytes, waiting if the descriptor does. Returns how many, 0 at the end, or a negative errno
/// value.
long creactor_read(int descriptor, void *bytes, size_t count);
/// Writes all of the bytes, waiting if the descriptor does. Returns 0 or a negative errno value.
int creactor_write_all(int descriptor, const void *bytes, size_t count);
/// The reading and the writing end of a new pipe, not blocking and closed by exec. Returns 0 or a negative errno value.
int creactor_pipe(int descriptors[2]);

/// A socket option of the size of an int. Returns 0 or a negative errno value.
int creactor_get_option(int descriptor, int level, int name, int *value);
int creactor_set_option(int descriptor, int level, int name, int value);

// MARK: Unix sockets

/// A new Unix stream socket, not blocking and closed by exec. Returns it or a negative errno value.
int creactor_unix_socket(void);
/// Connects. Returns 0 or a negative errno value; -EAGAIN if the peer's backlog is full.
int creactor_connect_unix(int descriptor, const void *address, int length);
/// Binds and says where the file is, if it is one. `path` may be NULL; `mode` is at least 0 to set it. If
/// `replaces_stale`, a socket that is at the path is removed first, and nothing else is. Returns 0 or a negative errno
/// value, and says which call failed through `call`.
int creactor_bind_unix(int descriptor, const void *address, int length, const char *path, int replaces_stale, int mode,
                       uint64_t *device, uint64_t *inode, const char **call);
/// Removes the file at the path if it is still the one that was bound.
void creactor_unlink_if_same(const char *path, uint64_t device, uint64_t inode);

// MARK: Terminals

/// Has `uv_tty_reset_mode` called when the process exits, once.
void creactor_reset_terminal_at_exit(void);

#endif
