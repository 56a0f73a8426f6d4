// Mean and squared deviations of a chunk of values a channel, for the statistics of batch normalisation. batch_norm.cl merges
// chunks.
// Needs vector.h and, for shares, group.h.

// Rows `first` … of x [rows,depth], VW channels: to[0] their mean, to[depth] Σ(x−mean)², to[2·depth] their number.
//
// Two passes, so that they are exact however far the mean is from zero; the rows should stay in a core's cache. What rounding
// has left of Σ(x−mean) mends both results (Chan, Golub, LeVeque 1983, the corrected two-pass algorithm).
INLINE void moments(__global const real *x, int rows, int depth, __global float *to) {
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

#if LANES
typedef struct {
  floatv mean, m2;  // m2 = Σ(x−mean)²
  float rows;
} moments_t;

#define AT_ONCE 8

// What this work-item of a group has of the rows of x [rows,depth]. Read once: AT_ONCE of them stay in registers for both
// passes, and what comes of them joins what was there by Chan's formula.
INLINE moments_t moments_of_share(__global const real *x, int rows, int depth) {
  moments_t all = {(floatv)(0.0f), (floatv)(0.0f), 0.0f};
  for (int m = GROUP_ROW; m < rows; m += AT_ONCE * ROWS) {
    const int count = min(AT_ONCE, (rows - m + ROWS - 1) / ROWS);
    floatv v[AT_ONCE], sum = (floatv)(0.0f), m2 = (floatv)(0.0f);
    UNROLL for (int i = 0; i < AT_ONCE; i++) {
      v[i] = i < count ? LOAD_REAL(x + (size_t)(m + i * ROWS) * depth) : (floatv)(0.0f);
      sum += v[i];
    }
    const floatv mean = sum / (float)count, d = mean - all.mean;
    UNROLL for (int i = 0; i < AT_ONCE; i++) {
      const floatv deviation = i < count ? v[i] - mean : (floatv)(0.0f);
      m2 = FMA(deviation, deviation, m2);
    }
    const float before = all.rows, share = (float)count / (before + (float)count);
    all.mean = FMA(d, (floatv)(share), all.mean);
    all.m2 += FMA(d * d, (floatv)(before * share), m2);
    all.rows = before + (float)count;
  }
  return all;
}
#endif
