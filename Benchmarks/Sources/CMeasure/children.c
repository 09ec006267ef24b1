// Starts the processes that are measured and those that measure, listens to what they print, and sees them end.
//
// Every wait has a limit: a peer that hangs becomes an error of the run, not a run that hangs.

#define _GNU_SOURCE

#include "CMeasure.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void close_both(const int pipe_ends[2]) {
    if (pipe_ends[0] >= 0) close(pipe_ends[0]);
    if (pipe_ends[1] >= 0) close(pipe_ends[1]);
}

/// Starts the program with its stdout, and its stderr if there is a descriptor for it, put in place. Returns an errno.
static int spawn_with(char *const arguments[], int output, int errors, pid_t *pid) {
    posix_spawn_file_actions_t actions;
    int status = posix_spawn_file_actions_init(&actions);
    if (status != 0) return status;
    status = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (status == 0 && errors >= 0) status = posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
    if (status == 0) status = posix_spawnp(pid, arguments[0], &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    return status;
}

int measure_spawn(const char *arguments, size_t count, int capture_errors, struct measure_child *child) {
    int output[2] = {-1, -1}, errors[2] = {-1, -1}, status = 0;
    char **vector = calloc(count + 1, sizeof *vector);
    if (!vector) return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        vector[i] = (char *)arguments;
        arguments += strlen(arguments) + 1;
    }
    if (pipe2(output, O_CLOEXEC) < 0 || (capture_errors && pipe2(errors, O_CLOEXEC) < 0)) status = errno;
    if (status == 0) status = spawn_with(vector, output[1], errors[1], &child->pid);
    free(vector);
    if (status != 0) {
        close_both(output);
        close_both(errors);
        return -status;
    }
    close(output[1]);
    if (capture_errors) close(errors[1]);
    child->output = output[0];
    child->errors = errors[0];
    return 0;
}

int measure_become(const char *arguments, size_t count) {
    char **vector = calloc(count + 1, sizeof *vector);
    if (!vector) return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        vector[i] = (char *)arguments;
        arguments += strlen(arguments) + 1;
    }
    execvp(vector[0], vector);
    int status = -errno;
    free(vector);
    return status;
}

/// Byte by byte: there are a few dozen per process, and nothing read may be left in a buffer that nobody owns.
int measure_read_line(int descriptor, char *line, size_t capacity, int64_t timeout_milliseconds) {
    int64_t deadline = measure_now() + timeout_milliseconds * 1000000;
    size_t length = 0;
    while (true) {
        int64_t left = (deadline - measure_now()) / 1000000;
        struct pollfd ready = {.fd = descriptor, .events = POLLIN};
        int count = poll(&ready, 1, left < 0 ? 0 : (int)left);
        if (count == 0) return -ETIMEDOUT;
        char byte;
        ssize_t got = count < 0 ? -1 : read(descriptor, &byte, 1);
        if (got < 0 && errno != EINTR) return -errno;
        if (got == 0) return -ENODATA;
        if (got < 0) continue;
        if (byte == '\n') break;
        if (length + 1 < capacity) line[length++] = byte;
    }
    line[length] = 0;
    return (int)length;
}

int measure_wait(pid_t pid, int64_t timeout_milliseconds) {
    int64_t deadline = measure_now() + timeout_milliseconds * 1000000;
    while (true) {
        int status;
        pid_t ended = waitpid(pid, &status, WNOHANG);
        if (ended < 0 && errno != EINTR) return -errno;
        if (ended == pid) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (measure_now() > deadline) return -ETIMEDOUT;
        measure_sleep(2);
    }
}

static int send_signal(pid_t pid, int signal_number) {
    return kill(pid, signal_number) < 0 ? -errno : 0;
}

int measure_ask_to_end(pid_t pid) {
    return send_signal(pid, SIGTERM);
}

int measure_ask_for_allocations(pid_t pid) {
    return send_signal(pid, SIGUSR1);
}

int measure_kill(pid_t pid) {
    return send_signal(pid, SIGKILL);
}

void measure_close(const struct measure_child *child) {
    close(child->output);
    if (child->errors >= 0) close(child->errors);
}
