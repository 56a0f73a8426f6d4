// Updates of weights: steps of optimizers over flat arrays, moving averages, norms, loss scales and step guards. Work-items are
// those of elements.h, unless stated otherwise.
#include "elements.h"
#include "parameters.h"

#ifndef SCALED
#define SCALED 0    // 1: gradients carry a loss scale
#endif
#ifndef CLIPPED
#define CLIPPED 0   // 1: the norm of all gradients is clipped
#endif
#ifndef ADAPTED
#define ADAPTED 0   // 1: a tensor's learning rate depends on its norm and on its gradient's norm (LARS)
#endif
#ifndef NESTEROV
#define NESTEROV 0
#endif

// Returns the number by which gradients are multiplied: `factor`, divided by the loss scale, and reduced if their norm would be
// above `largestNorm`. norms[0] is the sum of the squares of all gradients as they are stored.
INLINE float gradient_factor(__global const float *scale, __global const float *norms, gradient_use_t use) {
  const float factor = SCALED ? use.factor / scale[SCALE_CURRENT] : use.factor;
  return CLIPPED ? factor * fmin(1.0f, use.largestNorm / (sqrt(norms[0]) * fabs(factor) + 1e-6f)) : factor;
}

// Computes g = factor·gradient + decay·w; v = momentum·v + g; w −= rate·(NESTEROV ? g + momentum·v : v). With SCALED it does
// nothing if a NaN or an infinity was found. With ADAPTED g is multiplied by trust·‖w‖ / (‖factor·gradient‖ + decay·‖w‖). The
// squares of these norms are those at norms[rule.norms], for the gradient and then for w; if one of them is 0, the multiplier is
// 1.
__kernel IN_GROUPS void sgd_step(__global float *w, __global const float *gradient, __global float *velocity,
                                 __global const float *scale, __global const float *norms, int vectors, const sgd_t rule) {
  if (SCALED && scale[SCALE_IS_FINITE] == 0.0f) return;
  const float factor = gradient_factor(scale, norms, rule.use);
  __global const float *squares = norms + rule.norms;
  float adaptation = 1.0f;
  if (ADAPTED && squares[0] > 0.0f && squares[1] > 0.0f) {
    const float norm = sqrt(squares[1]);
    adaptation = rule.trust * norm / (sqrt(squares[0]) * fabs(factor) + rule.decay * norm);
  }
  EACH_VECTOR {
    const floatv x = LOAD(w + i);
    floatv g = FMA((floatv)(rule.decay), x, LOAD(gradient + i) * factor);
    if (ADAPTED) g *= adaptation;
    const floatv v = FMA((floatv)(rule.momentum), LOAD(velocity + i), g);
    STORE(v, velocity + i);
    const floatv step = NESTEROV ? FMA((floatv)(rule.momentum), v, g) : v;
    STORE(FMA((floatv)(-rule.rate), step, x), w + i);
  }
}

// Computes g = factor·gradient; m = β1·m + (1−β1)·g; s = β2·s + (1−β2)·g²; w = (1 − rate·decay)·w − rate·m̂ / (√ŝ + epsilon). m̂
// and ŝ are m and s divided by 1 − βᵗ at the t-th step that was not left out.
__kernel IN_GROUPS void adamw_step(__global float *w, __global const float *gradient, __global float *mean,
                                   __global float *square, __global const float *scale, __global const float *norms, int vectors,
                                   const adamw_t rule) {
  if (SCALED && scale[SCALE_IS_FINITE] == 0.0f) return;
  const float factor = gradient_factor(scale, norms, rule.use);
  const float steps = (float)rule.step - (SCALED ? scale[SCALE_SKIPPED] : 0.0f);
  // 1 − pow(β, steps) would lose most digits.
  const float bias1 = -expm1(steps * rule.log1), bias2 = sqrt(-expm1(steps * rule.log2));
  EACH_VECTOR {
    const floatv g = LOAD(gradient + i) * factor;
    const floatv m = LOAD(mean + i), s = LOAD(square + i), x = LOAD(w + i);
    const floatv nextMean = FMA((floatv)(rule.rest1), g - m, m), nextSquare = FMA((floatv)(rule.rest2), g * g - s, s);
    STORE(nextMean, mean + i);
    STORE(nextSquare, square + i);
    const floatv step = nextMean / bias1 / (sqrt(nextSquare) / bias2 + rule.epsilon);
    STORE(FMA((floatv)(-rule.rate), step, FMA((floatv)(-rule.rate * rule.decay), x, x)), w + i);
  }
}

// Computes average += share·(x − average).
__kernel IN_GROUPS void move_average(__global const float *x, __global float *average, int vectors, float share) {
  EACH_VECTOR {
    const floatv a = LOAD(average + i);
    STORE(FMA((floatv)(share), LOAD(x + i) - a, a), average + i);
  }
}

// Computes partial [blocks,VW]: Σ x² over each block's part, lane by lane. Work-items: (1, blocks), or as many work-groups of (1,
// ROWS).
__kernel IN_GROUPS void sum_squares(__global const float *restrict x, __global float *restrict partial, int vectors) {
  SHARED
  floatv sum = (floatv)(0.0f);
  EACH_VECTOR {
    const floatv v = LOAD(x + i);
    sum = FMA(v, v, sum);
  }
  sum = TOTAL(sum);
  if (GROUP_ROW == 0) STORE(sum, partial + BLOCK * VW);
}

