// OpenBLAS, opened at run time instead of linked.
//
// The library chooses its kernels while it is being loaded, from a table of the processors that were known when it was
// built; on a newer processor it silently takes its slowest ones. A linked library loads before `main`, too early to
// correct that. Opened by `dlopen`, it loads after `OPENBLAS_CORETYPE` has been chosen from what the CPU can do.
#ifndef COPENBLAS_H
#define COPENBLAS_H

/// Standard CBLAS values.
enum { openblas_row_major = 101, openblas_no_trans = 111, openblas_trans = 112 };

/// The entry points in use. Row-major CBLAS, 32-bit indices.
typedef struct {
    /// C = alpha op(A) op(B) + beta C, op(A) [m, k], op(B) [k, n], C [m, n].
    void (*_Nonnull sgemm)(int order, int transA, int transB, int m, int n, int k, float alpha, const float *_Nonnull a,
                           int lda, const float *_Nonnull b, int ldb, float beta, float *_Nonnull c, int ldc);
    /// y = alpha op(A) x + beta y, A [m, n].
    void (*_Nonnull sgemv)(int order, int trans, int m, int n, float alpha, const float *_Nonnull a, int lda,
                           const float *_Nonnull x, int incx, float beta, float *_Nonnull y, int incy);
    /// Name of the kernels in use, such as "SkylakeX"; OpenBLAS only, as the next two.
    char *_Nonnull (*_Nullable corename)(void);
    /// Build description, such as "OpenBLAS 0.3.21 NO_AFFINITY ...".
    char *_Nonnull (*_Nullable config)(void);
    void (*_Nullable set_num_threads)(int);
} openblas_functions;

/// The core type that fits this CPU's vector instructions ("SkylakeX", "Zen", "Haswell"), or NULL where the library is
/// best left alone.
const char *_Nullable openblas_preferred_core(void);

/// 1 where this CPU can execute the kernels of `core`, also for a name that is not known here; 0 where they would end
/// in an illegal instruction.
int openblas_core_runs(const char *_Nonnull core);

/// Loads a library and fills `functions`: the one of that name or path, or for NULL the first that is there of OpenBLAS
/// and, on Apple's systems, Accelerate. `OPENBLAS_CORETYPE` must have its final value by now.
/// Returns NULL, or a message that says what is missing.
const char *_Nullable openblas_load(const char *_Nullable name, openblas_functions *_Nonnull functions);

/// Fills `functions` with plain loops in C: right, and many times slower than any library.
void openblas_plain(openblas_functions *_Nonnull functions);

#endif
