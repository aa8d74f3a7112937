// Convolution, batch normalization and pooling. Included by kernels_template.h.
//
// Images are [row, column, channel]. A convolution reads them from a copy with a border of zeros, made (and, where a
// normalization comes before it, normalized) image by image, so that it lies in the second-level cache and no position
// is an exception. A tile of output pixels × output channels stays in registers while all taps and input channels go by.

#define UNROLL _Pragma("clang loop unroll(full)")

INLINE vf read(const float *p) {
    vf x;
    memcpy(&x, p, sizeof x);
    return x;
}
INLINE void write(float *p, vf x) { memcpy(p, &x, sizeof x); }

// ---- Inner loops ----------------------------------------------------------------------------------------------------

/// Up to 16 rows of numbers a fixed step apart, read at the same column of each. Four rows share a base, so that every
/// address is base + {0, 1, 2, 3} · step + a constant: an inner loop moves the bases and computes no address. Addresses
/// computed for each number had been a quarter of such a loop's instructions.
typedef struct {
    const float *base[4];
    int64_t step, triple;
} strided;

/// Has the compiler keep a value in a register, where it would compute it anew from others in every turn.
#define KEEP(x) __asm__("" : "+r"(x))

INLINE strided strided_rows(int rows, const float *first, int64_t step) {
    strided s = {.step = step, .triple = 3 * step};
    KEEP(s.step);
    KEEP(s.triple);
    UNROLL for (int q = 0; 4 * q < rows; q++) s.base[q] = first + 4 * q * step;
    return s;
}
/// Row r at a column; both are constants.
INLINE const float *strided_at(const strided *s, int r, int64_t column) {
    return s->base[r / 4] + (r % 4 == 3 ? s->triple : r % 4 * s->step) + column;
}
INLINE void strided_advance(int rows, strided *s, int64_t columns) {
    UNROLL for (int q = 0; 4 * q < rows; q++) {
        s->base[q] += columns;
        KEEP(s->base[q]);
    }
}

/// Turns of an inner loop that are written out, so that its counters cost little.
enum { unrolled = 4 };

// ---- Direct convolution --------------------------------------------------------------------------------------------

/// Vectors of output channels that a tile holds.
INLINE int conv_vectors(int64_t outputs) {
    // Channels are multiples of 16, so that only a vector of 16 can be the last of an odd number.
    return L == 16 && outputs % (2 * L) ? 1 : 2;
}

static void conv_pack(int64_t taps, int64_t inputs, int64_t outputs, const float *kernel, int transposed,
                      int64_t first, int64_t last, float *packed) {
    int64_t width = L * conv_vectors(outputs);
    for (int64_t block = 0; block < outputs; block += width)
        for (int64_t tap = 0; tap < taps; tap++) {
            const float *from = kernel + tap * inputs * outputs;
            float *to = packed + (block * taps + tap * width) * inputs;
            for (int64_t i = first; i < last; i++)
                if (!transposed) memcpy(to + i * width, from + i * outputs + block, (size_t)width * sizeof *to);
                else
                    for (int64_t o = 0; o < width; o++) to[i * width + o] = from[(block + o) * inputs + i];
        }
}

/// `count` input channels of one tap for `conv_tile`: a constant, like `pixels` and `vectors`.
INLINE void conv_turns(int count, int pixels, int vectors, strided *x, const float **w, vf total[CK_PIXELS1][2]) {
    UNROLL for (int i = 0; i < count; i++) {
        vf column[2];
        UNROLL for (int v = 0; v < vectors; v++) column[v] = read(*w + (i * vectors + v) * L);
        UNROLL for (int p = 0; p < pixels; p++) {
            vf value = splat(*strided_at(x, p, i));
            UNROLL for (int v = 0; v < vectors; v++) total[p][v] = value * column[v] + total[p][v];
        }
    }
    strided_advance(pixels, x, count);
    *w += count * vectors * L;
    KEEP(*w);
}

