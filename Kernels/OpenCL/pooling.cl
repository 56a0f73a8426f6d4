// Pooling over NHWC, and the option-A shortcut, which is a pooling with windows of one pixel. Work-items are for the rows of the
// result, as in group.h, unless stated otherwise.
#include "vector.h"
#include "group.h"
#include "parameters.h"

#ifndef ACCUMULATE
#define ACCUMULATE 0
#endif
#ifndef WINDOW
#define WINDOW 1  // side of a window
#endif
#ifndef STRIDE
#define STRIDE 1
#endif

// Computes the largest value of each window and its position r·window + s. Of equal values the first one counts. A NaN wins and
// stays.
//   x [N,H,W,C] → y [N,P,Q,C], positions [N,P,Q,C]
__kernel IN_GROUPS void max_pool(__global const real *restrict x, __global real *restrict y, __global uchar *restrict positions,
                                 const max_pool_t pool) {
  const int p = IMAGE_ROW, n = IMAGE, H = pool.h, W = pool.w, C = pool.c;
  EACH_PIXEL(q, pool.q, C) {
    const int h0 = p * STRIDE - pool.padding, w0 = q * STRIDE - pool.padding;
    const int r0 = max(0, -h0), r1 = min(WINDOW, H - h0), s0 = max(0, -w0), s1 = min(WINDOW, W - w0);
    const int isWhole = r1 - r0 == WINDOW && s1 - s0 == WINDOW;
    const size_t to = (((size_t)n * pool.p + p) * pool.q + q) * C;
    __global const real *from = x + (((long)n * H + h0) * W + w0) * C;
    EACH_CHANNEL(c, C) {
      floatv best = LOAD_REAL(from + ((long)r0 * W + s0) * C + c);
      intv position = (intv)(r0 * WINDOW + s0);
// `v > best` would not let a NaN win. If best is a NaN already, nothing is better.
#define TAKE(r, s)                                                           \
  {                                                                          \
    const floatv v = LOAD_REAL(from + ((long)(r) * W + (s)) * C + c);        \
    const intv isBetter = !(v <= best) && best == best;                      \
    best = isBetter ? v : best;                                              \
    position = isBetter ? (intv)((r) * WINDOW + (s)) : position;             \
  }
      if (isWhole) {
        UNROLL for (int r = 0; r < WINDOW; r++) UNROLL for (int s = 0; s < WINDOW; s++) if (r + s > 0) TAKE(r, s)
      } else {
        for (int r = r0; r < r1; r++)
          for (int s = s0; s < s1; s++)
            if (r > r0 || s > s0) TAKE(r, s)
      }
      STORE_REAL(best, y + to + c);
      STORE_BYTES(TO_UCHARV(position), positions + to + c);
    }
  }
}

// Pooling with any window, for inference.
//   x [N,H,W,C] → y [N,P,Q,C]

// Returns the position of tap i of the window of output p.
INLINE int tap(sliding_axis_t axis, int p, int i) { return p * axis.stride - axis.before + i * axis.dilation; }
#define IS_IN(axis, position) ((position) >= 0 && (position) < (axis).input)

// Computes the largest value; a NaN wins. The result is −∞ if no tap is in the image.
__kernel IN_GROUPS void pool_largest(__global const float *restrict x, __global float *restrict y, const window_pool_t pool) {
  const int p = IMAGE_ROW, n = IMAGE, C = pool.c;
  const sliding_axis_t rows = pool.rows, columns = pool.columns;
  EACH_PIXEL(q, columns.output, C) {
    __global float *to = y + (((size_t)n * rows.output + p) * columns.output + q) * C;
    EACH_CHANNEL(c, C) {
      floatv best = (floatv)(-INFINITY);
      for (int r = 0; r < rows.window; r++) {
        const int h = tap(rows, p, r);
        if (!IS_IN(rows, h)) continue;
        for (int s = 0; s < columns.window; s++) {
          const int w = tap(columns, q, s);
          if (!IS_IN(columns, w)) continue;
          const floatv v = LOAD(x + (((size_t)n * rows.input + h) * columns.input + w) * C + c);
          best = !(v <= best) && best == best ? v : best;
        }
      }
      STORE(best, to + c);
    }
  }
}

