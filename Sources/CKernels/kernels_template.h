// Every vector kernel, once. Each of kernels_{avx512,avx2,portable}.c includes this with
//     CK_NAME    the table's name, as an identifier
//     CK_LANES   floats in a vector
//     CK_ROWS    rows of C that one step of the matrix product keeps in registers (times CK_COLUMNS vectors)
//     CK_GROUP   panels of B that are multiplied by a tile of A while it is in the first-level cache
//     CK_AHEAD   rows of a panel that it fetches into the first-level cache in advance
//     CK_PIXELS1, CK_PIXELS2      pixels that a step of a convolution keeps in registers, times 1 or 2 vectors
//     CK_CHANNELS1, CK_CHANNELS2  input channels that a step of its weight gradient does, likewise; one vector occurs
//                with 16 lanes alone (`conv_vectors`), so with fewer lanes the sizes for it are those for two
//     CK_TILES   tiles of Winograd's algorithm that are transformed, multiplied and transformed back together
// and its own `load`, `store` for up to CK_LANES elements. `n - j` elements are left at position j: the loops below
// have no separate tail, a short vector is loaded with zeros behind it.

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "CKernels.h"

enum { L = CK_LANES };

_Static_assert(CK_ROWS >= 4 && CK_ROWS <= 8 && CK_COLUMNS >= 1 && CK_COLUMNS <= 3 && CK_PIXELS2 <= CK_PIXELS1 &&
                   CK_CHANNELS2 <= CK_CHANNELS1,
               "the extents that the switches below know");

typedef float vf __attribute__((ext_vector_type(CK_LANES)));
typedef int32_t vi __attribute__((ext_vector_type(CK_LANES)));
typedef uint32_t vu __attribute__((ext_vector_type(CK_LANES)));
typedef uint64_t vul __attribute__((ext_vector_type(CK_LANES / 2)));

#define INLINE static inline __attribute__((always_inline))

// The three instruction sets differ in how a short vector is read and written.
INLINE vf load(const float *p, int64_t left);
INLINE void store(float *p, int64_t left, vf x);

INLINE vf splat(float x) { return (vf)x; }

INLINE float sum(vf x) {
    float lane[CK_LANES];
    memcpy(lane, &x, sizeof lane);
    for (int width = L / 2; width; width /= 2)
        for (int n = 0; n < width; n++) lane[n] += lane[n + width];
    return lane[0];
}

// ---- Elementary functions ------------------------------------------------------------------------------------------

/// exp(x) = 2^n exp(r), n = round(x / ln 2), r = x − n ln 2 in two parts, |r| ≤ ln 2 / 2, where the polynomial (Cephes)
/// is exact to about an ulp. 2^n is applied in two halves so that subnormal results and 2^128 come out right.
INLINE vf exp_v(vf x) {
    vf clamped = x > splat(89.0f) ? splat(89.0f) : x;  // NaN compares false and stays
    clamped = clamped < splat(-104.0f) ? splat(-104.0f) : clamped;
    const vf magic = splat(12582912.0f);  // 1.5 · 2^23: adding it rounds to an integer
    vf n = (clamped * splat(1.44269504088896341f) + magic) - magic;
    vf r = clamped - n * splat(0.693359375f);
    r = r - n * splat(-2.12194440e-4f);
    vf p = splat(1.9875691500e-4f) * r + splat(1.3981999507e-3f);
    p = p * r + splat(8.3334519073e-3f);
    p = p * r + splat(4.1665795894e-2f);
    p = p * r + splat(1.6666665459e-1f);
    p = p * r + splat(5.0000001201e-1f);
    vf e = (p * (r * r) + r) + splat(1.0f);  // the small terms first: r + 1 would round twice in the last place
    n = x == x ? n : splat(0.0f);
    vi whole = __builtin_convertvector(n, vi), half = whole >> 1;
    vi first = (half + 127) << 23, second = (whole - half + 127) << 23;
    vf scaleFirst, scaleSecond;
    memcpy(&scaleFirst, &first, sizeof first);
    memcpy(&scaleSecond, &second, sizeof second);
    return e * scaleFirst * scaleSecond;
}

/// 1 / (1 + e) or e / (1 + e) with e = exp(−|x|), which never overflows: small results keep all digits.
INLINE vf sigmoid_v(vf x) {
    vf e = exp_v(-__builtin_elementwise_abs(x));
    return (x < splat(0.0f) ? e : splat(1.0f)) / (splat(1.0f) + e);
}

