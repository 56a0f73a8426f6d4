// Common parts of the forms of Winograd's convolution: the transforms, and moving tiles between tensors and scratch memory.
//
// 3×3 convolution of stride 1 by Winograd's minimal filtering F(M×M, 3×3) (Lavin & Gray, "Fast algorithms for convolutional
// neural networks", CVPR 2016): (M+2)² multiplications per tile of M×M outputs instead of 9·M². M is 2 or 4.
//
//   Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A       d: T×T inputs, T = M+2, g: 3×3 filter, Y: M×M outputs, summed over input channels
//
// The matrices come from Toom and Cook's interpolation. For M = 2 its points are 0, ±1 and infinity:
//
//   Bᵀ = -1  0  1  0     G = -1    0    0      Aᵀ = 1  1  1  0
//         0  1  1  0         1/2  1/2  1/2          0  1 -1  1
//         0 -1  1  0         1/2 -1/2  1/2
//         0 -1  0  1          0    0    1
//
// For M = 4 its points are 0, ±a, ±b and infinity:
//
//   Bᵀ = a²b²   0   −a²−b²    0     1  0     G = 1/a²b²                        Aᵀ = 1  1   1   1   1  0
//         0   −ab²   −b²      a     1  0         (1,  a, a²) / 2a²(a²−b²)           0  a  −a   b  −b  0
//         0    ab²   −b²     −a     1  0         (1, −a, a²) / 2a²(a²−b²)           0  a²  a²  b²  b²  0
//         0   −a²b   −a²      b     1  0         (1,  b, b²) / 2b²(b²−a²)           0  a³ −a³  b³ −b³ 1
//         0    a²b   −a²     −b     1  0         (1, −b, b²) / 2b²(b²−a²)
//         0   a²b²    0    −a²−b²   0  1          0   0   1
//
// Rounding errors over 64 channels: with M = 2 they are 3e-7, no more than those of the direct sum. For M = 4 the points a = 3/4
// and b = 3/2 give 8e-7, half of what the usual 1 and 2 give (Barabasz et al., "Error analysis and improving the accuracy of
// Winograd convolution", 2020).
//
// With PAIRS (factors.h) the transformed inputs, filters and output gradients are rounded. The terms of a factor are neighboring
// channels. In the filter gradient they belong to neighboring tiles, and a slot is a group of TERMS tiles. Rounding errors of
// factors grow by 5/3 with M = 2, and by five with M = 4, which leaves too little of 8 bits.
//
// Scratch memory holds the points of all transformed tiles: [T·T][slots][PITCH] for inputs, [T·T][slots][GPITCH] for output
// gradients, [slots][T·T][channels] for products. It is local memory (SCRATCH __local) or a buffer (SCRATCH __global).
// Transformed filters lie in panels of KB = VW·TC output channels, [T·T][panels][C][KB], so that a product reads its panel from
// one end to the other.
#include "vector.h"
#include "factors.h"
#include "epilogue.h"
#include "parameters.h"

#ifndef SCRATCH
#define SCRATCH __global
#endif
#ifndef M
#define M 2       // side of a tile in outputs
#endif
#ifndef TR
#define TR 4      // register tile of the products: number of tiles
#endif
#ifndef TC
#define TC 1      // register tile: number of vectors of output channels
#endif
#ifndef TI
#define TI 1      // register tile of the filter gradient: number of input channels
#endif
#ifndef GRADIENT
#define GRADIENT 0  // 1: for the filter gradient, whose terms are tiles instead of channels
#endif

// Every kernel takes the shape as an argument. If the host defines constants for some of its sizes, the constants are used.
#ifndef C
#define C shape.c                   // input channels
#endif
#ifndef K
#define K shape.k                   // output channels
#endif
#ifndef PITCH
#define PITCH shape.inputPitch      // factors between neighboring slots of the transformed inputs
#endif
#ifndef GPITCH
#define GPITCH shape.gradientPitch  // factors between neighboring slots of the transformed output gradients
#endif
#ifndef TB
#define TB shape.slotsAtOnce        // slots that a work-item holds at a time
#endif