// Computes the mean over the taps in the image, or with countsPadding over the taps in the image and its padding.
__kernel IN_GROUPS void pool_average(__global const float *restrict x, __global float *restrict y, const window_pool_t pool) {
  const int p = IMAGE_ROW, n = IMAGE, C = pool.c;
  const sliding_axis_t rows = pool.rows, columns = pool.columns;
#define COUNTS(axis, position) (pool.countsPadding ? (position) < (axis).input + (axis).after : IS_IN(axis, position))
  EACH_PIXEL(q, columns.output, C) {
    __global float *to = y + (((size_t)n * rows.output + p) * columns.output + q) * C;
    EACH_CHANNEL(c, C) {
      floatv sum = (floatv)(0.0f);
      int high = 0, wide = 0;
      for (int s = 0; s < columns.window; s++) wide += COUNTS(columns, tap(columns, q, s));
      for (int r = 0; r < rows.window; r++) {
        const int h = tap(rows, p, r);
        high += COUNTS(rows, h);
        if (!IS_IN(rows, h)) continue;
        for (int s = 0; s < columns.window; s++) {
          const int w = tap(columns, q, s);
          if (IS_IN(columns, w)) sum += LOAD(x + (((size_t)n * rows.input + h) * columns.input + w) * C + c);
        }
      }
      STORE(sum / (float)(high * wide), to + c);
    }
  }
}

// Shrinks images: each result is the mean over its rectangle of the image, in which pixels at the edge count by their part within.
// In units of the P-th part of a pixel, row h covers hP … (h+1)P, and result p covers pH … (p+1)H.
//   x [N,H,W,C] → y [N,P,Q,C], P ≤ H, Q ≤ W; H and W are at most 2^14
__kernel IN_GROUPS void shrink(__global const real *restrict x, __global real *restrict y, const shrink_t shape) {
  const int p = IMAGE_ROW, n = IMAGE, H = shape.h, W = shape.w, P = shape.p, Q = shape.q, C = shape.c;
  const int top = p * H, bottom = top + H, h0 = top / P, h1 = (bottom + P - 1) / P;
  const float unit = 1.0f / ((float)H * (float)W);
  EACH_PIXEL(q, Q, C) {
    const int left = q * W, right = left + W, w0 = left / Q, w1 = (right + Q - 1) / Q;
    EACH_CHANNEL(c, C) {
      floatv sum = (floatv)(0.0f);
      for (int h = h0; h < h1; h++) {
        const int height = min(bottom, (h + 1) * P) - max(top, h * P);
        for (int w = w0; w < w1; w++) {
          const int width = min(right, (w + 1) * Q) - max(left, w * Q);
          const floatv v = LOAD_REAL(x + (((size_t)n * H + h) * W + w) * C + c);
          sum = FMA((floatv)((float)height * (float)width), v, sum);
        }
      }
      STORE_REAL(sum * unit, y + (((size_t)n * P + p) * Q + q) * C + c);
    }
  }
}

// Computes dx[h,w] = Σ of dy over the windows whose largest value was (h,w). The sum is gathered, so that no two work-items write
// the same element.
//   dy, positions [N,P,Q,C] → dx [N,H,W,C]
__kernel IN_GROUPS void max_pool_gradient(__global const real *restrict dy, __global const uchar *restrict positions,
                                          __global real *restrict dx, const max_pool_t pool) {
  const int h = IMAGE_ROW, n = IMAGE, H = pool.h, W = pool.w, C = pool.c, P = pool.p, Q = pool.q;
  const int window = pool.window, stride = pool.stride, padding = pool.padding;
  // Range of the windows p with p·stride ≤ h + padding ≤ p·stride + window − 1.
  const int p0 = max(0, (h + padding - window + stride) / stride), p1 = min(P - 1, (h + padding) / stride);
  EACH_PIXEL(w, W, C) {
    const int q0 = max(0, (w + padding - window + stride) / stride), q1 = min(Q - 1, (w + padding) / stride);
    __global real *to = dx + (((size_t)n * H + h) * W + w) * C;
    EACH_CHANNEL(c, C) {
      floatv sum = (floatv)(0.0f);
      for (int p = p0; p <= p1; p++)
        for (int q = q0; q <= q1; q++) {
          const size_t from = (((size_t)n * P + p) * Q + q) * C + c;
          const ucharv mine = (ucharv)((h + padding - p * stride) * window + (w + padding - q * stride));
          sum += TO_INTV(LOAD_BYTES(positions + from) == mine) ? LOAD_REAL(dy + from) : (floatv)(0.0f);
        }
      STORE_REAL(sum, to + c);
    }
  }
}

