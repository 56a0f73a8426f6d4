// Peak arithmetic and peak copies of a device, for the roofline of `resnet bench kernels`.
#include "vector.h"
#include "factors.h"

#ifndef SUMS
#define SUMS 12    // vectors of accumulators: enough to hide the latency of a multiply-add, few enough for registers
#endif
#ifndef BLOCKS
#define BLOCKS 0   // 1: a work-item copies a block of consecutive vectors
#endif

// Updates SUMS vectors of accumulators in registers. Each step is one multiply-add of every vector, and nothing is read. Each
// step depends on the sum before it, so that the compiler can move no part of it out of the loop. Two floating-point operations
// count per lane, step and term of a factor.
// Work-items: any number.
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void multiply_add(__global float *restrict out, int steps, float factor, float term) {
  floatv sum[SUMS];
  UNROLL for (int i = 0; i < SUMS; i++) sum[i] = (floatv)((float)i);
  const floatv a = (floatv)(factor), b = (floatv)(term * (float)(get_global_id(0) + 1));
  for (int step = 0; step < steps; step++)
#if PAIRS
    UNROLL for (int i = 0; i < SUMS; i++) sum[i] = MULTIPLY_ADD(pairs(a, a), pairs(b, b), sum[i]);
#else
    UNROLL for (int i = 0; i < SUMS; i++) sum[i] = FMA(sum[i], a, b);
#endif
  floatv total = sum[0];
  UNROLL for (int i = 1; i < SUMS; i++) total += sum[i];
  STORE(total, out + get_global_id(0) * VW);
}

// Copies `from` to `to`. Work-items: with BLOCKS, which suits CPUs, any number; without it as many as vectors.
__kernel void copy(__global const float *restrict from, __global float *restrict to, int vectors) {
#if BLOCKS
  const long block = get_global_id(0), blocks = get_global_size(0);
  for (long i = vectors * block / blocks * VW, end = vectors * (block + 1) / blocks * VW; i < end; i += VW)
#else
  const long i = (long)get_global_id(0) * VW;
  if (i < (long)vectors * VW)
#endif
    STORE(LOAD(from + i), to + i);
}
