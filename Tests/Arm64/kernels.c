// Every portable kernel once, on numbers that are the same everywhere; `run.sh` compares what two builds of it write.
//
// usage: kernels write FILE                    calls the kernels and writes all their results
//        kernels compare FILE OTHER ROUNDINGS  fails where a result differs by more than ROUNDINGS · 2^-24 of the largest
//                                              one of its call; with 0 every bit has to agree
//        kernels check                         elementary functions against the C library's in double precision, and the
//                                              pool of threads
//
// Extents are no multiples of a vector. Results of whole numbers are exact in any order and with fused multiply-adds.
#include <math.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "CKernels.h"

static const ck_kernels *kernels;
static FILE *results;
static uint32_t state = 1;

static uint32_t next(void) { return state = state * 1664525u + 1013904223u; }

static void *memory(int64_t count, size_t size) {
    void *block = calloc((size_t)count + 64, size);
    if (!block) {
        fprintf(stderr, "kernels: no memory for %lld elements\n", (long long)count);
        exit(1);
    }
    return block;
}
static float *zeros(int64_t count) { return memory(count, sizeof(float)); }

/// Uniform in −1 … 1, 16 bits each.
static float *real(int64_t count) {
    float *x = zeros(count);
    for (int64_t n = 0; n < count; n++) x[n] = (float)(next() >> 16) / 32768.0f - 1.0f;
    return x;
}
/// Whole numbers in −3 … 3.
static float *whole(int64_t count) {
    float *x = zeros(count);
    for (int64_t n = 0; n < count; n++) x[n] = (float)(int)((next() >> 16) % 7) - 3.0f;
    return x;
}
static int32_t *indices(int64_t count, uint32_t bound) {
    int32_t *x = memory(count, sizeof(int32_t));
    for (int64_t n = 0; n < count; n++) x[n] = (int32_t)((next() >> 16) % bound);
    return x;
}

/// One line: what was computed, how many numbers, and these, in hexadecimal.
static void write_result(const char *name, const float *x, int64_t count) {
    fprintf(results, "%s %lld", name, (long long)count);
    for (int64_t n = 0; n < count; n++) fprintf(results, " %a", (double)x[n]);
    fputc('\n', results);
}

static void products(void) {
    const int64_t m = 11, k = 37, n = 29, width = kernels->panel_width, panels = (n + width - 1) / width;
    for (int kind = 0; kind < 2; kind++) {
        float *(*numbers)(int64_t) = kind ? real : whole;
        float *a = numbers(m * k), *b = numbers(k * n), *c = numbers(m * n), *bt = numbers(n * k);
        float *packed = zeros(kernels->packed_count(k, n));
        kernels->pack(k, n, b, n, 0, 0, panels, packed);
        kernels->gemm_packed(m, n, k, a, k, packed, 1, 0, panels, c, n);
        write_result("gemm_packed", c, m * n);
        kernels->pack(k, n, bt, k, 1, 0, panels, packed);
        kernels->gemm_packed(1, n, k, a, k, packed, 0, 0, panels, c, n);
        write_result("gemm_packed_row_transposed", c, n);

        const int64_t half = (k + 1) / 2, tall = kernels->tile_rows, tiles = ((m + 1) / 2 + tall - 1) / tall;
        const int64_t left = (n + 1) / 2, halfPanels = (left + width - 1) / width, seven = kernels->strassen_products;
        float *sums = zeros(seven * tiles * tall * half), *panel = zeros(seven * halfPanels * half * width);
        kernels->strassen_sum_rows(m, k, a, k, 0, (m + 1) / 2, sums);
        for (int64_t q = 0; q < halfPanels; q++)
            kernels->strassen_pack_panel(k, b + q * width, left - q * width, b + q * width + left, n - left - q * width,
                                         n, panel + q * seven * half * width);
        kernels->strassen_multiply(m, n, k, sums, panel, 0, halfPanels, 0, tiles, c, n);
        write_result("strassen_multiply", c, m * n);

        float *at = numbers(k * m), *packedA = zeros(seven * tiles * half * tall);
        kernels->strassen_pack(m, k, at, m, 0, tiles, packedA);
        kernels->strassen_add_transposed(m, n, k, packedA, b, n, 0, halfPanels, c, n, panel);
        write_result("strassen_add_transposed", c, m * n);
    }
}

