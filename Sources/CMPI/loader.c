// The few functions of MPI that the suite calls, by the two binary interfaces that exist.
//
// A handle (communicator, data type, request) is a pointer in Open MPI and an int in MPICH. Both are passed here as a word
// of a pointer's size: in the calling conventions of x86-64 and arm64 an int argument is the lower half of such a word.
// A request is written by the library into memory that has room for either.
#define _GNU_SOURCE
#include "CMPI.h"

#include <dlfcn.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef void *handle;

static int (*init_thread)(int *, char ***, int, int *);
static int (*comm_rank)(handle, int *);
static int (*comm_size)(handle, int *);
static int (*iallgather)(const void *, int, handle, void *, int, handle, handle, handle *);
static int (*ialltoall)(const void *, int, handle, void *, int, handle, handle, handle *);
static int (*ibroadcast)(void *, int, handle, int, handle, handle *);
static int (*test)(handle *, int *, void *);
static int (*abort_all)(handle, int);
static int (*finalize)(void);
static int (*library_version)(char *, int *);
static int (*set_errhandler)(handle, handle);

static handle world, byte, errors_return;
static void *ignored_status;

// MPI_THREAD_SERIALIZED is 2 in both.
enum { thread_serialized = 2 };

const char *mpi_load(const char *name) {
    static char message[1024];
    static const char *const names[] = {"libmpi.so.40", "libmpi.so.12", "libmpi.so", "libmpich.so.12", "libmpi.dylib"};
    void *library = NULL;
    message[0] = 0;
    // Open MPI's own plugins look the library's symbols up, so they must be global.
    for (unsigned n = 0; n < (name ? 1 : sizeof names / sizeof *names) && !library; n++) {
        const char *tried = name ? name : names[n];
        library = dlopen(tried, RTLD_NOW | RTLD_GLOBAL);
        const char *why = library ? NULL : dlerror();
        // Reported is a library that exists and cannot be loaded, for instance because another one that it needs is missing.
        // That a name does not exist is not reported: glibc's message then begins with the name.
        if (why && !*message && (name || strncmp(why, tried, strlen(tried)) != 0))
            snprintf(message, sizeof message, "%s", why);
    }
    if (!library) {
        if (!*message) snprintf(message, sizeof message, "no libmpi was found");
        return message;
    }
    struct {
        const char *name;
        void **function;
    } functions[] = {
        {"MPI_Init_thread", (void **)&init_thread},
        {"MPI_Comm_rank", (void **)&comm_rank},
        {"MPI_Comm_size", (void **)&comm_size},
        {"MPI_Iallgather", (void **)&iallgather},
        {"MPI_Ialltoall", (void **)&ialltoall},
        {"MPI_Ibcast", (void **)&ibroadcast},
        {"MPI_Test", (void **)&test},
        {"MPI_Abort", (void **)&abort_all},
        {"MPI_Finalize", (void **)&finalize},
        {"MPI_Get_library_version", (void **)&library_version},
        {"MPI_Comm_set_errhandler", (void **)&set_errhandler},
    };
    for (unsigned n = 0; n < sizeof functions / sizeof *functions; n++) {
        *functions[n].function = dlsym(library, functions[n].name);
        if (!*functions[n].function) {
            snprintf(message, sizeof message, "%s lacks %s: version 3 of MPI is needed", name ? name : "libmpi",
                     functions[n].name);
            return message;
        }
    }
    world = dlsym(library, "ompi_mpi_comm_world");
    if (world) {
        byte = dlsym(library, "ompi_mpi_byte");
        errors_return = dlsym(library, "ompi_mpi_errors_return");
        ignored_status = NULL;
    } else {
        world = (handle)(uintptr_t)0x44000000;
        byte = (handle)(uintptr_t)0x4c00010d;
        errors_return = (handle)(uintptr_t)0x54000001;
        ignored_status = (void *)(uintptr_t)1;
    }
    return NULL;
}

int mpi_join(int *rank, int *count) {
    int provided = 0, code = init_thread(NULL, NULL, thread_serialized, &provided);
    if (code) return code;
    if (provided < thread_serialized) return -1;
    // Without this the library ends the process inside a call that fails.
    code = set_errhandler(world, errors_return);
    if (code) return code;
    code = comm_rank(world, rank);
    return code ? code : comm_size(world, count);
}

const char *mpi_version(void) {
    static char text[8192];  // MPICH's longest is this
    int length = 0;
    if (library_version(text, &length)) return "";
    text[strcspn(text, ",\n\r")] = 0;
    return text;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/// Waits for a message: spinning at first, then letting others have the core, and after a while asleep between looks. Of the
/// time between two looks a second counts at most: a process that was suspended meanwhile has not waited.
static mpi_outcome wait_for(handle *request, double seconds) {
    double waited = 0, last = now();
    for (long look = 0;; look++) {
        int done = 0;
        if (test(request, &done, ignored_status)) return mpi_failed;
        if (done) return mpi_done;
        if (look < 200) continue;
        double time = now();
        waited += time - last < 1 ? time - last : 1;
        last = time;
        if (seconds > 0 && waited > seconds) return mpi_out_of_time;
        if (waited < 0.05) {
            sched_yield();
        } else {
            struct timespec pause = {0, 200000};
            nanosleep(&pause, NULL);
        }
    }
}

mpi_outcome mpi_all_gather(const void *given, void *all, int64_t bytes, double seconds) {
    handle request = NULL;
    if (bytes > INT_MAX || iallgather(given, (int)bytes, byte, all, (int)bytes, byte, world, &request)) return mpi_failed;
    return wait_for(&request, seconds);
}

mpi_outcome mpi_all_to_all(const void *given, void *taken, int64_t bytes, double seconds) {
    handle request = NULL;
    if (bytes > INT_MAX || ialltoall(given, (int)bytes, byte, taken, (int)bytes, byte, world, &request)) return mpi_failed;
    return wait_for(&request, seconds);
}

mpi_outcome mpi_broadcast(void *data, int64_t bytes, double seconds) {
    for (char *next = data; bytes > 0;) {
        int64_t part = bytes < INT_MAX ? bytes : INT_MAX;
        handle request = NULL;
        if (ibroadcast(next, (int)part, byte, 0, world, &request)) return mpi_failed;
        mpi_outcome outcome = wait_for(&request, seconds);
        if (outcome != mpi_done) return outcome;
        next += part;
        bytes -= part;
    }
    return mpi_done;
}

void mpi_abort(int status) {
    abort_all(world, status);
    // A library that could not end the processes returns: this one must not go on with what it has not received.
    _exit(status);
}

void mpi_leave(void) { finalize(); }
