// Builds a batch from a data set in device memory: gather, crop, flip and normalise in one pass.
//
//   plan [N][4] = (index, top, left, flip)
//   x[n,p,q,c] = pixel·map[0][c] + map[1][c],  pixel = images[index, top + p, left + (flip ? Q−1−q : q), c], or 0 outside
//
//   images [M,H,W,C] of type PIXEL, x [N,P,Q,C], labels [M], batchLabels [N]. Work-items: for the rows of x, as group.h has
// them.
#define VW 1
#include "vector.h"
#include "group.h"

#ifndef PIXEL
#define PIXEL uchar
#endif

__kernel IN_GROUPS void gather_batch(__global const PIXEL *restrict images, __global const int *restrict labels,
                           __global const int *restrict plan, __global const float *restrict map, __global real *restrict x,
                           __global int *restrict batchLabels, int H, int W, int C, int Q) {
  const int p = IMAGE_ROW, n = IMAGE, P = IMAGE_ROWS;
  const int index = plan[n * 4], h = plan[n * 4 + 1] + p, left = plan[n * 4 + 2], flip = plan[n * 4 + 3];
  if (p == 0 && get_global_id(0) == 0) batchLabels[n] = labels[index];
  __global real *to = x + ((size_t)n * P + p) * Q * C;
  EACH_PIXEL(q, Q, C) {
    const int w = left + (flip ? Q - 1 - q : q);
    const int inside = h >= 0 && h < H && w >= 0 && w < W;
    __global const PIXEL *from = images + (((size_t)index * H + (inside ? h : 0)) * W + (inside ? w : 0)) * C;
    EACH_CHANNEL(c, C) WRITE_REAL(fma(inside ? (float)from[c] : 0.0f, map[c], map[C + c]), to + q * C + c);
  }
}
