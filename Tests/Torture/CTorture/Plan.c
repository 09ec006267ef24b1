// Which call fails: the plan, who is asked, and the watch over what hangs.

#define _GNU_SOURCE

#include "Interpose.h"

#if defined(__linux__)

#include <dlfcn.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { HERE, ANYWHERE };
#define AS_ROW(name, where, first, second, third) {#name, where, {first, second, third}},
static const struct { const char *name; int where; int failures[3]; } kinds[] = {KINDS(AS_ROW)};

int torture_kind_count(void) { return KIND_COUNT; }
const char *torture_kind_name(int kind) { return kinds[kind].name; }
int torture_failure(int kind, int index) { return index < 3 ? kinds[kind].failures[index] : 0; }

int torture_code(int failure) {
    int value = failure & 0xffff;
    if (value == TORTURE_SHORT) return 0;
    if (!(failure & TORTURE_IS_OF_NAMES)) return -value;
    switch (-value) {
    case EAI_AGAIN: return UV_EAI_AGAIN;
    case EAI_FAIL: return UV_EAI_FAIL;
    case EAI_MEMORY: return UV_EAI_MEMORY;
    default: return -EMFILE;
    }
}

// MARK: The plan

static _Thread_local char this_thread;
static const char *_Atomic arming_thread;
static atomic_int armed_kind = -1, fired;
static atomic_uint called;
static unsigned wanted;
static int failure;
static _Thread_local unsigned refused;

void torture_arm(int kind, unsigned number, int how) {
    wanted = number;
    failure = how;
    atomic_store(&called, 0);
    atomic_store(&fired, 0);
    atomic_store(&arming_thread, &this_thread);
    atomic_store(&armed_kind, kind);
}

void torture_disarm(void) {
    atomic_store(&armed_kind, -1);
    refused = 0;
}

int torture_has_fired(void) { return atomic_load(&fired); }
void torture_refuse_datagrams(unsigned count) { refused = count; }

// MARK: Who calls

/// The code of the program and of libuv; both are there before `main`.
static struct { const char *start, *end; } code[2];

static int note_code(struct dl_phdr_info *info, size_t size, void *context) {
    (void)size;
    int *count = context;
    // The first is the program.
    int index = (*count)++ == 0 ? 0 : strstr(info->dlpi_name, "/libuv.so") ? 1 : -1;
    for (int part = 0; index >= 0 && part < info->dlpi_phnum; part++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[part];
        if (header->p_type != PT_LOAD || !(header->p_flags & PF_X)) continue;
        code[index].start = (const char *)info->dlpi_addr + header->p_vaddr;
        code[index].end = code[index].start + header->p_memsz;
    }
    return 0;
}

__attribute__((constructor)) static void find_code(void) {
    int count = 0;
    dl_iterate_phdr(note_code, &count);
}

static int is_within(int index, const void *caller) {
    return (const char *)caller >= code[index].start && (const char *)caller < code[index].end;
}

int torture_is_program(const void *caller) { return is_within(0, caller); }

int torture_hit(int first, int last, const void *caller) {
    int kind = atomic_load(&armed_kind);
    if (kind < first || kind > last || !(is_within(0, caller) || is_within(1, caller))) return 0;
    if (kinds[kind].where == HERE && atomic_load(&arming_thread) != &this_thread) return 0;
    if (atomic_fetch_add(&called, 1) + 1 != wanted) return 0;
    atomic_store(&fired, 1);
    return failure & 0xffff;
}

int torture_refuses(const void *caller) {
    if (refused == 0 || !is_within(0, caller)) return 0;
    refused--;
    return 1;
}

void *torture_next(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (!function) {
        fprintf(stderr, "torture: there is no %s\n", name);
        abort();
    }
    return function;
}

// MARK: The watch

static char watched[256];

static void on_alarm(int number) {
    (void)number;
    static const char prefix[] = "\ntorture: hung: ";
    ssize_t ignored = write(1, prefix, sizeof prefix - 1);
    ignored += write(1, watched, strlen(watched));
    ignored += write(1, "\n", 1);
    _exit(ignored > 0 ? 3 : 4);
}

void torture_watch(unsigned seconds, const char *what) {
    snprintf(watched, sizeof watched, "%s", what);
    signal(SIGALRM, on_alarm);
    alarm(seconds);
}

#else

int torture_kind_count(void) { return 0; }
const char *torture_kind_name(int kind) { return (void)kind, ""; }
int torture_failure(int kind, int index) { return (void)kind, (void)index, 0; }
int torture_code(int failure) { return failure; }
void torture_arm(int kind, unsigned number, int how) { (void)kind, (void)number, (void)how; }
void torture_disarm(void) {}
int torture_has_fired(void) { return 0; }
void torture_refuse_datagrams(unsigned count) { (void)count; }
int torture_terminal_pair(int *controller, int *terminal) { return (void)controller, (void)terminal, -1; }
int torture_socket_pair(int *first, int *second) { return (void)first, (void)second, -1; }
int torture_pipe(int *reading, int *writing) { return (void)reading, (void)writing, -1; }
int torture_bound_socket(const char *path) { return (void)path, -1; }
void torture_watch(unsigned seconds, const char *what) { (void)seconds, (void)what; }

#endif
