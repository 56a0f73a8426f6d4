// Batch of matrix products by work-groups (tiled_product.h), with X [batch][pixels][C]:
//
//   m[b] = X[b] · w[b]              TRANSPOSED 0: w [batch][C][K], m [batch][pixels][K]
//   m[split,b] = Σ X[b]ᵀ · w[b]     TRANSPOSED 1: w [batch][pixels][K], m [splits][batch][C][K], each sum over `part` pixels
//
// Work-items: (ITEMS · row blocks · column blocks, splits, batch), ITEMS per work-group. A work-group owns BM rows and BN columns
// of a result. `part` is a multiple of BK.
#ifndef TAPS
#define TAPS 0
#endif
#include "tiled_product.h"
#include "parameters.h"

__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void batched_product(__global const real *restrict x, __global const factor *restrict w, __global float *restrict m,
                     const batched_product_t shape) {
  __local word tiles[TILE_WORDS] TILE_ALIGNED;
  float sum[TM][TN];
  const int pixels = shape.pixels, C = shape.c, K = shape.k, part = shape.part;
  const int rows = TRANSPOSED ? C : pixels, depth = TRANSPOSED ? pixels : C;
  const int columnBlocks = (K + BN - 1) / BN, group = get_group_id(0), split = get_group_id(1), batch = get_group_id(2);
  const int firstRow = group / columnBlocks * BM, firstColumn = group % columnBlocks * BN;
  const image_t image = {x + (size_t)batch * pixels * C, 1, pixels, C, C, 1, pixels, 1, 0, 0, pixels, C};
  product(image, w + (size_t)batch * depth * K, K, K, firstRow, firstColumn, split * part, min((split + 1) * part, depth), tiles,
          sum);

  m += ((size_t)split * get_num_groups(2) + batch) * rows * K;
  UNROLL for (int i = 0; i < TM; i++) {
    const int row = firstRow + row_of(i);
    if (row >= rows) continue;
    UNROLL for (int j = 0; j < TN; j += VW) {
      const int k = firstColumn + column_of(j / 4) + j % 4;
      if (k >= K) continue;
#if VW == 1
      m[(size_t)row * K + k] = sum[i][j];
#else
      STORE(vload4(0, &sum[i][j]), m + (size_t)row * K + k);
#endif
    }
  }
}