static void rows(void) {
    const int64_t count = 9, n = 21;
    float *x = real(count * n), *y = real(count * n), *bias = real(n), *scale = real(count);
    int32_t *index = indices(count, count);
    float dot = kernels->dot(count * n, x, y);
    write_result("dot", &dot, 1);
    kernels->axpy(count * n, 0.75f, x, y);
    write_result("axpy", y, count * n);
    ck_rows gather = {x, n, index, scale};
    kernels->add_rows(count, n, &gather, bias, 1, y, n);
    write_result("add_rows", y, count * n);
    kernels->scatter_add_rows(count, n, x, n, index, scale, y, n);
    write_result("scatter_add_rows", y, count * n);

    float *values = real(300), *out = zeros(300);
    for (int64_t j = 0; j < 300; j++) values[j] *= 12;
    kernels->exp(299, values, out), write_result("exp", out, 299);
    kernels->tanh(299, values, out), write_result("tanh", out, 299);
    kernels->sigmoid(299, values, out), write_result("sigmoid", out, 299);
    kernels->dropout_mask(299, 0.9f, 7, 3, 61, out), write_result("dropout_mask", out, 299);
    uint32_t bits[299];
    kernels->random_bits(299, 7, 3, UINT64_C(1) << 37, bits);
    for (int64_t j = 0; j < 299; j++) out[j] = (float)(bits[j] >> 8);
    write_result("random_bits", out, 299);
}

static void cells(void) {
    const int64_t H = 19, B = 5, Nz = 3, table = 7;
    float *mask = real(B * H), *cPrevious = real(B * H), *dh = real(B * H);
    for (int norm = 0; norm < 2; norm++) {
        ck_lstm cell = {H, 1e-3f, 1, NULL, NULL, NULL, NULL};
        if (norm) cell.gamma = real(4 * H), cell.beta = real(4 * H), cell.gammaC = real(H), cell.betaC = real(H);
        float *y = real(B * 4 * H), *c = zeros(B * H), *h = zeros(B * H), *stats = zeros(B * ck_lstm_stats);
        kernels->lstm_forward(&cell, B, y, 4 * H, cPrevious, mask, c, h, stats);
        write_result("lstm_forward_c", c, B * H);
        write_result("lstm_forward_h", h, B * H);
        float *dc = real(B * H), *d = zeros(10 * H), *scratch = zeros(5 * H);
        kernels->lstm_backward(&cell, B, y, 4 * H, cPrevious, c, mask, stats, dh, dc, d, d + 4 * H, d + 8 * H, d + 9 * H,
                               scratch);
        write_result("lstm_backward_y", y, B * 4 * H);
        write_result("lstm_backward_c", dc, B * H);
        write_result("lstm_backward_norm", d, 10 * H);
    }

    const int64_t weights = 4 * Nz * H;
    ck_scaling scaling = {H, Nz, real(weights), real(weights), real(weights), real(4 * H)};
    int32_t *index = indices(B, table);
    ck_rows x = {real(table * 4 * H), 4 * H, index, real(B)};
    float *p = real(B * 4 * H), *z = real(B * 12 * Nz), *y = real(B * 4 * H);
    kernels->scaling_forward(&scaling, B, p, 4 * H, &x, z, y, 4 * H);
    write_result("scaling_forward", y, B * 4 * H);
    float *dx = zeros(table * 4 * H), *dz = zeros(B * 12 * Nz), *dw = zeros(3 * weights + 4 * H), *scratch = zeros(8 * H);
    kernels->scaling_backward(&scaling, B, p, 4 * H, &x, z, y, 4 * H, 1, dx, 4 * H, dz, dw, dw + weights,
                              dw + 2 * weights, dw + 3 * weights, scratch);
    write_result("scaling_backward_p", p, B * 4 * H);
    write_result("scaling_backward_x", dx, table * 4 * H);
    write_result("scaling_backward_z", dz, B * 12 * Nz);
    write_result("scaling_backward_w", dw, 3 * weights + 4 * H);
}

static void training(void) {
    const int64_t B = 5, classes = 51, n = 101;
    float *logits = real(B * classes), *losses = zeros(B);
    kernels->cross_entropy(B, classes, logits, indices(B, classes), 1, 0.2f, losses);
    write_result("cross_entropy_losses", losses, B);
    write_result("cross_entropy_gradient", logits, B * classes);
    float *x = real(n), *g = real(n), *m = real(n), *v = real(n);
    for (int64_t j = 0; j < n; j++) v[j] *= v[j];
    kernels->adam(n, x, g, m, v, 0.9f, 0.999f, 0.01f, 1.5f, 1e-8f);
    write_result("adam_x", x, n);
    write_result("adam_m", m, n);
    write_result("adam_v", v, n);
}

