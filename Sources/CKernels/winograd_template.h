// Convolution 3 × 3, stride 1, by Winograd's minimal filtering F(4 × 4, 3 × 3) (Lavin, Gray 2016): included by
// convolution_template.h.
//
// Sixteen neighboring outputs need 36 products a pair of channels in place of 144. An output tile 4 × 4 comes from the
// 6 × 6 inputs around it,
//
//     Y = Aᵀ [ (G K Gᵀ) ⊙ (Bᵀ X B) ] A        summed over the input channels inside the brackets,
//
// so for each of the 36 positions inside the brackets there is a matrix product [tiles, in] · [in, out]: a convolution
// 1 × 1 for the kernels above. A, B and G are those of the points 0, 1, −1, 1/2, −2 and ∞, with which the result's
// rounding error is two to three times the definition's (1e-6 of its standard deviation with 64 channels; with the usual
// 0, ±1, ±2 it is one and a half times that). A strip of tiles goes through all stages while it lies in the cache.
//
// The products leave memory idle, and transforms wait for it. So while the products of a strip are computed, what
// comes next is fetched into the second-level cache: the result that will be written, and the images that the caller
// reads after this call.

enum { tile_side = 4, position_side = 6, positions = 36, weight_tiles = 32 };

_Static_assert(2 * CK_TILES <= weight_tiles, "`winograd_scratch` has room for strips of `weight_tiles`");

/// Tiles in a strip of outputs: CK_TILES, with which the transformed tiles of 32 channels stay in the first-level cache;
/// twice as many where those of fewer channels do so too, and where the kernels do not fit the second-level cache, so
/// that each strip reads them from the third.
INLINE int64_t output_tiles(const ck_winograd *g) {
    int64_t kernels = positions * g->inputs * g->outputs * (int64_t)sizeof(float);
    return conv_vectors(g->outputs) == 1 || kernels > 1 << 20 ? 2 * CK_TILES : CK_TILES;
}

/// Rows of tiles in a strip of about `tiles`.
INLINE int64_t strip_rows(const ck_winograd *g, int64_t tiles) { return tiles > g->columns ? tiles / g->columns : 1; }

/// Fetches one of `parts` equal parts of some floats into the second-level cache.
INLINE void fetch_part(const float *memory, int64_t floats, int64_t part, int64_t parts) {
    const float *end = memory + floats * (part + 1) / parts;
    for (memory += floats * part / parts; memory < end; memory += 64 / sizeof(float)) __builtin_prefetch(memory, 0, 2);
}

INLINE void fetch_parts(const ck_memory *memory, int64_t count, int64_t part, int64_t parts) {
    for (int64_t n = 0; n < count; n++) fetch_part(memory[n].floats, memory[n].count, part, parts);
}

/// Transformed tiles are [6][tiles][6][channels], so that a transform writes few streams. This is the floats between two
/// of the first six: not a power of two, or they would meet in one set of the cache.
INLINE int64_t winograd_stride(int64_t tiles, int64_t channels) { return position_side * tiles * channels + 16; }

/// y = Bᵀ x.
INLINE void input_transform(const vf x[6], vf y[6]) {
    vf s = x[4] - x[2], d = x[3] - x[1], p = s + splat(1.5f) * x[3], q = d + splat(1.5f) * x[2];
    y[0] = (x[0] - x[2]) + s + splat(1.5f) * d;
    y[1] = p + q, y[2] = p - q;
    y[3] = s + splat(2) * d, y[4] = s - splat(0.5f) * d;
    y[5] = (x[5] - x[3]) - d + splat(1.5f) * s;
}
/// y = Aᵀ x.
INLINE void output_transform(const vf x[6], vf y[4]) {
    vf s = x[1] + x[2], d = x[1] - x[2];
    y[0] = (x[0] + s) + (x[3] + x[4]);
    y[1] = d + splat(0.5f) * x[3] - splat(2) * x[4];
    y[2] = s + splat(0.25f) * x[3] + splat(4) * x[4];
    y[3] = (d + x[5]) + splat(0.125f) * x[3] - splat(8) * x[4];
}
/// y = A x.
INLINE void gradient_transform(const vf x[4], vf y[6]) {
    vf e = x[0] + x[2], o = x[1] + x[3];
    y[0] = x[0], y[5] = x[3];
    y[1] = e + o, y[2] = e - o;
    y[3] = x[0] + splat(0.5f) * x[1] + splat(0.25f) * x[2] + splat(0.125f) * x[3];
    y[4] = x[0] - splat(2) * x[1] + splat(4) * x[2] - splat(8) * x[3];
}
/// y = G x.
INLINE void kernel_transform(const vf x[3], vf y[6]) {
    vf e = splat(1 / 3.0f) * (x[0] + x[2]), o = splat(1 / 3.0f) * x[1];
    y[0] = x[0], y[5] = x[2];
    y[1] = e + o, y[2] = o - e;
    y[3] = splat(-4 / 15.0f) * (splat(4) * x[0] + splat(2) * x[1] + x[2]);
    y[4] = splat(1 / 15.0f) * (x[0] - splat(2) * x[1] + splat(4) * x[2]);
}
/// y = Gᵀ x.
INLINE void kernel_gradient_transform(const vf x[6], vf y[3]) {
    vf d = splat(1 / 3.0f) * (x[1] - x[2]), s = splat(1 / 3.0f) * (x[1] + x[2]);
    y[0] = x[0] + d - splat(16 / 15.0f) * x[3] + splat(1 / 15.0f) * x[4];
    y[1] = s - splat(8 / 15.0f) * x[3] - splat(2 / 15.0f) * x[4];
    y[2] = x[5] + d - splat(4 / 15.0f) * x[3] + splat(4 / 15.0f) * x[4];
}

