// Operations on one element at a time, over `vectors` vectors of VW floats (elements.h), and two operations on the rows of a
// matrix [M,C]. Pointers are not restrict, because results may overwrite operands.
#include "elements.h"
#include "parameters.h"

#ifndef RELU
#define RELU 0
#endif
#ifndef ACCUMULATE
#define ACCUMULATE 0
#endif

// Computes y = a + b, then max(·, 0) with RELU.
__kernel IN_GROUPS void add(__global const real *a, __global const real *b, __global real *y, int vectors) {
  EACH_VECTOR {
    floatv v = LOAD_REAL(a + i) + LOAD_REAL(b + i);
    if (RELU) v = v < 0.0f ? (floatv)(0.0f) : v;
    STORE_REAL(v, y + i);
  }
}

// Computes y = max(x, 0); a NaN stays a NaN.
__kernel IN_GROUPS void relu(__global const real *x, __global real *y, int vectors) {
  EACH_VECTOR {
    const floatv v = LOAD_REAL(x + i);
    STORE_REAL(v < 0.0f ? (floatv)(0.0f) : v, y + i);
  }
}

// Computes y = min(max(x, lower), upper); a NaN stays a NaN.
__kernel IN_GROUPS void clip(__global const real *x, __global real *y, int vectors, float lower, float upper) {
  EACH_VECTOR {
    floatv v = LOAD_REAL(x + i);
    v = v < lower ? (floatv)(lower) : v;
    STORE_REAL(v > upper ? (floatv)(upper) : v, y + i);
  }
}

// Copies y[to + Σ iⱼ·toStridesⱼ] = x[from + Σ iⱼ·fromStridesⱼ] over six indices. Work-items are as for images (group.h): the
// first three indices make up the number of the image, the fourth is the row, the fifth the pixel and the last the channel. With
// VW > 1, the last strides are 1, and VW divides `from`, `to`, the last extent and all other strides.
__kernel IN_GROUPS void rearrange(__global const float *restrict x, __global float *restrict y, const strided_copy_t copy) {
  const int extent1 = copy.extents[1], extent2 = copy.extents[2];
  const long i2 = IMAGE % extent2, i1 = IMAGE / extent2 % extent1, i0 = IMAGE / extent2 / extent1, i3 = IMAGE_ROW;
#define START(strides) (i0 * (strides)[0] + i1 * (strides)[1] + i2 * (strides)[2] + i3 * (strides)[3])
#define OFFSET(strides) ((long)i4 * (strides)[4] + (long)i5 * (strides)[5])
  __global const float *source = x + copy.from + START(copy.fromStrides);
  __global float *destination = y + copy.to + START(copy.toStrides);
  EACH_PIXEL(i4, copy.extents[4], copy.extents[5]) {
    EACH_CHANNEL(i5, copy.extents[5]) STORE(LOAD(source + OFFSET(copy.fromStrides)), destination + OFFSET(copy.toStrides));
  }
}

// Computes dx = dy where y > 0, otherwise 0.
__kernel IN_GROUPS void relu_gradient(__global const real *dy, __global const real *y, __global real *dx, int vectors) {
  EACH_VECTOR STORE_REAL(LOAD_REAL(y + i) > 0.0f ? LOAD_REAL(dy + i) : (floatv)(0.0f), dx + i);
}

// Computes y[m,c] += bias[c]. Work-items: (C/VW, M).
__kernel void add_bias(__global const float *bias, __global float *y, int C) {
  const int c = get_global_id(0) * VW;
  const size_t at = (size_t)get_global_id(1) * C + c;
  STORE(LOAD(y + at) + LOAD(bias + c), y + at);
}

// Computes sum[c] = Σ_m x[m,c], in order of m. Work-items: (C/VW), or work-groups of (LANES, ROWS) side by side.
__kernel IN_GROUPS void sum_rows(__global const float *restrict x, __global float *restrict sum, int M, int C) {
  SHARED
  const int c = COLUMN(C);
  floatv s = (floatv)(0.0f);
  for (int m = GROUP_ROW; m < M; m += ROWS) s += LOAD(x + (size_t)m * C + c);
  s = TOTAL(s);
  if (STORES(C)) STORE(s, sum + c);
}
