// Vector kernels and the thread pool: C, because it gives exact control over vector registers.
//
// Every kernel is written once, in kernels_template.h, over vectors of a generic width, and compiled three times:
// AVX-512 (16 lanes), AVX2 (8 lanes) and portable (4 lanes: SSE2, NEON). `ck_kernels_named` gives one of them. A fourth set
// has AVX-512's and for large matrix products those of kernels_amx.c.
// All matrices are row-major; `ld…` is the distance between rows, in elements; nothing needs alignment.
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stdint.h>

/// Pointwise half of an LSTM cell (Eq. 9, 10, 12, 13): what it does to a row of gate pre-activations.
/// Gates are packed in the order i, g, f, o: [.., 4 units].
typedef struct {
    int64_t units;      // H
    float epsilon;      // of the layer normalization
    float forgetBias;   // added to f after the layer normalization
    // Layer normalization, NULL for a cell without it:
    const float *_Nullable gamma;     // [4H]
    const float *_Nullable beta;      // [4H]
    const float *_Nullable gammaC;    // [H]
    const float *_Nullable betaC;     // [H]
} ck_lstm;

/// Mean and reciprocal standard deviation of the four gates, then of c: floats a row in `stats`.
enum { ck_lstm_stats = 10 };

/// Rows taken from a matrix: row r is `scale[r] · base[index[r]]`; without an index row r itself, without a scale 1.
/// The one-hot input of a cell is such a gather.
typedef struct {
    const float *_Nonnull base;
    int64_t ld;
    const int32_t *_Nullable index;
    const float *_Nullable scale;
} ck_rows;

/// The weight scaling vectors of Eq. 11 and 12: d = W z for each gate, d_h = W_hz z_h, d_x = W_xz z_x, b = W_bz z_b + b_0.
/// A row of z is (z_h, z_x, z_b), each [4, Nz], gate by gate.
typedef struct {
    int64_t units;                  // H
    int64_t embedding;              // Nz
    const float *_Nonnull whz;      // [4, Nz, H]
    const float *_Nonnull wxz;      // [4, Nz, H]
    const float *_Nonnull wbz;      // [4, Nz, H]
    const float *_Nonnull b0;       // [4H]
} ck_scaling;

/// A direct convolution of one image. Distances are in elements. A tap is a run of inputs that lie side by side for every
/// output (one pixel's channels, or those of all pixels in a row of the kernel); the kernel is read as a matrix
/// [kernelRows, outputs].
///
///     y[i, j, o] = Σ_t Σ_{c < run} x[i · inputRow + j · inputColumn + tap[t] + c] K[row[t] + c, o]
typedef struct {
    int64_t rows, columns;              // of output pixels
    int64_t outputs;                    // channels, a multiple of 16
    int64_t inputRow, inputColumn;      // between the inputs of neighboring outputs
    int64_t outputRow, outputColumn;    // between neighboring outputs
    int64_t kernelRows;
    int64_t taps, run;
    const int64_t *_Nonnull tap;
    const int64_t *_Nonnull row;
} ck_convolution;

/// The extents of a convolution 3 × 3 with stride 1 in tiles of 4 × 4 outputs; inputs and outputs are multiples of 16.
typedef struct {
    int64_t rows, columns;        // tiles of an image
    int64_t inputs, outputs;      // channels
    int64_t inputRow, outputRow;  // floats between rows of pixels
} ck_winograd;

/// Memory that is read after a call, which fetches it while it computes.
typedef struct {
    const float *_Nonnull floats;
    int64_t count;
} ck_memory;

/// Batch normalization of `channels`: y = factor (x − mean) + beta, factor = gamma · reciprocal; max(y, 0) if `relu`.
typedef struct {
    int64_t channels;
    int relu;
    const float *_Nonnull mean;
    const float *_Nonnull reciprocal;   // 1 / √(variance + ε)
    const float *_Nonnull factor;
    const float *_Nonnull beta;
} ck_norm;

