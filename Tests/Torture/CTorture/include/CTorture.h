// Calls to libuv and to the C library that fail when they are told to: this target defines the functions themselves, in
// front of the libraries', so that the program that links it, and libuv within it, calls these.
//
// A plan says which kind of call fails, the how-manieth of them on the thread that armed it, and how. It fires once.

#ifndef SWIFT_ASYNCIO_CTORTURE_H
#define SWIFT_ASYNCIO_CTORTURE_H

/// How many kinds of calls there are, and what they are called.
int torture_kind_count(void);
const char *torture_kind_name(int kind);

/// The ways in which a kind fails: errno values, or `TORTURE_SHORT`. Returns the one at `index`, or 0 after the last.
int torture_failure(int kind, int index);

/// Not a failure: the call does less than it was asked to, one byte of it.
enum { TORTURE_SHORT = -1 };

/// Lets the `number`th call of `kind` by this thread, counted from 1, end with `failure`.
void torture_arm(int kind, unsigned number, int failure);
/// Lets nothing fail any more. Returns how often the plan's kind was called.
unsigned torture_disarm(void);
/// Whether the plan has fired since it was armed.
int torture_has_fired(void);

/// Ends the process with status 3 and a line that names `what`, unless called again within so many seconds; 0 never.
void torture_watch(unsigned seconds, const char *what);

#endif
