// Products by one level of Strassen's algorithm (Gaussian Elimination is not Optimal, 1969): seven products of half the
// extents in place of eight. Included by kernels_template.h.
//
// All three matrices are cut into 2 × 2 blocks of half their extents; what is missing at the end counts as zero. Seven
// sums of blocks of A are stored, and seven of B, packed panel by panel. Every product goes from the registers to the
// one or two blocks of C that need it: none exists as a matrix.

enum { strassen_products = 7, strassen_depth = 512 };

/// Blocks are numbered 0 … 3: upper left, upper right, lower left, lower right. A product is (first + sign · second)
/// of A's blocks times the same of B's; `into` is what of it each block of C takes. Sign 0: there is no second.
typedef struct {
    int first, second, sign;
} strassen_sum;
static const struct {
    strassen_sum a, b;
    int into[4];
} strassen_scheme[strassen_products] = {
    {{0, 3, 1}, {0, 3, 1}, {1, 0, 0, 1}},   // M₁ = (A₁₁ + A₂₂)(B₁₁ + B₂₂)
    {{2, 3, 1}, {0, 0, 0}, {0, 0, 1, -1}},  // M₂ = (A₂₁ + A₂₂) B₁₁
    {{0, 0, 0}, {1, 3, -1}, {0, 1, 0, 1}},  // M₃ = A₁₁ (B₁₂ − B₂₂)
    {{3, 3, 0}, {2, 0, -1}, {1, 0, 1, 0}},  // M₄ = A₂₂ (B₂₁ − B₁₁)
    {{0, 1, 1}, {3, 3, 0}, {-1, 1, 0, 0}},  // M₅ = (A₁₁ + A₁₂) B₂₂
    {{2, 0, -1}, {0, 1, 1}, {0, 0, 0, 1}},  // M₆ = (A₂₁ − A₁₁)(B₁₁ + B₁₂)
    {{1, 3, -1}, {2, 3, 1}, {1, 0, 0, 0}},  // M₇ = (A₁₂ − A₂₂)(B₂₁ + B₂₂)
};
/// The first product that goes into each block of C.
static const int strassen_first[4] = {0, 2, 1, 0};

INLINE vf strassen_value(strassen_sum s, const vf block[4]) {
    return s.sign == 0 ? block[s.first] : block[s.first] + splat((float)s.sign) * block[s.second];
}

/// The starts of a row in the left and right one of two blocks of a matrix, and the number of columns left in each.
typedef struct {
    const float *left, *right;
    int64_t leftColumns, rightColumns;
} strassen_row;

/// Columns j … of the four blocks; `hasLower` is 0 where the upper blocks have a row that the lower ones lack.
INLINE void strassen_blocks(strassen_row upper, int64_t lower, int hasLower, int64_t j, int64_t most, vf block[4]) {
    int64_t left = upper.leftColumns - j, right = upper.rightColumns - j;
    if (left > most) left = most;
    if (right > most) right = most;
    block[0] = load(upper.left + j, left);
    block[1] = right > 0 ? load(upper.right + j, right) : splat(0);
    block[2] = hasLower ? load(upper.left + lower + j, left) : splat(0);
    block[3] = hasLower && right > 0 ? load(upper.right + lower + j, right) : splat(0);
}

/// The sums of A's blocks in their rows first ..< last, as [products, ⌈m / 2⌉ rounded up to whole tiles, ⌈k / 2⌉].
static void strassen_sum_rows(int64_t m, int64_t k, const float *a, int64_t lda, int64_t first, int64_t last,
                              float *sums) {
    int64_t rows = (m + 1) / 2, half = (k + 1) / 2, tall = (rows + CK_ROWS - 1) / CK_ROWS * CK_ROWS;
    for (int64_t i = first; i < last; i++) {
        const float *row = a + i * lda;
        strassen_row upper = {row, row + half, half, k - half};
        for (int64_t j = 0; j < half; j += L) {
            vf block[4];
            strassen_blocks(upper, rows * lda, i + rows < m, j, half - j < L ? half - j : L, block);
#pragma clang loop unroll(full)
            for (int p = 0; p < strassen_products; p++)
                store(sums + (p * tall + i) * half + j, half - j, strassen_value(strassen_scheme[p].a, block));
        }
    }
}

