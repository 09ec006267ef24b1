// The C ground of the reactor: what Swift has no safe or no cheap word for.
//
// Everything here is either thread-local, or guarded by the mutex it declares, or a plain system call. No function
// keeps a pointer that it is given, except where its comment says so.

#ifndef SWIFT_ASYNCIO_CREACTOR_H
#define SWIFT_ASYNCIO_CREACTOR_H

#include <pthread.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/types.h>

#if defined(MSG_NOSIGNAL)
#define CREACTOR_SEND_FLAGS (MSG_NOSIGNAL | MSG_DONTWAIT)
#else
#define CREACTOR_SEND_FLAGS MSG_DONTWAIT
#endif

// Read at a fixed offset from the thread's own register, and not through a function that finds it: two thread-locals of
// one word fit into what every system keeps for that, even in a library that is loaded late.
#define CREACTOR_TLS __attribute__((tls_model("initial-exec")))

// MARK: The loop of this thread

/// The loop that is running on this thread, or NULL. Compared by address only.
extern _Thread_local const void *creactor_current_loop_storage CREACTOR_TLS;
static inline const void *creactor_current_loop(void) { return creactor_current_loop_storage; }
static inline int creactor_is_current_loop(const void *loop) { return creactor_current_loop_storage == loop; }
static inline void creactor_set_current_loop(const void *loop) { creactor_current_loop_storage = loop; }

/// A number that no other live thread has: the address of a thread-local.
uintptr_t creactor_thread_id(void);

// MARK: Swift's concurrency runtime

#define CREACTOR_SWIFT __attribute__((swiftcall))
#define CREACTOR_CONTEXT __attribute__((swift_context))

/// A serial executor as the runtime passes it: an object, and the table of its methods.
typedef struct {
    const void *identity;
    uintptr_t implementation;
} creactor_executor;

/// The loop that keeps the jobs which this thread enqueues for the global executor, or NULL.
extern _Thread_local void *creactor_keeping_loop_storage CREACTOR_TLS;
static inline void *creactor_keeping_loop(void) { return creactor_keeping_loop_storage; }
static inline void creactor_set_keeping_loop(void *loop) { creactor_keeping_loop_storage = loop; }

/// Makes `keep(loop, job)` receive the jobs that a thread with a keeping loop enqueues for the global executor, once for
/// the life of the process. A hook that was there before receives the others.
void creactor_keep_jobs(void (*keep)(void *loop, void *job));
/// Makes `executor` the main actor's, once for the life of the process.
void creactor_set_main_executor(creactor_executor executor);
/// Hands a job to the global executor as it was before this thread's loop kept its jobs.
void creactor_enqueue_global(void *job);

CREACTOR_SWIFT void *swift_task_getCurrent(void);
/// The task that runs on this thread, or NULL. Compared by address only.
static inline const void *creactor_current_task(void) { return swift_task_getCurrent(); }

CREACTOR_SWIFT uintptr_t swift_task_getJobFlags(void *task);
CREACTOR_SWIFT void swift_task_cancel(void *task);
/// Whether the task that runs here is nobody's child; false if none runs.
static inline int creactor_is_bare_task(void) {
    void *task = swift_task_getCurrent();
    return task && !(swift_task_getJobFlags(task) & ((uintptr_t)1 << 24));
}
/// Whether a task, which must not have ended, is another's child.
static inline int creactor_is_child_task(const void *task) {
    return (swift_task_getJobFlags((void *)task) & ((uintptr_t)1 << 24)) != 0;
}
CREACTOR_SWIFT uint64_t swift_task_getJobTaskId(void *task);
/// The number that no other task of the process has or gets; 0 for NULL.
static inline uint64_t creactor_task_number(const void *task) {
    return task ? swift_task_getJobTaskId((void *)task) : 0;
}
/// Cancels a task, which must not have ended.
static inline void creactor_cancel_task(const void *task) { swift_task_cancel((void *)task); }

