// Builds a batch from a data set in device memory: gathers, crops, flips and normalizes images in one pass.
//
//   plan [N][4] = (index, top, left, flip)
//   x[n,p,q,c] = pixel·map[0][c] + map[1][c],  pixel = images[index, top + p, left + (flip ? Q−1−q : q), c], or 0 outside
//
// The kernel gather_mixed also erases parts of images and mixes two views of images:
//
//   plan [N][22] = two views (index, top, left, flip, erased top, left, height, width), box (top, left, height, width), s,
//                  label's s
//   x = s/2^24·first + (1 − s/2^24)·second, and in the box second alone; batchLabels [N][3] = (first, second, label's s)
//   a view is pixel·map[0][c] + map[1][c] as above, and 0 in its erased rectangle
//
//   images [M,H,W,C] of type PIXEL, x [N,P,Q,C], labels [M], batchLabels [N]
//
// Work-items are for the rows of x, as in group.h.
#define VW 1
#include "vector.h"
#include "group.h"
#include "parameters.h"

#ifndef PIXEL
#define PIXEL uchar
#endif

__kernel IN_GROUPS void gather_batch(__global const PIXEL *restrict images, __global const int *restrict labels,
                           __global const int *restrict plan, __global const float *restrict map, __global real *restrict x,
                           __global int *restrict batchLabels, const gather_t shape) {
  const int p = IMAGE_ROW, n = IMAGE, P = IMAGE_ROWS, Q = shape.q, C = shape.c;
  __global const int *view = plan + n * VIEW_COLUMNS;
  const int index = view[VIEW_INDEX], h = view[VIEW_TOP] + p, left = view[VIEW_LEFT], flip = view[VIEW_IS_FLIPPED];
  if (p == 0 && get_global_id(0) == 0) batchLabels[n] = labels[index];
  __global real *to = x + ((size_t)n * P + p) * Q * C;
  EACH_PIXEL(q, Q, C) {
    const int w = left + (flip ? Q - 1 - q : q);
    const int inside = h >= 0 && h < shape.h && w >= 0 && w < shape.w;
    __global const PIXEL *from = images + (((size_t)index * shape.h + (inside ? h : 0)) * shape.w + (inside ? w : 0)) * C;
    EACH_CHANNEL(c, C) WRITE_REAL(fma(inside ? (float)from[c] : 0.0f, map[c], map[C + c]), to + q * C + c);
  }
}

// Whether a pixel lies in a rectangle.
#define IN_BOX(box, p, q) \
  ((uint)((p) - (box)[BOX_TOP]) < (uint)(box)[BOX_HEIGHT] && (uint)((q) - (box)[BOX_LEFT]) < (uint)(box)[BOX_WIDTH])

// Returns the value of a view in channel c of pixel (p, q). The erased rectangle follows the view in the plan.
INLINE float view_value(__global const PIXEL *restrict images, __global const int *restrict view,
                        __global const float *restrict map, int p, int q, int c, gather_t shape) {
  const int h = view[VIEW_TOP] + p, w = view[VIEW_LEFT] + (view[VIEW_IS_FLIPPED] ? shape.q - 1 - q : q);
  const int H = shape.h, W = shape.w, C = shape.c, inside = h >= 0 && h < H && w >= 0 && w < W;
  const size_t at = (((size_t)view[VIEW_INDEX] * H + (inside ? h : 0)) * W + (inside ? w : 0)) * C + c;
  return IN_BOX(view + VIEW_COLUMNS, p, q) ? 0.0f : fma(inside ? (float)images[at] : 0.0f, map[c], map[C + c]);
}

__kernel IN_GROUPS void gather_mixed(__global const PIXEL *restrict images, __global const int *restrict labels,
                           __global const int *restrict plan, __global const float *restrict map, __global real *restrict x,
                           __global int *restrict batchLabels, const gather_t shape) {
  const int p = IMAGE_ROW, n = IMAGE, P = IMAGE_ROWS, Q = shape.q, C = shape.c;
  __global const int *row = plan + n * MIXED_COLUMNS;
  __global const int *first = row + MIXED_FIRST, *second = row + MIXED_SECOND, *box = row + MIXED_BOX;
  const float share = (float)row[MIXED_PIXEL_SHARE] * (1.0f / WHOLE_SHARE);
  if (p == 0 && get_global_id(0) == 0) {
    __global int *mixed = batchLabels + n * LABEL_COLUMNS;
    mixed[LABEL_FIRST] = labels[first[VIEW_INDEX]];
    mixed[LABEL_SECOND] = labels[second[VIEW_INDEX]];
    mixed[LABEL_SHARE] = row[MIXED_LABEL_SHARE];
  }
  __global real *to = x + ((size_t)n * P + p) * Q * C;
  EACH_PIXEL(q, Q, C) {
    const float weight = IN_BOX(box, p, q) ? 0.0f : share;
    EACH_CHANNEL(c, C) {
      // Most pixels belong to one image alone.
      const float one = weight > 0.0f ? view_value(images, first, map, p, q, c, shape) : 0.0f;
      const float other = weight < 1.0f ? view_value(images, second, map, p, q, c, shape) : 0.0f;
      WRITE_REAL(weight * one + (1.0f - weight) * other, to + q * C + c);
    }
  }
}