/// An odd polynomial where |x| < 0.625 (elsewhere 1 − 2 / (exp 2|x| + 1) would lose digits near zero).
INLINE vf tanh_v(vf x) {
    vf magnitude = __builtin_elementwise_abs(x), square = x * x;
    vf p = splat(-5.70498872745e-3f) * square + splat(2.06390887954e-2f);
    p = p * square + splat(-5.37397155531e-2f);
    p = p * square + splat(1.33314422036e-1f);
    p = p * square + splat(-3.33332819422e-1f);
    vf small = p * square * magnitude + magnitude;
    vf large = splat(1.0f) - splat(2.0f) / (exp_v(magnitude + magnitude) + splat(1.0f));
    return __builtin_elementwise_copysign(magnitude < splat(0.625f) ? small : large, x);
}

#define MAP(name, expression)                                                                                          \
    static void name(int64_t n, const float *x, float *y) {                                                            \
        for (int64_t j = 0; j < n; j += L) {                                                                           \
            vf v = load(x + j, n - j);                                                                                 \
            store(y + j, n - j, expression);                                                                           \
        }                                                                                                              \
    }
MAP(map_exp, exp_v(v))
MAP(map_tanh, tanh_v(v))
MAP(map_sigmoid, sigmoid_v(v))
#undef MAP

static void axpy(int64_t n, float a, const float *x, float *y) {
    for (int64_t j = 0; j < n; j += L) store(y + j, n - j, load(y + j, n - j) + splat(a) * load(x + j, n - j));
}

static float dot(int64_t n, const float *x, const float *y) {
    vf total = splat(0);
    for (int64_t j = 0; j < n; j += L) total += load(x + j, n - j) * load(y + j, n - j);
    return sum(total);
}

// ---- Random numbers: Philox4x32-10 (Salmon et al., SC 2011) ----------------------------------------------------------

// A counter gives four words. Elements are laid out so that any vector width reads whole vectors: in a block of 64
// elements, element e comes from counter 16 · block + e mod 16, word e div 16.
enum { random_block = 64, block_counters = 16 };

/// x · factor in 64 bits, as halves: lanes with an even and with an odd number apart, so that none has to move.
INLINE void multiply_wide(vu x, uint32_t factor, vu *high, vu *low) {
    const vul lowHalf = (vul)(uint64_t)0xFFFFFFFFu;
    vul pairs;
    memcpy(&pairs, &x, sizeof x);
    vul even = (pairs & lowHalf) * (vul)(uint64_t)factor, odd = (pairs >> 32) * (vul)(uint64_t)factor;
    vul highs = even >> 32 | (odd & ~lowHalf), lows = (even & lowHalf) | odd << 32;
    memcpy(high, &highs, sizeof x);
    memcpy(low, &lows, sizeof x);
}

