// Softmax and softmax cross-entropy over logits [N,K], with label smoothing ε:
//
//   loss_n = −Σ_k t_k·log p_k     p = softmax(logits_n)     t = (1−ε)·[k = label] + ε/K
//   d(mean loss)/d logits = (p − t)/N
//
// With SCALED the gradient is multiplied by scale[0] (dynamic loss scaling).
// The largest logit is subtracted first, so that nothing overflows.

#ifndef SCALED
#define SCALED 0
#endif

float row_maximum(__global const float *row, int K) {
  float top = row[0];
  for (int k = 1; k < K; k++) top = fmax(top, row[k]);
  return top;
}

// to = softmax(row).
void row_softmax(__global const float *restrict row, __global float *restrict to, int K) {
  const float top = row_maximum(row, K);
  float sum = 0.0f;
  for (int k = 0; k < K; k++) {
    to[k] = exp(row[k] - top);
    sum += to[k];
  }
  for (int k = 0; k < K; k++) to[k] /= sum;
}

// Work-items: (N).
__kernel void softmax(__global const float *restrict logits, __global float *restrict probabilities, int K) {
  const size_t at = get_global_id(0) * (size_t)K;
  row_softmax(logits + at, probabilities + at, K);
}

// rows [N][3]: loss, 1 if the label ranks first, 1 if it ranks among the first five. The rank of a label is the number of
// classes with a larger logit, or an equal one and a lower index; a row with a NaN ranks nowhere. Work-items: (N).
__kernel void cross_entropy(__global const float *restrict logits, __global const int *restrict labels, __global float *restrict rows,
                            int K, float smoothing) {
  const int n = get_global_id(0), label = labels[n];
  __global const float *row = logits + (size_t)n * K;
  const float top = row_maximum(row, K), mine = row[label];
  float sum = 0.0f, deviations = 0.0f;
  int rank = 0, invalid = 0;
  for (int k = 0; k < K; k++) {
    const float v = row[k];
    sum += exp(v - top);
    deviations += top - v;
    rank += v > mine || (v == mine && k < label);
    invalid |= isnan(v);
  }
  // −log p_k = log Σexp(v−top) + (top − v_k)
  rows[n * 3] = log(sum) + (1.0f - smoothing) * (top - mine) + smoothing / (float)K * deviations;
  rows[n * 3 + 1] = !invalid && rank < 1 ? 1.0f : 0.0f;
  rows[n * 3 + 2] = !invalid && rank < 5 ? 1.0f : 0.0f;
}

// metrics[i] += Σ_n rows[n][i], in order. Work-items: (3).
__kernel void add_metrics(__global const float *restrict rows, __global float *restrict metrics, int N) {
  const int i = get_global_id(0);
  float sum = 0.0f;
  for (int n = 0; n < N; n++) sum += rows[n * 3 + i];
  metrics[i] += sum;
}

// gradient [N,K] of the mean loss. Work-items: (N).
__kernel void cross_entropy_gradient(__global const float *restrict logits, __global const int *restrict labels,
                                     __global const float *restrict scale, __global float *restrict gradient, int N, int K, float smoothing) {
  const int n = get_global_id(0), label = labels[n];
  __global float *to = gradient + (size_t)n * K;
  const float factor = (SCALED ? scale[0] : 1.0f) / (float)N;
  row_softmax(logits + (size_t)n * K, to, K);
  for (int k = 0; k < K; k++) {
    const float target = smoothing / (float)K + (k == label ? 1.0f - smoothing : 0.0f);
    to[k] = (to[k] - target) * factor;
  }
}
