// Matrix products on the tiles of Intel's AMX, whose multiply-adds take bfloat16 and add in float32: each number is split
// into two of bfloat16, high and low,
//
//     x = high + low + δ, |δ| ≤ 2^-16 |x|,     a b ≈ a_high b_high + a_low b_high + a_high b_low,
//
// so that of each product at least 16 of 24 bits are right, on average 18, and all sums are float32's. Three multiply-adds in
// place of one still leave several times the rate of AVX-512.
//
// Operands are packed in blocks of 32 × 32 numbers, 4 KiB each: two tiles of high parts, then two of low ones, block after
// block along the inner extent. A tile is 16 rows of 64 bytes. Of the left side a row holds 32 successive numbers of a
// row of A; of the right side it holds two successive rows of B, element by element in pairs.
#include "CKernels.h"

#include <stddef.h>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <immintrin.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#pragma clang attribute push(                                                                                            \
    __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16"))), apply_to = function)

enum { block = 32, tile_floats = 256, block_floats = 4 * tile_floats };

#define INLINE static inline __attribute__((always_inline))

#include "avx512_lanes.h"

/// Numbers of bfloat16 as float32, which they are the upper half of.
INLINE __m512 widened(__m256i x) { return (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16); }

/// The high and the low parts of the numbers x and y, 16 each: x in the lower half of a result.
INLINE void split(__m512 x, __m512 y, __m512i *high, __m512i *low) {
    *high = (__m512i)_mm512_cvtne2ps_pbh(y, x);
    __m512 restX = _mm512_sub_ps(x, widened(_mm512_castsi512_si256(*high)));
    __m512 restY = _mm512_sub_ps(y, widened(_mm512_extracti64x4_epi64(*high, 1)));
    *low = (__m512i)_mm512_cvtne2ps_pbh(restY, restX);
}

/// The halves of x in turn: element n of the result is the pair of elements n and 16 + n, of 16 bits each.
INLINE __m512i pairs(__m512i x) {
    static const uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                       8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_loadu_si512(order), x);
}

/// The transpose of 16 × 16 elements of 32 bits.
INLINE void transpose(__m512i r[16]) {
    __m512i t[16];
    for (int n = 0; n < 16; n += 2) {
        t[n] = _mm512_unpacklo_epi32(r[n], r[n + 1]);
        t[n + 1] = _mm512_unpackhi_epi32(r[n], r[n + 1]);
    }
    for (int n = 0; n < 16; n += 4) {
        r[n] = _mm512_unpacklo_epi64(t[n], t[n + 2]);
        r[n + 1] = _mm512_unpackhi_epi64(t[n], t[n + 2]);
        r[n + 2] = _mm512_unpacklo_epi64(t[n + 1], t[n + 3]);
        r[n + 3] = _mm512_unpackhi_epi64(t[n + 1], t[n + 3]);
    }
    for (int n = 0; n < 16; n += 8)
        for (int m = 0; m < 4; m++) {
            t[n + m] = _mm512_shuffle_i32x4(r[n + m], r[n + m + 4], 0x88);
            t[n + m + 4] = _mm512_shuffle_i32x4(r[n + m], r[n + m + 4], 0xdd);
        }
    for (int m = 0; m < 8; m++) {
        r[m] = _mm512_shuffle_i32x4(t[m], t[m + 8], 0x88);
        r[m + 8] = _mm512_shuffle_i32x4(t[m], t[m + 8], 0xdd);
    }
}

/// Packs one tile of high and one of low parts. Its row r: 32 successive numbers of x's row r where `successive`, else the
/// pairs of x's rows 2r and 2r + 1. Of x there are `rows` rows and `columns` columns left.
INLINE void pack_tile(int successive, const float *x, int64_t ld, int64_t rows, int64_t columns, __m512i high[16],
                      __m512i low[16]) {
    for (int r = 0; r < 16; r++) {
        // The two halves of what the row takes: of one row of x, or of two.
        int64_t row[2] = {successive ? r : 2 * r, successive ? r : 2 * r + 1}, column[2] = {0, successive ? 16 : 0};
        __m512 half[2];
        for (int n = 0; n < 2; n++) {
            __mmask16 mask = row[n] < rows ? lanes_below(columns - column[n]) : 0;
            half[n] = _mm512_maskz_loadu_ps(mask, x + row[n] * ld + column[n]);
        }
        split(half[0], half[1], &high[r], &low[r]);
        if (!successive) high[r] = pairs(high[r]), low[r] = pairs(low[r]);
    }
}