INLINE void philox(vu counter, uint32_t counterHigh, uint64_t seed, uint64_t stream, vu out[4]) {
    vu c0 = counter, c1 = (vu)counterHigh, c2 = (vu)(uint32_t)stream, c3 = (vu)(uint32_t)(stream >> 32);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        vu hi0, lo0, hi1, lo1;
        multiply_wide(c0, 0xD2511F53u, &hi0, &lo0);
        multiply_wide(c2, 0xCD9E8D57u, &hi1, &lo1);
        c0 = hi1 ^ c1 ^ (vu)k0;
        c1 = lo1;
        c2 = hi0 ^ c3 ^ (vu)k1;
        c3 = lo0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

static void random_block_bits(uint64_t seed, uint64_t stream, uint64_t block, uint32_t *bits) {
    vu lane;
    for (int n = 0; n < L; n++) lane[n] = (uint32_t)n;
    for (int part = 0; part < block_counters; part += L) {
        uint64_t first = block * block_counters + (uint64_t)part;
        vu words[4];
        philox(lane + (vu)(uint32_t)first, (uint32_t)(first >> 32), seed, stream, words);
        for (int word = 0; word < 4; word++) memcpy(bits + word * block_counters + part, &words[word], sizeof(vu));
    }
}

static void random_bits(int64_t n, uint64_t seed, uint64_t stream, uint64_t position, uint32_t *bits) {
    uint32_t buffer[random_block];
    while (n > 0) {
        int64_t offset = (int64_t)(position % random_block), count = random_block - offset;
        if (count > n) count = n;
        random_block_bits(seed, stream, position / random_block, buffer);
        memcpy(bits, buffer + offset, (size_t)count * sizeof *bits);
        bits += count, position += (uint64_t)count, n -= count;
    }
}

static void dropout_mask(int64_t n, float keep, uint64_t seed, uint64_t stream, uint64_t position, float *mask) {
    uint32_t buffer[random_block];
    // bits / 2^32 < keep, as a comparison of whole numbers; at keep 1 the largest is still kept.
    uint32_t largest = (uint32_t)(ceil((double)keep * 4294967296.0) - 1.0);
    float kept = 1.0f / keep;
    while (n > 0) {
        int64_t offset = (int64_t)(position % random_block), count = random_block - offset;
        if (count > n) count = n;
        random_block_bits(seed, stream, position / random_block, buffer);
        for (int64_t j = 0; j < count; j++) mask[j] = buffer[offset + j] <= largest ? kept : 0.0f;
        mask += count, position += (uint64_t)count, n -= count;
    }
}

// ---- Matrix product with a packed right-hand side ------------------------------------------------------------------

// Packed: panels of `panel` columns, each [k, panel] contiguous, zero-padded on the right. The recurrent weights of a
// sequence are packed once and used at every step.
enum { panel = CK_LANES * CK_COLUMNS, k_block = 1024 };

static int64_t packed_count(int64_t k, int64_t n) { return (n + panel - 1) / panel * panel * k; }

static void pack(int64_t k, int64_t n, const float *b, int64_t ldb, int transposed, int64_t firstPanel,
                 int64_t lastPanel, float *packed) {
    for (int64_t q = firstPanel; q < lastPanel; q++) {
        float *out = packed + q * panel * k;
        int64_t columns = n - q * panel < panel ? n - q * panel : panel;
        if (columns < panel) memset(out, 0, (size_t)(k * panel) * sizeof *out);
        if (!transposed)
            for (int64_t i = 0; i < k; i++)
                memcpy(out + i * panel, b + i * ldb + q * panel, (size_t)columns * sizeof *out);
        else
            for (int64_t i0 = 0; i0 < k; i0 += 16)  // in blocks, so that the written lines stay in the first-level cache
                for (int64_t j = 0; j < columns; j++)
                    for (int64_t i = i0; i < k && i < i0 + 16; i++)
                        out[i * panel + j] = b[(q * panel + j) * ldb + i];
    }
}

/// Memory that a loop fetches into the second-level cache while it computes: `step` bytes further at each turn.
typedef struct {
    const char *next;
    int64_t step;
} prefetch_stream;

/// The share of tile `tile` in prefetching `floats` of memory: `tiles` tiles of `turns` iterations each. A step is at
/// least one byte, so with very many iterations the last tiles run past the end; prefetching there is harmless.
INLINE prefetch_stream prefetch_part(const float *memory, int64_t floats, int64_t tile, int64_t tiles, int64_t turns) {
    int64_t bytes = floats * (int64_t)sizeof(float), step = bytes / (tiles * turns);
    return (prefetch_stream){(const char *)memory + bytes * tile / tiles, step > 0 ? step : 1};
}

/// total [rows, vectors] += A tile [rows, k] · panel [k, panel]; `rows` and `vectors` are constants where this is
/// inlined, so that the whole sum stays in registers. Element (r, t) of A is a[r · aRow + t · aColumn].
///
///     total[r][v] += Σ_t a[r, t] b[t, v]
INLINE void multiply_tile(int rows, int vectors, int64_t k, const float *a, int64_t aRow, int64_t aColumn,
                          const float *b, prefetch_stream ahead, vf total[CK_ROWS][CK_COLUMNS]) {
    for (int64_t t = 0; t < k; t++) {
        vf column[CK_COLUMNS];
        __builtin_prefetch(ahead.next, 0, 2);
        ahead.next += ahead.step;
        // The panel comes from the second-level cache; its next rows are fetched into the first a little early.
#pragma clang loop unroll(full)
        for (int64_t line = 0; line < panel; line += 16) __builtin_prefetch(b + CK_AHEAD * panel + line, 0, 3);
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) memcpy(&column[v], b + v * L, sizeof(vf));
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            vf x = splat(a[r * aRow]);
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) total[r][v] = x * column[v] + total[r][v];
        }
        a += aColumn;
        b += panel;
    }
}

/// C tile [rows, columns] (+)= A [rows, k] · panel [k, panel]; `rows` is a constant where this is inlined.
INLINE void tile(int rows, int64_t columns, int64_t k, const float *a, int64_t lda, const float *b,
                 prefetch_stream ahead, int accumulate, float *c, int64_t ldc) {
    vf total[CK_ROWS][CK_COLUMNS];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < CK_COLUMNS; v++)
            total[r][v] = accumulate ? load(c + r * ldc + v * L, columns - v * L) : splat(0);
    multiply_tile(rows, CK_COLUMNS, k, a, lda, 1, b, ahead, total);
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < CK_COLUMNS; v++) store(c + r * ldc + v * L, columns - v * L, total[r][v]);
}

