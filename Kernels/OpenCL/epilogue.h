// Epilogue of a convolution: processes the accumulators of VW output channels before it stores them.
//
//   ACCUMULATE   y + sum
//   AFFINE       sum·scale[k] + bias[k], which is batch normalization with known statistics
//   RESIDUAL     then + residual, which has the shape of y
//   RELU         then max(·, 0); a NaN stays a NaN
//
// The host passes y in place of unused arguments. Needs vector.h.

#ifndef ACCUMULATE
#define ACCUMULATE 0
#endif
#ifndef AFFINE
#define AFFINE 0
#endif
#ifndef RESIDUAL
#define RESIDUAL 0
#endif
#ifndef RELU
#define RELU 0
#endif

typedef struct {
  __global real *y;
  __global const float *scale, *bias;
  __global const real *residual;
} epilogue_t;

// Prefetches the memory that `finish` will read or write, long before it does.
INLINE void expect(epilogue_t to, size_t at) {
#if ACCUMULATE || PAIRS
  // With pairs the sums are complete so soon that even stores would wait for their cache lines.
  PREFETCH(to.y + at);
#endif
#if RESIDUAL
  PREFETCH(to.residual + at);
#endif
}

// Stores channels k … k + VW of a pixel, which begin at y[at].
INLINE void finish(epilogue_t to, size_t at, int k, floatv sum) {
#if ACCUMULATE
  sum += LOAD_REAL(to.y + at);
#endif
#if AFFINE
  sum = FMA(sum, LOAD(to.scale + k), LOAD(to.bias + k));
#endif
#if RESIDUAL
  sum += LOAD_REAL(to.residual + at);
#endif
#if RELU
  sum = sum < 0.0f ? (floatv)(0.0f) : sum;
#endif
  STORE_REAL(sum, to.y + at);
}
