// Convolutions as matrix products by work-groups (implicit GEMM), local-tiled. This form of kernel is for GPUs, but correct on
// any device.
//
//   y[n,p,q,k] = Σ_{r,s,c} x[n, p·STRIDE + r − padTop, q·STRIDE + s − padLeft, c + first] · w[r,s,c,k]       TRANSPOSED 0
//   dw[r,s,c,k] = Σ_{n,p,q} x[n, p·STRIDE + r − padTop, q·STRIDE + s − padLeft, c + first] · dy[n,p,q,k]     TRANSPOSED 1
//
//   x [N,H,W,C], zero outside its borders; w [R,S,C/GROUPS,K] after wStart; the channel group of k begins in x at `first`
//   y(n,p,q,k) lies at yStart + n·yImage + p·yRow + q·yColumn + k, so that one phase of a strided input gradient is a
//     convolution too; epilogue.h defines the stored value
//
// As matrices (tiled_product.h): y [N·P·Q, K] = X·w, and dw [R·S·C, K] = Xᵀ·dy. With GROUPS there is one product for each channel
// group.
//
// Work-items: (ITEMS · row blocks · column blocks, splits), ITEMS per work-group. A work-group owns BM rows and BN columns of the
// result and the `part` depths of its split, a multiple of BK. The column blocks of one channel group follow those of another.
// Work-groups of the same rows are neighbors, so that the rows of x that one reads are still in a cache when the next one needs
// them. With SPLIT a work-group stores its sums to partial [splits, rows, K], and add_partials does the rest.
#include "tiled_product.h"
#include "epilogue.h"
#include "parameters.h"

#ifndef SPLIT
#define SPLIT 0       // 1: sums go to partial
#endif
#ifndef GROUPS
#define GROUPS 1      // number of channel groups
#endif
#ifndef DENSE
#define DENSE 1       // 0: the rows of y do not follow one another, and the strides of y are used
#endif

// Returns the offset of a row of a result that has P·Q pixels per image.
INLINE size_t row_start(int row, convolution_t shape) {
#if DENSE
  return (size_t)row * shape.k;
#else
  const int q = row % shape.q, p = row / shape.q % shape.p, n = row / shape.q / shape.p;
  return shape.yStart + (size_t)n * shape.yImage + (size_t)p * shape.yRow + (size_t)q * shape.yColumn;
#endif
}

__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void convolution_tiled(__global const real *restrict x, __global const factor *restrict w, __global real *y,
                       __global const float *scale, __global const float *bias, __global const real *residual,
                       __global float *partial, const convolution_t shape, int part) {
  __local word tiles[TILE_WORDS] TILE_ALIGNED;
  float sum[TM][TN];
  const int C = shape.c, K = shape.k, inputs = C / GROUPS, outputs = K / GROUPS;
  const int blocks = (outputs + BN - 1) / BN, group = get_group_id(0), split = get_group_id(1);
  const int block = group % (GROUPS * blocks), channels = block / blocks;
  const int firstRow = group / (GROUPS * blocks) * BM, firstColumn = block % blocks * BN, firstOutput = channels * outputs;
  const int pixels = shape.n * shape.p * shape.q, terms = shape.r * shape.s * inputs;
  const image_t image = {x + channels * inputs, shape.h, shape.w, C, inputs, shape.p, shape.q, shape.s, shape.padTop,
                         shape.padLeft, pixels, terms};
  const int rows = TRANSPOSED ? terms : pixels, depth = TRANSPOSED ? pixels : terms;
  const int begin = split * part;
  product(image, w + shape.wStart + firstOutput, outputs, K, firstRow, firstColumn, begin, min(begin + part, depth), tiles, sum);

  const epilogue_t to = {y, scale, bias, residual};
  UNROLL for (int i = 0; i < TM; i++) {
    const int row = firstRow + row_of(i);
    if (row >= rows) continue;
#if SPLIT
    __global float *sums = partial + ((size_t)split * rows + row) * K;
#else
    const size_t at = row_start(row, shape);
#endif
    UNROLL for (int j = 0; j < TN; j += VW) {
      const int column = firstColumn + column_of(j / 4) + j % 4, k = firstOutput + column;
      if (column >= outputs) continue;
#if VW == 1
      const floatv v = sum[i][j];
#else
      const floatv v = vload4(0, &sum[i][j]);
#endif
#if SPLIT
      STORE(v, sums + k);
#else
      finish(to, at + k, k, v);
#endif
    }
  }
}

// Applies the epilogue to Σ_split partial[split], added in order. Work-items: (rows·K / VW).
__kernel void add_partials(__global const float *restrict partial, __global real *y, __global const float *scale,
                           __global const float *bias, __global const real *residual, const convolution_t shape, int count,
                           int splits) {
  const int i = get_global_id(0) * VW, K = shape.k;
  floatv sum = LOAD(partial + i);
  for (int split = 1; split < splits; split++) sum += LOAD(partial + (size_t)split * count + i);
  const epilogue_t to = {y, scale, bias, residual};
  finish(to, row_start(i / K, shape) + i % K, i % K, sum);
}
