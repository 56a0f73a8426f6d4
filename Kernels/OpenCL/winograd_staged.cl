// Winograd's convolution stage by stage through buffers (winograd.h has the mathematics). This form is for filters larger than a
// core's own cache, which are then read once instead of once for every few tiles. A GPU can spread each stage in this form, too.
//
//   v [T·T][slots][PITCH]  transformed inputs
//   m [slots][T·T][K]      products
//   g [T·T][slots][GPITCH]  transformed output gradients
//
// The number of slots is the number of tiles, rounded up to TR. Values of the last slots beyond the tiles are never stored to y.
//
// Constraints on the host's choice: KB divides K, VW divides C, TI divides C, TR divides slots.
#define SCRATCH __global
#include "winograd.h"

#define FOLD 128

// Computes v from x [N,H,W,C]. Work-items: (slots); those without tiles write zeros.
__kernel void load_inputs(__global const real *restrict x, __global factor *restrict v, const winograd_t shape) {
  const int slot = get_global_id(0);
  load_input(x, v + (size_t)slot * PITCH, slot, (size_t)get_global_size(0) * PITCH, C, shape);
}

// Computes g from dy [N,P,Q,K]. Work-items: (slots); those without tiles write zeros.
__kernel void load_gradients(__global const real *restrict dy, __global factor *restrict g, const winograd_t shape) {
  const int slot = get_global_id(0);
  load_gradient(dy, g + (size_t)slot * GPITCH, slot, (size_t)get_global_size(0) * GPITCH, K, shape);
}

// Computes m from v and u for some panels, from channel k0 on. Work-items: (⌈slots/TB⌉, panels, T·T), so that neighbors share a
// panel of u.
__kernel void products(__global const factor *restrict v, __global const factor *restrict u, __global float *restrict m,
                       const winograd_t shape, int slots, int k0) {
  const int first = get_global_id(0) * TB, k = get_global_id(1) * KB, p = get_global_id(2), channels = get_global_size(1) * KB;
  for (int i = first; i < min(first + TB, slots); i += TR)
    multiply(v + ((size_t)p * slots + i) * PITCH, u + ((size_t)p * channels + k) * FACTORS(C),
             m + ((size_t)i * T * T + p) * K + k0 + k, (size_t)T * T * K, shape);
}

// Computes y [N,P,Q,K] from m. Work-items: (tiles).
__kernel void store_outputs(__global const float *restrict m, __global real *y, __global const float *scale,
                            __global const float *bias, __global const real *residual, const winograd_t shape) {
  const int tile = get_global_id(0);
  const epilogue_t to = {y, scale, bias, residual};
  store_output(m + (size_t)tile * T * T * K, to, place(tile, shape), K, 0, K, shape);
}

// Computes sums [T·T][C][channels] = Σ_slot v ⊗ g for some of the output channels, from k0 on, FOLD slots at a time: rounding
// errors grow with √FOLD + √(slots/FOLD). A panel of g stays in the L1 cache for all of C. Work-items: (channels/KB, T·T).
__kernel void filter_gradient_products(__global const factor *restrict v, __global const factor *restrict g,
                                       __global float *restrict sums, const winograd_t shape, int slots, int k0) {
  const int k = get_global_id(0) * KB, p = get_global_id(1), channels = get_global_size(0) * KB;
  for (int first = 0; first < slots; first += FOLD) {
    const size_t slot = (size_t)p * slots + first;
    for (int c = 0; c < C; c += TI)
      multiply_gradient(v + slot * PITCH + c, g + slot * GPITCH + k0 + k, sums + ((size_t)p * C + c) * channels + k, channels,
                        min(FOLD, slots - first), first == 0, shape);
  }
}
