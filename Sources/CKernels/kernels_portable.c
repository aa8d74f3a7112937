// The kernels for any processor: 4 lanes, which is SSE2 on x86-64 and NEON on arm64.
#define CK_NAME ck_portable
#define CK_STRING "portable"
#define CK_LANES 4
#define CK_ROWS 4
#define CK_COLUMNS 2
#define CK_GROUP 4
#define CK_AHEAD 16
#define CK_PIXELS1 6
#define CK_PIXELS2 6
#define CK_CHANNELS1 4
#define CK_CHANNELS2 4
#define CK_TILES 16
#include "kernels_template.h"

INLINE vf load(const float *p, int64_t left) {
    vf x = splat(0);
    if (left >= L) memcpy(&x, p, sizeof x);
    else
        for (int64_t n = 0; n < left; n++) x[n] = p[n];
    return x;
}

INLINE void store(float *p, int64_t left, vf x) {
    if (left >= L) memcpy(p, &x, sizeof x);
    else
        for (int64_t n = 0; n < left; n++) p[n] = x[n];
}
