// The most multiply-adds a second that a kernel reaches: 24 vectors of sums in registers, each step one multiply-add of every
// vector, nothing read. Two floating-point operations a lane and step. Work-items: any number.
#include "vector.h"

#define SUMS 24

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void peak(__global float *restrict out, int steps, float factor) {
  floatv sum[SUMS];
  UNROLL for (int i = 0; i < SUMS; i++) sum[i] = (floatv)((float)i);
  const floatv a = (floatv)(factor), b = (floatv)(factor * (float)(get_global_id(0) + 1));
  for (int step = 0; step < steps; step++)
    UNROLL for (int i = 0; i < SUMS; i++) sum[i] = FMA(a, b, sum[i]);
  floatv total = sum[0];
  UNROLL for (int i = 1; i < SUMS; i++) total += sum[i];
  STORE(total, out + get_global_id(0) * VW);
}