/// Matrix products on AMX's tiles, of numbers split into two of bfloat16: at least 16 of 24 bits of each product, sums in
/// float32 (kernels_amx.c). Operands are packed in blocks of `block` × `block` numbers, block by block along the inner
/// extent k: block · block floats each, 64-byte aligned.
typedef struct {
    int64_t block;
    int64_t depth;  // of the inner extent that is best packed and multiplied at a time
    int64_t group;  // blocks of columns that are best multiplied by a block of rows while it is in the cache
    // The blocks `first ..< last` of the rows of op(A), [m, k], and of the columns of op(B), [k, n].
    void (*_Nonnull pack_left)(int transposed, int64_t m, int64_t k, const float *_Nonnull a, int64_t lda,
                               int64_t first, int64_t last, float *_Nonnull packed);
    void (*_Nonnull pack_right)(int transposed, int64_t n, int64_t k, const float *_Nonnull b, int64_t ldb,
                                int64_t first, int64_t last, float *_Nonnull packed);
    // C[m, n] (+)= A B for blocks of rows, of columns and of the inner extent; a, b and c are those of block 0.
    void (*_Nonnull multiply)(int64_t m, int64_t n, int64_t k, const float *_Nonnull a, int64_t firstLeft,
                              int64_t lastLeft, const float *_Nonnull b, int64_t firstRight, int64_t lastRight,
                              int64_t first, int64_t last, int accumulate, float *_Nonnull c, int64_t ldc);
} ck_amx;

/// NULL where this CPU, system or build has no AMX.
const ck_amx *_Nullable ck_amx_of_this_cpu(void);

