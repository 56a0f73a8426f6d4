// Softmax and softmax cross-entropy over logits [N,K], with label smoothing ε:
//
//   loss_n = −Σ_k t_k·log p_k     p = softmax(logits_n)     t = (1−ε)·[k = label] + ε/K
//   d(mean loss)/d logits = (p − t)/N
//
// With MIXED, labels are [N,3] = (first, second, s), and [k = label] becomes s/2^24·[k = first] + (1−s/2^24)·[k = second]. With
// SCALED the gradient is multiplied by the next loss scale. The largest logit is subtracted first, so that nothing overflows.
//
// WEIGHTED gives each class a weight w_k, and the mean is as of PyTorch's CrossEntropyLoss(weight=w, label_smoothing=ε):
//
//   loss = Σ_n Σ_k w_k·t_k·(−log p_k) / D     D = Σ_n Σ_k w_k·[k = label]
//   d loss/d logits = (p·Σ_j w_j·t_j − w·t)/D
//
// [k = label] of mixed labels is as above. The totals are (D, N) over all images. The row of an image is N/D times its term of
// the sum, so that Σ rows / N is the loss. If D is 0, the loss and its gradient are 0.
// Work-items: (N), or (N, ROWS) in work-groups of (1, ROWS), which share a row of logits.
#define VW 1
#include "vector.h"
#include "group.h"
#include "parameters.h"

#ifndef SCALED
#define SCALED 0
#endif

#ifndef MIXED
#define MIXED 0
#endif

#ifndef WEIGHTED
#define WEIGHTED 0
#endif

// Labels of row n (the only one, or the first and the second), and the share of the first one.
#define FIRST(n) labels[MIXED ? (n) * LABEL_COLUMNS + LABEL_FIRST : (n)]
#define SECOND(n) labels[MIXED ? (n) * LABEL_COLUMNS + LABEL_SECOND : (n)]
#define SHARE(n) (MIXED ? (float)labels[(n) * LABEL_COLUMNS + LABEL_SHARE] * (1.0f / WHOLE_SHARE) : 1.0f)

// Weight of the label of row n.
#define LABEL_WEIGHT(n) \
  (MIXED ? SHARE(n) * weights[FIRST(n)] + (1.0f - SHARE(n)) * weights[SECOND(n)] : weights[FIRST(n)])

// Runs the following statement for each element of a row that belongs to this work-item.
#define EACH_CLASS for (int k = GROUP_ROW; k < K; k += ROWS)

// Returns the largest logit of this work-item's share. If the share is empty, it returns some logit of the row, which changes
// nothing.
INLINE float share_maximum(__global const float *row, int K) {
  float top = row[min(GROUP_ROW, K - 1)];
  EACH_CLASS top = fmax(top, row[k]);
  return top;
}

// Computes to = exp(row − top), and returns the sum of this work-item's share.
INLINE float share_exponentials(__global const float *restrict row, __global float *restrict to, float top, int K) {
  float sum = 0.0f;
  EACH_CLASS {
    to[k] = exp(row[k] - top);
    sum += to[k];
  }
  return sum;
}

__kernel IN_GROUPS void softmax(__global const float *restrict logits, __global float *restrict probabilities, int K) {
  SHARED
  const size_t at = get_global_id(0) * (size_t)K;
  __global float *to = probabilities + at;
  const float top = MAXIMUM(share_maximum(logits + at, K));
  const float sum = TOTAL(share_exponentials(logits + at, to, top, K));
  EACH_CLASS to[k] /= sum;
}

// Returns the sum of this work-item's share of the class weights.
INLINE float share_weights(__global const float *restrict weights, int K) {
  float sum = 0.0f;
  EACH_CLASS sum += weights[k];
  return sum;
}

// Computes totals = (Σ_n weight of the label, N). Work-items: (WEIGHT_TOTALS), or one work-group of (LANES, ROWS).
__kernel IN_GROUPS void sum_class_weights(__global const float *restrict weights, __global const int *restrict labels,
                                          __global float *restrict totals, int N) {
  SHARED
  const int i = COLUMN(WEIGHT_TOTALS);
  float sum = 0.0f;
  for (int n = GROUP_ROW; n < N; n += ROWS) sum += i == TOTAL_WEIGHT ? LABEL_WEIGHT(n) : 1.0f;
  sum = TOTAL(sum);
  if (STORES(WEIGHT_TOTALS)) totals[i] = sum;
}

// Computes rows [N][3]: the loss, 1 if the label ranks first (top-1), and 1 if it ranks among the first five (top-5). Mixed
// labels count by their shares. The rank of a label is the number of classes with a larger logit, or with an equal one and a
// lower index. A NaN counts as five such classes, so that no label of the row ranks among the first five.
#define RANKS_BEFORE(k, v, label, mine) (isnan(v) ? 5 : (v) > (mine) || ((v) == (mine) && (k) < (label)))

