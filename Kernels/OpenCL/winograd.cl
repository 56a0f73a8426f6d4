// Winograd's convolution in one pass (winograd.h has the mathematics). A work-item owns TB tiles and keeps everything between x
// and y in local memory, so that only x, the transformed filter and y pass through the caches. This form is for filters that fit
// into a core's own cache.
//
//   v [T·T][TB][PITCH]     transformed inputs, position after position
//   m [TB][T·T][KB]        products for one panel of output channels
//
// The sum over channels is a matrix product for each of the T·T positions, [TB,C]·[C,K], register-tiled TR×KB.
//
// Constraints on the host's choice: KB divides K, VW divides C, TI divides C, TR divides TB.
#define SCRATCH __local
#include "winograd.h"

#ifndef STATISTICS
#define STATISTICS 0  // 1: the moments of each work-item's pixels go to partial [items][3][K], in the layout of moments.h
#endif

// Computes the moments of KB channels of the pixels of `count` tiles from `first` on; y [N,P,Q,K] is at the first channel.
INLINE void tile_moments(__global const real *y, int first, int count, winograd_t shape, __global float *to) {
  const int P = shape.p, Q = shape.q;
  // One accumulator for each column of a tile, so that no addition waits for the one before it.
  floatv mean[TC], sum[TC][M], squares[TC][M];
#define EACH UNROLL for (int t = 0; t < TC; t++) UNROLL for (int j = 0; j < M; j++)
  UNROLL for (int t = 0; t < TC; t++) mean[t] = (floatv)(0.0f);
  float pixels = 0.0f;
  for (int pass = 0; pass < 2; pass++) {
    EACH sum[t][j] = squares[t][j] = (floatv)(0.0f);
    pixels = 0.0f;
    for (int tile = first; tile < first + count; tile++) {
      const place_t at = place(tile, shape);
      const int rows = min(M, P - at.row), columns = min(M, Q - at.column);
      pixels += (float)(rows * columns);
      for (int i = 0; i < rows; i++) {
        __global const real *row = y + (((size_t)at.n * P + at.row + i) * Q + at.column) * K;
        EACH if (j < columns) {
          const floatv d = LOAD_REAL(row + j * K + t * VW) - mean[t];
          sum[t][j] += d;
          squares[t][j] = FMA(d, d, squares[t][j]);
        }
      }
    }
    UNROLL for (int t = 0; t < TC; t++) {
      UNROLL for (int j = 1; j < M; j++) {
        sum[t][0] += sum[t][j];
        squares[t][0] += squares[t][j];
      }
      mean[t] += sum[t][0] / pixels;
    }
  }
  UNROLL for (int t = 0; t < TC; t++) {
    STORE(mean[t], to + t * VW);
    STORE(squares[t][0] - sum[t][0] * sum[t][0] / pixels, to + K + t * VW);
    STORE((floatv)(pixels), to + 2 * K + t * VW);
  }
}

// Computes y [N,P,Q,K] from x [N,H,W,C] and from u in panels. The input row of output row 0 is −padTop. Work-items: (⌈tiles/TB⌉).
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void winograd(__global const real *restrict x, __global const factor *restrict u, __global real *y, __global const float *scale,
              __global const float *bias, __global const real *residual, __global float *partial, __local factor *restrict v,
              __local float *restrict m, const winograd_t shape) {
  const int first = get_global_id(0) * TB, count = min(TB, shape.tiles - first);
  const epilogue_t to = {y, scale, bias, residual};
  for (int i = 0; i < (count + TR - 1) / TR * TR; i++)
    load_input(x, v + i * PITCH, first + i, TB * PITCH, C, shape);
  for (int k = 0; k < K; k += KB) {
    for (int p = 0; p < T * T; p++) {
      // The neighbor to the right comes next, and probably on this core.
      if (k == 0) expect_tiles(x, p, first + TB, shape.tiles, shape.h, shape.w, C, shape);
      for (int i = 0; i < count; i += TR)
        multiply(v + (p * TB + i) * PITCH, u + ((size_t)p * K + k) * FACTORS(C), m + (i * T * T + p) * KB, T * T * KB, shape);
    }
    for (int i = 0; i < count; i++) store_output(m + i * T * T * KB, to, place(first + i, shape), KB, k, KB, shape);
#if STATISTICS
    // The values that were just written are still in a core's own cache.
    tile_moments(y + k, first, count, shape, partial + get_global_id(0) * 3 * K + k);
#endif
  }
}

// Computes the filter gradient in the transformed domain: partial [splits][T·T][C][K] = Σ_tiles (Bᵀ d B) ⊗ (A dy Aᵀ). Each
// work-item sums over its share of the tiles, TB slots at a time, through v [T·T][TB][PITCH] and g [T·T][TB][GPITCH] in local
// memory. Work-items: (splits).
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void winograd_filter_gradient(__global const real *restrict x, __global const real *restrict dy, __global float *restrict partial,
                              __local factor *restrict v, __local factor *restrict g, const winograd_t shape) {
  const int split = get_global_id(0), splits = get_global_size(0), slots = FACTORS(shape.tiles);
  const int begin = (int)((long)slots * split / splits), end = (int)((long)slots * (split + 1) / splits);
  for (int first = begin; first < end; first += TB) {
    const int count = min(TB, end - first);
    for (int i = 0; i < count; i++) {
      load_input(x, v + i * PITCH, first + i, TB * PITCH, C, shape);
      load_gradient(dy, g + i * GPITCH, first + i, TB * GPITCH, K, shape);
    }
    for (int p = 0; p < T * T; p++) {
      const int next = (first + TB) * TERMS, last = min(shape.tiles, end * TERMS);
      expect_tiles(x, p, next, last, shape.h, shape.w, C, shape);
      expect_tiles(dy, p, next, last, shape.p, shape.q, K, shape);
      for (int c = 0; c < C; c += TI)
        for (int k = 0; k < K; k += KB)
          multiply_gradient(v + p * TB * PITCH + c, g + p * TB * GPITCH + k,
                            partial + (((size_t)split * T * T + p) * C + c) * K + k, K, count, first == begin, shape);
    }
  }
}

// Computes u = G g Gᵀ for each (c, k) of w [3,3,C,K], for some of the output channels, from k0 on, in panels. Work-items:
// (panels, FACTORS(C)).
__kernel void winograd_filter(__global const float *restrict w, __global factor *restrict u, const winograd_t shape, int k0) {
  const int first = get_global_id(0) * KB, c = get_global_id(1), channels = get_global_size(0) * KB;
  for (int i = 0; i < KB; i += VW)
    load_filter(w + (size_t)c * TERMS * K + k0 + first + i, u + (size_t)first * FACTORS(C) + c * KB + i,
                (size_t)channels * FACTORS(C), shape);
}

// Computes dw [3,3,C,K] = Gᵀ (Σ_split partial) G for some of the output channels, from k0 on; partial [splits][T·T][C][channels].
// Work-items: (channels/VW, C).
__kernel void winograd_filter_gradient_output(__global const float *restrict partial, __global float *restrict dw,
                                              const winograd_t shape, int splits, int k0) {
  const int k = get_global_id(0) * VW, c = get_global_id(1), channels = get_global_size(0) * VW;
  store_filter_gradient(partial + (size_t)c * channels + k, dw + (size_t)c * K + k0 + k, (size_t)C * channels, splits, shape);
}