// Computes y[n,c] = Σ_m x[n,m,c] / M over the M = H·W pixels. Work-items: (C/VW, N), or work-groups of (LANES, ROWS) for these.
__kernel IN_GROUPS void global_average_pool(__global const real *restrict x, __global float *restrict y, int M, int C) {
  SHARED
  const int c = COLUMN(C), n = BLOCK;
  floatv sum = (floatv)(0.0f);
  for (int m = GROUP_ROW; m < M; m += ROWS) sum += LOAD_REAL(x + ((size_t)n * M + m) * C + c);
  sum = TOTAL(sum);
  if (STORES(C)) STORE(sum / (float)M, y + (size_t)n * C + c);
}

// Computes dx[n,m,c] = dy[n,c] / M. Work-items: as for global_average_pool.
__kernel IN_GROUPS void global_average_pool_gradient(__global const float *restrict dy, __global real *restrict dx, int M,
                                                     int C) {
  const int c = COLUMN(C), n = BLOCK;
  const floatv v = LOAD(dy + (size_t)n * C + c) / (float)M;
  if (!IS_COLUMN(C)) return;
  for (int m = GROUP_ROW; m < M; m += ROWS) STORE_REAL(v, dx + ((size_t)n * M + m) * C + c);
}

// Computes y[p,q,k] = x[p·stride, q·stride, k − before], or zero where that is not a channel of x. VW divides C, K and `before`.
//   x [N,H,W,C] → y [N,P,Q,K]
__kernel IN_GROUPS void pad_shortcut(__global const real *restrict x, __global real *restrict y, const pad_shortcut_t shape) {
  const int p = IMAGE_ROW, n = IMAGE, C = shape.c, K = shape.k, stride = shape.stride;
  EACH_PIXEL(q, shape.q, K) {
    __global const real *from = x + (((size_t)n * shape.h + p * stride) * shape.w + q * stride) * C;
    __global real *to = y + (((size_t)n * shape.p + p) * shape.q + q) * K;
    EACH_CHANNEL(k, K) {
      const int c = k - shape.before;
      STORE_REAL(c >= 0 && c < C ? LOAD_REAL(from + c) : (floatv)(0.0f), to + k);
    }
  }
}

// Computes dx[h,w,c] (+)= dy[h/stride, w/stride, before + c] where both divisions are exact, otherwise 0. VW divides C, K and
// `before`.
//   dy [N,P,Q,K] → dx [N,H,W,C]
__kernel IN_GROUPS void pad_shortcut_gradient(__global const real *restrict dy, __global real *restrict dx,
                                              const pad_shortcut_t shape) {
  const int h = IMAGE_ROW, n = IMAGE, C = shape.c, stride = shape.stride;
  const int rowHas = h % stride == 0;
  EACH_PIXEL(w, shape.w, C) {
    const int has = rowHas && w % stride == 0;
    __global real *to = dx + (((size_t)n * shape.h + h) * shape.w + w) * C;
    __global const real *from = dy + (((size_t)n * shape.p + h / stride) * shape.q + w / stride) * shape.k + shape.before;
    if (ACCUMULATE && !has) continue;
    EACH_CHANNEL(c, C) {
      floatv v = has ? LOAD_REAL(from + c) : (floatv)(0.0f);
      if (ACCUMULATE) v += LOAD_REAL(to + c);
      STORE_REAL(v, to + c);
    }
  }
}