/// The sums of Aᵀ's blocks, A [k, m], in tiles first ..< last, as [tiles, products, ⌈k / 2⌉, CK_ROWS].
static void strassen_pack(int64_t m, int64_t k, const float *a, int64_t lda, int64_t first, int64_t last,
                          float *packed) {
    int64_t rows = (m + 1) / 2, half = (k + 1) / 2;
    for (int64_t t = 0; t < half; t++) {
        strassen_row upper = {a + t * lda, a + t * lda + rows, rows, m - rows};
        for (int64_t q = first; q < last; q++)
            for (int64_t j = 0; j < CK_ROWS; j += L) {
                vf block[4];
                int64_t columns = CK_ROWS - j < L ? CK_ROWS - j : L;
                strassen_blocks(upper, half * lda, t + half < k, q * CK_ROWS + j, columns, block);
                vf transposed[4] = {block[0], block[2], block[1], block[3]};
#pragma clang loop unroll(full)
                for (int p = 0; p < strassen_products; p++)
                    store(packed + ((q * strassen_products + p) * half + t) * CK_ROWS + j, columns,
                          strassen_value(strassen_scheme[p].a, transposed));
            }
    }
}

/// The sums of B's blocks in one panel's columns, as [products, ⌈k / 2⌉, panel].
static void strassen_pack_panel(int64_t k, const float *left, int64_t leftColumns, const float *right,
                                int64_t rightColumns, int64_t ld, float *packed) {
    int64_t half = (k + 1) / 2;
    for (int64_t t = 0; t < half; t++) {
        strassen_row upper = {left + t * ld, right + t * ld, leftColumns, rightColumns};
#pragma clang loop unroll(full)
        for (int v = 0; v < CK_COLUMNS; v++) {
            vf block[4];
            strassen_blocks(upper, half * ld, t + half < k, v * L, L, block);
#pragma clang loop unroll(full)
            for (int p = 0; p < strassen_products; p++)
                store(packed + (p * half + t) * panel + v * L, L, strassen_value(strassen_scheme[p].b, block));
        }
    }
}

/// A tile of a block of C: where it is, and how much of it C has.
typedef struct {
    float *c;
    int64_t rows, columns;
} strassen_target;

/// C tile += sign · product, or C tile = product if it is fresh; with constant extents there is no mask to make.
INLINE void strassen_add(int vectors, vf product[CK_ROWS][CK_COLUMNS], int sign, int fresh, int64_t rows,
                         int64_t columns, float *c, int64_t ldc) {
#pragma clang loop unroll(full)
    for (int r = 0; r < CK_ROWS; r++) {
        if (r >= rows) continue;
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            float *at = c + r * ldc + v * L;
            vf before = fresh ? splat(0) : load(at, columns - v * L);
            store(at, columns - v * L, before + splat((float)sign) * product[r][v]);
        }
    }
}

/// To C: product p of a tile of A's sum and a panel of B's, `vectors` wide, over k of the inner extent.
INLINE void strassen_tile(int vectors, int p, int fresh, int64_t k, const float *a, int64_t aRow, int64_t aColumn,
                          const float *b, prefetch_stream ahead, const strassen_target target[4], int64_t ldc) {
    vf total[CK_ROWS][CK_COLUMNS];
#pragma clang loop unroll(full)
    for (int r = 0; r < CK_ROWS; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) total[r][v] = splat(0);
    multiply_tile(CK_ROWS, vectors, k, a, aRow, aColumn, b, ahead, total);
    for (int block = 0; block < 4; block++) {
        int sign = strassen_scheme[p].into[block], first = fresh && p == strassen_first[block];
        if (sign == 0) continue;
        strassen_target tile = target[block];
        if (tile.rows >= CK_ROWS && tile.columns >= vectors * L)
            strassen_add(vectors, total, sign, first, CK_ROWS, vectors * L, tile.c, ldc);
        else
            strassen_add(vectors, total, sign, first, tile.rows, tile.columns, tile.c, ldc);
    }
}

/// The same where `vectors` is not known beforehand.
INLINE void strassen_tile_of(int64_t vectors, int p, int fresh, int64_t k, const float *a, int64_t aRow,
                             int64_t aColumn, const float *b, prefetch_stream ahead, const strassen_target target[4],
                             int64_t ldc) {
    if (vectors == 1) strassen_tile(1, p, fresh, k, a, aRow, aColumn, b, ahead, target, ldc);
#if CK_COLUMNS > 2
    else if (vectors == 2) strassen_tile(2, p, fresh, k, a, aRow, aColumn, b, ahead, target, ldc);
#endif
    else strassen_tile(CK_COLUMNS, p, fresh, k, a, aRow, aColumn, b, ahead, target, ldc);
}

