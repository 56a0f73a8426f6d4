// Filter gradient of a convolution, register-tiled, without atomics. Output rows are split over work-items in a fixed way. Each
// work-item writes its own partial sum, and a second kernel adds these in order.
//
//   dw[r,s,c,k] = Σ_{n,p,q} x[n, p·STRIDE + r − pad, q·STRIDE + s − pad, c] · dy[n,p,q,k]
//
//   x [N,H,W,C], dy [N,P,Q,K], partial [splits][R,S,C,K]; with GROUPS, c runs over the C/GROUPS channels of x in the group of
//   k, which has K/GROUPS channels of dy, and partial has C/GROUPS in place of C
//
// Work-items: (K/depth, splits), each its own work-group. A work-item owns `depth` output channels and a share of all N·P output
// rows. It takes blocks of a few rows, and copies them and the input rows that they meet into local memory (strip.h). It adds
// each block's sums to its partial sums, one tile of TI input channels by TC·VW output channels in registers at a time. Adding
// block by block also keeps rounding errors small: they grow with √(pixels of a block) + √blocks. With PAIRS (factors.h) the
// terms of a factor are neighboring pixels of an output row, with a zero after an odd last one, and the pixels of x, STRIDE
// apart, that one tap meets there.
//
// Constraints on the host's choice: VW·TC divides depth and K/GROUPS; depth divides K; TI divides C/GROUPS, or without groups S·C
// if the pitch of x is C, which joins S and C. Without constants for STRIDE, SAMPLE and GROUPS the numbers of the arguments are
// used, and many shapes share a kernel.
#include "vector.h"
#include "factors.h"
#include "strip.h"
#include "parameters.h"

#ifndef STRIDE
#define STRIDE shape.stride
#endif
#ifndef SAMPLE
#define SAMPLE tiles.sample  // STRIDE with a filter of one tap, for which only the pixels that it meets are copied
#endif
#ifndef TI
#define TI 1      // tile: input channels
#endif
#ifndef TC
#define TC 1      // tile: vectors of output channels
#endif

#ifndef GROUPS
#define GROUPS shape.groups
#endif

#define STEP (STRIDE / SAMPLE)
#define EACH UNROLL for (int i = 0; i < TI; i++) UNROLL for (int t = 0; t < TC; t++)

