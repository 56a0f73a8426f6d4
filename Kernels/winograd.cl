// 3×3 convolution of stride 1 by Winograd's minimal filtering F(4×4, 3×3) (Lavin & Gray, "Fast algorithms for convolutional neural
// networks", CVPR 2016): 36 multiplications a tile of 4×4 outputs instead of 144.
//
//   Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A       d: 6×6 inputs, g: 3×3 filter, Y: 4×4 outputs, summed over input channels
//
//   Bᵀ =  4  0 -5  0  1  0     G = 1/4   0    0      Aᵀ = 1  1  1  1  1  0
//         0 -4 -4  1  1  0        -1/6 -1/6 -1/6          0  1 -1  2 -2  0
//         0  4 -4 -1  1  0        -1/6  1/6 -1/6          0  1  1  4  4  0
//         0 -2 -1  2  1  0        1/24 1/12  1/6          0  1 -1  8 -8  1
//         0  2 -1 -2  1  0        1/24-1/12  1/6
//         0  4  0 -5  0  1         0    0    1
//
// Tiles are numbered through images, tile rows and tile columns. A work-item owns TB tiles and keeps everything between x and y
// in local memory, so that only x, the transformed filter and y pass through the caches:
//
//   v [36][TB][C]          transformed inputs, position after position
//   m [TB][36][TC·VW]      products for one block of output channels
//
// For each of the 36 positions the sum over channels is a product of matrices, [TB,C]·[C,K], register-tiled TR×TC·VW.
//
// The host chooses: VW·TC divides K, VW divides C, TR divides TB.
#include "vector.h"

#ifndef TB
#define TB 4      // tiles of a work-item
#endif
#ifndef TR
#define TR 4      // register tile: tiles
#endif
#ifndef TC
#define TC 1      // register tile: vectors of output channels
#endif
#ifndef TI
#define TI 1      // register tile of the filter gradient: input channels
#endif
#ifndef ACCUMULATE
#define ACCUMULATE 0
#endif

#define SCALED(factor, a, b) FMA((floatv)(factor), a, b)  // factor·a + b

// o = Bᵀ d, six vectors to six.
void input_transform(const floatv *d, floatv *o) {
  const floatv a = SCALED(-4.0f, d[2], d[4]), b = SCALED(-4.0f, d[1], d[3]), e = d[4] - d[2], f = 2.0f * (d[3] - d[1]);
  o[0] = SCALED(4.0f, d[0], SCALED(-5.0f, d[2], d[4]));
  o[1] = a + b;
  o[2] = a - b;
  o[3] = e + f;
  o[4] = e - f;
  o[5] = SCALED(4.0f, d[1], SCALED(-5.0f, d[3], d[5]));
}

// o = Aᵀ d, six vectors to four.
void output_transform(const floatv *d, floatv *o) {
  const floatv a = d[1] + d[2], b = d[1] - d[2], e = d[3] + d[4], f = d[3] - d[4];
  o[0] = d[0] + a + e;
  o[1] = SCALED(2.0f, f, b);
  o[2] = SCALED(4.0f, e, a);
  o[3] = SCALED(8.0f, f, b) + d[5];
}

// o = A d, four vectors to six.
void gradient_transform(const floatv *d, floatv *o) {
  const floatv a = d[0] + d[2], b = d[1] + d[3], e = SCALED(4.0f, d[2], d[0]), f = SCALED(8.0f, d[3], 2.0f * d[1]);
  o[0] = d[0];
  o[1] = a + b;
  o[2] = a - b;
  o[3] = e + f;
  o[4] = e - f;
  o[5] = d[3];
}

// o = G d, three vectors to six.
void filter_transform(const floatv *d, floatv *o) {
  const floatv a = (d[0] + d[2]) * (-1.0f / 6), b = d[1] * (-1.0f / 6);
  const floatv e = SCALED(1.0f / 24, d[0], (1.0f / 6) * d[2]), f = (1.0f / 12) * d[1];
  o[0] = 0.25f * d[0];
  o[1] = a + b;
  o[2] = a - b;
  o[3] = e + f;
  o[4] = e - f;
  o[5] = d[2];
}

// o = Gᵀ d, six vectors to three.
void filter_gradient_transform(const floatv *d, floatv *o) {
  const floatv a = d[1] + d[2], b = d[1] - d[2], e = d[3] + d[4], f = d[3] - d[4];
  o[0] = SCALED(0.25f, d[0], SCALED(-1.0f / 6, a, (1.0f / 24) * e));
  o[1] = SCALED(-1.0f / 6, b, (1.0f / 12) * f);
  o[2] = SCALED(-1.0f / 6, a, SCALED(1.0f / 6, e, d[5]));
}

// VW channels of the input pixel (h, w) of an image, zero outside.
floatv pixel(__global const float *image, int h, int w, int H, int W, int C) {
  return h >= 0 && h < H && w >= 0 && w < W ? LOAD(image + ((size_t)h * W + w) * C) : (floatv)(0.0f);
}

