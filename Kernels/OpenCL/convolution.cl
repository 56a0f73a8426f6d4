// Direct convolution, register-tiled. This form of kernel is for CPUs, but correct on any device.
//
//   y[n,p,q,k] = Σ_{r,s,c} x[n, p·STRIDE + r − padTop, q·STRIDE + s − padLeft, c] · w[r,s,c,k]
//
// With GROUPS, c runs over the C/GROUPS channels of x in the group of k, which has K/GROUPS channels of y.
//
//   x [N,H,W,C], zero outside its borders
//   w in panels of KB = VW·TC output channels, as factors (factors.h) that pack_filter.cl writes. w[r,s,c,k] lies at
//     ((k/KB)·R·S·C + (r·S + s)·C + c)·KB + k mod KB after wStart (C of one group), so that a tile reads its panel from one end
//     to the other. With PAIRS two neighboring c form one factor, or two neighboring (s, c) if PITCH is C.
//   y(n,p,q,k) lies at yStart + n·yImage + p·yRow + q·yColumn + k, so that one phase of a strided input gradient is a
//     convolution too. epilogue.h defines the stored value.
//
// Work-items: (row blocks, N), each its own work-group. A work-item owns output rows [p0, p1) of one image, all columns and all
// channels. It first copies the input rows that these need into local memory, zero-padded, so that the inner loops need no bounds
// checks:
//
//          column −padLeft … (Q−1)·STRIDE + S − 1 − padLeft
//   strip  [rows of x][columns][PITCH ≥ C], factors
//
// With a filter of one tap (SAMPLE = STRIDE, otherwise 1) it copies only the pixels that this tap meets. Then it computes tiles
// of TP×TQ pixels by KB channels in registers. A tile that would pass the end of the rows or columns is moved back, and stores
// only the pixels that no other tile owns.
//
// Constraints on the host's choice: KB divides K/GROUPS; TQ ≤ Q; every row block has at least TP rows. A PITCH of C joins S and C
// to one loop. A larger PITCH keeps pixels with many channels from competing for the same cache lines, or keeps the terms of each
// pixel in factors of their own: STEP·PITCH is a multiple of TERMS. With constants for STRIDE, SAMPLE, PITCH and ROW the many
// addresses of a tile need one register. Without them the numbers of the arguments are used, and many shapes share a kernel.
#include "vector.h"
#include "factors.h"
#include "strip.h"
#include "epilogue.h"
#include "moments.h"
#include "parameters.h"

#ifndef STRIDE
#define STRIDE shape.stride
#endif
#ifndef SAMPLE
#define SAMPLE input.sample
#endif
#ifndef TP
#define TP 1      // tile: output rows
#endif
#ifndef TQ
#define TQ 1      // tile: output columns
#endif
#ifndef TC
#define TC 1      // tile: vectors of output channels
#endif
#ifndef FOLD
#define FOLD 128      // factors that are added up before they join the total: rounding errors grow with √FOLD + √(R·S·C/FOLD)
#endif

#ifndef STATISTICS
#define STATISTICS 0  // 1: the moments of each work-item's pixels go to partial [blocks·N][3][K]
#endif
#ifndef GROUPS
#define GROUPS shape.groups
#endif
#ifndef PITCH
#define PITCH input.pitch  // terms between neighboring pixels of the strip
#endif
#ifndef ROW
#define ROW input.row      // factors between rows of the strip
#endif

#define KB (VW * TC)
#define STEP (STRIDE / SAMPLE)      // pixels of the strip between neighboring outputs
#define EACH UNROLL for (int i = 0; i < TP; i++) UNROLL for (int j = 0; j < TQ; j++) UNROLL for (int t = 0; t < TC; t++)

