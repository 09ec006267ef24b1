// How a function is put in front of a library's. Part of CTorture.

#ifndef SWIFT_ASYNCIO_TORTURE_INTERPOSE_H
#define SWIFT_ASYNCIO_TORTURE_INTERPOSE_H

#include "Kinds.h"

/// Whether this call is to fail, made by the code at `caller`, of a kind from `first` to `last`, all of which count the same
/// calls; 0, an errno value, `TORTURE_SHORT`, or a code of names.
int torture_hit(int first, int last, const void *caller);
/// Whether the code at `caller` is this program's own, and not libuv's.
int torture_is_program(const void *caller);
/// Whether this is one of the calls that `torture_refuse_datagrams` refuses.
int torture_refuses(const void *caller);
/// The library's function of that name.
void *torture_next(const char *name);

/// The library's function.
#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))torture_next(#name)

#define CALLER __builtin_return_address(0)

static inline int torture_fail(int how) {
    errno = how;
    return -1;
}

/// A function that fails with -1 and `errno`.
#define LIBC(type, name, parameters, arguments) LIBC_AS(name, type, name, parameters, arguments)
/// The same, where only this program's own calls fail: libuv does not look at what comes of its own.
#define LIBC_OURS(type, name, parameters, arguments) \
    type name parameters { \
        REAL(name); \
        int how = torture_is_program(CALLER) ? torture_hit(KIND_##name, KIND_##name, CALLER) : 0; \
        return how ? torture_fail(how) : real arguments; \
    }
/// The same as the first, counted as another.
#define LIBC_AS(kind, type, name, parameters, arguments) \
    type name parameters { \
        REAL(name); \
        int how = torture_hit(KIND_##kind, KIND_##kind, CALLER); \
        return how ? torture_fail(how) : real arguments; \
    }

#endif
