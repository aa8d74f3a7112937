// MPI, loaded at run time: nothing of it is needed to build, and one build works with Open MPI, MPICH and what has MPICH's
// binary interface (Intel MPI, Cray MPICH, MVAPICH).
#ifndef CMPI_H
#define CMPI_H

#include <stdint.h>

#if __has_feature(assume_nonnull)
#pragma clang assume_nonnull begin
#endif

/// The outcome of a call.
typedef enum { mpi_done = 0, mpi_failed = 1, mpi_out_of_time = 2 } mpi_outcome;

/// Loads a library; NULL tries the usual names.
///
/// Returns NULL, or why it cannot be used: a text that the next call overwrites.
const char *_Nullable mpi_load(const char *_Nullable library);

/// Joins the other processes (MPI_Init_thread, any thread may call, one at a time).
///
/// Returns 0, MPI's error code, or -1 where the library lets one thread alone call it.
int mpi_join(int *rank, int *count);

/// The library's own description of its version, one line; "" where it has none.
const char *mpi_version(void);

/// Every process gives `bytes` bytes and gets those of all, in the order of their ranks. `seconds` <= 0: no limit.
mpi_outcome mpi_all_gather(const void *given, void *all, int64_t bytes, double seconds);

/// Process p gets block p of everybody's `given`; block q of `taken` is from process q. Blocks are of `bytes` bytes.
mpi_outcome mpi_all_to_all(const void *given, void *taken, int64_t bytes, double seconds);

/// The first process's bytes to all.
mpi_outcome mpi_broadcast(void *data, int64_t bytes, double seconds);

/// Ends all processes at once, this one with `status`; never returns.
__attribute__((noreturn)) void mpi_abort(int status);

/// Leaves; nothing of this header may be called afterwards.
void mpi_leave(void);

#if __has_feature(assume_nonnull)
#pragma clang assume_nonnull end
#endif

#endif