// v[p][slot][c] for one tile, whose corner lies at (h0, w0) of an image: Bᵀ d B, VW channels at a time.
void transform_input(__global const float *image, __local float *v, int h0, int w0, int H, int W, int C) {
  const int inside = h0 >= 0 && h0 + 6 <= H && w0 >= 0 && w0 + 6 <= W;
  for (int c = 0; c < C; c += VW) {
    floatv t[6][6];
    UNROLL for (int j = 0; j < 6; j++) {
      floatv d[6], o[6];
      if (inside) {
        UNROLL for (int i = 0; i < 6; i++) d[i] = LOAD(image + ((size_t)(h0 + i) * W + w0 + j) * C + c);
      } else {
        UNROLL for (int i = 0; i < 6; i++) d[i] = pixel(image + c, h0 + i, w0 + j, H, W, C);
      }
      input_transform(d, o);
      UNROLL for (int i = 0; i < 6; i++) t[i][j] = o[i];
    }
    UNROLL for (int i = 0; i < 6; i++) {
      floatv o[6];
      input_transform(t[i], o);
      UNROLL for (int j = 0; j < 6; j++) STORE(o[j], v + (size_t)(i * 6 + j) * TB * C + c);
    }
  }
}

// m[slot][position][·] = Σ_c v[position][slot][c] · u[position][c][k…], for TR slots.
void multiply(__local const float *v, __global const float *u, __local float *m, int C, int K) {
  floatv sum[TR][TC];
  UNROLL for (int i = 0; i < TR; i++)
    UNROLL for (int t = 0; t < TC; t++) sum[i][t] = (floatv)(0.0f);
  for (int c = 0; c < C; c++) {
    floatv f[TC];
    UNROLL for (int t = 0; t < TC; t++) f[t] = LOAD(u + (size_t)c * K + t * VW);
    UNROLL for (int i = 0; i < TR; i++) {
      const floatv a = (floatv)(v[i * C + c]);
      UNROLL for (int t = 0; t < TC; t++) sum[i][t] = FMA(a, f[t], sum[i][t]);
    }
  }
  UNROLL for (int i = 0; i < TR; i++)
    UNROLL for (int t = 0; t < TC; t++) STORE(sum[i][t], m + i * 36 * TC * VW + t * VW);
}

// x [N,H,W,C], u [36][C][K], y [N,P,Q,K]; the input row of output row 0 is −padTop. Work-items: (⌈tiles/TB⌉).
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void winograd(__global const float *restrict x, __global const float *restrict u, __global float *restrict y,
              __local float *restrict v, __local float *restrict m, int H, int W, int C, int K, int P, int Q, int padTop,
              int padLeft, int down, int across, int tiles) {
  const int first = get_global_id(0) * TB, count = min(TB, tiles - first);
  for (int i = 0; i < count; i++) {
    const int tile = first + i, n = tile / (down * across), row = tile / across % down, column = tile % across;
    transform_input(x + (size_t)n * H * W * C, v + i * C, row * 4 - padTop, column * 4 - padLeft, H, W, C);
  }
  for (int k = 0; k < K; k += TC * VW) {
    for (int p = 0; p < 36; p++)
      for (int i = 0; i < count; i += TR)
        multiply(v + ((size_t)p * TB + i) * C, u + (size_t)p * C * K + k, m + (i * 36 + p) * TC * VW, C, K);
    for (int i = 0; i < count; i++) {
      const int tile = first + i, n = tile / (down * across), row = tile / across % down * 4, column = tile % across * 4;
      __global float *to = y + (((size_t)n * P + row) * Q + column) * K + k;
      const int rows = min(4, P - row), columns = min(4, Q - column);
      for (int t = 0; t < TC; t++) {
        floatv s[4][6];
        UNROLL for (int j = 0; j < 6; j++) {
          floatv d[6], o[4];
          UNROLL for (int r = 0; r < 6; r++) d[r] = LOAD(m + (i * 36 + r * 6 + j) * TC * VW + t * VW);
          output_transform(d, o);
          UNROLL for (int r = 0; r < 4; r++) s[r][j] = o[r];
        }
        UNROLL for (int r = 0; r < 4; r++) {
          floatv o[4];
          output_transform(s[r], o);
          UNROLL for (int j = 0; j < 4; j++)
            if (r < rows && j < columns) {
              __global float *at = to + ((size_t)r * Q + j) * K + t * VW;
#if ACCUMULATE
              o[j] += LOAD(at);
#endif
              STORE(o[j], at);
            }
        }
      }
    }
  }
}

