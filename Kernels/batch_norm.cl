// Batch normalisation over x [M,C], M = N·H·W, each channel on its own.
//
//   mean = Σx/M    variance = Σ(x−mean)²/M    inverse = 1/√(variance + epsilon)
//   y = (x−mean)·inverse·scale + bias (+ residual), then max(·, 0) with RELU
//
// Statistics come in chunks of rows (moments.h), from a kernel here or from the convolution that wrote x, and are merged in
// order with Chan's formula
//   Σ(x−mean)² = Σ_chunk [m2 + rows·(chunkMean−mean)²].
//
// In groups (group.h), LANES work-items stand for each C/VW below, rounded up, and ROWS for each chunk or for all of them.
#include "vector.h"
#include "group.h"
#include "moments.h"

#ifndef RELU
#define RELU 0        // backward: 1 where y tells what passed, 2 where it is worked out again from x
#endif
#ifndef RESIDUAL
#define RESIDUAL 0    // 1: a residual is added (forward); its gradient is written (backward)
#endif

// Rows of chunk `i` of `chunks`: [first, last).
#define CHUNK(i, chunks) \
  const int first = (int)((long)M * (i) / (chunks)), last = (int)((long)M * ((i) + 1) / (chunks))

// partial [chunks][3][C]: mean, Σ(x−mean)² and number of rows of each chunk. Work-items: (C/VW, chunks).
__kernel IN_GROUPS void statistics_of_chunks(__global const real *restrict x, __global float *restrict partial, int M, int C) {
  SHARED
  const int c = COLUMN(C);
  CHUNK(BLOCK, BLOCKS);
  x += (size_t)first * C + c;
  partial += (size_t)BLOCK * 3 * C + c;
#if LANES
  const moments_t mine = moments_of_share(x, last - first, C);
  // Merged as chunks are, below.
  const float rows = (float)(last - first);
  const floatv mean = TOTAL(mine.mean * (mine.rows / rows)), d = mine.mean - mean;
  const floatv m2 = TOTAL(FMA(d * d, (floatv)(mine.rows), mine.m2));
  if (!STORES(C)) return;
  STORE(mean, partial);
  STORE(m2, partial + C);
  STORE((floatv)(rows), partial + 2 * C);
#else
  moments(x, last - first, C, partial);
#endif
}

// Merges the chunks of M rows: their mean, and Σ(x−mean)². partial at the item's channels; every item of a group must come to
// the call.
INLINE void merged(__global const float *restrict partial, int M, int C, int chunks, floatv *mean, floatv *m2 SHARED_PARAMETER) {
  // Relative to the first chunk's mean, so that a large mean costs no digits.
  const floatv origin = LOAD(partial);
  floatv offset = (floatv)(0.0f);
  for (int i = GROUP_ROW; i < chunks; i += ROWS) {
    __global const float *chunk = partial + (size_t)i * 3 * C;
    offset += (LOAD(chunk) - origin) * (LOAD(chunk + 2 * C) / (float)M);
  }
  offset = TOTAL(offset);
  floatv sum = (floatv)(0.0f);
  for (int i = GROUP_ROW; i < chunks; i += ROWS) {
    __global const float *chunk = partial + (size_t)i * 3 * C;
    const floatv d = LOAD(chunk) - origin - offset;
    sum += LOAD(chunk + C) + d * d * LOAD(chunk + 2 * C);
  }
  *m2 = TOTAL(sum);
  *mean = origin + offset;
}

// mean and inverse [C]; running estimates as PyTorch keeps them, the variance unbiased. Work-items: (C/VW).
__kernel IN_GROUPS void statistics(__global const float *restrict partial, __global float *restrict mean, __global float *restrict inverse,
                                   __global float *restrict runningMean, __global float *restrict runningVariance, int M, int C,
                                   int chunks, float epsilon, float momentum) {
  SHARED
  const int c = COLUMN(C);
  floatv sum, m2;
  merged(partial + c, M, C, chunks, &sum, &m2 SHARED_ARGUMENT);
  if (!STORES(C)) return;
  STORE(sum, mean + c);
  STORE(1.0f / sqrt(m2 / (float)M + epsilon), inverse + c);
  STORE(LOAD(runningMean + c) * (1.0f - momentum) + sum * momentum, runningMean + c);
  STORE(LOAD(runningVariance + c) * (1.0f - momentum) + m2 / (float)(M - 1) * momentum, runningVariance + c);
}