CREACTOR_SWIFT size_t swift_task_currentPriority(void *task);
/// The priority of the task that runs here; 0 for NULL.
static inline uintptr_t creactor_current_priority(const void *task) {
    return task ? swift_task_currentPriority((void *)task) : 0;
}
CREACTOR_SWIFT _Bool swift_task_isCurrentExecutor(creactor_executor executor);
/// Whether the code that runs here has the isolation of an executor.
static inline int creactor_runs_on(creactor_executor executor) { return swift_task_isCurrentExecutor(executor); }

CREACTOR_SWIFT creactor_executor swift_task_getPreferredTaskExecutor(void);
/// Whether the task that runs here prefers a task executor, as its children then do.
static inline int creactor_prefers_executor(void) { return swift_task_getPreferredTaskExecutor().identity != 0; }

CREACTOR_SWIFT _Bool swift_task_isCancelled(void *task);
/// Whether a task, which must not have ended, was cancelled; false for NULL.
static inline int creactor_is_task_cancelled(const void *task) {
    return task && swift_task_isCancelled((void *)task);
}
/// Whether the task that runs here was cancelled.
static inline int creactor_is_cancelled(void) { return creactor_is_task_cancelled(swift_task_getCurrent()); }

/// Where in a task its task-local values begin, in bytes: 0 if that is not known, and negative if it will not be. See
/// TaskLocals.swift.
extern int creactor_locals_place;
static inline int creactor_locals_are_unknown(void) {
    return __atomic_load_n(&creactor_locals_place, __ATOMIC_RELAXED) == 0;
}
/// The key of the one value that whoever uses a task again can bind for it, or NULL.
extern const void *creactor_carried_local;
/// The task-local values of the task that runs here, or NULL: 0 if there are none, 1 if there is none but the one that is
/// carried, 2 if there are others, or it is not known.
static inline int creactor_task_locals(const void *task_) {
    int place = __atomic_load_n(&creactor_locals_place, __ATOMIC_RELAXED);
    const char *task = (const char *)task_;
    if (place <= 0 || !task) return 2;
    const uintptr_t *entry = *(const uintptr_t *const *)(const void *)(task + place);
    if (!entry) return 0;
    const void *carried = __atomic_load_n(&creactor_carried_local, __ATOMIC_RELAXED);
    return carried && entry[0] < 8 && entry[1] == (uintptr_t)carried ? 1 : 2;
}
static inline void creactor_carry_local(const void *key) {
    __atomic_store_n(&creactor_carried_local, key, __ATOMIC_RELEASE);
}
/// Takes the right to find it out: nobody else has it until `creactor_locals_end`. False if somebody has, or it is known.
int creactor_locals_begin(void);
/// Tells what was found; after some attempts in which nothing was, nobody looks any more.
void creactor_locals_end(int place);
/// Copies two words from an address; false if there is no memory.
int creactor_peek(uintptr_t address, void *words);

/// Makes `heard(context)` called when a task with a handler for `context` is cancelled, for the life of the process.
void creactor_hear_of_cancellation(void (*heard)(void *context));
/// Begins to listen for the cancellation of the task that runs here; tells of it at once if it was. Until the listening
/// is ended, `context` is kept. Lies on the task's stack: what the task allocates later must be gone before.
void *creactor_add_cancellation_handler(void *context);
/// Ends the listening; when this returns, `heard` does not run and is not called any more.
void creactor_remove_cancellation_handler(void *handler);

/// Whether this is the process's first thread.
int creactor_is_main_thread(void);
/// The descriptor that becomes readable when Dispatch's main queue has work, or -1 where there is none.
int creactor_main_queue_descriptor(void);
/// Runs the work of Dispatch's main queue; on the main thread only.
void creactor_drain_main_queue(void);
/// Whether a signal has its default effect.
int creactor_signal_is_default(int signal);
/// Sends the process a signal. Returns 0 or an errno value.
int creactor_raise(int signal);
/// How many processors this process may use, at least 1.
int creactor_processor_count(void);

// MARK: A mutex that the thread sanitizer understands