__kernel IN_GROUPS void cross_entropy(__global const float *restrict logits, __global const int *restrict labels,
                                      __global const float *restrict weights, __global const float *restrict totals,
                                      __global float *restrict rows, const cross_entropy_t loss) {
  SHARED
  const int n = get_global_id(0), K = loss.classes, first = FIRST(n), second = SECOND(n);
  __global const float *row = logits + (size_t)n * K;
  const float top = MAXIMUM(share_maximum(row, K)), share = SHARE(n);
  float sum = 0.0f, deviations = 0.0f;
  int before = 0, beforeSecond = 0;
  EACH_CLASS {
    const float v = row[k];
    sum += exp(v - top);
    deviations += WEIGHTED ? weights[k] * (top - v) : top - v;
    before += RANKS_BEFORE(k, v, first, row[first]);
    if (MIXED) beforeSecond += RANKS_BEFORE(k, v, second, row[second]);
  }
  sum = TOTAL(sum);
  deviations = TOTAL(deviations);
  const float rank = TOTAL((float)before);
  const float rankOfSecond = MIXED ? TOTAL((float)beforeSecond) : rank;
#if WEIGHTED
  const float allWeights = TOTAL(share_weights(weights, K));
#endif
  if (GROUP_ROW > 0) return;
  // −log p_k = log Σexp(v−top) + (top − v_k)
#if WEIGHTED
  const float deviation = share * weights[first] * (top - row[first])
                          + (MIXED ? (1.0f - share) * weights[second] * (top - row[second]) : 0.0f);
  const float whole = (1.0f - loss.smoothing) * LABEL_WEIGHT(n) + loss.smoothing / (float)K * allWeights;
  const float value = whole * log(sum) + (1.0f - loss.smoothing) * deviation + loss.smoothing / (float)K * deviations;
  rows[n * 3] = totals[TOTAL_WEIGHT] > 0.0f ? value * (totals[TOTAL_IMAGES] / totals[TOTAL_WEIGHT]) : 0.0f;
#else
  const float deviation = MIXED ? share * (top - row[first]) + (1.0f - share) * (top - row[second]) : top - row[first];
  rows[n * 3] = log(sum) + (1.0f - loss.smoothing) * deviation + loss.smoothing / (float)K * deviations;
#endif
  rows[n * 3 + 1] = (rank < 1.0f ? share : 0.0f) + (rankOfSecond < 1.0f ? 1.0f - share : 0.0f);
  rows[n * 3 + 2] = (rank < 5.0f ? share : 0.0f) + (rankOfSecond < 5.0f ? 1.0f - share : 0.0f);
}

// Computes metrics[i] += Σ_n rows[n][i]. Work-items: (3), or one work-group of (LANES, ROWS).
__kernel IN_GROUPS void add_metrics(__global const float *restrict rows, __global float *restrict metrics, int N) {
  SHARED
  const int i = COLUMN(3);
  float sum = 0.0f;
  for (int n = GROUP_ROW; n < N; n += ROWS) sum += rows[n * 3 + i];
  sum = TOTAL(sum);
  if (STORES(3)) metrics[i] += sum;
}

// Computes the gradient [N,K] of the mean loss of all images, of which these N may be a part.
__kernel IN_GROUPS void cross_entropy_gradient(__global const float *restrict logits, __global const int *restrict labels,
                                               __global const float *restrict weights, __global const float *restrict totals,
                                               __global const float *restrict scale, __global float *restrict gradient,
                                               const cross_entropy_t loss) {
  SHARED
  const int n = get_global_id(0), K = loss.classes, first = FIRST(n), second = SECOND(n);
  const float share = SHARE(n);
  __global const float *row = logits + (size_t)n * K;
  __global float *to = gradient + (size_t)n * K;
  const float top = MAXIMUM(share_maximum(row, K));
  const float sum = TOTAL(share_exponentials(row, to, top, K));
#if WEIGHTED
  const float allWeights = TOTAL(share_weights(weights, K));
  const float whole = (1.0f - loss.smoothing) * LABEL_WEIGHT(n) + loss.smoothing / (float)K * allWeights;
  const float factor = totals[TOTAL_WEIGHT] > 0.0f ? (SCALED ? scale[SCALE_NEXT] : 1.0f) / totals[TOTAL_WEIGHT] : 0.0f;
#else
  const float factor = (SCALED ? scale[SCALE_NEXT] : 1.0f) / (float)loss.images;
#endif
  EACH_CLASS {
    const float label = (k == first ? share : 0.0f) + (MIXED && k == second ? 1.0f - share : 0.0f);
    const float target = loss.smoothing / (float)K + (1.0f - loss.smoothing) * label;
#if WEIGHTED
    to[k] = (to[k] / sum * whole - weights[k] * target) * factor;
#else
    to[k] = (to[k] / sum - target) * factor;
#endif
  }
}
