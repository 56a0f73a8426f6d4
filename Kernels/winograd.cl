// 3×3 convolution of stride 1 by Winograd's minimal filtering F(M×M, 3×3) (Lavin & Gray, "Fast algorithms for convolutional neural
// networks", CVPR 2016): (M+2)² multiplications a tile of M×M outputs instead of 9·M². M is 2 or 4.
//
//   Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A       d: T×T inputs, T = M+2, g: 3×3 filter, Y: M×M outputs, summed over input channels
//
// The matrices come from Toom and Cook's interpolation, for M = 2 at the points 0, ±1 and infinity:
//
//   Bᵀ = -1  0  1  0     G = -1    0    0      Aᵀ = 1  1  1  0
//         0  1  1  0         1/2  1/2  1/2          0  1 -1  1
//         0 -1  1  0         1/2 -1/2  1/2
//         0 -1  0  1          0    0    1
//
// and for M = 4 at 0, ±a, ±b and infinity:
//
//   Bᵀ = a²b²   0   −a²−b²    0     1  0     G = 1/a²b²                        Aᵀ = 1  1   1   1   1  0
//         0   −ab²   −b²      a     1  0         (1,  a, a²) / 2a²(a²−b²)           0  a  −a   b  −b  0
//         0    ab²   −b²     −a     1  0         (1, −a, a²) / 2a²(a²−b²)           0  a²  a²  b²  b²  0
//         0   −a²b   −a²      b     1  0         (1,  b, b²) / 2b²(b²−a²)           0  a³ −a³  b³ −b³ 1
//         0    a²b   −a²     −b     1  0         (1, −b, b²) / 2b²(b²−a²)
//         0   a²b²    0    −a²−b²   0  1          0   0   1
//
// Rounding errors over 64 channels: 3e-7 with M = 2, no more than the direct sum's; with M = 4, 8e-7 at a = 3/4 and b = 3/2, half of
// what the usual 1 and 2 give (Barabasz et al., "Error analysis and improving the accuracy of Winograd convolution", 2020).
//
// Tiles are numbered through images, tile rows and tile columns. A work-item owns TB tiles and keeps everything between x and y
// in local memory, so that only x, the transformed filter and y pass through the caches:
//
//   v [T·T][TB][C]         transformed inputs, position after position
//   m [TB][T·T][TC·VW]     products for one block of output channels
//
// For each of the T·T positions the sum over channels is a product of matrices, [TB,C]·[C,K], register-tiled TR×TC·VW.
//
// The host chooses: VW·TC divides K, VW divides C, TR divides TB.
#include "vector.h"

#ifndef M
#define M 2       // a tile's side in outputs
#endif
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

#define T (M + 2)

#if M == 2

// o = Bᵀ d, four vectors to four.
void input_transform(const floatv *d, floatv *o) {
  o[0] = d[2] - d[0];
  o[1] = d[2] + d[1];
  o[2] = d[2] - d[1];
  o[3] = d[3] - d[1];
}

// o = Aᵀ d, four vectors to two.
void output_transform(const floatv *d, floatv *o) {
  o[0] = d[0] + (d[1] + d[2]);
  o[1] = (d[1] - d[2]) + d[3];
}

// o = A d, two vectors to four.
void gradient_transform(const floatv *d, floatv *o) {
  o[0] = d[0];
  o[1] = d[0] + d[1];
  o[2] = d[0] - d[1];
  o[3] = d[1];
}

// o = G d, three vectors to four.
void filter_transform(const floatv *d, floatv *o) {
  const floatv a = 0.5f * (d[0] + d[2]), b = 0.5f * d[1];
  o[0] = -d[0];
  o[1] = a + b;
  o[2] = a - b;
  o[3] = d[2];
}

// o = Gᵀ d, four vectors to three.
void filter_gradient_transform(const floatv *d, floatv *o) {
  const floatv a = 0.5f * (d[1] + d[2]);
  o[0] = a - d[0];
  o[1] = 0.5f * (d[1] - d[2]);
  o[2] = a + d[3];
}

#else

#define A1 0.75f
#define B1 1.5f
#define A2 (A1 * A1)
#define B2 (B1 * B1)
#define F0 (1.0f / (A2 * B2))
#define FA (1.0f / (2.0f * A2 * (A2 - B2)))
#define FB (1.0f / (2.0f * B2 * (B2 - A2)))
#define SCALED(factor, a, b) FMA((floatv)(factor), a, b)  // factor·a + b