typedef struct {
    const char *_Nonnull name;      // "amx", "avx512", "avx2", "portable"

    // Large matrix products, in place of those below; NULL but in "amx", which is "avx512" in all else.
    const ck_amx *_Nullable amx;

    // y[n] = f(x[n]), may be in place.
    void (*_Nonnull exp)(int64_t n, const float *_Nonnull x, float *_Nonnull y);
    void (*_Nonnull tanh)(int64_t n, const float *_Nonnull x, float *_Nonnull y);
    void (*_Nonnull sigmoid)(int64_t n, const float *_Nonnull x, float *_Nonnull y);

    // y += a x
    void (*_Nonnull axpy)(int64_t n, float a, const float *_Nonnull x, float *_Nonnull y);
    // Σ x y
    float (*_Nonnull dot)(int64_t n, const float *_Nonnull x, const float *_Nonnull y);

    // Multiplicative dropout mask for the elements `position ..< position + n` of a random stream: 1/keep or 0.
    void (*_Nonnull dropout_mask)(int64_t n, float keep, uint64_t seed, uint64_t stream, uint64_t position,
                                  float *_Nonnull mask);
    // The 32 random bits of each of these elements.
    void (*_Nonnull random_bits)(int64_t n, uint64_t seed, uint64_t stream, uint64_t position, uint32_t *_Nonnull bits);

    // Packed matrix product: floats needed for a packed [k, n] matrix; packing of op(B), [k, n]; and
    // C[m, n] (+)= A[m, k] · packed B, for the panels `first ..< last` of `panel_width` columns;
    // best for `panel_group` of them at a time. The last row of m = 1 + a multiple of `tile_rows` is summed in another order,
    // so that a row's last bits depend on its place.
    int64_t panel_width;
    int64_t panel_group;
    int64_t (*_Nonnull packed_count)(int64_t k, int64_t n);
    void (*_Nonnull pack)(int64_t k, int64_t n, const float *_Nonnull b, int64_t ldb, int transposed,
                          int64_t firstPanel, int64_t lastPanel, float *_Nonnull packed);
    void (*_Nonnull gemm_packed)(int64_t m, int64_t n, int64_t k, const float *_Nonnull a, int64_t lda,
                                 const float *_Nonnull packed, int accumulate, int64_t firstPanel, int64_t lastPanel,
                                 float *_Nonnull c, int64_t ldc);

    // Products by one level of Strassen's algorithm, on blocks of half the extents, rounded up: rows = ⌈m / 2⌉, depth =
    // ⌈k / 2⌉, width = ⌈n / 2⌉; tiles = ⌈rows / tile_rows⌉, panels = ⌈width / panel_width⌉.
    int64_t tile_rows;
    int64_t strassen_products;  // 7
    // C[m, n] = A B. Sums of A's blocks, for the rows `first ..< last` of a block: [products, tiles · tile_rows, depth];
    // sums of a panel of B's, from its left and right halves: [products, depth, panel_width]; and the product, for the
    // panels `firstPanel ..< lastPanel` in `packed` and the tiles `firstTile ..< lastTile`.
    void (*_Nonnull strassen_sum_rows)(int64_t m, int64_t k, const float *_Nonnull a, int64_t lda, int64_t first,
                                       int64_t last, float *_Nonnull sums);
    void (*_Nonnull strassen_pack_panel)(int64_t k, const float *_Nonnull left, int64_t leftColumns,
                                         const float *_Nonnull right, int64_t rightColumns, int64_t ld,
                                         float *_Nonnull packed);
    void (*_Nonnull strassen_multiply)(int64_t m, int64_t n, int64_t k, const float *_Nonnull sums,
                                       const float *_Nonnull packed, int64_t firstPanel, int64_t lastPanel,
                                       int64_t firstTile, int64_t lastTile, float *_Nonnull c, int64_t ldc);
    // C[m, n] += Aᵀ B for A [k, m], B [k, n], best with a depth of up to strassen_depth. Sums of A's blocks, for the tiles
    // `first ..< last`: [tiles, products, depth, tile_rows]; then the panels `firstPanel ..< lastPanel`; scratch:
    // [lastPanel − firstPanel, products, depth, panel_width].
    int64_t strassen_depth;
    void (*_Nonnull strassen_pack)(int64_t m, int64_t k, const float *_Nonnull a, int64_t lda, int64_t first,
                                   int64_t last, float *_Nonnull packed);
    void (*_Nonnull strassen_add_transposed)(int64_t m, int64_t n, int64_t k, const float *_Nonnull packedA,
                                             const float *_Nonnull b, int64_t ldb, int64_t firstPanel,
                                             int64_t lastPanel, float *_Nonnull c, int64_t ldc,
                                             float *_Nonnull scratch);

    // y[r] (+)= x row r + bias (bias may be NULL), rows of n.
    void (*_Nonnull add_rows)(int64_t rows, int64_t n, const ck_rows *_Nonnull x, const float *_Nullable bias,
                              int accumulate, float *_Nonnull y, int64_t ldy);
    // table[index[r]] += scale[r] x[r]; without index all rows are added into one.
    void (*_Nonnull scatter_add_rows)(int64_t rows, int64_t n, const float *_Nonnull x, int64_t ldx,
                                      const int32_t *_Nullable index, const float *_Nullable scale,
                                      float *_Nonnull table, int64_t ldt);

    // LSTM: from y [rows, 4H] and c_{t-1} to c_t, h_t; mask is the recurrent dropout on tanh(g), [rows, H] or NULL.
    void (*_Nonnull lstm_forward)(const ck_lstm *_Nonnull cell, int64_t rows, const float *_Nonnull y, int64_t ldy,
                                  const float *_Nonnull cPrevious, const float *_Nullable mask, float *_Nonnull c,
                                  float *_Nonnull h, float *_Nonnull stats);
    // And back. y becomes dL/dy; dc holds dL/dc_t on entry, dL/dc_{t-1} on return; dgamma … are added to.
    // scratch: 5H floats.
    void (*_Nonnull lstm_backward)(const ck_lstm *_Nonnull cell, int64_t rows, float *_Nonnull y, int64_t ldy,
                                   const float *_Nonnull cPrevious, const float *_Nonnull c,
                                   const float *_Nullable mask, const float *_Nonnull stats, const float *_Nonnull dh,
                                   float *_Nonnull dc, float *_Nullable dgamma, float *_Nullable dbeta,
                                   float *_Nullable dgammaC, float *_Nullable dbetaC, float *_Nonnull scratch);

    // Eq. 12 without the normalization: y = d_h ⊙ p + d_x ⊙ x + b, p = W_h h_{t-1}; z [rows, 12 Nz].
    void (*_Nonnull scaling_forward)(const ck_scaling *_Nonnull scaling, int64_t rows, const float *_Nonnull p,
                                     int64_t ldp, const ck_rows *_Nonnull x, const float *_Nonnull z,
                                     float *_Nonnull y, int64_t ldy);
    // And back, from dy. p becomes dL/dp; dx row r is written (`accumulateX` 0, row r of dxTable) or, scaled, added to
    // row index[r] of dxTable; dz is written; dwhz, dwxz, dwbz [4, Nz, H] and db0 [4H] are added to.
    // scratch: 8H floats.
    void (*_Nonnull scaling_backward)(const ck_scaling *_Nonnull scaling, int64_t rows, float *_Nonnull p, int64_t ldp,
                                      const ck_rows *_Nonnull x, const float *_Nonnull z, const float *_Nonnull dy,
                                      int64_t ldy, int accumulateX, float *_Nonnull dxTable, int64_t lddx,
                                      float *_Nonnull dz, float *_Nonnull dwhz, float *_Nonnull dwxz,
                                      float *_Nonnull dwbz, float *_Nonnull db0, float *_Nonnull scratch);

    // Cross entropy of softmax(logits): writes the loss of each row in nats and, if asked for, the gradient
    // (softmax − one-hot) · scale in place of the logits.
    void (*_Nonnull cross_entropy)(int64_t rows, int64_t classes, float *_Nonnull logits, const int32_t *_Nonnull targets,
                                   int gradient, float scale, float *_Nonnull losses);

    // One step of Adam over n elements.
    void (*_Nonnull adam)(int64_t n, float *_Nonnull x, const float *_Nonnull g, float *_Nonnull m, float *_Nonnull v,
                          float beta1, float beta2, float stepSize, float correction2, float epsilon);

    // Kernel [taps, inputs, outputs] in the order that `convolve` reads it, as many floats, for the inputs `first ..< last`;
    // with `transposed` the kernel of the data gradient, from one stored [taps, outputs, inputs].
    void (*_Nonnull conv_pack)(int64_t taps, int64_t inputs, int64_t outputs, const float *_Nonnull kernel,
                               int transposed, int64_t first, int64_t last, float *_Nonnull packed);
    // y = convolution + bias + initial; bias [outputs] may be NULL, so may initial, laid out as y; it may be y.
    void (*_Nonnull convolve)(const ck_convolution *_Nonnull g, const float *_Nonnull x, const float *_Nonnull packed,
                              const float *_Nullable bias, const float *_Nullable initial, float *_Nonnull y);
    // dK[row[t] + c, o] += Σ x dy over the pixels of `images` images that lie imageX and imageY apart.
    void (*_Nonnull convolve_weights)(const ck_convolution *_Nonnull g, int64_t images, const float *_Nonnull x,
                                      int64_t imageX, const float *_Nonnull dy, int64_t imageY, float *_Nonnull dw);
    // The same for kernels 3 × 3 with stride 1 by Winograd's F(4 × 4, 3 × 3). Floats of scratch that the two below need;
    // the transformed kernel, 36 · inputs · outputs floats, of `convolve`'s or with `transposed` of the data gradient, for
    // the inputs `first ..< last`.
    int64_t (*_Nonnull winograd_scratch)(const ck_winograd *_Nonnull g);
    void (*_Nonnull winograd_pack)(int64_t inputs, int64_t outputs, const float *_Nonnull kernel, int transposed,
                                   int64_t first, int64_t last, float *_Nonnull packed);
    // y = convolution + bias + initial for `images` images that lie imageX (with their border of zeros) and imageY apart.
    void (*_Nonnull winograd)(const ck_winograd *_Nonnull g, int64_t images, const float *_Nonnull x, int64_t imageX,
                              const float *_Nonnull packed, const float *_Nullable bias,
                              const float *_Nullable initial, float *_Nonnull y, int64_t imageY,
                              const ck_memory *_Nullable next, int64_t nextCount, float *_Nonnull scratch);
    // du [36, inputs, outputs] += the gradient of the transformed kernel; and dk [9, count] += that of the kernel from it,
    // count = inputs · outputs, for the elements `first ..< last` of each 9th, both multiples of 16.
    void (*_Nonnull winograd_weights)(const ck_winograd *_Nonnull g, int64_t images, const float *_Nonnull x,
                                      int64_t imageX, const float *_Nonnull dy, int64_t imageY, float *_Nonnull du,
                                      const ck_memory *_Nullable next, int64_t nextCount, float *_Nonnull scratch);
    void (*_Nonnull winograd_kernel_gradient)(int64_t count, int64_t first, int64_t last, const float *_Nonnull du,
                                              float *_Nonnull dk);

    // Rows first ..< last (from −border to height + border) of an image [height, columns, channels] with a border of
    // zeros, normalized if `norm` is given: [last − first, columns + 2 border, channels].
    void (*_Nonnull pad_rows)(int64_t first, int64_t last, int64_t height, int64_t columns, int64_t channels,
                              int64_t border, const float *_Nonnull x, const ck_norm *_Nullable norm,
                              float *_Nonnull padded);

    // total[c] += Σ_r x[r, c]
    void (*_Nonnull channel_sums)(int64_t rows, int64_t n, const float *_Nonnull x, float *_Nonnull total);
    // mean[c] of x[r, c], and squares[c] = Σ_r (x[r, c] − mean[c])²
    void (*_Nonnull channel_moments)(int64_t rows, int64_t n, const float *_Nonnull x, float *_Nonnull mean,
                                     float *_Nonnull squares);
    void (*_Nonnull normalize)(const ck_norm *_Nonnull norm, int64_t rows, const float *_Nonnull x,
                               float *_Nonnull y);
    // sums = (Σ_r dz[c], Σ_r dz[c] x̂[c]), [2, channels], x̂ = reciprocal (x − mean); dz = dy where the ReLU passes
    // or there is none, else 0; it may be dy.
    void (*_Nonnull norm_backward_sums)(const ck_norm *_Nonnull norm, int64_t rows, const float *_Nonnull x,
                                        const float *_Nonnull dy, float *_Nonnull dz, float *_Nonnull sums);
    // dx = factor dz + slope (x − mean) + offset + initial; initial may be NULL, and dz or initial may be dx.
    void (*_Nonnull norm_backward)(const ck_norm *_Nonnull norm, int64_t rows, const float *_Nonnull slope,
                                   const float *_Nonnull offset, const float *_Nonnull x, const float *_Nonnull dz,
                                   const float *_Nullable initial, float *_Nonnull dx);

    // A row of the largest values of 2 × 2 pixels [columns, n], from x's two rows that lie `row` floats apart; and dx
    // (+)= its gradient, which goes to the first of equal values.
    void (*_Nonnull max_pool)(int64_t columns, int64_t n, const float *_Nonnull x, int64_t row, float *_Nonnull y);
    void (*_Nonnull max_pool_backward)(int64_t columns, int64_t n, const float *_Nonnull x, int64_t row,
                                       const float *_Nonnull y, const float *_Nonnull dy, int accumulate,
                                       float *_Nonnull dx);
} ck_kernels;