/// C row [columns] (+)= A row [k] · panel [k, panel], in as many sums for each element as a whole tile has rows: a single
/// one would wait for each multiply-add before the next.
INLINE void tile_row(int64_t columns, int64_t k, const float *a, const float *b, int accumulate, float *c) {
    vf total[CK_ROWS][CK_COLUMNS];
#pragma clang loop unroll(full)
    for (int r = 0; r < CK_ROWS; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < CK_COLUMNS; v++) total[r][v] = splat(0);
    int64_t t = 0;
    for (; t + CK_ROWS <= k; t += CK_ROWS)
#pragma clang loop unroll(full)
        for (int r = 0; r < CK_ROWS; r++)
#pragma clang loop unroll(full)
            for (int v = 0; v < CK_COLUMNS; v++) {
                vf column;
                memcpy(&column, b + (t + r) * panel + v * L, sizeof column);
                total[r][v] = splat(a[t + r]) * column + total[r][v];
            }
    for (; t < k; t++)
        for (int v = 0; v < CK_COLUMNS; v++) {
            vf column;
            memcpy(&column, b + t * panel + v * L, sizeof column);
            total[0][v] = splat(a[t]) * column + total[0][v];
        }
    for (int v = 0; v < CK_COLUMNS; v++) {
        vf whole = accumulate ? load(c + v * L, columns - v * L) : splat(0);
        for (int r = 0; r < CK_ROWS; r++) whole += total[r][v];
        store(c + v * L, columns - v * L, whole);
    }
}

static void gemm_packed(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *packed,
                        int accumulate, int64_t firstPanel, int64_t lastPanel, float *c, int64_t ldc) {
    int64_t tiles = (m + CK_ROWS - 1) / CK_ROWS;
    if (k == 0 && !accumulate)
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = firstPanel * panel; j < n && j < lastPanel * panel; j++) c[i * ldc + j] = 0;
    for (int64_t k0 = 0; k0 < k; k0 += k_block) {
        int64_t depth = k - k0 < k_block ? k - k0 : k_block;
        int add = accumulate || k0 > 0;
        for (int64_t group = firstPanel; group < lastPanel; group += CK_GROUP) {
            int64_t end = group + CK_GROUP < lastPanel ? group + CK_GROUP : lastPanel;
            for (int64_t i = 0; i < m; i += CK_ROWS) {
                const float *rowsA = a + i * lda + k0;
                for (int64_t q = group; q < end; q++) {
                    const float *b = packed + q * panel * k + k0 * panel;
                    float *rowsC = c + i * ldc + q * panel;
                    int64_t columns = n - q * panel < panel ? n - q * panel : panel;
                    // The rows of the next group's panel come from memory meanwhile, or behind the last group the next
                    // rows of this panel.
                    const float *next = end < lastPanel ? b + (end - group) * panel * k : b + depth * panel;
                    prefetch_stream ahead = prefetch_part(next, depth * panel, i / CK_ROWS, tiles, depth);
#define TILE(rows) tile(rows, columns, depth, rowsA, lda, b, ahead, add, rowsC, ldc)
                    switch (m - i < CK_ROWS ? m - i : CK_ROWS) {
                    case 1: tile_row(columns, depth, rowsA, b, add, rowsC); break;
                    case 2: TILE(2); break;
                    case 3: TILE(3); break;
#if CK_ROWS > 4
                    case 4: TILE(4); break;
                    case 5: TILE(5); break;
#endif
#if CK_ROWS > 6
                    case 6: TILE(6); break;
                    case 7: TILE(7); break;
#endif
                    default: TILE(CK_ROWS);
                    }
#undef TILE
                }
            }
        }
    }
}

// ---- Rows ----------------------------------------------------------------------------------------------------------

INLINE const float *row_of(const ck_rows *x, int64_t r, float *scale) {
    *scale = x->scale ? x->scale[r] : 1.0f;
    return x->base + (x->index ? x->index[r] : r) * x->ld;
}

static void add_rows(int64_t rows, int64_t n, const ck_rows *x, const float *bias, int accumulate, float *y,
                     int64_t ldy) {
    for (int64_t r = 0; r < rows; r++) {
        float scale, *out = y + r * ldy;
        const float *row = row_of(x, r, &scale);
        for (int64_t j = 0; j < n; j += L) {
            vf v = splat(scale) * load(row + j, n - j);
            if (bias) v += load(bias + j, n - j);
            if (accumulate) v += load(out + j, n - j);
            store(out + j, n - j, v);
        }
    }
}

static void scatter_add_rows(int64_t rows, int64_t n, const float *x, int64_t ldx, const int32_t *index,
                             const float *scale, float *table, int64_t ldt) {
    for (int64_t r = 0; r < rows; r++)
        axpy(n, scale ? scale[r] : 1.0f, x + r * ldx, table + (index ? index[r] : 0) * ldt);
}