// Computes to [TI][K] (+)= Σ x ⊗ g over rows × columns factors.
INLINE void tile(__local const factor *x, __local const factor *g, __global float *to, int rows, int columns, int xRow,
                 int isFirst, convolution_t shape, gradient_tile_t tiles) {
  const int K = shape.k;
  floatv sum[TI][TC];
  EACH sum[i][t] = (floatv)(0.0f);
  for (int p = 0; p < rows; p++)
    for (int q = 0; q < columns; q++) {
      __local const factor *xq = x + p * STEP * xRow + q * TERMS * STEP * tiles.xPitch;
      __local const factor *gq = g + (p * columns + q) * tiles.dyPitch;
      factorv f[TC];
      UNROLL for (int t = 0; t < TC; t++) f[t] = LOAD(gq + t * VW);
      UNROLL for (int i = 0; i < TI; i++) {
        const factorv v = (factorv)(xq[i]);
        UNROLL for (int t = 0; t < TC; t++) sum[i][t] = MULTIPLY_ADD(v, f[t], sum[i][t]);
      }
    }
  EACH {
    if (!isFirst) sum[i][t] += LOAD(to + (size_t)i * K + t * VW);
    STORE(sum[i][t], to + (size_t)i * K + t * VW);
  }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void filter_gradient(__global const real *restrict x, __global const real *restrict dy, __global float *restrict partial,
                     __local factor *restrict xs, __local factor *restrict gs, const convolution_t shape,
                     const gradient_tile_t tiles) {
  const int N = shape.n, H = shape.h, W = shape.w, C = shape.c, K = shape.k, P = shape.p, Q = shape.q, R = shape.r, S = shape.s;
  const int top = shape.padTop, left = shape.padLeft, depth = tiles.depth, xPitch = tiles.xPitch, gPitch = tiles.dyPitch;
  const int first = get_global_id(0) * depth, split = get_global_id(1), splits = get_global_size(1);
  const int begin = (int)((long)N * P * split / splits), end = (int)((long)N * P * (split + 1) / splits);
  const int columns = (Q - 1) * STEP + S, xRow = columns * xPitch;
  const int groupC = C / GROUPS, groupK = K / GROUPS, isJoined = GROUPS == 1 && xPitch == C;
  const int segments = isJoined ? 1 : S, length = isJoined ? S * C : groupC;
  __global float *sums = partial + (size_t)split * R * S * groupC * K + first;

  for (int row = begin, count; row < end; row += count) {
    const int n = row / P, p = row % P;
    count = min(tiles.rows, min(P - p, end - row));
    __global const real *image = x + (size_t)n * H * W * C, *gradient = dy + (size_t)n * P * Q * K + first;
#if PAIRS
    pack_pixel_pairs(image, xs, p * STRIDE - top, (count - 1) * STEP + R, SAMPLE, -left, columns, SAMPLE, STRIDE, H, W, C, C,
                     xPitch);
    pack_pixel_pairs(gradient, gs, p, count, 1, 0, FACTORS(Q), TERMS, 1, P, Q, K, depth, gPitch);
#else
    pack(image, xs, p * STRIDE - top, (count - 1) * STEP + R, xRow, -left, H, W, C, C, xPitch, SAMPLE);
    pack(gradient, gs, p, count, Q * gPitch, 0, P, Q, K, depth, gPitch, 1);
#endif
    for (int r = 0; r < R; r++)
      for (int segment = 0; segment < segments; segment++)
        for (int k = 0; k < depth; k += TC * VW) {
          const int channel = GROUPS == 1 ? 0 : (first + k) / groupK * groupC;
          for (int c = 0; c < length; c += TI)
            tile(xs + r * xRow + segment * xPitch + channel + c, gs + k,
                 sums + ((size_t)(r * segments + segment) * length + c) * K + k, count, FACTORS(Q), xRow, row == begin, shape,
                 tiles);
        }
  }
}

// Computes the same sum without strips, for devices or shapes whose strips do not fit. Work-items: (K/VW, C/GROUPS, R·S).
__kernel void filter_gradient_plain(__global const real *restrict x, __global const real *restrict dy,
                                    __global float *restrict dw, const convolution_t shape) {
  const int N = shape.n, H = shape.h, W = shape.w, C = shape.c, K = shape.k, P = shape.p, Q = shape.q, S = shape.s;
  const int k = get_global_id(0) * VW, c = get_global_id(1), tap = get_global_id(2);
  const int r = tap / S, s = tap % S, channel = GROUPS == 1 ? c : k / (K / GROUPS) * (C / GROUPS) + c;
  floatv total = (floatv)(0.0f);
  for (int n = 0; n < N; n++)
    for (int p = 0; p < P; p++) {
      const int h = p * STRIDE + r - shape.padTop;
      if (h < 0 || h >= H) continue;
      floatv sum = (floatv)(0.0f);
      for (int q = 0; q < Q; q++) {
        const int w = q * STRIDE + s - shape.padLeft;
        if (w < 0 || w >= W) continue;
        sum = FMA((floatv)(READ_REAL(x + (((size_t)n * H + h) * W + w) * C + channel)),
                  LOAD_REAL(dy + (((size_t)n * P + p) * Q + q) * K + k), sum);
      }
      total += sum;
    }
  STORE(total, dw + ((size_t)tap * (C / GROUPS) + c) * K + k);
}

// Computes dw[i] = Σ_split partial[split][i], in order. Work-items: (count / VW).
__kernel void add_splits(__global const float *restrict partial, __global float *restrict dw, int count, int splits) {
  const int i = get_global_id(0) * VW;
  floatv sum = LOAD(partial + i);
  for (int split = 1; split < splits; split++) sum += LOAD(partial + (long)split * count + i);
  STORE(sum, dw + i);
}