typedef struct creactor_mutex creactor_mutex;
creactor_mutex *creactor_mutex_create(void);
void creactor_mutex_destroy(creactor_mutex *mutex);
void creactor_mutex_lock(creactor_mutex *mutex);
void creactor_mutex_unlock(creactor_mutex *mutex);
/// Waits on the mutex's own condition; the caller holds the mutex.
void creactor_mutex_wait(creactor_mutex *mutex);
/// The same for at most so many nanoseconds. Returns 0, or ETIMEDOUT.
int creactor_mutex_wait_for(creactor_mutex *mutex, uint64_t nanoseconds);
/// Wakes one waiter of the mutex's own condition.
void creactor_mutex_signal(creactor_mutex *mutex);

// MARK: Threads

/// Lets another thread run.
void creactor_yield(void);

/// Starts a detached thread with every signal blocked. Returns 0 or an errno value.
int creactor_thread_start(const char *name, void (*body)(void *), void *context);

// MARK: Process-wide settings

/// Ignores SIGPIPE if its disposition is the default; leaves any other handler alone.
void creactor_ignore_sigpipe(void);
/// Sets an environment variable if it is not set yet.
void creactor_setenv_default(const char *name, const char *value);
/// The soft limit on open descriptors, or UINT64_MAX if there is none.
uint64_t creactor_descriptor_limit(void);
/// Raises the soft limit to the hard one where that is allowed, and returns the soft limit.
uint64_t creactor_raise_descriptor_limit(void);

// MARK: Searching

/// Where a byte is found first, or -1.
static inline long creactor_find_byte(const void *bytes, size_t count, unsigned char byte) {
    const void *found = memchr(bytes, byte, count);
    return found ? (long)((const char *)found - (const char *)bytes) : -1;
}
/// Where a sequence of at least one byte is found first, or -1.
long creactor_find(const void *bytes, size_t count, const void *wanted, size_t length);

// MARK: Sockets

/// Sends what the socket takes at once. Returns how many bytes that were, or a negative errno value. Never raises SIGPIPE.
static inline long creactor_send(int descriptor, const void *bytes, size_t count) {
    ssize_t sent;
    do {
        sent = send(descriptor, bytes, count, CREACTOR_SEND_FLAGS);
    } while (__builtin_expect(sent < 0 && errno == EINTR, 0));
    return __builtin_expect(sent >= 0, 1) ? (long)sent : -(long)errno;
}

