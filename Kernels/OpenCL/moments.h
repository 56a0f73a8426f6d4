// Mean and squared deviations of a chunk of values per channel, for the statistics of batch normalization. batch_norm.cl merges
// chunks.
// Needs vector.h and, for shares, group.h.

// Computes the moments of `rows` rows of x [rows,depth], VW channels: to[0] is their mean, to[depth] is Σ(x−mean)², to[2·depth]
// is their number.
//
// Two passes keep the results exact however far the mean is from zero; the rows should stay in a core's cache. The remainder that
// rounding leaves of Σ(x−mean) corrects both results (Chan, Golub, LeVeque 1983, the corrected two-pass algorithm).
INLINE void moments(__global const real *x, int rows, int depth, __global float *to) {
  // Four accumulators take turns, so that no addition waits for the one before it.
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

// Returns the moments of this work-item's share of the rows of x [rows,depth]. Each row is read once: AT_ONCE of them stay in
// registers for both passes. Chan's formula then merges their moments with those of the rows before.
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
