// A mask of the lanes below `left` of a vector of 16. Included where AVX-512 is switched on.
static inline __attribute__((always_inline)) __mmask16 lanes_below(int64_t left) {
    return left >= 16 ? (__mmask16)0xffff : left <= 0 ? (__mmask16)0 : (__mmask16)((1u << left) - 1u);
}