/// The transform of columns, then that of the rows of what it gave: [from, from] to [to, to] vectors.
#define TRANSFORM_2D(transform, from, to, x, y)                                                                        \
    {                                                                                                                  \
        vf half[to][from];                                                                                             \
        UNROLL for (int b = 0; b < from; b++) {                                                                        \
            vf column[from], out[to];                                                                                  \
            UNROLL for (int a = 0; a < from; a++) column[a] = x;                                                       \
            transform(column, out);                                                                                    \
            UNROLL for (int a = 0; a < to; a++) half[a][b] = out[a];                                                   \
        }                                                                                                              \
        UNROLL for (int a = 0; a < to; a++) {                                                                          \
            vf out[to];                                                                                                \
            transform(half[a], out);                                                                                   \
            UNROLL for (int b = 0; b < to; b++) y;                                                                     \
        }                                                                                                              \
    }

/// Bᵀ X B of a row of tiles: x is the first of its six rows of pixels.
static void winograd_inputs(int64_t columns, int64_t n, const float *x, int64_t row, float *v, int64_t stride) {
    for (int64_t j = 0; j < columns; j++)
        for (int64_t c = 0; c < n; c += L) {
            const float *from = x + j * tile_side * n + c;
            float *to = v + j * position_side * n + c;
            TRANSFORM_2D(input_transform, 6, 6, read(from + a * row + b * n), write(to + a * stride + b * n, out[b]))
        }
}

/// A dY Aᵀ of a row of tiles.
static void winograd_gradients(int64_t columns, int64_t n, const float *dy, int64_t row, float *v, int64_t stride) {
    for (int64_t j = 0; j < columns; j++)
        for (int64_t c = 0; c < n; c += L) {
            const float *from = dy + j * tile_side * n + c;
            float *to = v + j * position_side * n + c;
            TRANSFORM_2D(gradient_transform, 4, 6, read(from + a * row + b * n), write(to + a * stride + b * n, out[b]))
        }
}

/// Aᵀ M A of a row of tiles for `width` channels of the n of y.
static void winograd_outputs(int64_t columns, int64_t width, const float *m, int64_t stride, const float *bias,
                             const float *initial, float *y, int64_t row, int64_t n) {
    for (int64_t j = 0; j < columns; j++)
        for (int64_t c = 0; c < width; c += L) {
            const float *from = m + j * position_side * width + c;
            int64_t first = j * tile_side * n + c;
            vf offset = bias ? read(bias + c) : splat(0);
#define RESULT                                                                                                         \
    {                                                                                                                  \
        int64_t at = first + a * row + b * n;                                                                          \
        write(y + at, initial ? out[b] + offset + read(initial + at) : out[b] + offset);                               \
    }
            TRANSFORM_2D(output_transform, 6, 4, read(from + a * stride + b * width), RESULT)
#undef RESULT
        }
}

/// G K Gᵀ, [block of outputs][position][inputs][channels of the block]; `transposed`: of the kernel of the data
/// gradient, K turned by 180° with inputs and outputs exchanged.
static void winograd_pack(int64_t inputs, int64_t outputs, const float *kernel, int transposed, int64_t first,
                          int64_t last, float *packed) {
    int64_t width = L * conv_vectors(outputs);
    for (int64_t block = 0; block < outputs; block += width, packed += positions * inputs * width)
        for (int64_t i = first; i < last; i++)
            for (int64_t o = 0; o < width; o += L) {
                vf k[3][3];
                for (int t = 0; t < 9; t++)
                    if (!transposed) k[t / 3][t % 3] = read(kernel + (t * inputs + i) * outputs + block + o);
                    else
                        for (int lane = 0; lane < L; lane++)
                            k[t / 3][t % 3][lane] = kernel[((8 - t) * outputs + block + o + lane) * inputs + i];
                float *to = packed + i * width + o;
                TRANSFORM_2D(kernel_transform, 3, 6, k[a][b], write(to + (6 * a + b) * inputs * width, out[b]))
            }
}