// u [36][C][K] = G g Gᵀ of each (c, k) of w [3,3,C,K]. Work-items: (K/VW, C).
__kernel void winograd_filter(__global const float *restrict w, __global float *restrict u, int C, int K) {
  const int k = get_global_id(0) * VW, c = get_global_id(1);
  floatv t[6][3];
  UNROLL for (int j = 0; j < 3; j++) {
    floatv d[3], o[6];
    UNROLL for (int i = 0; i < 3; i++) d[i] = LOAD(w + ((size_t)(i * 3 + j) * C + c) * K + k);
    filter_transform(d, o);
    UNROLL for (int i = 0; i < 6; i++) t[i][j] = o[i];
  }
  UNROLL for (int i = 0; i < 6; i++) {
    floatv o[6];
    filter_transform(t[i], o);
    UNROLL for (int j = 0; j < 6; j++) STORE(o[j], u + ((size_t)(i * 6 + j) * C + c) * K + k);
  }
}

// The filter gradient in the transformed domain: partial [splits][36][C][K] = Σ_tiles (Bᵀ d B) ⊗ (A dy Aᵀ). Each work-item sums
// over its share of the tiles, TB at a time, through v [36][TB][C] and g [36][TB][K] in local memory. Work-items: (splits).
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void winograd_filter_gradient(__global const float *restrict x, __global const float *restrict dy, __global float *restrict partial,
                              __local float *restrict v, __local float *restrict g, int H, int W, int C, int K, int P, int Q,
                              int padTop, int padLeft, int down, int across, int tiles) {
  const int split = get_global_id(0), splits = get_global_size(0);
  const int begin = (int)((long)tiles * split / splits), end = (int)((long)tiles * (split + 1) / splits);
  __global float *sums = partial + (size_t)split * 36 * C * K;
  for (int first = begin; first < end; first += TB) {
    const int count = min(TB, end - first);
    for (int i = 0; i < count; i++) {
      const int tile = first + i, n = tile / (down * across), row = tile / across % down * 4, column = tile % across * 4;
      transform_input(x + (size_t)n * H * W * C, v + i * C, row - padTop, column - padLeft, H, W, C);
      __global const float *from = dy + (size_t)n * P * Q * K;
      for (int k = 0; k < K; k += VW) {
        floatv t[6][4];
        UNROLL for (int j = 0; j < 4; j++) {
          floatv d[4], o[6];
          UNROLL for (int r = 0; r < 4; r++) d[r] = pixel(from + k, row + r, column + j, P, Q, K);
          gradient_transform(d, o);
          UNROLL for (int r = 0; r < 6; r++) t[r][j] = o[r];
        }
        UNROLL for (int r = 0; r < 6; r++) {
          floatv o[6];
          gradient_transform(t[r], o);
          UNROLL for (int j = 0; j < 6; j++) STORE(o[j], g + ((size_t)(r * 6 + j) * TB + i) * K + k);
        }
      }
    }
    for (int p = 0; p < 36; p++)
      for (int c = 0; c < C; c += TI)
        for (int k = 0; k < K; k += TC * VW) {
          __global float *to = sums + ((size_t)p * C + c) * K + k;
          __local const float *vp = v + (size_t)p * TB * C + c, *gp = g + (size_t)p * TB * K + k;
          floatv sum[TI][TC];
          UNROLL for (int i = 0; i < TI; i++)
            UNROLL for (int t = 0; t < TC; t++) sum[i][t] = first == begin ? (floatv)(0.0f) : LOAD(to + (size_t)i * K + t * VW);
          for (int slot = 0; slot < count; slot++) {
            floatv f[TC];
            UNROLL for (int t = 0; t < TC; t++) f[t] = LOAD(gp + slot * K + t * VW);
            UNROLL for (int i = 0; i < TI; i++) {
              const floatv a = (floatv)(vp[slot * C + i]);
              UNROLL for (int t = 0; t < TC; t++) sum[i][t] = FMA(a, f[t], sum[i][t]);
            }
          }
          UNROLL for (int i = 0; i < TI; i++)
            UNROLL for (int t = 0; t < TC; t++) STORE(sum[i][t], to + (size_t)i * K + t * VW);
        }
  }
}

// dw [3,3,C,K] = Gᵀ (Σ_split partial) G, the splits in order. Work-items: (K/VW, C).
__kernel void winograd_filter_gradient_output(__global const float *restrict partial, __global float *restrict dw, int C, int K,
                                              int splits) {
  const int k = get_global_id(0) * VW, c = get_global_id(1);
  floatv t[3][6];
  UNROLL for (int j = 0; j < 6; j++) {
    floatv d[6], o[3];
    UNROLL for (int i = 0; i < 6; i++) {
      const size_t at = ((size_t)(i * 6 + j) * C + c) * K + k;
      d[i] = LOAD(partial + at);
      for (int split = 1; split < splits; split++) d[i] += LOAD(partial + (size_t)split * 36 * C * K + at);
    }
    filter_gradient_transform(d, o);
    UNROLL for (int i = 0; i < 3; i++) t[i][j] = o[i];
  }
  UNROLL for (int i = 0; i < 3; i++) {
    floatv o[3];
    filter_gradient_transform(t[i], o);
    UNROLL for (int j = 0; j < 3; j++) STORE(o[j], dw + ((size_t)(i * 3 + j) * C + c) * K + k);
  }
}