// ---- LSTM ----------------------------------------------------------------------------------------------------------

INLINE void moments(int64_t n, const float *x, float epsilon, float *mean, float *reciprocal) {
    vf total = splat(0), squares = splat(0);
    for (int64_t j = 0; j < n; j += L) total += load(x + j, n - j);
    float average = sum(total) / (float)n;
    for (int64_t j = 0; j < n; j += L) {
        vf centered = load(x + j, n - j) - splat(average);
        if (n - j < L) {  // the zeros behind a short vector are not elements
            vi lane;
            for (int i = 0; i < L; i++) lane[i] = i;
            centered = lane < (vi)(int32_t)(n - j) ? centered : splat(0);
        }
        squares += centered * centered;
    }
    *mean = average;
    // A variance beyond all floats would make 0 of the row, and nobody would notice.
    float variance = sum(squares) / (float)n;
    *reciprocal = variance <= FLT_MAX ? 1.0f / __builtin_elementwise_sqrt(variance + epsilon) : NAN;
}

/// The pre-activation of gate `gate` at units j …: layer-normalized where the cell does so.
INLINE vf gate_v(const ck_lstm *cell, int gate, const float *y, const float *stats, int64_t j) {
    int64_t H = cell->units, at = gate * H + j, left = H - j;
    vf v = load(y + at, left);
    if (!cell->gamma) return v;
    return (v - splat(stats[2 * gate])) * splat(stats[2 * gate + 1]) * load(cell->gamma + at, left) +
           load(cell->beta + at, left);
}

static void lstm_forward(const ck_lstm *cell, int64_t rows, const float *y, int64_t ldy, const float *cPrevious,
                         const float *mask, float *c, float *h, float *stats) {
    int64_t H = cell->units;
    vf forget = splat(cell->forgetBias);
    for (int64_t r = 0; r < rows; r++, y += ldy, cPrevious += H, c += H, h += H, stats += ck_lstm_stats) {
        if (cell->gamma)
            for (int gate = 0; gate < 4; gate++)
                moments(H, y + gate * H, cell->epsilon, &stats[2 * gate], &stats[2 * gate + 1]);
        for (int64_t j = 0; j < H; j += L) {
            vf i = sigmoid_v(gate_v(cell, 0, y, stats, j)), g = tanh_v(gate_v(cell, 1, y, stats, j));
            vf f = sigmoid_v(gate_v(cell, 2, y, stats, j) + forget), o = sigmoid_v(gate_v(cell, 3, y, stats, j));
            if (mask) g *= load(mask + r * H + j, H - j);
            vf state = f * load(cPrevious + j, H - j) + i * g;
            store(c + j, H - j, state);
            // With layer normalization the moments of c come first: o waits in h.
            store(h + j, H - j, cell->gammaC ? o : o * tanh_v(state));
        }
        if (!cell->gammaC) continue;
        moments(H, c, cell->epsilon, &stats[8], &stats[9]);
        for (int64_t j = 0; j < H; j += L) {
            vf normalized = (load(c + j, H - j) - splat(stats[8])) * splat(stats[9]);
            vf inside = normalized * load(cell->gammaC + j, H - j) + load(cell->betaC + j, H - j);
            store(h + j, H - j, load(h + j, H - j) * tanh_v(inside));
        }
    }
}