/// Packs the blocks first ..< last of an operand of `extent` rows (left) or columns (right) and inner extent k. `alongInner`:
/// the inner extent is x's columns, [extent, k], else its rows, [k, extent]; rows lie `ld` elements apart.
INLINE void pack_blocks(int left, int alongInner, int64_t extent, int64_t k, const float *x, int64_t ld, int64_t first,
                        int64_t last, float *packed) {
    int64_t steps = (k + block - 1) / block;
    for (int64_t t = 0; t < steps; t++)
        for (int64_t i = first; i < last; i++) {
            __m512i *out = (__m512i *)(packed + (i * steps + t) * block_floats);
            for (int half = 0; half < 2; half++) {
                int64_t outer = i * block + 16 * half, inner = t * block;
                const float *at = x + (alongInner ? outer * ld + inner : inner * ld + outer);
                __m512i high[16], low[16];
                pack_tile(alongInner, at, ld, alongInner ? extent - outer : k - inner,
                          alongInner ? k - inner : extent - outer, high, low);
                if (left != alongInner) transpose(high), transpose(low);
                for (int r = 0; r < 16; r++) {
                    out[16 * half + r] = high[r];
                    out[32 + 16 * half + r] = low[r];
                }
            }
        }
}

// `alongInner` is a constant where each of them calls: the compiler makes four functions.
static void pack_left(int transposed, int64_t m, int64_t k, const float *a, int64_t lda, int64_t first, int64_t last,
                      float *packed) {
    if (transposed) pack_blocks(1, 0, m, k, a, lda, first, last, packed);
    else pack_blocks(1, 1, m, k, a, lda, first, last, packed);
}

static void pack_right(int transposed, int64_t n, int64_t k, const float *b, int64_t ldb, int64_t first, int64_t last,
                       float *packed) {
    if (transposed) pack_blocks(0, 1, n, k, b, ldb, first, last, packed);
    else pack_blocks(0, 0, n, k, b, ldb, first, last, packed);
}

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} tile_configuration;

/// Fetches a tile of the next blocks of A and of B into the first-level cache.
INLINE void prefetch_tiles(const float *a, const float *b) {
    for (int row = 0; row < tile_floats; row += 16) {
        __builtin_prefetch(a + row, 0, 3);
        __builtin_prefetch(b + row, 0, 3);
    }
}

/// C block [32, 32] (+)= the products of `steps` blocks of A and of B.
///
/// Tiles: 0 to 3 hold C's quarters, 4 and 5 the upper and lower half of a block of A, 6 and 7 the left and right half of one of
/// B; of both first the high parts, then A's low ones, then A's high and B's low ones. Where the core's other thread is busy
/// hardly two instructions with tiles overlap, and a load waits for its cache lines: they are fetched a block in advance.
INLINE void multiply_block(int64_t steps, const float *a, const float *b, int accumulate, float *c, int64_t ldc) {
    int64_t row = ldc * (int64_t)sizeof(float);
    if (accumulate) {
        _tile_loadd(0, c, row);
        _tile_loadd(1, c + 16, row);
        _tile_loadd(2, c + 16 * ldc, row);
        _tile_loadd(3, c + 16 * ldc + 16, row);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int64_t t = 0; t < steps; t++, a += block_floats, b += block_floats) {
        const float *nextA = a + block_floats, *nextB = b + block_floats;
        _tile_loadd(4, a, 64);
        _tile_loadd(6, b, 64);
        _tile_dpbf16ps(0, 4, 6);
        prefetch_tiles(nextA, nextB);
        _tile_loadd(7, b + tile_floats, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, a + tile_floats, 64);
        _tile_dpbf16ps(2, 5, 6);
        prefetch_tiles(nextA + tile_floats, nextB + tile_floats);
        _tile_dpbf16ps(3, 5, 7);
        _tile_loadd(4, a + 2 * tile_floats, 64);
        _tile_dpbf16ps(0, 4, 6);
        prefetch_tiles(nextA + 2 * tile_floats, nextB + 2 * tile_floats);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, a + 3 * tile_floats, 64);
        _tile_dpbf16ps(2, 5, 6);
        prefetch_tiles(nextA + 3 * tile_floats, nextB + 3 * tile_floats);
        _tile_dpbf16ps(3, 5, 7);
        _tile_loadd(4, a, 64);
        _tile_loadd(6, b + 2 * tile_floats, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b + 3 * tile_floats, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, a + tile_floats, 64);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c, row);
    _tile_stored(1, c + 16, row);
    _tile_stored(2, c + 16 * ldc, row);
    _tile_stored(3, c + 16 * ldc + 16, row);
}