/// `pixels` neighboring outputs, `vectors` of their channels; both are constants where this is inlined.
INLINE void conv_tile(int pixels, int vectors, const ck_convolution *g, const float *x, const float *packed,
                      const float *bias, const float *initial, float *y) {
    vf total[CK_PIXELS1][2];
    int64_t column = g->outputColumn;
    UNROLL for (int v = 0; v < vectors; v++) {
        vf start = bias ? read(bias + v * L) : splat(0);
        UNROLL for (int p = 0; p < pixels; p++) total[p][v] = start;
    }
    if (initial)
        UNROLL for (int p = 0; p < pixels; p++)
            UNROLL for (int v = 0; v < vectors; v++) total[p][v] += read(initial + p * column + v * L);
    for (int64_t t = 0; t < g->taps; t++) {
        const float *w = packed + g->row[t] * vectors * L;
        strided from = strided_rows(pixels, x + g->tap[t], g->inputColumn);
        int64_t left = g->run;
        for (; left >= unrolled; left -= unrolled) conv_turns(unrolled, pixels, vectors, &from, &w, total);
        for (; left > 0; left--) conv_turns(1, pixels, vectors, &from, &w, total);
    }
    UNROLL for (int p = 0; p < pixels; p++)
        UNROLL for (int v = 0; v < vectors; v++) write(y + p * column + v * L, total[p][v]);
}

INLINE void conv_rows(int most, int vectors, const ck_convolution *g, const float *x, const float *packed,
                      const float *bias, const float *initial, float *y) {
    for (int64_t i = 0; i < g->rows; i++)
        for (int64_t j = 0, n; j < g->columns; j += n) {
            const float *in = x + i * g->inputRow + j * g->inputColumn;
            int64_t at = i * g->outputRow + j * g->outputColumn, left = g->columns - j;
            const float *start = initial ? initial + at : NULL;
#define TILE(count)                                                                                                    \
    if (most >= count && left >= count) {                                                                              \
        conv_tile(count, vectors, g, in, packed, bias, start, y + at);                                                 \
        n = count;                                                                                                     \
        continue;                                                                                                      \
    }
            TILE(16) TILE(8) TILE(6) TILE(4) TILE(3) TILE(2) TILE(1)
#undef TILE
        }
}

static void convolve(const ck_convolution *g, const float *x, const float *packed, const float *bias,
                     const float *initial, float *y) {
    int vectors = conv_vectors(g->outputs);
    for (int64_t block = 0; block < g->outputs; block += vectors * L) {
        const float *b = bias ? bias + block : NULL, *start = initial ? initial + block : NULL;
        const float *w = packed + block * g->kernelRows;
        if (vectors == 1) conv_rows(CK_PIXELS1, 1, g, x, w, b, start, y + block);
        else conv_rows(CK_PIXELS2, 2, g, x, w, b, start, y + block);
    }
}

/// `count` pixels for `weight_tile`: a constant, at most four, like `channels` and `vectors`.
INLINE void weight_turns(int count, int channels, int vectors, strided *x, strided *dy,
                         vf total[CK_CHANNELS1][2]) {
    UNROLL for (int j = 0; j < count; j++) {
        vf gradient[2];
        UNROLL for (int v = 0; v < vectors; v++) gradient[v] = read(strided_at(dy, j, v * L));
        UNROLL for (int c = 0; c < channels; c++) {
            vf value = splat(*strided_at(x, j, c));
            UNROLL for (int v = 0; v < vectors; v++) total[c][v] = value * gradient[v] + total[c][v];
        }
    }
    strided_advance(1, x, count * x->step);
    strided_advance(1, dy, count * dy->step);
}

/// `channels` inputs × `vectors` of outputs of one tap, summed over the pixels of some rows of some images.
INLINE void weight_tile(int channels, int vectors, const ck_convolution *g, int64_t images, int64_t first, int64_t last,
                        const float *x, int64_t imageX, const float *dy, int64_t imageY, float *dw) {
    vf total[CK_CHANNELS1][2];
    int64_t outputs = g->outputs;
    UNROLL for (int c = 0; c < channels; c++)
        UNROLL for (int v = 0; v < vectors; v++) total[c][v] = read(dw + c * outputs + v * L);
    // The next tile, early: the gradient of many channels does not fit the second-level cache.
    UNROLL for (int c = 0; c < channels; c++)
        UNROLL for (int at = 0; at < vectors * L; at += 16)
            __builtin_prefetch(dw + (channels + c) * outputs + at, 1, 3);
    for (int64_t image = 0; image < images; image++)
        for (int64_t i = first; i < last; i++) {
            strided from = strided_rows(unrolled, x + image * imageX + i * g->inputRow, g->inputColumn);
            strided to = strided_rows(unrolled, dy + image * imageY + i * g->outputRow, g->outputColumn);
            int64_t left = g->columns;
            for (; left >= unrolled; left -= unrolled) weight_turns(unrolled, channels, vectors, &from, &to, total);
            for (; left > 0; left--) weight_turns(1, channels, vectors, &from, &to, total);
        }
    UNROLL for (int c = 0; c < channels; c++)
        UNROLL for (int v = 0; v < vectors; v++) write(dw + c * outputs + v * L, total[c][v]);
}