// Computes one tile. x is at the first tap of the tile's first pixel, w at the tile's panel. Stores pixels [pOwn, TP) × [qOwn,
// TQ); the first pixel of the tile is stored at y[at].
// A filter row is `segments` runs of `length` factors, PITCH terms apart in x.
INLINE void tile(__local const factor *x, __global const factor *w, epilogue_t to, size_t at, int k, int segments, int length,
                 int pOwn, int qOwn, convolution_t shape, input_tile_t input) {
  floatv sum[TP][TQ][TC], total[TP][TQ][TC];
  EACH sum[i][j][t] = (floatv)(0.0f);

  EACH expect(to, at + (size_t)i * shape.yRow + (size_t)j * shape.yColumn + t * VW);

  int terms = 0, isFolded = 0;
  for (int r = 0; r < shape.r; r++)
    for (int segment = 0; segment < segments; segment++)
      for (int begin = 0; begin < length; begin += FOLD) {
        if (terms >= FOLD) {
          // Two branches instead of a total that starts at zero: such a total would be updated, from memory, in every tile.
          if (isFolded) {
            EACH total[i][j][t] += sum[i][j][t];
          } else {
            EACH total[i][j][t] = sum[i][j][t];
          }
          EACH sum[i][j][t] = (floatv)(0.0f);
          isFolded = 1;
          terms = 0;
        }
        const int count = min(FOLD, length - begin);
        __local const factor *from = x + r * ROW + segment * PITCH / TERMS + begin;
        for (int c = 0; c < count; c++) {
          factorv f[TC];
          UNROLL for (int t = 0; t < TC; t++) f[t] = LOAD(w + c * KB + t * VW);
          UNROLL for (int i = 0; i < TP; i++)
            UNROLL for (int j = 0; j < TQ; j++) {
              const factorv v = (factorv)(from[i * STEP * ROW + j * STEP * PITCH / TERMS + c]);
              UNROLL for (int t = 0; t < TC; t++) sum[i][j][t] = MULTIPLY_ADD(v, f[t], sum[i][j][t]);
            }
        }
        w += count * KB;
        terms += count;
      }
  if (isFolded) {
    EACH sum[i][j][t] += total[i][j][t];
  }

  UNROLL for (int i = 0; i < TP; i++)
    UNROLL for (int j = 0; j < TQ; j++)
      if (i >= pOwn && j >= qOwn)
        UNROLL for (int t = 0; t < TC; t++)
          finish(to, at + (size_t)i * shape.yRow + (size_t)j * shape.yColumn + t * VW, k + t * VW, sum[i][j][t]);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void convolution(__global const real *restrict x, __global const factor *restrict w, __global real *y,
                 __global const float *scale, __global const float *bias, __global const real *residual, __global float *partial,
                 __local factor *restrict strip, const convolution_t shape, const input_tile_t input) {
  const int H = shape.h, W = shape.w, C = shape.c, K = shape.k, P = shape.p, Q = shape.q, R = shape.r, S = shape.s;
  const int blocks = get_global_size(0), block = get_global_id(0), n = get_global_id(1);
  const int p0 = block * P / blocks, p1 = (block + 1) * P / blocks;
  const int groupC = C / GROUPS, groupK = K / GROUPS, isJoined = GROUPS == 1 && PITCH == C;
  const int segments = isJoined ? 1 : S, length = FACTORS(isJoined ? S * C : groupC);
  const epilogue_t to = {y, scale, bias, residual};
  pack(x + (size_t)n * H * W * C, strip, p0 * STRIDE - shape.padTop, (p1 - p0 - 1) * STEP + R, ROW, -shape.padLeft, H, W, C, C,
       PITCH, SAMPLE);

  for (int k = 0; k < K; k += KB)
    for (int p = 0; p < p1 - p0; p += TP) {
      const int pTile = min(p, p1 - p0 - TP);
      for (int q = 0; q < Q; q += TQ) {
        const int qTile = min(q, Q - TQ);
        const size_t at =
            shape.yStart + (size_t)n * shape.yImage + (size_t)(p0 + pTile) * shape.yRow + (size_t)qTile * shape.yColumn + k;
        const int channel = GROUPS == 1 ? 0 : k / groupK * groupC;
        tile(strip + pTile * STEP * ROW + (qTile * STEP * PITCH + channel) / TERMS,
             w + shape.wStart + (size_t)k * R * segments * length, to, at, k, segments, length, p - pTile, q - qTile, shape,
             input);
      }
    }
#if STATISTICS
  // The values that were just written are still in a core's own cache.
  for (int k = 0; k < K; k += VW)
    moments(y + ((size_t)n * P + p0) * Q * K + k, (p1 - p0) * Q, K, partial + ((size_t)n * blocks + block) * 3 * K + k);
#endif
}

// Computes the same sum without tiles or local memory, for devices or shapes whose strip does not fit. Work-items: (Q, P, N).
__kernel void convolution_plain(__global const real *restrict x, __global const float *restrict w, __global real *y,
                                __global const float *scale, __global const float *bias, __global const real *residual,
                                const convolution_t shape) {
  const int H = shape.h, W = shape.w, C = shape.c, K = shape.k, R = shape.r, S = shape.s;
  const int q = get_global_id(0), p = get_global_id(1), n = get_global_id(2);
  const int h0 = p * STRIDE - shape.padTop, w0 = q * STRIDE - shape.padLeft;
  const int s0 = max(0, -w0), s1 = min(S, W - w0);
  const int groupC = C / GROUPS, groupK = K / GROUPS;
  const epilogue_t to = {y, scale, bias, residual};
  const size_t at = shape.yStart + (size_t)n * shape.yImage + (size_t)p * shape.yRow + (size_t)q * shape.yColumn;
  for (int k = 0; k < K; k += VW) {
    floatv sum = (floatv)(0.0f);
    __global const real *group = x + (GROUPS == 1 ? 0 : k / groupK * groupC);
    for (int r = max(0, -h0); r < min(R, H - h0); r++) {
      __global const real *xr = group + (((size_t)n * H + h0 + r) * W + w0) * C;
      __global const float *wr = w + shape.wStart + ((size_t)k * R + (size_t)r * VW) * S * groupC;
      for (int s = s0; s < s1; s++)
        for (int c = 0; c < groupC; c++)
          sum = FMA((floatv)(READ_REAL(xr + s * C + c)), LOAD(wr + (size_t)(s * groupC + c) * VW), sum);
    }
    finish(to, at + k, k, sum);
  }
}