// o = Bᵀ d, six vectors to six.
void input_transform(const floatv *d, floatv *o) {
  const floatv a = SCALED(-B2, d[2], d[4]), b = A1 * SCALED(-B2, d[1], d[3]);
  const floatv e = SCALED(-A2, d[2], d[4]), f = B1 * SCALED(-A2, d[1], d[3]);
  o[0] = SCALED(A2 * B2, d[0], SCALED(-A2 - B2, d[2], d[4]));
  o[1] = a + b;
  o[2] = a - b;
  o[3] = e + f;
  o[4] = e - f;
  o[5] = SCALED(A2 * B2, d[1], SCALED(-A2 - B2, d[3], d[5]));
}

// o = Aᵀ d, six vectors to four.
void output_transform(const floatv *d, floatv *o) {
  const floatv a = d[1] + d[2], b = d[1] - d[2], e = d[3] + d[4], f = d[3] - d[4];
  o[0] = d[0] + a + e;
  o[1] = SCALED(A1, b, B1 * f);
  o[2] = SCALED(A2, a, B2 * e);
  o[3] = SCALED(A1 * A2, b, SCALED(B1 * B2, f, d[5]));
}

// o = A d, four vectors to six.
void gradient_transform(const floatv *d, floatv *o) {
  const floatv a = SCALED(A2, d[2], d[0]), b = A1 * SCALED(A2, d[3], d[1]);
  const floatv e = SCALED(B2, d[2], d[0]), f = B1 * SCALED(B2, d[3], d[1]);
  o[0] = d[0];
  o[1] = a + b;
  o[2] = a - b;
  o[3] = e + f;
  o[4] = e - f;
  o[5] = d[3];
}

// o = G d, three vectors to six.
void filter_transform(const floatv *d, floatv *o) {
  const floatv a = FA * SCALED(A2, d[2], d[0]), b = (FA * A1) * d[1];
  const floatv e = FB * SCALED(B2, d[2], d[0]), f = (FB * B1) * d[1];
  o[0] = F0 * d[0];
  o[1] = a + b;
  o[2] = a - b;
  o[3] = e + f;
  o[4] = e - f;
  o[5] = d[2];
}

// o = Gᵀ d, six vectors to three.
void filter_gradient_transform(const floatv *d, floatv *o) {
  const floatv a = FA * (d[1] + d[2]), b = FA * (d[1] - d[2]), e = FB * (d[3] + d[4]), f = FB * (d[3] - d[4]);
  o[0] = SCALED(F0, d[0], a + e);
  o[1] = SCALED(A1, b, B1 * f);
  o[2] = SCALED(A2, a, SCALED(B2, e, d[5]));
}

#endif

// VW channels of the input pixel (h, w) of an image, zero outside.
floatv pixel(__global const float *image, int h, int w, int H, int W, int C) {
  return h >= 0 && h < H && w >= 0 && w < W ? LOAD(image + ((size_t)h * W + w) * C) : (floatv)(0.0f);
}