static void convolve_weights(const ck_convolution *g, int64_t images, const float *x, int64_t imageX, const float *dy,
                             int64_t imageY, float *dw) {
    int vectors = conv_vectors(g->outputs);
    // Rows in bands whose inputs and gradients stay in the first-level cache while all tiles go by.
    int64_t band = 24 * 256 / (g->inputRow + g->columns * g->outputs);
    if (band < 1) band = 1;
    for (int64_t first = 0; first < g->rows; first += band) {
        int64_t last = first + band < g->rows ? first + band : g->rows;
        for (int64_t block = 0; block < g->outputs; block += vectors * L)
            for (int64_t t = 0; t < g->taps; t++)
                for (int64_t c = 0, n; c < g->run; c += n) {
                    int64_t left = g->run - c;
                    const float *from = x + g->tap[t] + c, *to = dy + block;
                    float *out = dw + (g->row[t] + c) * g->outputs + block;
#define TILE(count, width)                                                                                             \
    if (vectors == width && left >= count) {                                                                           \
        weight_tile(count, width, g, images, first, last, from, imageX, to, imageY, out);                              \
        n = count;                                                                                                     \
        continue;                                                                                                      \
    }
                    TILE(CK_CHANNELS1, 1) TILE(CK_CHANNELS2, 2)
                    TILE(4, 1) TILE(4, 2) TILE(1, 1) TILE(1, 2)
#undef TILE
                }
    }
}

#include "winograd_template.h"

// ---- Batch normalization -------------------------------------------------------------------------------------------

// All go over the channels in vectors, and for each over the pixels, four at a time: sums in one register would wait for
// each other.

static void channel_sums(int64_t rows, int64_t n, const float *x, float *total) {
    for (int64_t c = 0; c < n; c += L) {
        vf part[4] = {splat(0), splat(0), splat(0), splat(0)};
        int64_t r = 0, left = n - c;
        for (; r + 4 <= rows; r += 4)
            UNROLL for (int k = 0; k < 4; k++) part[k] += load(x + (r + k) * n + c, left);
        for (; r < rows; r++) part[0] += load(x + r * n + c, left);
        store(total + c, left, load(total + c, left) + ((part[0] + part[1]) + (part[2] + part[3])));
    }
}

/// Sums of the differences from the first row: they lose few digits where the mean is far from 0, as long as that row is
/// no outlier.
static void channel_moments(int64_t rows, int64_t n, const float *x, float *mean, float *squares) {
    for (int64_t c = 0; c < n; c += L) {
        int64_t r = 0, left = n - c;
        vf origin = load(x + c, left), first[4], second[4];
        UNROLL for (int k = 0; k < 4; k++) first[k] = second[k] = splat(0);
        for (; r + 4 <= rows; r += 4)
            UNROLL for (int k = 0; k < 4; k++) {
                vf d = load(x + (r + k) * n + c, left) - origin;
                first[k] += d;
                second[k] += d * d;
            }
        for (; r < rows; r++) {
            vf d = load(x + r * n + c, left) - origin;
            first[0] += d;
            second[0] += d * d;
        }
        vf total = (first[0] + first[1]) + (first[2] + first[3]), part = total / splat((float)rows);
        store(mean + c, left, origin + part);
        store(squares + c, left, (second[0] + second[1]) + (second[2] + second[3]) - total * part);
    }
}

/// γ (x − mean) / s.d. + β and what may follow, for one vector of channels.
typedef struct {
    vf mean, factor, beta, floor;
} norm_v;

INLINE norm_v norm_load(const ck_norm *norm, int64_t c, int64_t left) {
    return (norm_v){load(norm->mean + c, left), load(norm->factor + c, left), load(norm->beta + c, left),
                    splat(norm->relu ? 0.0f : -INFINITY)};
}

INLINE vf norm_apply(norm_v norm, vf x) {
    vf y = (x - norm.mean) * norm.factor + norm.beta;
    return y < norm.floor ? norm.floor : y;  // NaN stays
}

static void normalize(const ck_norm *norm, int64_t rows, const float *x, float *y) {
    int64_t n = norm->channels;
    for (int64_t c = 0; c < n; c += L) {
        int64_t left = n - c;
        norm_v v = norm_load(norm, c, left);
        for (int64_t r = 0; r < rows; r++) store(y + r * n + c, left, norm_apply(v, load(x + r * n + c, left)));
    }
}