/// The kernels of one instruction set, or NULL where this CPU (or this build) lacks it.
const ck_kernels *_Nullable ck_kernels_named(const char *_Nonnull name);
/// The widest that this CPU runs.
const ck_kernels *_Nonnull ck_kernels_best(void);

/// Calls `body(context, index, worker)` for every index in 0 ..< count, each exactly once, on a fixed pool of `threads`
/// threads (the caller is one of them), and returns when all are done. `worker` < threads is one thread's at a time.
/// A call from inside `body`, or while another thread uses the pool, runs on the calling thread alone.
void ck_parallel(int64_t count, void (*_Nonnull body)(void *_Nullable context, int64_t index, int64_t worker),
                 void *_Nullable context);
/// Sets the pool's size, the caller included, from 1 to ck_most_threads, and starts its threads; returns how many it has:
/// fewer where the system starts no more.
int ck_parallel_threads(int threads);
enum { ck_most_threads = 256 };
/// Starts a thread of its own, which ends when `body(context)` returns; `stack` is the size of its stack in bytes, 0 for the
/// system's. Returns 0, or why the system starts none (errno).
int ck_start_thread(int64_t stack, void *_Nullable (*_Nonnull body)(void *_Nullable context), void *_Nullable context);

/// The numbers of the processors that this process may run on (its affinity), at most `most` of them; returns how many
/// there are in `processors`, 0 where the system does not tell.
int ck_allowed_processors(int *_Nonnull processors, int most);

#endif