/// Images of 8 × 8 pixels with a border of one.
static void convolutions(void) {
    const int64_t side = 8, from = 16, to = 32, taps = 9, padded = side + 2, images = 9;
    float *x = real(images * padded * padded * from), *kernel = real(taps * from * to), *bias = real(to);
    float *y = real(images * side * side * to), *packed = zeros(36 * from * to), *sums = zeros(36 * from * to);
    int64_t tap[3], row[3];
    for (int64_t t = 0; t < 3; t++) tap[t] = t * padded * from, row[t] = t * 3 * from;
    ck_convolution g = {side, side, to, padded * from, from, side * to, to, taps * from, 3, 3 * from, tap, row};
    kernels->conv_pack(taps, from, to, kernel, 0, 0, from, packed);
    kernels->convolve(&g, x, packed, bias, y, y);
    write_result("convolve", y, side * side * to);
    kernels->convolve_weights(&g, images, x, padded * padded * from, y, side * side * to, sums);
    write_result("convolve_weights", sums, taps * from * to);
    kernels->conv_pack(taps, to, from, kernel, 1, 0, to, packed);
    write_result("conv_pack_transposed", packed, taps * from * to);

    ck_winograd w = {side / 4, side / 4, from, to, padded * from, side * to};
    float *scratch = zeros(kernels->winograd_scratch(&w)), *du = zeros(36 * from * to), *dk = zeros(taps * from * to);
    kernels->winograd_pack(from, to, kernel, 0, 0, from, packed);
    ck_memory next = {x, images * padded * padded * from};
    kernels->winograd(&w, images, x, padded * padded * from, packed, bias, NULL, y, side * side * to, &next, 1,
                      scratch);
    write_result("winograd", y, images * side * side * to);
    kernels->winograd_weights(&w, images, x, padded * padded * from, y, side * side * to, du, &next, 1, scratch);
    kernels->winograd_kernel_gradient(from * to, 0, from * to, du, dk);
    write_result("winograd_weights", dk, taps * from * to);
}

static void normalizations(void) {
    const int64_t count = 64, n = 21, side = 8;
    float *x = real(count * n), *dy = real(count * n), *sums = zeros(2 * n), *y = zeros(2 * count * n);
    kernels->channel_sums(count, n, x, sums);
    write_result("channel_sums", sums, n);
    float *mean = zeros(n), *squares = zeros(n);
    kernels->channel_moments(count, n, x, mean, squares);
    write_result("channel_moments_mean", mean, n);
    write_result("channel_moments_squares", squares, n);
    ck_norm norm = {n, 1, mean, real(n), real(n), real(n)};
    kernels->normalize(&norm, count, x, y);
    write_result("normalize", y, count * n);
    kernels->pad_rows(-1, side + 1, side, side, n, 1, x, &norm, y);
    write_result("pad_rows", y, (side + 2) * (side + 2) * n);
    float *dz = zeros(count * n);
    kernels->norm_backward_sums(&norm, count, x, dy, dz, sums);
    write_result("norm_backward_sums", sums, 2 * n);
    float *dx = real(count * n);
    kernels->norm_backward(&norm, count, real(n), real(n), x, dz, dx, dx);
    write_result("norm_backward", dx, count * n);
    kernels->max_pool(side / 2, n, x, side * n, y);
    write_result("max_pool", y, side / 2 * n);
    kernels->max_pool_backward(side / 2, n, x, side * n, y, dy, 1, dx);
    write_result("max_pool_backward", dx, count * n);
}

static int write_all(const char *path) {
    results = fopen(path, "w");
    if (!results) return perror(path), 1;
    products(), rows(), cells(), training(), convolutions(), normalizations();
    if (fclose(results) != 0) return perror(path), 1;
    return 0;
}

