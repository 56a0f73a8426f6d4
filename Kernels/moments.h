// Mean and squared deviations of a chunk of values a channel, for the statistics of batch normalisation. batch_norm.cl merges chunks.
// Needs vector.h.

// Rows `first` … of x [rows,depth], VW channels: to[0] their mean, to[depth] Σ(x−mean)², to[2·depth] their number.
//
// Two passes, so that they are exact however far the mean is from zero; the rows should stay in a core's cache. What rounding has left
// of Σ(x−mean) mends both results (Chan, Golub, LeVeque 1983, the corrected two-pass algorithm).
void moments(__global const real *x, int rows, int depth, __global float *to) {
  // Four sums that take turns, so that no addition waits for the one before it.
  floatv s[4], e[4];
  UNROLL for (int i = 0; i < 4; i++) s[i] = e[i] = (floatv)(0.0f);
  int m = 0;
  for (; m + 4 <= rows; m += 4)
    UNROLL for (int i = 0; i < 4; i++) s[i] += LOAD_REAL(x + (size_t)(m + i) * depth);
  for (; m < rows; m++) s[0] += LOAD_REAL(x + (size_t)m * depth);
  const floatv mean = ((s[0] + s[1]) + (s[2] + s[3])) / (float)rows;

  UNROLL for (int i = 0; i < 4; i++) s[i] = (floatv)(0.0f);
#define DEVIATION(i, m)                                         \
  {                                                             \
    const floatv d = LOAD_REAL(x + (size_t)(m) * depth) - mean; \
    e[i] += d;                                                  \
    s[i] = FMA(d, d, s[i]);                                     \
  }
  for (m = 0; m + 4 <= rows; m += 4)
    UNROLL for (int i = 0; i < 4; i++) DEVIATION(i, m + i)
  for (; m < rows; m++) DEVIATION(0, m)
  const floatv rest = ((e[0] + e[1]) + (e[2] + e[3])) / (float)rows;
  STORE(mean + rest, to);
  STORE((s[0] + s[1]) + (s[2] + s[3]) - rest * rest * (float)rows, to + depth);
  STORE((floatv)((float)rows), to + 2 * depth);
}
