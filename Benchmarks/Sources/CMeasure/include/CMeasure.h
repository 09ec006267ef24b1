// What a benchmark asks of the operating system: cores, clocks, the cost of another process, and child processes.
//
// Everything here is Linux: the figures come from /proc, and the processes are kept apart by their cores. A function
// that can fail returns the negative of the reason (`-ENOENT`), never by way of `errno`: Swift code in between may
// change that.

#ifndef CMEASURE_H
#define CMEASURE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// Which of the cores this process may use is meant: the first is for servers, the last for whoever talks to them.
enum measure_core { MEASURE_FIRST_CORE, MEASURE_LAST_CORE };

/// How many cores this process may use.
int measure_core_count(void);

/// Binds the calling thread, and the threads it starts from now on, to one core.
int measure_pin(enum measure_core core);

/// A clock that only goes forward, in nanoseconds.
int64_t measure_now(void);

/// Sleeps for so long.
void measure_sleep(int64_t milliseconds);

/// Time that all threads of a process have spent on a core, in nanoseconds; exact while they sleep.
int64_t measure_cpu_time(pid_t pid);

/// Time that this process has spent on cores, threads that have ended included, in nanoseconds.
int64_t measure_own_cpu_time(void);

/// Memory that belongs to a process alone: its heap, its stacks, and what it changed of its files' pages, in bytes.
int64_t measure_anonymous_memory(pid_t pid);

/// Raises the descriptor limit of this process to what it may have, and returns that.
int64_t measure_raise_descriptor_limit(void);

/// From now on counts the heap allocations of this process, and prints the count to stderr at each SIGUSR1.
int measure_count_allocations(void);

/// How many heap allocations have been counted.
uint64_t measure_allocations(void);

/// Ends this process when the one that started it ends, however that happens.
int measure_end_with_parent(void);

/// Keeps SIGTERM from this thread and those it starts, so that it waits until it is taken.
int measure_block_end(void);

/// Waits for SIGTERM, after `measure_block_end`.
int measure_wait_for_end(void);

/// A process that was started, and the pipes that its output arrives on.
struct measure_child {
    pid_t pid;
    int output;
    int errors;
};

/// Starts a program, found by PATH. `arguments` holds `count` strings one after the other, each with its final zero.
/// stderr is a pipe only if asked for; otherwise it is where ours goes.
int measure_spawn(const char *arguments, size_t count, int capture_errors, struct measure_child *child);

/// Becomes another program, found by PATH; returns only if that fails. The arguments are as above.
int measure_become(const char *arguments, size_t count);

/// Reads one line without its end into `line`, waiting at most so long. Returns its length; `-ENODATA` after the last.
int measure_read_line(int descriptor, char *line, size_t capacity, int64_t timeout_milliseconds);

/// Waits for a child's end. Returns its exit code, or 128 + the signal that ended it.
int measure_wait(pid_t pid, int64_t timeout_milliseconds);

/// Asks a child to end (SIGTERM), to report its allocations (SIGUSR1), or does not ask (SIGKILL).
int measure_ask_to_end(pid_t pid);
int measure_ask_for_allocations(pid_t pid);
int measure_kill(pid_t pid);

/// Closes the pipes of a child.
void measure_close(const struct measure_child *child);

/// Puts the path of the running program into `path`, and returns its length.
int measure_own_path(char *path, size_t capacity);

/// Writes text to stdout (1) or stderr (2) at once, past any buffer.
int measure_print(int descriptor, const char *text);

/// The sentence for a negative result.
const char *measure_reason(int64_t result);

/// Whether a negative result says that there is no more to read, or no such program.
int measure_is_end(int64_t result);
int measure_is_missing(int64_t result);

#endif
