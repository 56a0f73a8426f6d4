// Direct convolution, register-tiled: the shape of kernel for CPU devices, right on any.
//
//   y[n,p,q,k] (+)= Σ_{r,s,c} x[n, p·STRIDE + r − padTop, q·STRIDE + s − padLeft, c] · w[r,s,c,k]
//
//   x [N,H,W,C], w [R,S,C,K], zero outside the borders of x
//   w begins at wStart; y(n,p,q,k) lies at yStart + n·yImage + p·yRow + q·yColumn + k, so that one phase of a strided input
//   gradient is a convolution too
//
// Work-items: (row blocks, N), each its own work-group. A work-item owns output rows [p0, p1) of one image, all columns and all
// channels. With PACK it first copies the input rows that these need into local memory, zeros where the border is, so that the
// loops that follow ask no questions:
//
//          column −padLeft … (Q−1)·STRIDE + S − 1 − padLeft
//   strip  [rows of x][columns][C]
//
// Then it computes tiles of TP×TQ pixels by TC·VW channels in registers. S and C are adjacent in memory both in a strip and in
// w, so that one loop of S·C steps serves a filter row. A tile that would pass the end of the rows or columns is moved back, and
// stores only the pixels that no other tile owns.
//
// The host chooses: VW·TC divides K; TQ ≤ Q; every row block has at least TP rows.
#include "vector.h"

#ifndef STRIDE
#define STRIDE 1
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
#ifndef PACK
#define PACK 1    // 0: x is read in place; only without padding
#endif
#ifndef ACCUMULATE
#define ACCUMULATE 0  // 1: y += instead of y =
#endif
#ifndef FOLD
#define FOLD 128      // terms that are summed up before they join the total: rounding errors grow with √FOLD + √(R·S·C/FOLD)
#endif

#if PACK
typedef __local const float *input_t;
#else
typedef __global const float *input_t;
#endif

// Copies rows [h0, h0 + rows) × columns [w0, w0 + columns) of one image into the strip, zeros outside the image.
void pack(__global const float *x, __local float *strip, int h0, int rows, int w0, int columns, int H, int W, int C) {
  const int left = clamp(-w0, 0, columns) * C;            // floats of zeros on the left
  const int right = clamp(W - w0, 0, columns) * C;        // where the zeros on the right begin
  for (int i = 0; i < rows; i++) {
    __local float *to = strip + i * columns * C;
    const int h = h0 + i;
    if (h < 0 || h >= H) {
      for (int j = 0; j < columns * C; j++) to[j] = 0.0f;
      continue;
    }
    __global const float *from = x + (h * W + w0) * C;
    for (int j = 0; j < left; j++) to[j] = 0.0f;
    int j = left;
    for (; j + 16 <= right; j += 16) vstore16(vload16(0, from + j), 0, to + j);
    for (; j < right; j++) to[j] = from[j];
    for (; j < columns * C; j++) to[j] = 0.0f;
  }
}

