// Batch normalization over x [M,C], M = N·H·W, each channel separately.
//
//   mean = Σx/M    variance = Σ(x−mean)²/M    inverse = 1/√(variance + epsilon)
//   y = (x−mean)·inverse·scale + bias (+ residual), then max(·, 0) with RELU
//
// Statistics are computed for chunks of rows (moments.h), by a kernel here or by the convolution that wrote x. They are merged in
// order with Chan's formula
//   Σ(x−mean)² = Σ_chunk [m2 + rows·(chunkMean−mean)²].
//
// M is `norm.rows`, C is `norm.channels`. In work-groups (group.h), the number C/VW of work-items below is rounded up to a
// multiple of LANES, and ROWS work-items share each chunk or all chunks.
#include "vector.h"
#include "group.h"
#include "moments.h"
#include "parameters.h"

#ifndef RELU
#define RELU 0        // backward: 1 if y tells which gradients passed, 2 if this is recomputed from x
#endif
#ifndef RESIDUAL
#define RESIDUAL 0    // 1: a residual is added (forward); its gradient is written (backward)
#endif

// Rows of chunk `i` of `chunks`: [first, last).
#define CHUNK(i, chunks) \
  const int first = (int)((long)norm.rows * (i) / (chunks)), last = (int)((long)norm.rows * ((i) + 1) / (chunks))