static void lstm_backward(const ck_lstm *cell, int64_t rows, float *y, int64_t ldy, const float *cPrevious,
                          const float *c, const float *mask, const float *stats, const float *dh, float *dc,
                          float *dgamma, float *dbeta, float *dgammaC, float *dbetaC, float *scratch) {
    int64_t H = cell->units;
    float inverse = 1.0f / (float)H, *inner = scratch + 4 * H;
    vf forget = splat(cell->forgetBias), one = splat(1.0f);
    for (int64_t r = 0; r < rows; r++, y += ldy, cPrevious += H, c += H, stats += ck_lstm_stats, dh += H, dc += H) {
        // h = o ⊙ φ(LN(c)): the gradients of o's pre-activation and of what is inside φ.
        vf s1 = splat(0), s2 = splat(0);
        vf total[4][2];
        for (int gate = 0; gate < 4; gate++) total[gate][0] = total[gate][1] = splat(0);
        for (int64_t j = 0; j < H; j += L) {
            int64_t left = H - j;
            vf o = sigmoid_v(gate_v(cell, 3, y, stats, j)), state = load(c + j, left), gradient = load(dh + j, left);
            vf normalized = splat(0), inside = state;
            if (cell->gammaC) {
                normalized = (state - splat(stats[8])) * splat(stats[9]);
                inside = normalized * load(cell->gammaC + j, left) + load(cell->betaC + j, left);
            }
            vf squashed = tanh_v(inside), dInside = gradient * o * (one - squashed * squashed);
            store(scratch + 3 * H + j, left, gradient * squashed * o * (one - o));
            if (cell->gammaC) {
                store(dgammaC + j, left, load(dgammaC + j, left) + dInside * normalized);
                store(dbetaC + j, left, load(dbetaC + j, left) + dInside);
                dInside *= load(cell->gammaC + j, left);
                s1 += dInside;
                s2 += dInside * normalized;
            }
            store(inner + j, left, dInside);
        }
        float mean1 = sum(s1) * inverse, mean2 = sum(s2) * inverse;
        // c = σ(f) ⊙ c_{t-1} + σ(i) ⊙ mask ⊙ φ(g): the gradients of the other three.
        for (int64_t j = 0; j < H; j += L) {
            int64_t left = H - j;
            vf dState = load(inner + j, left);
            if (cell->gammaC) {
                vf normalized = (load(c + j, left) - splat(stats[8])) * splat(stats[9]);
                dState = splat(stats[9]) * (dState - splat(mean1) - normalized * splat(mean2));
            }
            dState += load(dc + j, left);
            vf i = sigmoid_v(gate_v(cell, 0, y, stats, j)), g = tanh_v(gate_v(cell, 1, y, stats, j));
            vf f = sigmoid_v(gate_v(cell, 2, y, stats, j) + forget);
            vf kept = mask ? load(mask + r * H + j, left) : one;
            vf gradient[4];
            gradient[0] = dState * g * kept * i * (one - i);
            gradient[1] = dState * i * kept * (one - g * g);
            gradient[2] = dState * load(cPrevious + j, left) * f * (one - f);
            gradient[3] = load(scratch + 3 * H + j, left);
            store(dc + j, left, dState * f);
            for (int gate = 0; gate < 4; gate++) {
                int64_t at = gate * H + j;
                if (!cell->gamma) {
                    store(y + at, left, gradient[gate]);
                    continue;
                }
                vf normalized = (load(y + at, left) - splat(stats[2 * gate])) * splat(stats[2 * gate + 1]);
                store(dgamma + at, left, load(dgamma + at, left) + gradient[gate] * normalized);
                store(dbeta + at, left, load(dbeta + at, left) + gradient[gate]);
                vf inside = gradient[gate] * load(cell->gamma + at, left);
                total[gate][0] += inside;
                total[gate][1] += inside * normalized;
                store(scratch + at, left, inside);
            }
        }
        if (!cell->gamma) continue;
        for (int gate = 0; gate < 4; gate++) {
            float first = sum(total[gate][0]) * inverse, second = sum(total[gate][1]) * inverse;
            vf mean = splat(stats[2 * gate]), reciprocal = splat(stats[2 * gate + 1]);
            for (int64_t j = 0; j < H; j += L) {
                int64_t at = gate * H + j, left = H - j;
                vf normalized = (load(y + at, left) - mean) * reciprocal;
                store(y + at, left, reciprocal * (load(scratch + at, left) - splat(first) - normalized * splat(second)));
            }
        }
    }
}

// ---- Weight scaling vectors (HyperLSTM) ----------------------------------------------------------------------------

/// Four rows at a time share what is read of W_hz, W_xz, W_bz.
enum { scaling_rows = 4 };

INLINE void scaling_vectors(const ck_scaling *s, int rows, int gate, int64_t j, const float *z, vf dh[], vf dx[],
                            vf b[]) {
    int64_t H = s->units, Nz = s->embedding, left = H - j;
    vf offset = load(s->b0 + gate * H + j, left);
    for (int r = 0; r < rows; r++) dh[r] = dx[r] = splat(0), b[r] = offset;
    for (int64_t k = 0; k < Nz; k++) {
        int64_t at = (gate * Nz + k) * H + j;
        vf wh = load(s->whz + at, left), wx = load(s->wxz + at, left), wb = load(s->wbz + at, left);
        for (int r = 0; r < rows; r++) {
            const float *row = z + r * 12 * Nz + gate * Nz + k;
            dh[r] += splat(row[0]) * wh;
            dx[r] += splat(row[4 * Nz]) * wx;
            b[r] += splat(row[8 * Nz]) * wb;
        }
    }
}

