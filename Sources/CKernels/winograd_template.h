// Convolution 3 × 3, stride 1, by Winograd's minimal filtering F(2 × 2, 3 × 3) (Lavin, Gray 2016): included by
// convolution_template.h.
//
// Four neighbouring outputs need 16 products a channel pair in place of 36. An output tile 2 × 2 comes from the 4 × 4
// inputs around it,
//
//     Y = Aᵀ [ (G K Gᵀ) ⊙ (Bᵀ X B) ] A        summed over the input channels inside the brackets,
//
// so for each of the 16 positions inside the brackets there is a matrix product [tiles, in] · [in, out]: a convolution
// 1 × 1 for the kernels above. The transforms have the coefficients 0, ±1 and ±1/2, and lose about a digit's half.
// A strip of tiles goes through all stages while it lies in the second-level cache.

enum { positions = 16 };

/// Floats between the tiles of one position and those of the next: not a power of two, so that the 16 streams of a
/// transform do not meet in one set of the cache.
INLINE int64_t winograd_stride(int64_t tiles, int64_t channels) { return tiles * channels + 16; }

/// Bᵀ x, one column of it.
INLINE void input_transform(const vf x[4], vf y[4]) {
    y[0] = x[0] - x[2], y[1] = x[1] + x[2], y[2] = x[2] - x[1], y[3] = x[1] - x[3];
}
/// Aᵀ x.
INLINE void output_transform(const vf x[4], vf y[2]) {
    y[0] = x[0] + x[1] + x[2], y[1] = x[1] - x[2] - x[3];
}
/// A x.
INLINE void gradient_transform(const vf x[2], vf y[4]) {
    y[0] = x[0], y[1] = x[0] + x[1], y[2] = x[0] - x[1], y[3] = -x[1];
}

/// Bᵀ X B of a row of tiles: x is the first of its four rows of pixels.
static void winograd_inputs(int64_t columns, int64_t n, const float *x, int64_t row, float *v, int64_t stride) {
    for (int64_t c = 0; c < n; c += L) {
        vf half[4][4];  // columns of Bᵀ X; the tile to the right shares two of them
#define COLUMN(b, at)                                                                                                  \
    {                                                                                                                  \
        const float *from = x + (at) * n + c;                                                                          \
        input_transform((vf[4]){read(from), read(from + row), read(from + 2 * row), read(from + 3 * row)}, half[b]);   \
    }
        COLUMN(2, 0) COLUMN(3, 1)
        for (int64_t j = 0; j < columns; j++) {
            memcpy(half, half + 2, 2 * sizeof *half);
            COLUMN(2, 2 * j + 2) COLUMN(3, 2 * j + 3)
            float *to = v + j * n + c;
            UNROLL for (int a = 0; a < 4; a++) {
                vf out[4];
                input_transform((vf[4]){half[0][a], half[1][a], half[2][a], half[3][a]}, out);
                UNROLL for (int b = 0; b < 4; b++) write(to + (4 * a + b) * stride, out[b]);
            }
        }
#undef COLUMN
    }
}

/// A dY Aᵀ of a row of tiles.
static void winograd_gradients(int64_t columns, int64_t n, const float *dy, int64_t row, float *v, int64_t stride) {
    for (int64_t c = 0; c < n; c += L)
        for (int64_t j = 0; j < columns; j++) {
            const float *from = dy + 2 * j * n + c;
            float *to = v + j * n + c;
            vf half[2][4];
            UNROLL for (int b = 0; b < 2; b++)
                gradient_transform((vf[2]){read(from + b * n), read(from + row + b * n)}, half[b]);
            UNROLL for (int a = 0; a < 4; a++) {
                vf out[4];
                gradient_transform((vf[2]){half[0][a], half[1][a]}, out);
                UNROLL for (int b = 0; b < 4; b++) write(to + (4 * a + b) * stride, out[b]);
            }
        }
}

/// Aᵀ M A of a row of tiles for `width` channels of the n of y.
static void winograd_outputs(int64_t columns, int64_t width, const float *m, int64_t stride, const float *bias,
                             const float *initial, float *y, int64_t row, int64_t n) {
    for (int64_t c = 0; c < width; c += L) {
        vf offset = bias ? read(bias + c) : splat(0);
        for (int64_t j = 0; j < columns; j++) {
            const float *from = m + j * width + c;
            vf half[4][2];
            UNROLL for (int b = 0; b < 4; b++)
                output_transform((vf[4]){read(from + b * stride), read(from + (4 + b) * stride),
                                         read(from + (8 + b) * stride), read(from + (12 + b) * stride)},
                                 half[b]);
            UNROLL for (int a = 0; a < 2; a++) {
                vf out[2];
                output_transform((vf[4]){half[0][a], half[1][a], half[2][a], half[3][a]}, out);
                UNROLL for (int b = 0; b < 2; b++) {
                    int64_t at = a * row + (2 * j + b) * n + c;
                    vf value = out[b] + offset;
                    if (initial) value += read(initial + at);
                    write(y + at, value);
                }
            }
        }
    }
}

