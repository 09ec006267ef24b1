// Calls to libuv and to the C library that fail when they are told to: this target defines the functions themselves, in
// front of the libraries', so that the program that links it, and libuv within it, calls these. What others call, such as
// Foundation and the C library itself, never fails.
//
// A plan says which kind of call fails, the how-manieth of them, and how. It fires once. Most kinds count on the thread
// that armed it; those of calls that block, and so are made on threads of their own, count on every one.

#ifndef SWIFT_ASYNCIO_CTORTURE_H
#define SWIFT_ASYNCIO_CTORTURE_H

/// How many kinds of calls there are, and what they are called; none where functions cannot be defined in front of others.
int torture_kind_count(void);
const char *torture_kind_name(int kind);

/// The ways in which a kind fails: errno values, `TORTURE_SHORT`, or codes of names, with what is to come of it. Returns
/// the one at `index`, or 0 after the last.
int torture_failure(int kind, int index);

enum {
    /// Not a failure: the call does less than it was asked to, one byte or one datagram of it.
    TORTURE_SHORT = 0xffff,
    TORTURE_IS_MENDED = 0x10000,
    TORTURE_IS_EITHER = 0x20000,
    TORTURE_IS_OF_NAMES = 0x40000,
};

/// What libuv calls a failure, a negative number; 0 for `TORTURE_SHORT`.
int torture_code(int failure);

/// Lets the `number`th call of `kind`, counted from 1, end with `failure`.
void torture_arm(int kind, unsigned number, int failure);
/// Lets nothing fail any more.
void torture_disarm(void);
/// Whether the plan has fired since it was armed.
int torture_has_fired(void);

/// Lets the next so many attempts of this program to send datagrams end for want of room, in addition to any plan: on a
/// machine's own network there always is some.
void torture_refuse_datagrams(unsigned count);

/// The two ends of a new pseudo-terminal, closed by exec. Returns 0, or -1. Nothing of it counts.
int torture_terminal_pair(int *controller, int *terminal);
/// Both ends of a pair of sockets, closed by exec; of a pipe; and a Unix socket that is bound to a path.
int torture_socket_pair(int *first, int *second);
int torture_pipe(int *reading, int *writing);
int torture_bound_socket(const char *path);
/// A datagram socket, closed by exec.
int torture_datagram_socket(void);

/// Ends the process with status 3 and a line that names `what`, unless called again within so many seconds; 0 never.
void torture_watch(unsigned seconds, const char *what);

#endif