/// Makes a later close send RST: SO_LINGER with zero seconds. Returns 0 or a negative errno value.
int creactor_linger_zero(int descriptor);
/// How many bytes that were sent by a TCP socket its peer has not acknowledged; on Linux the end counts as one. Returns a
/// negative errno value if the connection broke with some, and -ENOSYS where the system cannot tell.
int creactor_unacknowledged(int descriptor);
/// Closes a descriptor that no libuv handle owns.
void creactor_close(int descriptor);
/// Applies TCP_NODELAY, and SO_KEEPALIVE with TCP_KEEPIDLE if `idle_seconds` is not 0. Returns 0 or a negative errno value.
int creactor_set_tcp_options(int descriptor, int no_delay, unsigned int idle_seconds);
/// Sets what is not 0: TCP_KEEPINTVL in seconds, TCP_KEEPCNT, TCP_USER_TIMEOUT in milliseconds (on Apple's systems
/// TCP_RXT_CONNDROPTIME, in whole seconds), SO_SNDBUF and SO_RCVBUF. Returns 0 or a negative errno value.
int creactor_set_more_tcp_options(
    int descriptor, unsigned int interval, unsigned int count, unsigned int user_timeout, int send_buffer, int receive_buffer
);
/// Listens. Returns 0 or a negative errno value.
int creactor_listen(int descriptor, int backlog);
/// Accepts a connection, non-blocking and close-on-exec. Returns its descriptor, or a negative errno value; -EAGAIN if
/// nobody waits. Clients that gave up before they were accepted are passed over. The address, if it is not NULL, becomes
/// the client's, and `length`, which says how much room it has, its size.
int creactor_accept(int descriptor, void *address, int *length);
/// The socket's own address. Returns 0 or a negative errno value.
int creactor_socket_name(int descriptor, void *address, int *length);
/// A new socket for listening, bound to the address, with SO_REUSEADDR if asked for and, for IPv6, IPV6_V6ONLY; close-on-exec and
/// non-blocking. Returns it, or a negative errno value, and says which call failed through `call`.
int creactor_bound_socket(const void *address, int length, int reuse_address, int reuse_port, const char **call);
/// Sends a datagram if the socket takes it at once, to an address or, if that is NULL, to the connected one. Returns 0 or a
/// negative errno value.
int creactor_send_to(int descriptor, const void *bytes, size_t count, const void *address, int length);
/// How many datagrams one call of `creactor_send_datagrams` takes at most.
#define CREACTOR_MOST_DATAGRAMS 64
/// Sends as many datagrams to one address as the socket takes at once, in one system call where there is one. Returns how
/// many that were, or a negative errno value of the first.
int creactor_send_datagrams(int descriptor, const struct iovec *datagrams, unsigned int count, const void *address, int length);
/// Receives what is there, or a datagram. Returns how many bytes, or a negative errno value.
long creactor_receive(int descriptor, void *bytes, size_t count);
/// The same with the sender's address, and whether the end of the datagram is missing.
long creactor_receive_from(int descriptor, void *bytes, size_t count, void *address, int *length, int *is_truncated);
/// A new socket of a family, close-on-exec and non-blocking. Returns it, or a negative errno value.
int creactor_socket(int family, int is_datagram);
/// Begins to connect. Returns 0 if that is done, 1 if it goes on, or a negative errno value.
int creactor_connect(int descriptor, const void *address, int length);
/// Takes the socket's pending error. Returns it as a negative errno value, or 0.
int creactor_socket_error(int descriptor);
/// Binds a socket. Returns 0 or a negative errno value.
int creactor_bind(int descriptor, const void *address, int length);
/// The address of the socket's peer. Returns 0 or a negative errno value.
int creactor_peer_name(int descriptor, void *address, int *length);
/// Sends from a file what the socket takes at once, without a copy. Returns how many bytes, 0 at the end of the file, or a
/// negative errno value: -ENOSYS where the system cannot do that with these two.
long creactor_send_file(int socket, int file, long long offset, size_t count);
/// Reads from a place in a file; blocks. Returns how many bytes, 0 at its end, or a negative errno value.
long creactor_read_file(int file, void *bytes, size_t count, long long offset);
/// Opens a file for reading, close-on-exec; blocks. Returns its descriptor, or a negative errno value.
int creactor_open_file(const char *path);
/// Whether there is anything to wait for: 0, -EPERM for regular files and directories, or another negative errno value.
int creactor_check_watchable(int descriptor);
/// Sets SO_REUSEPORT. Returns 0 or a negative errno value.
int creactor_reuse_port(int descriptor);
/// Has a socket get what is sent to the groups that it has joined itself: on Linux a socket that is bound to all addresses
/// otherwise gets what any socket of the machine has joined. Does nothing elsewhere.
void creactor_own_groups_only(int descriptor, int is_ipv6);
/// Sets IPV6_V6ONLY. Returns 0 or a negative errno value.
int creactor_ipv6_only(int descriptor);

/// A new socket for connecting, of the address's family and with `bound` bound to it, with SO_REUSEADDR; close-on-exec and non-blocking. With port 0 the
/// system chooses the port when it connects, where it can. Returns as `creactor_bound_socket` does.
int creactor_client_socket(const void *address, int length, int bound, const char **call);
/// Writes all bytes to standard error, retrying interrupted writes; errors are ignored, as there is no one to tell.
void creactor_write_stderr(const void *bytes, size_t count);

// MARK: Names

/// What libuv calls an error of getaddrinfo or getnameinfo: a negative number, or 0 if there is none.
int creactor_name_status(int error);
/// The kinds of sockets, which are an enumeration in some C libraries and numbers in others.
static inline int creactor_kind_stream(void) { return SOCK_STREAM; }
static inline int creactor_kind_datagram(void) { return SOCK_DGRAM; }

#include "Descriptors.h"

#endif