/// G K Gᵀ, [block of outputs][position][inputs][channels of the block]; `transposed`: of the kernel of the data
/// gradient, K turned by 180° with inputs and outputs exchanged.
static void winograd_pack(int64_t inputs, int64_t outputs, const float *kernel, int transposed, float *packed) {
    int64_t width = L * conv_vectors(outputs);
    for (int64_t block = 0; block < outputs; block += width)
        for (int64_t i = 0; i < inputs; i++)
            for (int64_t o = 0; o < width; o++) {
                float k[3][3], half[4][3];
                for (int u = 0; u < 3; u++)
                    for (int v = 0; v < 3; v++)
                        k[u][v] = transposed ? kernel[((8 - 3 * u - v) * outputs + block + o) * inputs + i]
                                             : kernel[((3 * u + v) * inputs + i) * outputs + block + o];
#define G(to, from, step)                                                                                              \
    (to)[0] = (from)[0], (to)[(step) * 1] = 0.5f * ((from)[0] + (from)[(step) * 1] + (from)[(step) * 2]),              \
    (to)[(step) * 2] = 0.5f * ((from)[0] - (from)[(step) * 1] + (from)[(step) * 2]),                                   \
    (to)[(step) * 3] = (from)[(step) * 2]
                for (int v = 0; v < 3; v++) { G(&half[0][v], &k[0][v], 3); }
                for (int a = 0; a < 4; a++) {
                    float out[4];
                    G(out, half[a], 1);
                    for (int b = 0; b < 4; b++)
                        packed[((block / width * positions + 4 * a + b) * inputs + i) * width + o] = out[b];
                }
#undef G
            }
}

/// dK += Gᵀ dU G, dU [position][inputs · outputs].
static void winograd_kernel_gradient(int64_t count, const float *du, float *dk) {
    vf k[3][4], half = splat(0.5f);
    for (int64_t n = 0; n < count; n += L) {
        UNROLL for (int b = 0; b < 4; b++) {
            vf x[4];
            UNROLL for (int a = 0; a < 4; a++) x[a] = read(du + (4 * a + b) * count + n);
            k[0][b] = x[0] + half * (x[1] + x[2]), k[1][b] = half * (x[1] - x[2]), k[2][b] = half * (x[1] + x[2]) + x[3];
        }
        UNROLL for (int u = 0; u < 3; u++) {
            float *to = dk + 3 * u * count + n;
            write(to, read(to) + (k[u][0] + half * (k[u][1] + k[u][2])));
            write(to + count, read(to + count) + half * (k[u][1] - k[u][2]));
            write(to + 2 * count, read(to + 2 * count) + (half * (k[u][1] + k[u][2]) + k[u][3]));
        }
    }
}

/// Products of `tiles` tiles, one position: [tiles, inputs] · [inputs, width].
INLINE ck_convolution position_product(int64_t tiles, int64_t inputs, int64_t width, const int64_t *zero) {
    return (ck_convolution){.rows = 1, .columns = tiles, .outputs = width, .inputColumn = inputs,
                            .outputColumn = width, .kernelRows = inputs, .taps = 1, .run = inputs,
                            .tap = zero, .row = zero};
}

static void winograd(const ck_winograd *g, int64_t images, const float *x, int64_t imageX, const float *packed,
                     const float *bias, const float *initial, float *y, int64_t imageY, float *scratch) {
    int64_t n = g->inputs, outputs = g->outputs, width = L * conv_vectors(outputs), zero = 0;
    int64_t strideV = winograd_stride(g->strip * g->columns, n);
    int64_t strideM = winograd_stride(g->strip * g->columns, width);
    float *v = scratch, *m = scratch + positions * strideV;
    for (int64_t first = 0, last; first < images * g->rows; first = last) {
        last = first + g->strip < images * g->rows ? first + g->strip : images * g->rows;
        for (int64_t r = first; r < last; r++)
            winograd_inputs(g->columns, n, x + r / g->rows * imageX + r % g->rows * 2 * g->inputRow, g->inputRow,
                            v + (r - first) * g->columns * n, strideV);
        int64_t tiles = (last - first) * g->columns;
        ck_convolution product = position_product(tiles, n, width, &zero);
        for (int64_t block = 0; block < outputs; block += width) {
            const float *u = packed + block * positions * n;
            for (int p = 0; p < positions; p++)
                convolve(&product, v + p * strideV, u + p * n * width, NULL, NULL, m + p * strideM);
            for (int64_t r = first; r < last; r++) {
                int64_t at = r / g->rows * imageY + r % g->rows * 2 * g->outputRow + block;
                winograd_outputs(g->columns, width, m + (r - first) * g->columns * width, strideM,
                                 bias ? bias + block : NULL, initial ? initial + at : NULL, y + at, g->outputRow,
                                 outputs);
            }
        }
    }
}

static void winograd_weights(const ck_winograd *g, int64_t images, const float *x, int64_t imageX, const float *dy,
                             int64_t imageY, float *du, float *scratch) {
    int64_t n = g->inputs, outputs = g->outputs, zero = 0;
    int64_t strideV = winograd_stride(g->strip * g->columns, n);
    int64_t strideM = winograd_stride(g->strip * g->columns, outputs);
    float *v = scratch, *m = scratch + positions * strideV;
    for (int64_t first = 0, last; first < images * g->rows; first = last) {
        last = first + g->strip < images * g->rows ? first + g->strip : images * g->rows;
        for (int64_t r = first; r < last; r++) {
            int64_t image = r / g->rows, row = r % g->rows * 2, at = (r - first) * g->columns;
            winograd_inputs(g->columns, n, x + image * imageX + row * g->inputRow, g->inputRow, v + at * n, strideV);
            winograd_gradients(g->columns, outputs, dy + image * imageY + row * g->outputRow, g->outputRow,
                               m + at * outputs, strideM);
        }
        ck_convolution product = position_product((last - first) * g->columns, n, outputs, &zero);
        for (int p = 0; p < positions; p++)
            convolve_weights(&product, 1, v + p * strideV, 0, m + p * strideM, 0, du + p * n * outputs);
    }
}

static int64_t winograd_scratch(const ck_winograd *g) {
    int64_t tiles = g->strip * g->columns;
    return positions * (winograd_stride(tiles, g->inputs) + winograd_stride(tiles, g->outputs));
}