/// The tiles of C's four blocks at row i and column j of each.
INLINE void strassen_targets(int64_t m, int64_t n, int64_t i, int64_t j, float *c, int64_t ldc,
                             strassen_target target[4]) {
    int64_t height = (m + 1) / 2, width = (n + 1) / 2;
    for (int block = 0; block < 4; block++) {
        int64_t row = i + block / 2 * height, column = j + block % 2 * width;
        int64_t rows = (block < 2 ? height : m) - row, columns = (block % 2 ? n : width) - column;
        target[block] = (strassen_target){c + row * ldc + column, rows, columns};
    }
}

INLINE int64_t strassen_vectors(int64_t n, int64_t q) {
    int64_t columns = (n + 1) / 2 - q * panel;
    return columns >= panel ? CK_COLUMNS : (columns + L - 1) / L;
}

static void strassen_multiply(int64_t m, int64_t n, int64_t k, const float *sums, const float *packed,
                              int64_t firstPanel, int64_t lastPanel, int64_t firstTile, int64_t lastTile, float *c,
                              int64_t ldc) {
    int64_t half = (k + 1) / 2, rows = (m + 1) / 2, tall = (rows + CK_ROWS - 1) / CK_ROWS * CK_ROWS;
    for (int64_t t = 0; t < half; t += k_block) {
        int64_t depth = half - t < k_block ? half - t : k_block;
        for (int p = 0; p < strassen_products; p++)
            for (int64_t i = firstTile; i < lastTile; i++) {
                const float *a = sums + (p * tall + i * CK_ROWS) * half + t;
                for (int64_t q = firstPanel; q < lastPanel; q++) {
                    strassen_target target[4];
                    strassen_targets(m, n, i * CK_ROWS, q * panel, c, ldc, target);
                    // Meanwhile the next product's sum comes from memory.
                    const float *b = packed + ((q * strassen_products + p) * half + t) * panel;
                    prefetch_stream ahead =
                        prefetch_part(b + half * panel, depth * panel, i - firstTile, lastTile - firstTile, depth);
                    strassen_tile_of(strassen_vectors(n, q), p, t == 0, depth, a, half, 1, b, ahead, target, ldc);
                }
            }
    }
}

static void strassen_add_transposed(int64_t m, int64_t n, int64_t k, const float *packedA, const float *b, int64_t ldb,
                                    int64_t firstPanel, int64_t lastPanel, float *c, int64_t ldc, float *scratch) {
    int64_t half = (k + 1) / 2, width = (n + 1) / 2, tiles = ((m + 1) / 2 + CK_ROWS - 1) / CK_ROWS;
    for (int64_t q = firstPanel; q < lastPanel; q++)
        strassen_pack_panel(k, b + q * panel, width - q * panel, b + q * panel + width, n - width - q * panel, ldb,
                            scratch + (q - firstPanel) * strassen_products * half * panel);
    for (int64_t i = 0; i < tiles; i++) {
        strassen_target target[4];
        strassen_targets(m, n, i * CK_ROWS, firstPanel * panel, c, ldc, target);
        for (int block = 0; block < 4; block++)
            for (int r = 0; r < CK_ROWS && r < target[block].rows; r++)
                for (int64_t j = 0; j < (lastPanel - firstPanel) * panel && j < target[block].columns; j += 16)
                    __builtin_prefetch(target[block].c + r * ldc + j, 1);
        for (int p = 0; p < strassen_products; p++) {
            // The next sum of A's blocks comes from memory meanwhile.
            const float *a = packedA + (i * strassen_products + p) * half * CK_ROWS;
            for (int64_t q = firstPanel; q < lastPanel; q++) {
                prefetch_stream ahead =
                    prefetch_part(a + half * CK_ROWS, half * CK_ROWS, q - firstPanel, lastPanel - firstPanel, half);
                strassen_targets(m, n, i * CK_ROWS, q * panel, c, ldc, target);
                strassen_tile_of(strassen_vectors(n, q), p, 0, half, a, 1, CK_ROWS,
                                 scratch + ((q - firstPanel) * strassen_products + p) * half * panel, ahead, target,
                                 ldc);
            }
        }
    }
}
