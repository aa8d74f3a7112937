// Which kernels this CPU runs.
#include <pthread.h>
#include <string.h>

#include "CKernels.h"

extern const ck_kernels ck_portable;
#if defined(__x86_64__)
extern const ck_kernels ck_avx2, ck_avx512;
#endif

static ck_kernels with_amx;  // `name` is NULL where this CPU has no AMX

static void find_amx(void) {
    const ck_kernels *base = ck_kernels_named("avx512");
    const ck_amx *amx = ck_amx_of_this_cpu();
    if (!base || !amx) return;
    with_amx = *base;
    with_amx.name = "amx";
    with_amx.amx = amx;
}

const ck_kernels *ck_kernels_named(const char *name) {
    if (!strcmp(name, "portable")) return &ck_portable;
    if (!strcmp(name, "amx")) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        pthread_once(&once, find_amx);
        return with_amx.name ? &with_amx : NULL;
    }
#if defined(__x86_64__)
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (!strcmp(name, "avx2") && avx2) return &ck_avx2;
    if (!strcmp(name, "avx512") && avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return &ck_avx512;
#endif
    return NULL;
}

const ck_kernels *ck_kernels_best(void) {
    const ck_kernels *kernels = ck_kernels_named("amx");
    if (!kernels) kernels = ck_kernels_named("avx512");
    if (!kernels) kernels = ck_kernels_named("avx2");
    return kernels ? kernels : &ck_portable;
}
