// A fixed pool of threads for short parallel loops.
//
// A training step has thousands of loops of about a millisecond, so workers spin briefly for the next one before they
// sleep, and the caller takes part. Indices are handed out by an atomic counter; the work of an index never depends on
// the thread that runs it, so results do not depend on timing.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

#include "CKernels.h"

enum { most_threads = 256, spins = 20000 };

static pthread_mutex_t user = PTHREAD_MUTEX_INITIALIZER;  // held by the one caller that has the pool
static pthread_mutex_t sleep_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static int started = 0, threads = 1;

static void (*task)(void *, int64_t, int64_t);
static void *task_context;
static int64_t task_count;
static atomic_int workers_wanted;  // workers with a number below this take part
static atomic_llong next_index;
static atomic_int workers_running;
static atomic_uint generation;
static atomic_int sleepers;
static unsigned first_generation[most_threads];  // a worker waits for the loops after the one it was started before

static void pause_briefly(int spin) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
    // On a machine with fewer free cores than threads the one that is waited for must get to run.
    if (spin % 1000 == 999) sched_yield();
}

static void run_indices(int64_t number) {
    for (;;) {
        int64_t index = atomic_fetch_add_explicit(&next_index, 1, memory_order_relaxed);
        if (index >= task_count) return;
        task(task_context, index, number);
    }
}

static void *worker(void *argument) {
    int number = (int)(intptr_t)argument;
    unsigned seen = first_generation[number];
    for (;;) {
        int spin = 0;
        while (atomic_load_explicit(&generation, memory_order_acquire) == seen && ++spin < spins) pause_briefly(spin);
        if (atomic_load_explicit(&generation, memory_order_acquire) == seen) {
            pthread_mutex_lock(&sleep_mutex);
            atomic_fetch_add(&sleepers, 1);
            while (atomic_load(&generation) == seen) pthread_cond_wait(&wake, &sleep_mutex);
            atomic_fetch_sub(&sleepers, 1);
            pthread_mutex_unlock(&sleep_mutex);
        }
        seen = atomic_load_explicit(&generation, memory_order_acquire);
        if (number < atomic_load_explicit(&workers_wanted, memory_order_acquire)) run_indices(number + 1);
        atomic_fetch_sub_explicit(&workers_running, 1, memory_order_release);
    }
    return 0;
}

void ck_parallel_threads(int wanted) {
    pthread_mutex_lock(&user);
    if (wanted < 1) wanted = 1;
    if (wanted > most_threads) wanted = most_threads;
    threads = wanted;
    pthread_mutex_unlock(&user);
}

static int start_workers(int wanted) {
    while (started < wanted) {
        pthread_t thread;
        first_generation[started] = atomic_load(&generation);
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        int failed = pthread_create(&thread, &attributes, worker, (void *)(intptr_t)started);
        pthread_attr_destroy(&attributes);
        if (failed) break;
        started++;
    }
    return started;
}

void ck_parallel(int64_t count, void (*body)(void *, int64_t, int64_t), void *context) {
    if (count < 2 || pthread_mutex_trylock(&user) != 0) {
        for (int64_t index = 0; index < count; index++) body(context, index, 0);
        return;
    }
    int workers = threads < 2 ? 0 : start_workers(threads - 1);
    if (workers == 0) {
        for (int64_t index = 0; index < count; index++) body(context, index, 0);
        pthread_mutex_unlock(&user);
        return;
    }
    task = body, task_context = context, task_count = count;
    atomic_store(&next_index, 0);
    atomic_store(&workers_wanted, threads - 1);
    atomic_store(&workers_running, workers);
    atomic_fetch_add(&generation, 1);
    if (atomic_load(&sleepers) > 0) {
        pthread_mutex_lock(&sleep_mutex);
        pthread_cond_broadcast(&wake);
        pthread_mutex_unlock(&sleep_mutex);
    }
    run_indices(0);
    for (int spin = 0; atomic_load_explicit(&workers_running, memory_order_acquire) > 0; spin++) pause_briefly(spin);
    pthread_mutex_unlock(&user);
}
