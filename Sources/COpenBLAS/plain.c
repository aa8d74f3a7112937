#include "COpenBLAS.h"

#include <stddef.h>

// Row-major throughout: the order is not looked at.

static void plain_sgemm(int order, int transA, int transB, int m, int n, int k, float alpha, const float *a, int lda,
                        const float *b, int ldb, float beta, float *c, int ldc) {
    (void)order;
    for (int i = 0; i < m; i++) {
        float *restrict row = c + (ptrdiff_t)i * ldc;
        for (int j = 0; j < n; j++) row[j] = beta == 0 ? 0 : beta * row[j];
        for (int p = 0; p < k; p++) {
            float factor = alpha * (transA == openblas_trans ? a[(ptrdiff_t)p * lda + i] : a[(ptrdiff_t)i * lda + p]);
            if (transB == openblas_trans)
                for (int j = 0; j < n; j++) row[j] += factor * b[(ptrdiff_t)j * ldb + p];
            else
                for (int j = 0; j < n; j++) row[j] += factor * b[(ptrdiff_t)p * ldb + j];
        }
    }
}

static void plain_sgemv(int order, int trans, int m, int n, float alpha, const float *a, int lda, const float *x,
                        int incx, float beta, float *y, int incy) {
    (void)order;
    int outputs = trans == openblas_trans ? n : m, inputs = trans == openblas_trans ? m : n;
    for (int i = 0; i < outputs; i++) {
        float sum = 0;
        for (int p = 0; p < inputs; p++)
            sum += x[(ptrdiff_t)p * incx] *
                   (trans == openblas_trans ? a[(ptrdiff_t)p * lda + i] : a[(ptrdiff_t)i * lda + p]);
        float *place = y + (ptrdiff_t)i * incy;
        *place = alpha * sum + (beta == 0 ? 0 : beta * *place);
    }
}

void openblas_plain(openblas_functions *functions) {
    *functions = (openblas_functions){.sgemm = plain_sgemm, .sgemv = plain_sgemv};
}