// Computes norms[at] = Σ partial. Needs VW 1. Work-items: (1), or a work-group of (1, ROWS).
__kernel IN_GROUPS void add_squares(__global const float *restrict partial, __global float *restrict norms, int count, int at) {
  SHARED
  floatv sum = (floatv)(0.0f);
  for (int i = GROUP_ROW; i < count; i += ROWS) sum += LOAD(partial + i);
  sum = TOTAL(sum);
  if (GROUP_ROW == 0) STORE(sum, norms + at);
}

// Computes partial [blocks,VW], lane by lane: 1 if a block's part of the gradients has a NaN or an infinity, otherwise 0.
// Work-items: (1, blocks), or as many work-groups of (1, ROWS).
__kernel IN_GROUPS void find_infinities(__global const float *gradient, __global float *partial, int vectors) {
  SHARED
  intv found = (intv)(0);
  EACH_VECTOR {
    const floatv v = LOAD(gradient + i);
    found |= !(fabs(v) <= FLT_MAX);
  }
  const floatv most = MAXIMUM(found ? (floatv)(1.0f) : (floatv)(0.0f));
  if (GROUP_ROW == 0) STORE(most, partial + BLOCK * VW);
}

// Puts the next scale into use and chooses the one after it: half if a NaN or an infinity was found, twice after `interval` steps
// without one. Needs VW 1. Work-items: (1), or a work-group of (1, ROWS).
__kernel IN_GROUPS void update_loss_scale(__global const float *restrict partial, __global float *restrict scale, int count,
                                          int interval) {
  SHARED
  floatv most = (floatv)(0.0f);
  for (int i = GROUP_ROW; i < count; i += ROWS) most = fmax(most, (floatv)(partial[i]));
  const int found = ANY(MAXIMUM(most) > 0.0f);
  if (GROUP_ROW > 0) return;
  const float next = scale[SCALE_NEXT];
  const int steps = found ? 0 : (int)scale[SCALE_STEPS] + 1, isGrowing = steps >= interval;
  scale[SCALE_CURRENT] = next;
  scale[SCALE_IS_FINITE] = found ? 0.0f : 1.0f;
  scale[SCALE_NEXT] = found ? next * 0.5f : isGrowing ? next * 2.0f : next;
  scale[SCALE_STEPS] = isGrowing ? 0.0f : (float)steps;
  if (found) scale[SCALE_SKIPPED] += 1.0f;
}

// Decides whether a step is taken. It is at fault if the sum of the losses, metrics[0], or a running statistic is a NaN or an
// infinity, or if a gradient is although the loss scale does not enlarge it. Then, and once the guard is closed, it is left out:
// the sum of the losses becomes NaN, and the loss scale counts the step among those that are left out. The partial results are
// those of find_infinities. With SCALED there are none about gradients, as update_loss_scale has checked them. Needs VW 1.
// Work-items: (1), or a work-group of (1, ROWS).
__kernel IN_GROUPS void guard_step(__global const float *gradients, __global const float *statistics, __global float *scale,
                                   __global float *guard, __global float *metrics, const guard_t counts) {
  SHARED
  floatv most = (floatv)(0.0f), mostStatistics = (floatv)(0.0f);
  for (int i = GROUP_ROW; i < counts.gradients; i += ROWS) most = fmax(most, (floatv)(gradients[i]));
  for (int i = GROUP_ROW; i < counts.statistics; i += ROWS) mostStatistics = fmax(mostStatistics, (floatv)(statistics[i]));
  const int isFound = ANY(MAXIMUM(most) > 0.0f), isFoundInStatistics = ANY(MAXIMUM(mostStatistics) > 0.0f);
  if (GROUP_ROW > 0) return;
  const int isFinite = SCALED ? scale[SCALE_IS_FINITE] != 0.0f : !isFound;
  const int isFault = !(fabs(metrics[0]) <= FLT_MAX) || isFoundInStatistics || (!isFinite && scale[SCALE_CURRENT] <= 1.0f);
  const float row = isFault ? guard[GUARD_ROW] + 1.0f : 0.0f;
  const int wasOpen = guard[GUARD_IS_OPEN] != 0.0f, isLeftOut = isFault || !wasOpen;
  guard[GUARD_IS_LEFT_OUT] = isLeftOut ? 1.0f : 0.0f;
  guard[GUARD_IS_OPEN] = wasOpen && row < (float)counts.limit ? 1.0f : 0.0f;
  guard[GUARD_ROW] = row;
  if (isLeftOut) metrics[0] = NAN;
  if (isLeftOut && (!SCALED || isFinite)) scale[SCALE_SKIPPED] += 1.0f;
  if (isLeftOut || !SCALED) scale[SCALE_IS_FINITE] = isLeftOut ? 0.0f : 1.0f;
}

// Copies x to y if flags[at] is not 0.
__kernel IN_GROUPS void copy_if(__global const float *x, __global float *y, __global const float *flags, int vectors, int at) {
  if (flags[at] == 0.0f) return;
  EACH_VECTOR STORE(LOAD(x + i), y + i);
}
