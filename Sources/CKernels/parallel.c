// A fixed pool of threads for short parallel loops.
//
// A training step has thousands of loops of about a millisecond, so workers spin briefly for the next one before they
// sleep, and the caller takes part. The work of an index never depends on the thread that runs it, so results do not
// depend on timing.
//
// The caller waits for indices, not for workers: a worker that another program has pushed off its core, and that has
// taken no index, holds up nothing. So a worker may look at a loop that is over. An index is therefore taken by a
// compare-and-swap of one word that holds the loop's number too; it fails when the loop is over, and while it has
// succeeded and the index is not done, the caller does not return and the loop's description stays as it is. A caller
// that has waited in vain for a while sleeps: its core is then free for the worker that it waits for.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "CKernels.h"

enum { worker_spins = 20000, caller_spins = 4000 };

static pthread_mutex_t user = PTHREAD_MUTEX_INITIALIZER;  // held by the one caller that has the pool
static pthread_mutex_t sleep_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER, finished = PTHREAD_COND_INITIALIZER;
static int started = 0, threads = 1;

// The loop: written by the caller before `position` gets the loop's number.
typedef void (*loop_body)(void *, int64_t, int64_t);
static _Atomic loop_body task;
static _Atomic(void *) task_context;
static atomic_uint task_count;
static atomic_int workers_wanted;  // workers with a number below this take part
static atomic_ullong position;     // the loop's number in the upper half, the next index in the lower
static atomic_uint indices_done;
static atomic_int sleepers;       // workers that wait for `wake`
static atomic_int caller_sleeps;  // whether the caller waits for `finished`

static unsigned loop_number(unsigned long long word) { return (unsigned)(word >> 32); }

static void pause_briefly(int spin) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
    // On a machine with fewer free cores than threads the one that is waited for must get to run.
    if (spin % 1000 == 999) sched_yield();
}

/// Runs indices of loop `number` until none is left or the loop is over.
static void run_indices(unsigned number, int64_t thread) {
    for (;;) {
        unsigned long long word = atomic_load_explicit(&position, memory_order_acquire);
        if (loop_number(word) != number) return;
        unsigned index = (unsigned)word;
        if (index >= atomic_load_explicit(&task_count, memory_order_relaxed)) return;
        if (!atomic_compare_exchange_weak_explicit(&position, &word, word + 1, memory_order_acq_rel,
                                                   memory_order_relaxed))
            continue;
        loop_body body = atomic_load_explicit(&task, memory_order_relaxed);
        body(atomic_load_explicit(&task_context, memory_order_relaxed), index, thread);
        atomic_fetch_add(&indices_done, 1);
        if (atomic_load(&caller_sleeps)) {
            pthread_mutex_lock(&sleep_mutex);
            pthread_cond_signal(&finished);
            pthread_mutex_unlock(&sleep_mutex);
        }
    }
}

static void *worker(void *argument) {
    int number = (int)(intptr_t)argument;
    unsigned seen = 0;  // no loop has this number
    for (;;) {
        int spin = 0;
        while (loop_number(atomic_load_explicit(&position, memory_order_acquire)) == seen && ++spin < worker_spins)
            pause_briefly(spin);
        if (loop_number(atomic_load_explicit(&position, memory_order_acquire)) == seen) {
            pthread_mutex_lock(&sleep_mutex);
            atomic_fetch_add(&sleepers, 1);
            while (loop_number(atomic_load(&position)) == seen) pthread_cond_wait(&wake, &sleep_mutex);
            atomic_fetch_sub(&sleepers, 1);
            pthread_mutex_unlock(&sleep_mutex);
        }
        seen = loop_number(atomic_load_explicit(&position, memory_order_acquire));
        if (number < atomic_load_explicit(&workers_wanted, memory_order_relaxed)) run_indices(seen, number + 1);
    }
    return 0;
}

int ck_start_thread(int64_t stack, void *(*body)(void *), void *context) {
    pthread_t thread;
    pthread_attr_t attributes;
    int failed = pthread_attr_init(&attributes);
    if (failed) return failed;
    failed = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (!failed && stack > 0) failed = pthread_attr_setstacksize(&attributes, (size_t)stack);
    if (!failed) failed = pthread_create(&thread, &attributes, body, context);
    pthread_attr_destroy(&attributes);
    return failed;
}

int ck_parallel_threads(int wanted) {
    pthread_mutex_lock(&user);
    threads = wanted < 1 ? 1 : wanted > ck_most_threads ? ck_most_threads : wanted;
    while (started < threads - 1 && ck_start_thread(0, worker, (void *)(intptr_t)started) == 0) started++;
    if (started < threads - 1) threads = started + 1;
    int used = threads;
    pthread_mutex_unlock(&user);
    return used;
}

void ck_parallel(int64_t count, void (*body)(void *, int64_t, int64_t), void *context) {
    if (count < 2 || count > UINT32_MAX / 2 || pthread_mutex_trylock(&user) != 0) {
        for (int64_t index = 0; index < count; index++) body(context, index, 0);
        return;
    }
    if (threads < 2) {
        for (int64_t index = 0; index < count; index++) body(context, index, 0);
        pthread_mutex_unlock(&user);
        return;
    }
    // The last loop is closed before its description changes: a late worker that has read the old word can take no index
    // of it by the new count.
    unsigned number = loop_number(atomic_fetch_or(&position, UINT32_MAX)) + 1;
    if (number == 0) number = 1;
    atomic_store_explicit(&task, body, memory_order_relaxed);
    atomic_store_explicit(&task_context, context, memory_order_relaxed);
    atomic_store_explicit(&task_count, (unsigned)count, memory_order_relaxed);
    atomic_store_explicit(&workers_wanted, threads - 1, memory_order_relaxed);
    atomic_store_explicit(&indices_done, 0, memory_order_relaxed);
    atomic_store(&position, (unsigned long long)number << 32);
    if (atomic_load(&sleepers) > 0) {
        pthread_mutex_lock(&sleep_mutex);
        pthread_cond_broadcast(&wake);
        pthread_mutex_unlock(&sleep_mutex);
    }
    run_indices(number, 0);
    int spin = 0;
    while (atomic_load(&indices_done) < (unsigned)count && ++spin < caller_spins) pause_briefly(spin);
    if (atomic_load(&indices_done) < (unsigned)count) {
        pthread_mutex_lock(&sleep_mutex);
        atomic_store(&caller_sleeps, 1);
        while (atomic_load(&indices_done) < (unsigned)count) pthread_cond_wait(&finished, &sleep_mutex);
        atomic_store(&caller_sleeps, 0);
        pthread_mutex_unlock(&sleep_mutex);
    }
    pthread_mutex_unlock(&user);
}

int ck_allowed_processors(int *processors, int most) {
    int found = 0;
#if defined(__linux__)
    for (int extent = 1024; extent <= 1 << 20; extent *= 2) {
        cpu_set_t *set = CPU_ALLOC(extent);
        if (!set) return 0;
        size_t size = CPU_ALLOC_SIZE(extent);
        if (sched_getaffinity(0, size, set) == 0) {
            for (int n = 0; n < extent && found < most; n++)
                if (CPU_ISSET_S(n, size, set)) processors[found++] = n;
            CPU_FREE(set);
            return found;
        }
        CPU_FREE(set);  // the kernel knows more processors than fit the set
    }
#else
    (void)processors, (void)most;
#endif
    return found;
}