#define KB (VW * TC)
#define T (M + 2)
#define SLOT (GRADIENT ? TERMS : 1)  // tiles of a slot

#if M == 2

// Computes o = Bᵀ d, four vectors to four.
INLINE void input_transform(const floatv *d, floatv *o) {
  o[0] = d[2] - d[0];
  o[1] = d[2] + d[1];
  o[2] = d[2] - d[1];
  o[3] = d[3] - d[1];
}

// Computes o = Aᵀ d, four vectors to two.
INLINE void output_transform(const floatv *d, floatv *o) {
  o[0] = d[0] + (d[1] + d[2]);
  o[1] = (d[1] - d[2]) + d[3];
}

// Computes o = A d, two vectors to four.
INLINE void gradient_transform(const floatv *d, floatv *o) {
  o[0] = d[0];
  o[1] = d[0] + d[1];
  o[2] = d[0] - d[1];
  o[3] = d[1];
}

// Computes o = G d, three vectors to four.
INLINE void filter_transform(const floatv *d, floatv *o) {
  const floatv a = 0.5f * (d[0] + d[2]), b = 0.5f * d[1];
  o[0] = -d[0];
  o[1] = a + b;
  o[2] = a - b;
  o[3] = d[2];
}

// Computes o = Gᵀ d, four vectors to three.
INLINE void filter_gradient_transform(const floatv *d, floatv *o) {
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

// Computes o = Bᵀ d, six vectors to six.
INLINE void input_transform(const floatv *d, floatv *o) {
  const floatv a = SCALED(-B2, d[2], d[4]), b = A1 * SCALED(-B2, d[1], d[3]);
  const floatv e = SCALED(-A2, d[2], d[4]), f = B1 * SCALED(-A2, d[1], d[3]);
  o[0] = SCALED(A2 * B2, d[0], SCALED(-A2 - B2, d[2], d[4]));
  o[1] = a + b;
  o[2] = a - b;
  o[3] = e + f;
  o[4] = e - f;
  o[5] = SCALED(A2 * B2, d[1], SCALED(-A2 - B2, d[3], d[5]));
}

// Computes o = Aᵀ d, six vectors to four.
INLINE void output_transform(const floatv *d, floatv *o) {
  const floatv a = d[1] + d[2], b = d[1] - d[2], e = d[3] + d[4], f = d[3] - d[4];
  o[0] = d[0] + a + e;
  o[1] = SCALED(A1, b, B1 * f);
  o[2] = SCALED(A2, a, B2 * e);
  o[3] = SCALED(A1 * A2, b, SCALED(B1 * B2, f, d[5]));
}

// Computes o = A d, four vectors to six.
INLINE void gradient_transform(const floatv *d, floatv *o) {
  const floatv a = SCALED(A2, d[2], d[0]), b = A1 * SCALED(A2, d[3], d[1]);
  const floatv e = SCALED(B2, d[2], d[0]), f = B1 * SCALED(B2, d[3], d[1]);
  o[0] = d[0];
  o[1] = a + b;
  o[2] = a - b;
  o[3] = e + f;
  o[4] = e - f;
  o[5] = d[3];
}

// Computes o = G d, three vectors to six.
INLINE void filter_transform(const floatv *d, floatv *o) {
  const floatv a = FA * SCALED(A2, d[2], d[0]), b = (FA * A1) * d[1];
  const floatv e = FB * SCALED(B2, d[2], d[0]), f = (FB * B1) * d[1];
  o[0] = F0 * d[0];
  o[1] = a + b;
  o[2] = a - b;
  o[3] = e + f;
  o[4] = e - f;
  o[5] = d[2];
}

// Computes o = Gᵀ d, six vectors to three.
INLINE void filter_gradient_transform(const floatv *d, floatv *o) {
  const floatv a = FA * (d[1] + d[2]), b = FA * (d[1] - d[2]), e = FB * (d[3] + d[4]), f = FB * (d[3] - d[4]);
  o[0] = SCALED(F0, d[0], a + e);
  o[1] = SCALED(A1, b, B1 * f);
  o[2] = SCALED(A2, a, SCALED(B2, e, d[5]));
}

#endif

// Position of a tile: its image, and its first output row and column. Tiles are numbered through images, rows and columns.
typedef struct {
  int n, row, column;
} place_t;

INLINE place_t place(int tile, winograd_t shape) {
  const int down = shape.down, across = shape.across;
  const place_t at = {tile / (down * across), tile / across % down * M, tile % across * M};
  return at;
}

// Prefetches the p-th of T·T shares of those pixels of x [N,H,W,depth] that belong only to the tiles of TB slots, from tile
// `first` on, up to tile `last`.
INLINE void expect_tiles(__global const real *x, int p, int first, int last, int H, int W, int depth, winograd_t shape) {
  for (int i = TB * SLOT * M * p / (T * T); i < TB * SLOT * M * (p + 1) / (T * T); i++) {
    if (first + i / M >= last) return;
    const place_t at = place(first + i / M, shape);
    __global const real *row = x + (((size_t)at.n * H + min(at.row + i % M, H - 1)) * W + at.column) * depth;
    for (int j = 0; j < M * depth; j += 64 / sizeof(real)) PREFETCH(row + j);
  }
}

// Returns VW channels of pixel (h, w) of an image [H,W,depth], zero outside the image.
INLINE floatv pixel(__global const real *image, int h, int w, int H, int W, int depth) {
  return h >= 0 && h < H && w >= 0 && w < W ? LOAD_REAL(image + ((size_t)h * W + w) * depth) : (floatv)(0.0f);
}

// Computes o = Bᵀ d B for VW channels; x [N,H,W,C] is at the first of them.
INLINE void input_points(__global const real *x, place_t at, winograd_t shape, floatv o[T][T]) {
  const int H = shape.h, W = shape.w, h0 = at.row - shape.padTop, w0 = at.column - shape.padLeft;
  const int inside = h0 >= 0 && h0 + T <= H && w0 >= 0 && w0 + T <= W;
  __global const real *image = x + (size_t)at.n * H * W * C;
  floatv t[T][T];
  UNROLL for (int j = 0; j < T; j++) {
    floatv d[T], column[T];
    if (inside) {
      UNROLL for (int i = 0; i < T; i++) d[i] = LOAD_REAL(image + ((size_t)(h0 + i) * W + w0 + j) * C);
    } else {
      UNROLL for (int i = 0; i < T; i++) d[i] = pixel(image, h0 + i, w0 + j, H, W, C);
    }
    input_transform(d, column);
    UNROLL for (int i = 0; i < T; i++) t[i][j] = column[i];
  }
  UNROLL for (int i = 0; i < T; i++) input_transform(t[i], o[i]);
}

// Computes o = A dy Aᵀ for VW channels; dy [N,P,Q,K] is at the first of them.
INLINE void gradient_points(__global const real *dy, place_t at, winograd_t shape, floatv o[T][T]) {
  const int P = shape.p, Q = shape.q;
  __global const real *image = dy + (size_t)at.n * P * Q * K;
  floatv t[T][M];
  UNROLL for (int j = 0; j < M; j++) {
    floatv d[M], column[T];
    UNROLL for (int i = 0; i < M; i++) d[i] = pixel(image, at.row + i, at.column + j, P, Q, K);
    gradient_transform(d, column);
    UNROLL for (int i = 0; i < T; i++) t[i][j] = column[i];
  }
  UNROLL for (int i = 0; i < T; i++) gradient_transform(t[i], o[i]);
}

#define EACH_POINT UNROLL for (int i = 0; i < T; i++) UNROLL for (int j = 0; j < T; j++)

// Stores v[position][·]: the points of the first `channels` channels of a slot's tiles, `step` factors between positions, with
// zeros for tiles that do not exist.
INLINE void load_input(__global const real *x, SCRATCH factor *v, int slot, size_t step, int channels, winograd_t shape) {
  for (int c = 0; c < channels; c += VW) {
    floatv o[SLOT][T][T];
    UNROLL for (int term = 0; term < SLOT; term++) {
      const int tile = slot * SLOT + term;
      if (tile < shape.tiles) {
        input_points(x + c, place(tile, shape), shape, o[term]);
      } else {
        EACH_POINT o[term][i][j] = (floatv)(0.0f);
      }
    }
#if GRADIENT
    EACH_POINT STORE(JOIN_TERMS(o, [i][j]), v + (i * T + j) * step + c);
#else
    EACH_POINT STORE_TERMS(o[0][i][j], v + (i * T + j) * step + c / TERMS);
#endif
  }
}

// Stores g[position][·], the same for output gradients.
INLINE void load_gradient(__global const real *dy, SCRATCH factor *g, int slot, size_t step, int channels, winograd_t shape) {
  for (int k = 0; k < channels; k += VW) {
    floatv o[TERMS][T][T];
    UNROLL for (int term = 0; term < TERMS; term++) {
      const int tile = slot * TERMS + term;
      if (tile < shape.tiles) {
        gradient_points(dy + k, place(tile, shape), shape, o[term]);
      } else {
        EACH_POINT o[term][i][j] = (floatv)(0.0f);
      }
    }
    EACH_POINT STORE(JOIN_TERMS(o, [i][j]), g + (i * T + j) * step + k);
  }
}

// Computes m[slot][·] = Σ_c v[slot][c] · u[c][·] at one position, for TR slots and a panel of u, with `step` floats between slots
// of m.
INLINE void multiply(SCRATCH const factor *v, __global const factor *u, SCRATCH float *m, size_t step, winograd_t shape) {
  floatv sum[TR][TC];
  UNROLL for (int i = 0; i < TR; i++)
    UNROLL for (int t = 0; t < TC; t++) sum[i][t] = (floatv)(0.0f);
  for (int c = 0; c < FACTORS(C); c++) {
    factorv f[TC];
    UNROLL for (int t = 0; t < TC; t++) f[t] = LOAD(u + c * KB + t * VW);
    UNROLL for (int i = 0; i < TR; i++) {
      const factorv a = (factorv)(v[i * PITCH + c]);
      UNROLL for (int t = 0; t < TC; t++) sum[i][t] = MULTIPLY_ADD(a, f[t], sum[i][t]);
    }
  }
  UNROLL for (int i = 0; i < TR; i++)
    UNROLL for (int t = 0; t < TC; t++) STORE(sum[i][t], m + i * step + t * VW);
}

// Computes y = Aᵀ m A for channels [first, first + channels) of the tile at `at`, and applies the epilogue of epilogue.h. There
// are `step` floats between positions of m.
// Outputs beyond the last row or column are dropped.
INLINE void store_output(SCRATCH const float *m, epilogue_t to, place_t at, size_t step, int first, int channels,
                         winograd_t shape) {
  const int P = shape.p, Q = shape.q;
  const size_t corner = (((size_t)at.n * P + at.row) * Q + at.column) * K;
  const int rows = min(M, P - at.row), columns = min(M, Q - at.column);
  for (int k = 0; k < channels; k += VW) {
    floatv s[M][T];
    UNROLL for (int j = 0; j < T; j++) {
      floatv d[T], o[M];
      UNROLL for (int i = 0; i < T; i++) d[i] = LOAD(m + (i * T + j) * step + k);
      output_transform(d, o);
      UNROLL for (int i = 0; i < M; i++) s[i][j] = o[i];
    }
    UNROLL for (int i = 0; i < M; i++) {
      floatv o[M];
      output_transform(s[i], o);
      UNROLL for (int j = 0; j < M; j++)
        if (i < rows && j < columns) finish(to, corner + ((size_t)i * Q + j) * K + first + k, first + k, o[j]);
    }
  }
}

// Computes sums[c…][k…] (+)= Σ_slot v[slot][c…] · g[slot][k…] at one position, for TI input channels and TC vectors. Rows of sums
// are `channels` long.
INLINE void multiply_gradient(SCRATCH const factor *v, SCRATCH const factor *g, __global float *sums, int channels, int slots,
                              int isFirst, winograd_t shape) {
  floatv sum[TI][TC];
  UNROLL for (int i = 0; i < TI; i++)
    UNROLL for (int t = 0; t < TC; t++) sum[i][t] = (floatv)(0.0f);
  for (int slot = 0; slot < slots; slot++) {
    factorv f[TC];
    UNROLL for (int t = 0; t < TC; t++) f[t] = LOAD(g + (size_t)slot * GPITCH + t * VW);
    UNROLL for (int i = 0; i < TI; i++) {
      const factorv a = (factorv)(v[(size_t)slot * PITCH + i]);
      UNROLL for (int t = 0; t < TC; t++) sum[i][t] = MULTIPLY_ADD(a, f[t], sum[i][t]);
    }
  }
  UNROLL for (int i = 0; i < TI; i++)
    UNROLL for (int t = 0; t < TC; t++) {
      __global float *to = sums + (size_t)i * channels + t * VW;
      STORE(isFirst ? sum[i][t] : LOAD(to) + sum[i][t], to);
    }
}

// Computes u[position] = G g Gᵀ for VW output channels and the TERMS input channels of a factor, which begin at w in [3,3,C,K],
// with `step` factors between positions.
INLINE void load_filter(__global const float *w, __global factor *u, size_t step, winograd_t shape) {
  floatv o[TERMS][T][T];
  UNROLL for (int term = 0; term < TERMS; term++) {
    floatv t[T][3];
    UNROLL for (int j = 0; j < 3; j++) {
      floatv d[3], column[T];
      UNROLL for (int r = 0; r < 3; r++) d[r] = LOAD(w + (size_t)(r * 3 + j) * C * K + term * K);
      filter_transform(d, column);
      UNROLL for (int r = 0; r < T; r++) t[r][j] = column[r];
    }
    UNROLL for (int i = 0; i < T; i++) filter_transform(t[i], o[term][i]);
  }
  EACH_POINT STORE(JOIN_TERMS(o, [i][j]), u + (i * T + j) * step);
}

// Computes dw = Gᵀ (Σ_split sums) G for VW output channels of an input channel, which begin at dw in [3,3,C,K]. The splits are
// added in order. There are `step` floats between positions of the sums, and T·T·step between splits.
INLINE void store_filter_gradient(__global const float *sums, __global float *dw, size_t step, int splits, winograd_t shape) {
  floatv t[3][T];
  UNROLL for (int j = 0; j < T; j++) {
    floatv d[T], o[3];
    UNROLL for (int i = 0; i < T; i++) {
      __global const float *from = sums + (i * T + j) * step;
      d[i] = LOAD(from);
      for (int split = 1; split < splits; split++) d[i] += LOAD(from + split * (T * T * step));
    }
    filter_gradient_transform(d, o);
    UNROLL for (int i = 0; i < 3; i++) t[i][j] = o[i];
  }
  UNROLL for (int i = 0; i < 3; i++) {
    floatv o[3];
    filter_gradient_transform(t[i], o);
    UNROLL for (int j = 0; j < 3; j++) STORE(o[j], dw + (size_t)(i * 3 + j) * C * K);
  }
}
