// Filter gradient of a convolution, register-tiled, without atomics: images are split over work-items in a fixed way, each writes
// its own partial sum, and a second kernel adds these in order.
//
//   dw[r,s,c,k] = Σ_{n,p,q} x[n, p·STRIDE + r − pad, q·STRIDE + s − pad, c] · dy[n,p,q,k]
//
//   x [N,H,W,C], dy [N,P,Q,K], partial [splits][R,S,C,K]
//
// Work-items: (R·S · C/TI · K/(VW·TC), splits), each its own work-group. A work-item owns one tap, TI input channels and TC·VW
// output channels in registers, and walks over the output pixels whose input pixel for this tap lies inside the image. TU sets of
// registers take turns where TI·TC alone would leave the adders waiting for each other.
//
// The host chooses: TI divides C; VW·TC divides K.
#include "vector.h"

#ifndef STRIDE
#define STRIDE 1
#endif
#ifndef TI
#define TI 1      // tile: input channels
#endif
#ifndef TC
#define TC 1      // tile: vectors of output channels
#endif
#ifndef TU
#define TU 1      // register sets
#endif

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void filter_gradient(__global const float *restrict x, __global const float *restrict dy, __global float *restrict partial, int N,
                     int H, int W, int C, int K, int P, int Q, int R, int S, int pad) {
  const int kBlocks = K / (VW * TC), cBlocks = C / TI;
  const int id = get_global_id(0), split = get_global_id(1), splits = get_global_size(1);
  const int k = id % kBlocks * VW * TC, c = id / kBlocks % cBlocks * TI, tap = id / (kBlocks * cBlocks);
  const int r = tap / S, s = tap % S;
  // Output rows and columns whose input pixel exists: 0 ≤ p·STRIDE + r − pad < H.
  const int p0 = max(0, (pad - r + STRIDE - 1) / STRIDE), p1 = H + pad - r <= 0 ? 0 : min(P, (H + pad - r - 1) / STRIDE + 1);
  const int q0 = max(0, (pad - s + STRIDE - 1) / STRIDE), q1 = W + pad - s <= 0 ? 0 : min(Q, (W + pad - s - 1) / STRIDE + 1);

  floatv sum[TU][TI][TC];
  UNROLL for (int u = 0; u < TU; u++)
    UNROLL for (int i = 0; i < TI; i++)
      UNROLL for (int t = 0; t < TC; t++) sum[u][i][t] = (floatv)(0.0f);

#define PIXEL(u, q)                                                                     \
  {                                                                                     \
    floatv g[TC];                                                                       \
    UNROLL for (int t = 0; t < TC; t++) g[t] = LOAD(dyRow + (q) * K + t * VW);          \
    UNROLL for (int i = 0; i < TI; i++) {                                               \
      const floatv v = (floatv)(xRow[(q) * STRIDE * C + i]);                            \
      UNROLL for (int t = 0; t < TC; t++) sum[u][i][t] = FMA(v, g[t], sum[u][i][t]);    \
    }                                                                                   \
  }

  const int n0 = (int)((long)N * split / splits), n1 = (int)((long)N * (split + 1) / splits);
  for (int n = n0; n < n1; n++)
    for (int p = p0; p < p1; p++) {
      __global const float *xRow = x + (((long)n * H + p * STRIDE + r - pad) * W + s - pad) * C + c;
      __global const float *dyRow = dy + ((long)n * P + p) * Q * K + k;
      int q = q0;
      for (; q + TU <= q1; q += TU)
        UNROLL for (int u = 0; u < TU; u++) PIXEL(u, q + u)
#if TU > 1
      for (; q < q1; q++) PIXEL(0, q)
#endif
    }

  __global float *to = partial + (((long)split * R * S + tap) * C + c) * K + k;
  UNROLL for (int i = 0; i < TI; i++)
    UNROLL for (int t = 0; t < TC; t++) {
      UNROLL for (int u = 1; u < TU; u++) sum[0][i][t] += sum[u][i][t];
      STORE(sum[0][i][t], to + i * K + t * VW);
    }
}

// dw[i] = Σ_split partial[split][i], in order. Work-items: (count / VW).
__kernel void add_splits(__global const float *restrict partial, __global float *restrict dw, int count, int splits) {
  const int i = get_global_id(0) * VW;
  floatv sum = LOAD(partial + i);
  for (int split = 1; split < splits; split++) sum += LOAD(partial + (long)split * count + i);
  STORE(sum, dw + i);
}