static int compare(const char *path, const char *otherPath, double roundings) {
    FILE *file = fopen(path, "r"), *other = fopen(otherPath, "r");
    if (!file || !other) return perror(file ? otherPath : path), 1;
    char name[64], otherName[64];
    long long count, otherCount, calls = 0, failed = 0;
    double most = 0;
    while (fscanf(file, "%63s %lld", name, &count) == 2) {
        if (fscanf(other, "%63s %lld", otherName, &otherCount) != 2 || strcmp(name, otherName) || count != otherCount)
            return fprintf(stderr, "%s: expected %s with %lld numbers\n", otherPath, name, count), 1;
        double largest = 0, worst = 0, expected = 0, found = 0;
        long long place = 0;
        for (long long n = 0; n < count; n++) {
            double a, b;
            if (fscanf(file, "%la", &a) != 1 || fscanf(other, "%la", &b) != 1)
                return fprintf(stderr, "%s: expected %lld numbers, found %lld\n", name, count, n), 1;
            double error = a == b ? 0 : fabs(a - b);
            if (!(error <= worst)) worst = error, place = n, expected = a, found = b;  // NaN too
            if (fabs(a) > largest) largest = fabs(a);
        }
        double inRoundings = worst == 0 ? 0 : worst / (largest * 0x1p-24);
        if (!(inRoundings <= roundings)) {
            fprintf(stderr, "%s[%lld]: expected %a, found %a: %.1f roundings, at most %.1f\n", name, place, expected,
                    found, inRoundings, roundings);
            failed++;
        }
        if (inRoundings > most) most = inRoundings;
        calls++;
    }
    if (calls == 0) return fprintf(stderr, "%s: no results\n", path), 1;
    if (!failed) printf("   %lld results agree, the worst within %.1f roundings\n", calls, most);
    fclose(file), fclose(other);
    return failed ? 1 : 0;
}

/// The distance from the exact value in units in the last place of the float next to it.
static double distance(float found, double exact) {
    float nearest = (float)exact;
    if (isinf(nearest) || isnan(exact)) return found == nearest || (isnan(found) && isnan(exact)) ? 0 : INFINITY;
    double unit = fmax(fabs((double)nextafterf(nearest, INFINITY) - nearest), 0x1p-149);
    return fabs((double)found - exact) / unit;
}

static double exact_exp(double x) { return exp(x); }
static double exact_tanh(double x) { return tanh(x); }
static double exact_sigmoid(double x) { return 1 / (1 + exp(-x)); }

/// Every 4093rd float, as `ElementaryFunctionTests`, whose bounds these are.
static int check_functions(void) {
    struct {
        const char *name;
        void (*kernel)(int64_t, const float *, float *);
        double (*exact)(double);
        double bound;
    } functions[] = {{"exp", kernels->exp, exact_exp, 1.05},
                     {"tanh", kernels->tanh, exact_tanh, 1.35},
                     {"sigmoid", kernels->sigmoid, exact_sigmoid, 2.25}};
    int failed = 0;
    for (int f = 0; f < 3; f++) {
        double worst = 0;
        float x[64], y[64], at = 0;
        for (uint64_t start = 0; start <= UINT32_MAX - 64 * 4093ull; start += 64 * 4093ull) {
            for (int n = 0; n < 64; n++) {
                uint32_t bits = (uint32_t)(start + (uint64_t)n * 4093);
                memcpy(&x[n], &bits, sizeof bits);
            }
            functions[f].kernel(64, x, y);
            for (int n = 0; n < 64; n++) {
                double error = distance(y[n], functions[f].exact((double)x[n]));
                if (error > worst) worst = error, at = x[n];
            }
        }
        printf("   %s: at most %.3f units in the last place, at %a\n", functions[f].name, worst, (double)at);
        if (!(worst <= functions[f].bound)) {
            fprintf(stderr, "%s: expected at most %.2f\n", functions[f].name, functions[f].bound);
            failed = 1;
        }
    }
    return failed;
}

static atomic_int calls[1000];
static void count_call(void *context, int64_t index, int64_t worker) {
    (void)context, (void)worker;
    atomic_fetch_add(&calls[index], 1);
}

/// 2,000 loops on four threads run each index exactly once.
static int check_pool(void) {
    ck_parallel_threads(4);
    for (int loop = 1; loop <= 2000; loop++) {
        int64_t count = 1 + loop % 1000;
        memset(calls, 0, sizeof calls);
        ck_parallel(count, count_call, NULL);
        for (int64_t n = 0; n < 1000; n++)
            if (calls[n] != (n < count))
                return fprintf(stderr, "loop %d: index %lld ran %d times\n", loop, (long long)n, calls[n]), 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    kernels = ck_kernels_named("portable");
    if (argc == 3 && !strcmp(argv[1], "write")) return write_all(argv[2]);
    if (argc == 5 && !strcmp(argv[1], "compare")) return compare(argv[2], argv[3], atof(argv[4]));
    if (argc == 2 && !strcmp(argv[1], "check")) return check_functions() || check_pool();
    fprintf(stderr, "usage: kernels write FILE | compare FILE OTHER ROUNDINGS | check\n");
    return 2;
}