/// y = x for a block of C that has `rows` × `columns` elements left.
INLINE void copy_block(int64_t rows, int64_t columns, const float *x, int64_t ldx, float *y, int64_t ldy) {
    for (int64_t r = 0; r < rows && r < block; r++)
        for (int64_t j = 0; j < block; j += 16) {
            __mmask16 mask = lanes_below(columns - j);
            _mm512_mask_storeu_ps(y + r * ldy + j, mask, _mm512_maskz_loadu_ps(mask, x + r * ldx + j));
        }
}

static void multiply(int64_t m, int64_t n, int64_t k, const float *a, int64_t firstLeft, int64_t lastLeft,
                     const float *b, int64_t firstRight, int64_t lastRight, int64_t first, int64_t last, int accumulate,
                     float *c, int64_t ldc) {
    int64_t steps = (k + block - 1) / block;
    _Alignas(64) float edge[block * block];
    _Alignas(64) tile_configuration configuration = {.palette = 1};
    for (int t = 0; t < 8; t++) configuration.bytes[t] = 64, configuration.rows[t] = 16;
    _tile_loadconfig(&configuration);
    for (int64_t i = firstLeft; i < lastLeft; i++)
        for (int64_t q = firstRight; q < lastRight; q++) {
            const float *left = a + (i * steps + first) * block_floats, *right = b + (q * steps + first) * block_floats;
            float *at = c + i * block * ldc + q * block;
            int64_t rows = m - i * block, columns = n - q * block;
            if (rows >= block && columns >= block) {
                multiply_block(last - first, left, right, accumulate, at, ldc);
            } else {
                // Tiles are read and written whole: at C's ends in a block of their own.
                if (accumulate) copy_block(rows, columns, at, ldc, edge, block);
                multiply_block(last - first, left, right, accumulate, edge, block);
                copy_block(rows, columns, edge, block, at, ldc);
            }
        }
    _tile_release();
}
#pragma clang attribute pop

static const ck_amx amx = {
    .block = block, .depth = 512, .group = 16, .pack_left = pack_left, .pack_right = pack_right, .multiply = multiply};

const ck_amx *ck_amx_of_this_cpu(void) {
    unsigned leaves, one, b, c, d;
    if (!__get_cpuid_count(7, 0, &leaves, &b, &c, &d) || !(d >> 22 & 1) || !(d >> 24 & 1)) return NULL;  // AMX-BF16, -TILE
    if (leaves < 1 || !__get_cpuid_count(7, 1, &one, &b, &c, &d) || !(one >> 5 & 1)) return NULL;     // AVX512_BF16
    // Linux lets a process use the tiles, whose state is large, when it asks for it.
    enum { arch_req_xcomp_perm = 0x1023, xfeature_xtiledata = 18 };
    return syscall(SYS_arch_prctl, arch_req_xcomp_perm, xfeature_xtiledata) == 0 ? &amx : NULL;
}
#else
const ck_amx *ck_amx_of_this_cpu(void) { return NULL; }
#endif