// One tile: x at its first pixel's first tap, w and y at its first channel; stores pixels [pOwn, TP) × [qOwn, TQ).
void tile(input_t x, __global const float *w, __global float *y, int R, int SC, int C, int K, int pitch, int yRow, int yColumn,
          int pOwn, int qOwn) {
  floatv sum[TP][TQ][TC], total[TP][TQ][TC];
#define EACH UNROLL for (int i = 0; i < TP; i++) UNROLL for (int j = 0; j < TQ; j++) UNROLL for (int t = 0; t < TC; t++)
  EACH sum[i][j][t] = total[i][j][t] = (floatv)(0.0f);

  int terms = 0;
  for (int r = 0; r < R; r++)
    for (int begin = 0; begin < SC; begin += FOLD) {
      const int end = min(begin + FOLD, SC);
      input_t xr = x + r * pitch;
      __global const float *wr = w + (size_t)r * SC * K;
      for (int sc = begin; sc < end; sc++) {
        floatv f[TC];
        UNROLL for (int t = 0; t < TC; t++) f[t] = LOAD(wr + (size_t)sc * K + t * VW);
        UNROLL for (int i = 0; i < TP; i++)
          UNROLL for (int j = 0; j < TQ; j++) {
            const floatv v = (floatv)(xr[i * STRIDE * pitch + j * STRIDE * C + sc]);
            UNROLL for (int t = 0; t < TC; t++) sum[i][j][t] = FMA(v, f[t], sum[i][j][t]);
          }
      }
      terms += end - begin;
      if (terms >= FOLD) {
        EACH {
          total[i][j][t] += sum[i][j][t];
          sum[i][j][t] = (floatv)(0.0f);
        }
        terms = 0;
      }
    }
  EACH sum[i][j][t] += total[i][j][t];

  UNROLL for (int i = 0; i < TP; i++)
    UNROLL for (int j = 0; j < TQ; j++)
      if (i >= pOwn && j >= qOwn) {
        __global float *to = y + (size_t)i * yRow + (size_t)j * yColumn;
        UNROLL for (int t = 0; t < TC; t++) {
#if ACCUMULATE
          sum[i][j][t] += LOAD(to + t * VW);
#endif
          STORE(sum[i][j][t], to + t * VW);
        }
      }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void convolution(__global const float *restrict x, __global const float *restrict w, __global float *restrict y,
                 __local float *restrict strip, int wStart, int H, int W, int C, int K, int P, int Q, int R, int S, int padTop,
                 int padLeft, int yImage, int yRow, int yColumn, int yStart) {
  const int blocks = get_global_size(0), block = get_global_id(0), n = get_global_id(1);
  const int p0 = block * P / blocks, p1 = (block + 1) * P / blocks;
  __global const float *image = x + (size_t)n * H * W * C;
#if PACK
  const int columns = (Q - 1) * STRIDE + S, pitch = columns * C;
  pack(image, strip, p0 * STRIDE - padTop, (p1 - p0 - 1) * STRIDE + R, -padLeft, columns, H, W, C);
  input_t rows = strip;
#else
  const int pitch = W * C;
  input_t rows = image + (p0 * STRIDE - padTop) * pitch - padLeft * C;
#endif
  __global float *out = y + yStart + (size_t)n * yImage + (size_t)p0 * yRow;

  for (int k = 0; k < K; k += VW * TC)
    for (int p = 0; p < p1 - p0; p += TP) {
      const int pTile = min(p, p1 - p0 - TP);
      for (int q = 0; q < Q; q += TQ) {
        const int qTile = min(q, Q - TQ);
        tile(rows + pTile * STRIDE * pitch + qTile * STRIDE * C, w + wStart + k, out + (size_t)pTile * yRow + (size_t)qTile * yColumn + k, R,
             S * C, C, K, pitch, yRow, yColumn, p - pTile, q - qTile);
      }
    }
}

// The same sum without tiles or local memory, for devices or shapes whose strip does not fit. Work-items: (Q, P, N).
__kernel void convolution_plain(__global const float *restrict x, __global const float *restrict w, __global float *restrict y,
                                int wStart, int H, int W, int C, int K, int P, int Q, int R, int S, int padTop, int padLeft,
                                int yImage, int yRow, int yColumn, int yStart) {
  const int q = get_global_id(0), p = get_global_id(1), n = get_global_id(2);
  const int h0 = p * STRIDE - padTop, w0 = q * STRIDE - padLeft;
  const int s0 = max(0, -w0), s1 = min(S, W - w0);
  __global float *to = y + yStart + (size_t)n * yImage + (size_t)p * yRow + (size_t)q * yColumn;
  for (int k = 0; k < K; k += VW) {
    floatv sum = (floatv)(0.0f);
    for (int r = max(0, -h0); r < min(R, H - h0); r++) {
      __global const float *xr = x + (((size_t)n * H + h0 + r) * W + w0) * C;
      __global const float *wr = w + wStart + (size_t)r * S * C * K + k;
      for (int sc = s0 * C; sc < s1 * C; sc++) sum = FMA((floatv)(xr[sc]), LOAD(wr + (size_t)sc * K), sum);
    }
#if ACCUMULATE
    sum += LOAD(to + k);
#endif
    STORE(sum, to + k);
  }
}

// The filter of one phase of an input gradient: taps rowStart, rowStart + stride, … in reverse order, K and C exchanged.
//   turned[start + (i,j,k,c)] = w[rowStart + stride·(rows−1−i), columnStart + stride·(columns−1−j), c, k]
// Each work-item turns 16 output channels of one tap: what it reads of a filter's row is a cache line, what it writes is contiguous.
// Work-items: (⌈K/16⌉, rows·columns).
__kernel void turn_filter(__global const float *restrict w, __global float *restrict turned, int S, int C, int K, int start,
                          int rows, int columns, int rowStart, int columnStart, int stride) {
  const int first = get_global_id(0) * 16, tap = get_global_id(1);
  const int r = rowStart + stride * (rows - 1 - tap / columns), s = columnStart + stride * (columns - 1 - tap % columns);
  __global const float *from = w + (size_t)(r * S + s) * C * K;
  __global float *to = turned + start + (size_t)tap * K * C;
  for (int k = first; k < min(first + 16, K); k++)
    for (int c = 0; c < C; c++) to[(size_t)k * C + c] = from[(size_t)c * K + k];
}