// v[p][slot][c] for one tile, whose corner lies at (h0, w0) of an image: Bᵀ d B, VW channels at a time.
void transform_input(__global const float *image, __local float *v, int h0, int w0, int H, int W, int C) {
  const int inside = h0 >= 0 && h0 + T <= H && w0 >= 0 && w0 + T <= W;
  for (int c = 0; c < C; c += VW) {
    floatv t[T][T];
    UNROLL for (int j = 0; j < T; j++) {
      floatv d[T], o[T];
      if (inside) {
        UNROLL for (int i = 0; i < T; i++) d[i] = LOAD(image + ((size_t)(h0 + i) * W + w0 + j) * C + c);
      } else {
        UNROLL for (int i = 0; i < T; i++) d[i] = pixel(image + c, h0 + i, w0 + j, H, W, C);
      }
      input_transform(d, o);
      UNROLL for (int i = 0; i < T; i++) t[i][j] = o[i];
    }
    UNROLL for (int i = 0; i < T; i++) {
      floatv o[T];
      input_transform(t[i], o);
      UNROLL for (int j = 0; j < T; j++) STORE(o[j], v + (size_t)(i * T + j) * TB * C + c);
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
    UNROLL for (int t = 0; t < TC; t++) STORE(sum[i][t], m + i * T * T * TC * VW + t * VW);
}

// x [N,H,W,C], u [T·T][C][K], y [N,P,Q,K]; the input row of output row 0 is −padTop. Work-items: (⌈tiles/TB⌉).
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void winograd(__global const float *restrict x, __global const float *restrict u, __global float *restrict y,
              __local float *restrict v, __local float *restrict m, int H, int W, int C, int K, int P, int Q, int padTop,
              int padLeft, int down, int across, int tiles) {
  const int first = get_global_id(0) * TB, count = min(TB, tiles - first);
  for (int i = 0; i < count; i++) {
    const int tile = first + i, n = tile / (down * across), row = tile / across % down, column = tile % across;
    transform_input(x + (size_t)n * H * W * C, v + i * C, row * M - padTop, column * M - padLeft, H, W, C);
  }
  for (int k = 0; k < K; k += TC * VW) {
    for (int p = 0; p < T * T; p++)
      for (int i = 0; i < count; i += TR)
        multiply(v + ((size_t)p * TB + i) * C, u + (size_t)p * C * K + k, m + (i * T * T + p) * TC * VW, C, K);
    for (int i = 0; i < count; i++) {
      const int tile = first + i, n = tile / (down * across), row = tile / across % down * M, column = tile % across * M;
      __global float *to = y + (((size_t)n * P + row) * Q + column) * K + k;
      const int rows = min(M, P - row), columns = min(M, Q - column);
      for (int t = 0; t < TC; t++) {
        floatv s[M][T];
        UNROLL for (int j = 0; j < T; j++) {
          floatv d[T], o[M];
          UNROLL for (int r = 0; r < T; r++) d[r] = LOAD(m + (i * T * T + r * T + j) * TC * VW + t * VW);
          output_transform(d, o);
          UNROLL for (int r = 0; r < M; r++) s[r][j] = o[r];
        }
        UNROLL for (int r = 0; r < M; r++) {
          floatv o[M];
          output_transform(s[r], o);
          UNROLL for (int j = 0; j < M; j++)
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

// u [T·T][C][K] = G g Gᵀ of each (c, k) of w [3,3,C,K]. Work-items: (K/VW, C).
__kernel void winograd_filter(__global const float *restrict w, __global float *restrict u, int C, int K) {
  const int k = get_global_id(0) * VW, c = get_global_id(1);
  floatv t[T][3];
  UNROLL for (int j = 0; j < 3; j++) {
    floatv d[3], o[T];
    UNROLL for (int i = 0; i < 3; i++) d[i] = LOAD(w + ((size_t)(i * 3 + j) * C + c) * K + k);
    filter_transform(d, o);
    UNROLL for (int i = 0; i < T; i++) t[i][j] = o[i];
  }
  UNROLL for (int i = 0; i < T; i++) {
    floatv o[T];
    filter_transform(t[i], o);
    UNROLL for (int j = 0; j < T; j++) STORE(o[j], u + ((size_t)(i * T + j) * C + c) * K + k);
  }
}

// The filter gradient in the transformed domain: partial [splits][T·T][C][K] = Σ_tiles (Bᵀ d B) ⊗ (A dy Aᵀ). Each work-item sums
// over its share of the tiles, TB at a time, through v [T·T][TB][C] and g [T·T][TB][K] in local memory. Work-items: (splits).
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void winograd_filter_gradient(__global const float *restrict x, __global const float *restrict dy, __global float *restrict partial,
                              __local float *restrict v, __local float *restrict g, int H, int W, int C, int K, int P, int Q,
                              int padTop, int padLeft, int down, int across, int tiles) {
  const int split = get_global_id(0), splits = get_global_size(0);
  const int begin = (int)((long)tiles * split / splits), end = (int)((long)tiles * (split + 1) / splits);
  __global float *sums = partial + (size_t)split * T * T * C * K;
  for (int first = begin; first < end; first += TB) {
    const int count = min(TB, end - first);
    for (int i = 0; i < count; i++) {
      const int tile = first + i, n = tile / (down * across), row = tile / across % down * M, column = tile % across * M;
      transform_input(x + (size_t)n * H * W * C, v + i * C, row - padTop, column - padLeft, H, W, C);
      __global const float *from = dy + (size_t)n * P * Q * K;
      for (int k = 0; k < K; k += VW) {
        floatv t[T][M];
        UNROLL for (int j = 0; j < M; j++) {
          floatv d[M], o[T];
          UNROLL for (int r = 0; r < M; r++) d[r] = pixel(from + k, row + r, column + j, P, Q, K);
          gradient_transform(d, o);
          UNROLL for (int r = 0; r < T; r++) t[r][j] = o[r];
        }
        UNROLL for (int r = 0; r < T; r++) {
          floatv o[T];
          gradient_transform(t[r], o);
          UNROLL for (int j = 0; j < T; j++) STORE(o[j], g + ((size_t)(r * T + j) * TB + i) * K + k);
        }
      }
    }
    for (int p = 0; p < T * T; p++)
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
  floatv t[3][T];
  UNROLL for (int j = 0; j < T; j++) {
    floatv d[T], o[3];
    UNROLL for (int i = 0; i < T; i++) {
      const size_t at = ((size_t)(i * T + j) * C + c) * K + k;
      d[i] = LOAD(partial + at);
      for (int split = 1; split < splits; split++) d[i] += LOAD(partial + (size_t)split * T * T * C * K + at);
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
