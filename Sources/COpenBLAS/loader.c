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
#endif
    return 1;
}

const char *openblas_load(openblas_functions *functions) {
    static char message[512];
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library) library = dlopen("libopenblas.so", RTLD_NOW | RTLD_LOCAL);
    if (!library) library = dlopen("libopenblas.dylib", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(message, sizeof message, "OpenBLAS is missing (%s); `make deps` installs it (Debian: libopenblas-dev)",
                 dlerror());
        return message;
    }
    struct { const char *name; void **slot; } symbols[] = {
        {"cblas_sgemm", (void **)&functions->sgemm},
        {"cblas_sgemv", (void **)&functions->sgemv},
        {"openblas_get_corename", (void **)&functions->corename},
        {"openblas_get_config", (void **)&functions->config},
        {"openblas_set_num_threads", (void **)&functions->set_num_threads},
    };
    for (unsigned n = 0; n < sizeof symbols / sizeof *symbols; n++) {
        *symbols[n].slot = dlsym(library, symbols[n].name);
        if (!*symbols[n].slot) {
            snprintf(message, sizeof message, "the installed OpenBLAS lacks %s: is libopenblas.so another library?",
                     symbols[n].name);
            return message;
        }
    }
    return NULL;
}
