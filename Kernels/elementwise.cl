// Operations on one element at a time, over `vectors` vectors of VW floats, in blocks of consecutive vectors; and the two on the
// rows of a matrix [M,C]. Work-items: (blocks), unless said otherwise. Pointers are not restrict: results may overwrite operands.
#include "vector.h"

#ifndef RELU
#define RELU 0
#endif
#ifndef ACCUMULATE
#define ACCUMULATE 0
#endif
#ifndef NESTEROV
#define NESTEROV 0
#endif

// Runs the statement that follows for the offset `i` of each vector of this work-item's block.
#define EACH_VECTOR                                                                                         \
  const long block = get_global_id(0), blocks = get_global_size(0);                                         \
  for (long i = vectors * block / blocks * VW, end = vectors * (block + 1) / blocks * VW; i < end; i += VW)

// y = a + b, then max(·, 0) with RELU.
__kernel void add(__global const float *a, __global const float *b, __global float *y, int vectors) {
  EACH_VECTOR {
    floatv v = LOAD(a + i) + LOAD(b + i);
    if (RELU) v = v < 0.0f ? (floatv)(0.0f) : v;
    STORE(v, y + i);
  }
}

// y = max(x, 0); a NaN stays one.
__kernel void relu(__global const float *x, __global float *y, int vectors) {
  EACH_VECTOR {
    const floatv v = LOAD(x + i);
    STORE(v < 0.0f ? (floatv)(0.0f) : v, y + i);
  }
}

// dx = dy where y > 0, else 0.
__kernel void relu_gradient(__global const float *dy, __global const float *y, __global float *dx, int vectors) {
  EACH_VECTOR STORE(LOAD(y + i) > 0.0f ? LOAD(dy + i) : (floatv)(0.0f), dx + i);
}

// g = gradient + decay·w;  v = momentum·v + g;  w −= rate·(NESTEROV ? g + momentum·v : v).
__kernel void sgd_step(__global float *w, __global const float *gradient, __global float *velocity, int vectors, float rate,
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

// sum[c] = Σ_m x[m,c], in order of m. Work-items: (C/VW).
__kernel void sum_rows(__global const float *x, __global float *sum, int M, int C) {
  const int c = get_global_id(0) * VW;
  floatv s = (floatv)(0.0f);
  for (int m = 0; m < M; m++) s += LOAD(x + (size_t)m * C + c);
  STORE(s, sum + c);
}