/// dK += Gᵀ dU G, dU [position][inputs · outputs].
static void winograd_kernel_gradient(int64_t count, int64_t first, int64_t last, const float *du, float *dk) {
    for (int64_t n = first; n < last; n += L) {
        const float *from = du + n;
        float *to = dk + n;
        TRANSFORM_2D(kernel_gradient_transform, 6, 3, read(from + (6 * a + b) * count),
                     write(to + (3 * a + b) * count, read(to + (3 * a + b) * count) + out[b]))
    }
}
#undef TRANSFORM_2D

/// The product of one position: [tiles, inputs] · [inputs, width].
INLINE ck_convolution position_product(int64_t tiles, int64_t inputs, int64_t width, const int64_t *zero) {
    return (ck_convolution){.rows = 1, .columns = tiles, .outputs = width, .inputColumn = position_side * inputs,
                            .outputColumn = position_side * width, .kernelRows = inputs, .taps = 1, .run = inputs,
                            .tap = zero, .row = zero};
}

static void winograd(const ck_winograd *g, int64_t images, const float *x, int64_t imageX, const float *packed,
                     const float *bias, const float *initial, float *y, int64_t imageY, const ck_memory *next,
                     int64_t nextCount, float *scratch) {
    int64_t n = g->inputs, outputs = g->outputs, width = L * conv_vectors(outputs), zero = 0;
    int64_t strip = strip_rows(g, output_tiles(g)), all = images * g->rows, strips = (all + strip - 1) / strip;
    int64_t strideV = winograd_stride(strip * g->columns, n), strideM = winograd_stride(strip * g->columns, width);
    int64_t turn = 0, turns = strips * positions * (outputs / width);
    float *v = scratch, *m = scratch + position_side * strideV;
    for (int64_t first = 0, last; first < all; first = last) {
        last = first + strip < all ? first + strip : all;
        for (int64_t r = first; r < last; r++)
            winograd_inputs(g->columns, n, x + r / g->rows * imageX + r % g->rows * tile_side * g->inputRow,
                            g->inputRow, v + (r - first) * position_side * g->columns * n, strideV);
        ck_convolution product = position_product((last - first) * g->columns, n, width, &zero);
        for (int64_t block = 0; block < outputs; block += width) {
            const float *u = packed + block * positions * n;
            for (int position = 0; position < positions; position++, turn++, u += n * width) {
                int64_t a = position / position_side, b = position % position_side;
                for (int64_t r = first; r < last && block == 0; r++) {
                    int64_t at = r / g->rows * imageY + r % g->rows * tile_side * g->outputRow;
                    fetch_part(y + at, tile_side * g->outputRow, position, positions);
                    if (initial) fetch_part(initial + at, tile_side * g->outputRow, position, positions);
                }
                fetch_parts(next, nextCount, turn, turns);
                convolve(&product, v + a * strideV + b * n, u, NULL, NULL, m + a * strideM + b * width);
            }
            for (int64_t r = first; r < last; r++) {
                int64_t at = r / g->rows * imageY + r % g->rows * tile_side * g->outputRow + block;
                winograd_outputs(g->columns, width, m + (r - first) * position_side * g->columns * width, strideM,
                                 bias ? bias + block : NULL, initial ? initial + at : NULL, y + at, g->outputRow,
                                 outputs);
            }
        }
    }
}

static void winograd_weights(const ck_winograd *g, int64_t images, const float *x, int64_t imageX, const float *dy,
                             int64_t imageY, float *du, const ck_memory *next, int64_t nextCount, float *scratch) {
    int64_t n = g->inputs, outputs = g->outputs, zero = 0;
    int64_t strip = strip_rows(g, weight_tiles), all = images * g->rows, strips = (all + strip - 1) / strip;
    int64_t strideV = winograd_stride(strip * g->columns, n), strideM = winograd_stride(strip * g->columns, outputs);
    int64_t turn = 0, turns = strips * positions;
    float *v = scratch, *m = scratch + position_side * strideV;
    for (int64_t first = 0, last; first < all; first = last) {
        last = first + strip < all ? first + strip : all;
        for (int64_t r = first; r < last; r++) {
            int64_t image = r / g->rows, row = r % g->rows * tile_side;
            int64_t tile = (r - first) * position_side * g->columns;
            winograd_inputs(g->columns, n, x + image * imageX + row * g->inputRow, g->inputRow, v + tile * n, strideV);
            winograd_gradients(g->columns, outputs, dy + image * imageY + row * g->outputRow, g->outputRow,
                               m + tile * outputs, strideM);
        }
        ck_convolution product = position_product((last - first) * g->columns, n, outputs, &zero);
        float *out = du;
        for (int position = 0; position < positions; position++, turn++, out += n * outputs) {
            int64_t a = position / position_side, b = position % position_side;
            fetch_parts(next, nextCount, turn, turns);
            convolve_weights(&product, 1, v + a * strideV + b * n, 0, m + a * strideM + b * outputs, 0, out);
        }
    }
}

static int64_t winograd_scratch(const ck_winograd *g) {
    int64_t tiles = strip_rows(g, weight_tiles) * g->columns;
    return position_side * (winograd_stride(tiles, g->inputs) + winograd_stride(tiles, g->outputs));
}