INLINE void scaling_forward_rows(const ck_scaling *s, int rows, const float *p, int64_t ldp, const ck_rows *x,
                                 int64_t first, const float *z, float *y, int64_t ldy) {
    int64_t H = s->units;
    const float *xRow[scaling_rows];
    float xScale[scaling_rows];
    for (int r = 0; r < rows; r++) xRow[r] = row_of(x, first + r, &xScale[r]);
    for (int gate = 0; gate < 4; gate++)
        for (int64_t j = 0; j < H; j += L) {
            int64_t at = gate * H + j, left = H - j;
            vf dh[scaling_rows], dx[scaling_rows], b[scaling_rows];
            scaling_vectors(s, rows, gate, j, z, dh, dx, b);
            for (int r = 0; r < rows; r++)
                store(y + r * ldy + at, left, dh[r] * load(p + r * ldp + at, left) +
                                                  dx[r] * (splat(xScale[r]) * load(xRow[r] + at, left)) + b[r]);
        }
}

static void scaling_forward(const ck_scaling *s, int64_t rows, const float *p, int64_t ldp, const ck_rows *x,
                            const float *z, float *y, int64_t ldy) {
    int64_t r = 0, width = 12 * s->embedding;
    for (; r + scaling_rows <= rows; r += scaling_rows)
        scaling_forward_rows(s, scaling_rows, p + r * ldp, ldp, x, r, z + r * width, y + r * ldy, ldy);
    for (; r < rows; r++) scaling_forward_rows(s, 1, p + r * ldp, ldp, x, r, z + r * width, y + r * ldy, ldy);
}

INLINE void scaling_backward_rows(const ck_scaling *s, int rows, float *p, int64_t ldp, const ck_rows *x, int64_t first,
                                  const float *z, const float *dy, int64_t ldy, int accumulateX, float *dxTable,
                                  int64_t lddx, float *dz, float *dwhz, float *dwxz, float *dwbz, float *db0,
                                  float *scratch) {
    int64_t H = s->units, Nz = s->embedding;
    const float *xRow[scaling_rows];
    float *dxRow[scaling_rows], xScale[scaling_rows];
    for (int r = 0; r < rows; r++) {
        xRow[r] = row_of(x, first + r, &xScale[r]);
        dxRow[r] = dxTable + (accumulateX && x->index ? x->index[first + r] : first + r) * lddx;
    }
    for (int gate = 0; gate < 4; gate++) {
        // dL/dd_h = dy ⊙ p and dL/dd_x = dy ⊙ x go to the scratch rows; p and x get their own gradients.
        for (int64_t j = 0; j < H; j += L) {
            int64_t at = gate * H + j, left = H - j;
            vf dh[scaling_rows], dx[scaling_rows], b[scaling_rows], offset = load(db0 + at, left);
            scaling_vectors(s, rows, gate, j, z, dh, dx, b);
            for (int r = 0; r < rows; r++) {
                vf gradient = load(dy + r * ldy + at, left), projected = load(p + r * ldp + at, left);
                vf input = splat(xScale[r]) * load(xRow[r] + at, left), dInput = gradient * dx[r] * splat(xScale[r]);
                store(scratch + 2 * r * H + j, left, gradient * projected);
                store(scratch + (2 * r + 1) * H + j, left, gradient * input);
                store(p + r * ldp + at, left, gradient * dh[r]);
                store(dxRow[r] + at, left, accumulateX ? load(dxRow[r] + at, left) + dInput : dInput);
                offset += gradient;
            }
            store(db0 + at, left, offset);
        }
        for (int64_t k = 0; k < Nz; k++) {
            vf total[scaling_rows][3];
            int64_t base = (gate * Nz + k) * H;
            for (int r = 0; r < rows; r++) total[r][0] = total[r][1] = total[r][2] = splat(0);
            for (int64_t j = 0; j < H; j += L) {
                int64_t at = base + j, left = H - j;
                vf wh = load(s->whz + at, left), wx = load(s->wxz + at, left), wb = load(s->wbz + at, left);
                vf gh = load(dwhz + at, left), gx = load(dwxz + at, left), gb = load(dwbz + at, left);
                for (int r = 0; r < rows; r++) {
                    const float *row = z + r * 12 * Nz + gate * Nz + k;
                    vf ddh = load(scratch + 2 * r * H + j, left), ddx = load(scratch + (2 * r + 1) * H + j, left);
                    vf db = load(dy + r * ldy + gate * H + j, left);
                    total[r][0] += ddh * wh;
                    total[r][1] += ddx * wx;
                    total[r][2] += db * wb;
                    gh += splat(row[0]) * ddh;
                    gx += splat(row[4 * Nz]) * ddx;
                    gb += splat(row[8 * Nz]) * db;
                }
                store(dwhz + at, left, gh);
                store(dwxz + at, left, gx);
                store(dwbz + at, left, gb);
            }
            for (int r = 0; r < rows; r++)
                for (int part = 0; part < 3; part++)
                    dz[r * 12 * Nz + 4 * part * Nz + gate * Nz + k] = sum(total[r][part]);
        }
    }
}

