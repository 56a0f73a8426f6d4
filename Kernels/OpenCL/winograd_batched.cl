// Winograd's convolution in four passes that a GPU can spread over its compute units (winograd.h has the mathematics). In the
// transforms neighboring work-items take neighboring channels of a tile. Between them there is a batch of matrix products, one
// for each position (batched_product.cl).
//
//   u [T·T][C][K]       transformed filter
//   v [T·T][tiles][C]   transformed inputs
//   g [T·T][tiles][K]   transformed output gradients
//   m [T·T][tiles][K]   products v·u
//   sums [splits][T·T][C][K]   products vᵀ·g, each over a part of the tiles
//
// Constraints on the host's choice: VW divides C and K. Work-items: one for each vector of a position of the result, in one
// dimension.
#define SCRATCH __global
#include "winograd.h"
#include "group.h"

// Row and first channel of this work-item's vector in a matrix of `columns` columns.
#define EACH_OF(columns)                                         \
  const int row = (int)get_global_id(0) / ((columns) / VW);      \
  const int channel = (int)get_global_id(0) % ((columns) / VW) * VW

// Computes v from x [N,H,W,C].
__kernel IN_GROUPS void load_inputs(__global const real *restrict x, __global float *restrict v, const winograd_t shape) {
  EACH_OF(C);
  if (row < shape.tiles) load_input(x + channel, v + (size_t)row * C + channel, row, (size_t)shape.tiles * C, VW, shape);
}

// Computes g from dy [N,P,Q,K].
__kernel IN_GROUPS void load_gradients(__global const real *restrict dy, __global float *restrict g, const winograd_t shape) {
  EACH_OF(K);
  if (row < shape.tiles) load_gradient(dy + channel, g + (size_t)row * K + channel, row, (size_t)shape.tiles * K, VW, shape);
}

// Computes y [N,P,Q,K] from m.
__kernel IN_GROUPS void store_outputs(__global const float *restrict m, __global real *y, __global const float *scale,
                                      __global const float *bias, __global const real *residual, const winograd_t shape) {
  EACH_OF(K);
  const epilogue_t to = {y, scale, bias, residual};
  if (row < shape.tiles)
    store_output(m + (size_t)row * K + channel, to, place(row, shape), (size_t)shape.tiles * K, channel, VW, shape);
}

// Computes u from w [3,3,C,K].
__kernel IN_GROUPS void load_filters(__global const float *restrict w, __global float *restrict u, const winograd_t shape) {
  EACH_OF(K);
  const size_t at = (size_t)row * K + channel;
  if (row < C) load_filter(w + at, u + at, (size_t)C * K, shape);
}

// Computes dw [3,3,C,K] from sums.
__kernel IN_GROUPS void store_filter_gradients(__global const float *restrict sums, __global float *restrict dw,
                                               const winograd_t shape, int splits) {
  EACH_OF(K);
  const size_t at = (size_t)row * K + channel;
  if (row < C) store_filter_gradient(sums + at, dw + at, (size_t)C * K, splits, shape);
}
