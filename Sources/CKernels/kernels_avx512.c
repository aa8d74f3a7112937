// The kernels for AVX-512 (F, BW, DQ, VL): 16 lanes, short vectors by mask registers.
#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#define CK_NAME ck_avx512
#define CK_STRING "avx512"
#define CK_LANES 16
#define CK_ROWS 8
#define CK_COLUMNS 3
#define CK_GROUP 1
#define CK_AHEAD 8
#define CK_PIXELS1 16
#define CK_PIXELS2 8
#define CK_CHANNELS1 16
#define CK_CHANNELS2 8
#define CK_TILES 8
#include "kernels_template.h"

#include "avx512_lanes.h"

INLINE vf load(const float *p, int64_t left) { return _mm512_maskz_loadu_ps(lanes_below(left), p); }

INLINE void store(float *p, int64_t left, vf x) { _mm512_mask_storeu_ps(p, lanes_below(left), x); }
#pragma clang attribute pop
#endif