static void pad_rows(int64_t first, int64_t last, int64_t height, int64_t columns, int64_t n, int64_t border,
                     const float *x, const ck_norm *norm, float *padded) {
    int64_t width = (columns + 2 * border) * n, edge = border * n;
    for (int64_t i = first; i < last; i++, padded += width) {
        if (i < 0 || i >= height) {
            memset(padded, 0, (size_t)width * sizeof *padded);
            continue;
        }
        memset(padded, 0, (size_t)edge * sizeof *padded);
        if (norm) normalize(norm, columns, x + i * columns * n, padded + edge);
        else memcpy(padded + edge, x + i * columns * n, (size_t)(columns * n) * sizeof *padded);
        memset(padded + width - edge, 0, (size_t)edge * sizeof *padded);
    }
}

static void norm_backward_sums(const ck_norm *norm, int64_t rows, const float *x, const float *dy, float *dz,
                               float *sums) {
    int64_t n = norm->channels;
    for (int64_t c = 0; c < n; c += L) {
        int64_t r = 0, left = n - c;
        norm_v v = norm_load(norm, c, left);
        vf first[4], second[4];
        UNROLL for (int k = 0; k < 4; k++) first[k] = second[k] = splat(0);
#define ROW(k, at)                                                                                                     \
    {                                                                                                                  \
        vf centered = load(x + (at) * n + c, left) - v.mean, gradient = load(dy + (at) * n + c, left);                  \
        gradient = centered * v.factor + v.beta <= v.floor ? splat(0) : gradient;                                       \
        first[k] += gradient;                                                                                          \
        second[k] += gradient * centered;                                                                               \
        store(dz + (at) * n + c, left, gradient);                                                                       \
    }
        for (; r + 4 <= rows; r += 4) UNROLL for (int k = 0; k < 4; k++) ROW(k, r + k)
        for (; r < rows; r++) ROW(0, r)
#undef ROW
        store(sums + c, left, (first[0] + first[1]) + (first[2] + first[3]));
        store(sums + n + c, left,
              ((second[0] + second[1]) + (second[2] + second[3])) * load(norm->reciprocal + c, left));
    }
}

static void norm_backward(const ck_norm *norm, int64_t rows, const float *slope, const float *offset, const float *x,
                          const float *dz, const float *initial, float *dx) {
    int64_t n = norm->channels;
    for (int64_t c = 0; c < n; c += L) {
        int64_t left = n - c;
        vf mean = load(norm->mean + c, left), factor = load(norm->factor + c, left);
        vf s = load(slope + c, left), o = load(offset + c, left);
        for (int64_t r = 0; r < rows; r++) {
            int64_t at = r * n + c;
            vf value = factor * load(dz + at, left) + (s * (load(x + at, left) - mean) + o);
            if (initial) value += load(initial + at, left);
            store(dx + at, left, value);
        }
    }
}

// ---- Pooling -------------------------------------------------------------------------------------------------------

/// The larger of two, NaN if one is.
INLINE vf larger(vf x, vf y) { return ((x > y) | (x != x)) ? x : y; }

static void max_pool(int64_t columns, int64_t n, const float *x, int64_t row, float *y) {
    for (int64_t j = 0; j < columns; j++, x += 2 * n, y += n)
        for (int64_t c = 0; c < n; c += L) {
            int64_t left = n - c;
            vf above = larger(load(x + c, left), load(x + n + c, left));
            store(y + c, left, larger(above, larger(load(x + row + c, left), load(x + row + n + c, left))));
        }
}

static void max_pool_backward(int64_t columns, int64_t n, const float *x, int64_t row, const float *y, const float *dy,
                              int accumulate, float *dx) {
    for (int64_t j = 0; j < columns; j++, x += 2 * n, dx += 2 * n, y += n, dy += n)
        for (int64_t c = 0; c < n; c += L) {
            int64_t left = n - c, at[4] = {c, n + c, row + c, row + n + c};
            vf largest = load(y + c, left), gradient = load(dy + c, left);
            UNROLL for (int k = 0; k < 4; k++) {
                // The first of equal values takes it all; what none is equal to, NaN, goes to the last.
                vi takes = k < 3 ? load(x + at[k], left) == largest : (vi)(int32_t)-1;
                vf share = takes ? gradient : splat(0);
                gradient = takes ? splat(0) : gradient;
                store(dx + at[k], left, accumulate ? load(dx + at[k], left) + share : share);
            }
        }
}
