// Operations on one element at a time, over `vectors` vectors of VW floats; and the two on the rows of a matrix [M,C]. Pointers are not
// restrict: results may overwrite operands. Work-items, unless said otherwise: any number, each of which takes a block of consecutive
// vectors; in groups (group.h) each takes every so manieth, so that neighbours take neighbours.
#include "vector.h"
#include "group.h"

#ifndef RELU
#define RELU 0
#endif
#ifndef ACCUMULATE
#define ACCUMULATE 0
#endif
#ifndef NESTEROV
#define NESTEROV 0
#endif

// Runs the statement that follows for the offset `i` of each vector that is this work-item's.
#if LANES
#define EACH_VECTOR                                                                                              \
  for (long i = (long)get_global_id(0) * VW, end = (long)vectors * VW; i < end; i += (long)get_global_size(0) * VW)
#else
#define EACH_VECTOR                                                                                         \
  const long block = get_global_id(0), blocks = get_global_size(0);                                         \
  for (long i = vectors * block / blocks * VW, end = vectors * (block + 1) / blocks * VW; i < end; i += VW)
#endif

// y = a + b, then max(·, 0) with RELU.
__kernel IN_GROUPS void add(__global const real *a, __global const real *b, __global real *y, int vectors) {
  EACH_VECTOR {
    floatv v = LOAD_REAL(a + i) + LOAD_REAL(b + i);
    if (RELU) v = v < 0.0f ? (floatv)(0.0f) : v;
    STORE_REAL(v, y + i);
  }
}

// y = max(x, 0); a NaN stays one.
__kernel IN_GROUPS void relu(__global const real *x, __global real *y, int vectors) {
  EACH_VECTOR {
    const floatv v = LOAD_REAL(x + i);
    STORE_REAL(v < 0.0f ? (floatv)(0.0f) : v, y + i);
  }
}

// dx = dy where y > 0, else 0.
__kernel IN_GROUPS void relu_gradient(__global const real *dy, __global const real *y, __global real *dx, int vectors) {
  EACH_VECTOR STORE_REAL(LOAD_REAL(y + i) > 0.0f ? LOAD_REAL(dy + i) : (floatv)(0.0f), dx + i);
}

// g = gradient + decay·w;  v = momentum·v + g;  w −= rate·(NESTEROV ? g + momentum·v : v).
__kernel IN_GROUPS void sgd_step(__global float *w, __global const float *gradient, __global float *velocity, int vectors, float rate,
                                 float momentum, float decay) {
  EACH_VECTOR {
    const floatv x = LOAD(w + i);
    const floatv g = FMA((floatv)(decay), x, LOAD(gradient + i));
    const floatv v = FMA((floatv)(momentum), LOAD(velocity + i), g);
    STORE(v, velocity + i);
    const floatv step = NESTEROV ? FMA((floatv)(momentum), v, g) : v;
    STORE(FMA((floatv)(-rate), step, x), w + i);
  }
}

// y[m,c] += bias[c]. Work-items: (C/VW, M).
__kernel void add_bias(__global const float *bias, __global float *y, int C) {
  const int c = get_global_id(0) * VW;
  const size_t at = (size_t)get_global_id(1) * C + c;
  STORE(LOAD(y + at) + LOAD(bias + c), y + at);
}

// sum[c] = Σ_m x[m,c], in order of m. Work-items: (C/VW), or groups of (LANES, ROWS) side by side.
__kernel IN_GROUPS void sum_rows(__global const float *restrict x, __global float *restrict sum, int M, int C) {
  SHARED
  const int c = COLUMN(C);
  floatv s = (floatv)(0.0f);
  for (int m = GROUP_ROW; m < M; m += ROWS) s += LOAD(x + (size_t)m * C + c);
  s = TOTAL(s);
  if (STORES(C)) STORE(s, sum + c);
}