// Computes partial [chunks][3][C]: mean, Σ(x−mean)² and number of rows of each chunk. Work-items: (C/VW, chunks).
__kernel IN_GROUPS void statistics_of_chunks(__global const real *restrict x, __global float *restrict partial,
                                             const batch_norm_t norm) {
  SHARED
  const int C = norm.channels, c = COLUMN(C);
  CHUNK(BLOCK, BLOCKS);
  x += (size_t)first * C + c;
  partial += (size_t)BLOCK * 3 * C + c;
#if LANES
  const moments_t mine = moments_of_share(x, last - first, C);
  // The shares are merged as chunks are in `merged`.
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

// Merges the chunks of all rows: computes their mean and Σ(x−mean)². partial is at the work-item's channels. Every work-item of a
// work-group must reach the call.
INLINE void merged(__global const float *restrict partial, batch_norm_t norm, floatv *mean, floatv *m2 SHARED_PARAMETER) {
  const int C = norm.channels, chunks = norm.chunks;
  // The sum is relative to the first chunk's mean, so that a large mean costs no digits.
  const floatv origin = LOAD(partial);
  floatv offset = (floatv)(0.0f);
  for (int i = GROUP_ROW; i < chunks; i += ROWS) {
    __global const float *chunk = partial + (size_t)i * 3 * C;
    offset += (LOAD(chunk) - origin) * (LOAD(chunk + 2 * C) / (float)norm.rows);
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

// Computes mean and inverse [C], and updates the running statistics as PyTorch does, with the unbiased variance. Work-items:
// (C/VW).
__kernel IN_GROUPS void statistics(__global const float *restrict partial, __global float *restrict mean,
                                   __global float *restrict inverse, __global float *restrict runningMean,
                                   __global float *restrict runningVariance, const batch_norm_t norm) {
  SHARED
  const int C = norm.channels, c = COLUMN(C);
  const float momentum = norm.momentum;
  floatv sum, m2;
  merged(partial + c, norm, &sum, &m2 SHARED_ARGUMENT);
  if (!STORES(C)) return;
  STORE(sum, mean + c);
  STORE(1.0f / sqrt(m2 / (float)norm.rows + norm.epsilon), inverse + c);
  STORE(LOAD(runningMean + c) * (1.0f - momentum) + sum * momentum, runningMean + c);
  STORE(LOAD(runningVariance + c) * (1.0f - momentum) + m2 / (float)(norm.rows - 1) * momentum, runningVariance + c);
}

// Merges the chunks of one device's share into one chunk: to [3][C]. Work-items: (C/VW).
__kernel IN_GROUPS void merge_chunks(__global const float *restrict partial, __global float *restrict to,
                                     const batch_norm_t norm) {
  SHARED
  const int C = norm.channels, c = COLUMN(C);
  floatv mean, m2;
  merged(partial + c, norm, &mean, &m2 SHARED_ARGUMENT);
  if (!STORES(C)) return;
  STORE(mean, to + c);
  STORE(m2, to + C + c);
  STORE((floatv)((float)norm.rows), to + 2 * C + c);
}

// Computes inverse = 1/√(variance + epsilon), [C]. Work-items: (C/VW).
__kernel void inverse_deviation(__global const float *restrict variance, __global float *restrict inverse, float epsilon) {
  const int c = get_global_id(0) * VW;
  STORE(1.0f / sqrt(LOAD(variance + c) + epsilon), inverse + c);
}

// Folds known statistics into one factor and one summand per channel, [C]. Work-items: (C/VW).
__kernel void fold(__global const float *restrict mean, __global const float *restrict variance,
                   __global const float *restrict scale, __global const float *restrict bias,
                   __global float *restrict foldedScale, __global float *restrict foldedBias, float epsilon) {
  const int c = get_global_id(0) * VW;
  const floatv factor = LOAD(scale + c) / sqrt(LOAD(variance + c) + epsilon);
  STORE(factor, foldedScale + c);
  STORE(LOAD(bias + c) - LOAD(mean + c) * factor, foldedBias + c);
}

// Returns the normalized value before residual and ReLU. The forward and backward passes share it, so that both find the same
// signs.
INLINE floatv normalized(floatv x, __global const float *mean, __global const float *inverse, __global const float *scale,
                  __global const float *bias, int c) {
  return FMA(x - LOAD(mean + c), LOAD(inverse + c) * LOAD(scale + c), LOAD(bias + c));
}

// Part of the gradient dy that passed ReLU: where y > 0 with RELU 1, where the normalized value of x is > 0 with RELU 2.
#define PASSED(g, at, c)                                                                                              \
  (RELU == 1   ? (LOAD_REAL(y + (at)) > 0.0f ? (g) : (floatv)(0.0f))                                                  \
   : RELU == 2 ? (normalized(LOAD_REAL(x + (at)), mean, inverse, scale, bias, c) > 0.0f ? (g) : (floatv)(0.0f))       \
               : (g))

// Runs the following statement for each vector of [M,C], at channel c of row m, that belongs to this work-item. These are all
// rows of a chunk, one after the other; in work-groups they are the c-th channels of every ROWS-th row.
#if LANES
#define EACH_VECTOR                                               \
  const int C = norm.channels, c = COLUMN(C);                     \
  const int end = IS_COLUMN(C) ? norm.rows : 0;                   \
  CHUNK(BLOCK, BLOCKS);                                           \
  for (int m = first + GROUP_ROW; m < min(last, end); m += ROWS)
#else
#define EACH_VECTOR                                               \
  const int C = norm.channels;                                    \
  CHUNK(BLOCK, BLOCKS);                                           \
  for (int m = first; m < last; m++)                              \
    for (int c = 0; c < C; c += VW)
#endif

// Normalizes x, with residual and ReLU. Pointers are not restrict, because y may be x or residual. Without RESIDUAL the host
// passes x in place of the residual, which is not read. Work-items: (1, chunks), in work-groups (C/VW, chunks).
__kernel IN_GROUPS void normalize_channels(__global const real *x, __global const float *restrict mean,
                                           __global const float *restrict inverse, __global const float *restrict scale,
                                           __global const float *restrict bias, __global const real *residual,
                                           __global real *y, const batch_norm_t norm) {
  EACH_VECTOR {
    const size_t at = (size_t)m * C + c;
    floatv v = normalized(LOAD_REAL(x + at), mean, inverse, scale, bias, c);
#if RESIDUAL
    v += LOAD_REAL(residual + at);
#endif
#if RELU
    v = v < 0.0f ? (floatv)(0.0f) : v;  // keeps a NaN
#endif
    STORE_REAL(v, y + at);
  }
}

// Computes partial [chunks][2][C] = Σg, Σg·(x−mean) of each chunk, where g is the part of dy that passed ReLU. With RESIDUAL g is
// stored to dresidual. Pointers are not restrict, because dresidual may be dy. Work-items: (C/VW, chunks).
__kernel IN_GROUPS void gradient_sums_of_chunks(__global const real *dy, __global const real *x, __global const real *y,
                                                __global const float *restrict mean, __global const float *restrict inverse,
                                                __global const float *restrict scale, __global const float *restrict bias,
                                                __global real *dresidual, __global float *restrict partial,
                                                const batch_norm_t norm) {
  SHARED
  const int C = norm.channels, c = COLUMN(C);
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
  // Lanes beyond the last column must not read memory that the lane before them may be writing.
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

// Computes dbias = Σg, dscale = Σg·(x−mean)·inverse. Work-items: (C/VW).
__kernel IN_GROUPS void gradient_sums(__global const float *restrict partial, __global const float *restrict inverse,
                                      __global float *restrict dscale, __global float *restrict dbias,
                                      const batch_norm_t norm) {
  SHARED
  const int C = norm.channels, c = COLUMN(C);
  floatv sg = (floatv)(0.0f), sgx = (floatv)(0.0f);
  for (int i = GROUP_ROW; i < norm.chunks; i += ROWS) {
    sg += LOAD(partial + (size_t)i * 2 * C + c);
    sgx += LOAD(partial + (size_t)i * 2 * C + C + c);
  }
  sg = TOTAL(sg);
  sgx = TOTAL(sgx);
  if (!STORES(C)) return;
  STORE(sg, dbias + c);
  STORE(sgx * LOAD(inverse + c), dscale + c);
}

// Computes dx = scale·inverse·(g − dbias/R − (x−mean)·inverse·dscale/R). The sums are over R = norm.allRows rows, of which these
// M may be a part. If the kernel of the sums has stored the masked gradient, it is passed as dy, and RELU is 0. Pointers are not
// restrict, because dx may be dy or x. Work-items: (1, chunks), in work-groups (C/VW, chunks).
__kernel IN_GROUPS void gradient(__global const real *dy, __global const real *x, __global const real *y,
                                 __global const float *restrict mean, __global const float *restrict inverse,
                                 __global const float *restrict scale, __global const float *restrict bias,
                                 __global const float *restrict dscale, __global const float *restrict dbias, __global real *dx,
                                 const batch_norm_t norm) {
  const float one = 1.0f / (float)norm.allRows;
  EACH_VECTOR {
    const size_t at = (size_t)m * C + c;
    const floatv g = PASSED(LOAD_REAL(dy + at), at, c);
    const floatv inv = LOAD(inverse + c), d = (LOAD_REAL(x + at) - LOAD(mean + c)) * inv;
    STORE_REAL(LOAD(scale + c) * inv * (g - one * (LOAD(dbias + c) + d * LOAD(dscale + c))), dx + at);
  }
}