static void scaling_backward(const ck_scaling *s, int64_t rows, float *p, int64_t ldp, const ck_rows *x, const float *z,
                             const float *dy, int64_t ldy, int accumulateX, float *dxTable, int64_t lddx, float *dz,
                             float *dwhz, float *dwxz, float *dwbz, float *db0, float *scratch) {
    int64_t r = 0, width = 12 * s->embedding;
    for (; r + scaling_rows <= rows; r += scaling_rows)
        scaling_backward_rows(s, scaling_rows, p + r * ldp, ldp, x, r, z + r * width, dy + r * ldy, ldy, accumulateX,
                              dxTable, lddx, dz + r * width, dwhz, dwxz, dwbz, db0, scratch);
    for (; r < rows; r++)
        scaling_backward_rows(s, 1, p + r * ldp, ldp, x, r, z + r * width, dy + r * ldy, ldy, accumulateX, dxTable,
                              lddx, dz + r * width, dwhz, dwxz, dwbz, db0, scratch);
}

// ---- Loss and optimizer --------------------------------------------------------------------------------------------

static void cross_entropy(int64_t rows, int64_t classes, float *logits, const int32_t *targets, int gradient,
                          float scale, float *losses) {
    for (int64_t r = 0; r < rows; r++, logits += classes) {
        float maximum = logits[0], target = logits[targets[r]];
        for (int64_t j = 1; j < classes; j++) maximum = logits[j] > maximum ? logits[j] : maximum;
        double total = 0;
        for (int64_t j = 0; j < classes; j += L) {
            float part[CK_LANES];
            vf e = exp_v(load(logits + j, classes - j) - splat(maximum));
            store(part, L, e);
            for (int64_t i = 0; i < L && i < classes - j; i++) total += (double)part[i];
            if (gradient) store(logits + j, classes - j, e);
        }
        losses[r] = (float)(log(total) - (double)(target - maximum));
        if (!gradient) continue;
        vf factor = splat((float)((double)scale / total));
        for (int64_t j = 0; j < classes; j += L) store(logits + j, classes - j, load(logits + j, classes - j) * factor);
        logits[targets[r]] -= scale;
    }
}

static void adam(int64_t n, float *x, const float *g, float *m, float *v, float beta1, float beta2, float stepSize,
                 float correction2, float epsilon) {
    vf b1 = splat(beta1), b2 = splat(beta2), one = splat(1.0f);
    for (int64_t j = 0; j < n; j += L) {
        int64_t left = n - j;
        vf gradient = load(g + j, left);
        vf first = b1 * load(m + j, left) + (one - b1) * gradient;
        vf second = b2 * load(v + j, left) + (one - b2) * gradient * gradient;
        store(m + j, left, first);
        store(v + j, left, second);
        vf root = __builtin_elementwise_sqrt(second) * splat(correction2) + splat(epsilon);
        store(x + j, left, load(x + j, left) - splat(stepSize) * first / root);
    }
}

#include "convolution_template.h"
#include "strassen_template.h"

const ck_kernels CK_NAME = {
    .name = CK_STRING, .exp = map_exp, .tanh = map_tanh, .sigmoid = map_sigmoid, .axpy = axpy,
    .dot = dot, .dropout_mask = dropout_mask, .random_bits = random_bits, .panel_width = panel, .panel_group = CK_GROUP,
    .packed_count = packed_count, .pack = pack, .gemm_packed = gemm_packed, .add_rows = add_rows,
    .scatter_add_rows = scatter_add_rows, .lstm_forward = lstm_forward, .lstm_backward = lstm_backward,
    .tile_rows = CK_ROWS, .strassen_products = strassen_products, .strassen_sum_rows = strassen_sum_rows,
    .strassen_pack_panel = strassen_pack_panel, .strassen_multiply = strassen_multiply,
    .strassen_depth = strassen_depth, .strassen_pack = strassen_pack,
    .strassen_add_transposed = strassen_add_transposed,
    .scaling_forward = scaling_forward, .scaling_backward = scaling_backward, .cross_entropy = cross_entropy,
    .adam = adam, .conv_pack = conv_pack, .convolve = convolve, .convolve_weights = convolve_weights,
    .winograd_scratch = winograd_scratch, .winograd_pack = winograd_pack, .winograd = winograd,
    .winograd_weights = winograd_weights, .winograd_kernel_gradient = winograd_kernel_gradient,
    .pad_rows = pad_rows, .channel_sums = channel_sums, .channel_moments = channel_moments, .normalize = normalize,
    .norm_backward_sums = norm_backward_sums, .norm_backward = norm_backward,
    .max_pool = max_pool, .max_pool_backward = max_pool_backward,
};
