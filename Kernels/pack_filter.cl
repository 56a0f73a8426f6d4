// A filter in the order in which a kernel reads it: panels of KB output channels, one behind the other; in each, for one tap after the
// other and one input channel after the other, the KB channels side by side.

#ifndef KB
#define KB 1      // divides the number of output channels
#endif

// packed[((k/KB)·taps + tap)·C·KB + c·KB + k mod KB] = w[tap,c,k] for w [taps,C,K]. Work-items: (K/KB, taps).
__kernel void pack_filter(__global const float *restrict w, __global float *restrict packed, int C, int K) {
  const int panel = get_global_id(0), tap = get_global_id(1), taps = get_global_size(1);
  __global const float *from = w + (size_t)tap * C * K + panel * KB;
  __global float *to = packed + ((size_t)panel * taps + tap) * C * KB;
  for (int c = 0; c < C; c++)
    for (int i = 0; i < KB; i++) to[(size_t)c * KB + i] = from[(size_t)c * K + i];
}

// The filter of one phase of an input gradient, packed: taps rowStart, rowStart + stride, … in reverse order, input and output
// channels exchanged. w [R,S,C,K]; the phase's filter has K input and C output channels and begins at `start`. Panels here are of KB of
// the C channels. Work-items: (C/KB, rows·columns).
//
// Blocks of 16×16 are turned at a time: what is read of one channel's row is a cache line, and so is what is written.
__kernel void pack_turned_filter(__global const float *restrict w, __global float *restrict packed, int S, int C, int K, int start,
                                 int columns, int rowStart, int columnStart, int stride) {
  const int panel = get_global_id(0), tap = get_global_id(1), taps = get_global_size(1);
  const int r = rowStart + stride * (taps / columns - 1 - tap / columns), s = columnStart + stride * (columns - 1 - tap % columns);
  __global const float *from = w + ((size_t)(r * S + s) * C + panel * KB) * K;
  __global float *to = packed + start + ((size_t)panel * taps + tap) * K * KB;
  for (int k = 0; k < K; k += 16)
    for (int c = 0; c < KB; c += 16) {
      if (k + 16 <= K && c + 16 <= KB) {
        float block[16][16];
        for (int i = 0; i < 16; i++)
          for (int j = 0; j < 16; j++) block[j][i] = from[(size_t)(c + i) * K + k + j];
        for (int j = 0; j < 16; j++)
          for (int i = 0; i < 16; i++) to[(size_t)(k + j) * KB + c + i] = block[j][i];
      } else {
        for (int j = k; j < min(k + 16, K); j++)
          for (int i = c; i < min(c + 16, KB); i++) to[(size_t)j * KB + i] = from[(size_t)i * K + j];
      }
    }
}