// The chunks of one device's share as one: to [3][C]. Work-items: (C/VW).
__kernel IN_GROUPS void merge_chunks(__global const float *restrict partial, __global float *restrict to, int M, int C, int chunks) {
  SHARED
  const int c = COLUMN(C);
  floatv mean, m2;
  merged(partial + c, M, C, chunks, &mean, &m2 SHARED_ARGUMENT);
  if (!STORES(C)) return;
  STORE(mean, to + c);
  STORE(m2, to + C + c);
  STORE((floatv)((float)M), to + 2 * C + c);
}

// inverse = 1/√(variance + epsilon), [C]. Work-items: (C/VW).
__kernel void inverse_deviation(__global const float *restrict variance, __global float *restrict inverse, float epsilon) {
  const int c = get_global_id(0) * VW;
  STORE(1.0f / sqrt(LOAD(variance + c) + epsilon), inverse + c);
}

// Known statistics as one factor and one summand a channel, [C]. Work-items: (C/VW).
__kernel void fold(__global const float *restrict mean, __global const float *restrict variance, __global const float *restrict scale,
                   __global const float *restrict bias, __global float *restrict foldedScale, __global float *restrict foldedBias,
                   float epsilon) {
  const int c = get_global_id(0) * VW;
  const floatv factor = LOAD(scale + c) / sqrt(LOAD(variance + c) + epsilon);
  STORE(factor, foldedScale + c);
  STORE(LOAD(bias + c) - LOAD(mean + c) * factor, foldedBias + c);
}

// The normalised value before residual and ReLU. Forward and backward share it, so that both find the same signs.
INLINE floatv normalised(floatv x, __global const float *mean, __global const float *inverse, __global const float *scale,
                  __global const float *bias, int c) {
  return FMA(x - LOAD(mean + c), LOAD(inverse + c) * LOAD(scale + c), LOAD(bias + c));
}

// What of dy passed ReLU: where y > 0 with RELU 1, where the normalised value of x is with RELU 2.
#define PASSED(g, at, c)                                                                                              \
  (RELU == 1   ? (LOAD_REAL(y + (at)) > 0.0f ? (g) : (floatv)(0.0f))                                                  \
   : RELU == 2 ? (normalised(LOAD_REAL(x + (at)), mean, inverse, scale, bias, c) > 0.0f ? (g) : (floatv)(0.0f))       \
               : (g))

// Runs the statement that follows for each vector, at c of row m, that is this work-item's of [M,C]: all of a chunk's rows, one
// after the other; in groups every ROWS-th row's c-th channels.
#if LANES
#define EACH_VECTOR                                               \
  const int c = COLUMN(C), end = IS_COLUMN(C) ? M : 0;            \
  CHUNK(BLOCK, BLOCKS);                                           \
  for (int m = first + GROUP_ROW; m < min(last, end); m += ROWS)
#else
#define EACH_VECTOR                                               \
  CHUNK(BLOCK, BLOCKS);                                           \
  for (int m = first; m < last; m++)                              \
    for (int c = 0; c < C; c += VW)
#endif

// Not restrict: y may be x or residual. Without RESIDUAL the host passes x in its place, unread. Work-items: (1, chunks), in
// groups (C/VW, chunks).
__kernel IN_GROUPS void normalise(__global const real *x, __global const float *restrict mean, __global const float *restrict inverse,
                                  __global const float *restrict scale, __global const float *restrict bias,
                                  __global const real *residual, __global real *y, int M, int C) {
  EACH_VECTOR {
    const size_t at = (size_t)m * C + c;
    floatv v = normalised(LOAD_REAL(x + at), mean, inverse, scale, bias, c);
#if RESIDUAL
    v += LOAD_REAL(residual + at);
#endif
#if RELU
    v = v < 0.0f ? (floatv)(0.0f) : v;  // keeps a NaN
#endif
    STORE_REAL(v, y + at);
  }
}

