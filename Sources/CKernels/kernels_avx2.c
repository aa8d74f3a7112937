// The kernels for AVX2 with FMA: 8 lanes.
#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define CK_NAME ck_avx2
#define CK_STRING "avx2"
#define CK_LANES 8
#define CK_ROWS 6
#define CK_COLUMNS 2
#define CK_GROUP 4
#define CK_AHEAD 32
#define CK_PIXELS1 6
#define CK_PIXELS2 6
#define CK_CHANNELS1 4
#define CK_CHANNELS2 4
#define CK_TILES 16
#include "kernels_template.h"

INLINE __m256i lanes_below(int64_t left) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)left), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE vf load(const float *p, int64_t left) {
    return left >= L ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, lanes_below(left));
}

INLINE void store(float *p, int64_t left, vf x) {
    if (left >= L) _mm256_storeu_ps(p, x);
    else if (left > 0) _mm256_maskstore_ps(p, lanes_below(left), x);
}
#pragma clang attribute pop
#endif
