#include "COpenBLAS.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#if defined(__x86_64__)
static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

static int has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

const char *openblas_preferred_core(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (has_avx512()) return "SkylakeX";
    if (has_avx2()) return __builtin_cpu_is("amd") ? "Zen" : "Haswell";
#endif
    return NULL;
}

int openblas_core_runs(const char *core) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    static const char *const avx512[] = {"SkylakeX", "Cooperlake", "SapphireRapids"};
    static const char *const avx2[] = {"Haswell", "Zen", "Excavator"};
    static const char *const avx[] = {"Sandybridge", "Bulldozer", "Piledriver", "Steamroller"};
    for (unsigned n = 0; n < sizeof avx512 / sizeof *avx512; n++)
        if (!strcasecmp(core, avx512[n]))
            return has_avx512() && (n == 0 || __builtin_cpu_supports("avx512bf16"));
    for (unsigned n = 0; n < sizeof avx2 / sizeof *avx2; n++)
        if (!strcasecmp(core, avx2[n])) return has_avx2();
    for (unsigned n = 0; n < sizeof avx / sizeof *avx; n++)
        // The AMD cores of this list also use FMA4, which no later processor has.
        if (!strcasecmp(core, avx[n])) return __builtin_cpu_supports("avx") && (n == 0 || __builtin_cpu_supports("fma4"));
#else
    (void)core;
#endif
    return 1;
}

/// Opens a library; NULL tries the usual names. Where none opens, `reason` gets the cause.
static void *open_any(const char *name, char *reason, size_t size) {
    static const char *const names[] = {
#if defined(__APPLE__)
        "libopenblas.dylib",
        "/opt/homebrew/opt/openblas/lib/libopenblas.dylib",
        "/System/Library/Frameworks/Accelerate.framework/Accelerate",
#else
        "libopenblas.so",
        "libopenblas.so.0",
#endif
    };
    void *library = NULL;
    int known = 0;
    for (unsigned n = 0; n < (name ? 1 : sizeof names / sizeof *names) && !library; n++) {
        const char *tried = name ? name : names[n];
        library = dlopen(tried, RTLD_NOW | RTLD_LOCAL);
        const char *why = library ? NULL : dlerror();
        // Reported is a library that exists and cannot be loaded, for instance because another one that it needs is missing.
        // Where none exists, the last name is reported: glibc's message begins with a name that does not exist.
        if (!why || known) continue;
        snprintf(reason, size, "%s", why);
        known = strncmp(why, tried, strlen(tried)) != 0;
    }
    return library;
}

const char *openblas_load(const char *name, openblas_functions *functions) {
    static char message[512];
    char reason[400] = "no reason given";
    void *library = open_any(name, reason, sizeof reason);
    if (!library) {
        if (name)
            snprintf(message, sizeof message, "cannot be loaded (%s)", reason);
        else
            snprintf(message, sizeof message, "OpenBLAS is missing (%s); `make deps` installs it (Debian: libopenblas-dev)", reason);
        return message;
    }
    struct { const char *name; void **slot; int required; } symbols[] = {
        {"cblas_sgemm", (void **)&functions->sgemm, 1},
        {"cblas_sgemv", (void **)&functions->sgemv, 1},
        {"openblas_get_corename", (void **)&functions->corename, 0},
        {"openblas_get_config", (void **)&functions->config, 0},
        {"openblas_set_num_threads", (void **)&functions->set_num_threads, 0},
    };
    for (unsigned n = 0; n < sizeof symbols / sizeof *symbols; n++) {
        *symbols[n].slot = dlsym(library, symbols[n].name);
        if (symbols[n].required && !*symbols[n].slot) {
            snprintf(message, sizeof message, "the library has no %s: it is no CBLAS", symbols[n].name);
            return message;
        }
    }
    if (functions->config && strstr(functions->config(), "USE64BITINT"))
        return "the library counts in 64-bit integers: expected one that counts in 32-bit ones, such as libopenblas.so";
    return NULL;
}