// With g = what of dy passed ReLU: partial [chunks][2][C] = Σg, Σg·(x−mean) of each chunk; g goes to dresidual
// with RESIDUAL. Not restrict: dresidual may be dy. Work-items: (C/VW, chunks).
__kernel IN_GROUPS void gradient_sums_of_chunks(__global const real *dy, __global const real *x, __global const real *y,
                                                __global const float *restrict mean, __global const float *restrict inverse,
                                                __global const float *restrict scale, __global const float *restrict bias,
                                                __global real *dresidual, __global float *restrict partial, int M, int C) {
  SHARED
  const int c = COLUMN(C);
  CHUNK(BLOCK, BLOCKS);
  const floatv mu = LOAD(mean + c);
  floatv sg[2] = {(floatv)(0.0f), (floatv)(0.0f)}, sgx[2] = {(floatv)(0.0f), (floatv)(0.0f)};
#define ROW(i, m)                                                     \
  {                                                                   \
    const size_t at = (size_t)(m) * C + c;                            \
    const floatv g = PASSED(LOAD_REAL(dy + at), at, c);               \
    if (RESIDUAL) STORE_REAL(g, dresidual + at);                      \
    sg[i] += g;                                                       \
    sgx[i] = FMA(g, LOAD_REAL(x + at) - mu, sgx[i]);                  \
  }
  // Lanes beyond the last column must not read what the lane before them may be writing.
  int m = IS_COLUMN(C) ? first + GROUP_ROW : last;
  for (; m + ROWS < last; m += 2 * ROWS) {
    ROW(0, m)
    ROW(1, m + ROWS)
  }
  if (m < last) ROW(0, m)
  const floatv sum = TOTAL(sg[0] + sg[1]), product = TOTAL(sgx[0] + sgx[1]);
  if (!STORES(C)) return;
  __global float *to = partial + (size_t)BLOCK * 2 * C + c;
  STORE(sum, to);
  STORE(product, to + C);
}

// dbias = Σg, dscale = Σg·(x−mean)·inverse. Work-items: (C/VW).
__kernel IN_GROUPS void gradient_sums(__global const float *restrict partial, __global const float *restrict inverse,
                                      __global float *restrict dscale, __global float *restrict dbias, int C, int chunks) {
  SHARED
  const int c = COLUMN(C);
  floatv sg = (floatv)(0.0f), sgx = (floatv)(0.0f);
  for (int i = GROUP_ROW; i < chunks; i += ROWS) {
    sg += LOAD(partial + (size_t)i * 2 * C + c);
    sgx += LOAD(partial + (size_t)i * 2 * C + C + c);
  }
  sg = TOTAL(sg);
  sgx = TOTAL(sgx);
  if (!STORES(C)) return;
  STORE(sg, dbias + c);
  STORE(sgx * LOAD(inverse + c), dscale + c);
}

// dx = scale·inverse·(g − dbias/rows − (x−mean)·inverse·dscale/rows); the sums are over `rows` rows, of which these M may be
// some. Where the sums have stored the masked gradient, it is passed as dy, and RELU is 0. Not restrict: dx may be dy or x.
// Work-items: (1, chunks), in groups (C/VW, chunks).
__kernel IN_GROUPS void gradient(__global const real *dy, __global const real *x, __global const real *y,
                                 __global const float *restrict mean, __global const float *restrict inverse,
                                 __global const float *restrict scale, __global const float *restrict bias,
                                 __global const float *restrict dscale, __global const float *restrict dbias, __global real *dx, int M,
                                 int C, int rows) {
  const float one = 1.0f / (float)rows;
  EACH_VECTOR {
    const size_t at = (size_t)m * C + c;
    const floatv g = PASSED(LOAD_REAL(dy + at), at, c);
    const floatv inv = LOAD(inverse + c), d = (LOAD_REAL(x + at) - LOAD(mean + c)) * inv;
    STORE_REAL(LOAD(scale + c) * inv * (g - one * (LOAD(dbias + c) + d * LOAD(dscale + c))), dx + at);
  }
}
