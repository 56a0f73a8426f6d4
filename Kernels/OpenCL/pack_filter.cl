// Filter in the order in which a kernel reads it: panels of KB output channels, one after the other. A panel holds one run of
// terms after the other (a tap's input channels, or those of a row of taps). A run holds one factor after the other, with the KB
// channels of each factor side by side.
#include "vector.h"
#include "factors.h"
#include "parameters.h"

#ifndef KB
#define KB 1      // must divide the number of output channels
#endif

// Transposes in registers: to[j·KB + i] is the j-th factor of the terms at from + i·K, for i and j below 16.
#define ROW(i, from) const factor16 r##i = LOAD_FACTOR16((from) + (size_t)0x##i * K);
#define COLUMN(j, to)                                                                                                        \
  vstore16((factor16)(r0.s##j, r1.s##j, r2.s##j, r3.s##j, r4.s##j, r5.s##j, r6.s##j, r7.s##j, r8.s##j, r9.s##j, ra.s##j,     \
                      rb.s##j, rc.s##j, rd.s##j, re.s##j, rf.s##j), 0, (to) + (size_t)0x##j * KB);
#define EACH(F, p) \
  F(0, p) F(1, p) F(2, p) F(3, p) F(4, p) F(5, p) F(6, p) F(7, p) F(8, p) F(9, p) F(a, p) F(b, p) F(c, p) F(d, p) F(e, p) F(f, p)
#define TURN(from, to) EACH(ROW, from) EACH(COLUMN, to)

// Computes packed[((k/KB)·runs + run)·FACTORS(C)·KB + (c/TERMS)·KB + k mod KB] = w[run,c,k] for w [runs,C,K]. Work-items: (K/KB,
// runs).
__kernel void pack_filter(__global const float *restrict w, __global factor *restrict packed, int C, int K) {
  const int panel = get_global_id(0), run = get_global_id(1), runs = get_global_size(1);
  __global const float *from = w + (size_t)run * C * K + panel * KB;
  __global factor *to = packed + ((size_t)panel * runs + run) * FACTORS(C) * KB;
  for (int c = 0; c < C; c += TERMS)
    for (int i = 0; i < KB; i += VW) {
      floatv v[TERMS];
      for (int term = 0; term < TERMS; term++) v[term] = c + term < C ? LOAD(from + (size_t)(c + term) * K + i) : (floatv)(0.0f);
      STORE(JOIN_TERMS(v, ), to + (size_t)(c / TERMS) * KB + i);
    }
}

// Returns the tap of a filter [R,S,…] that is the phase's `tap`-th of `taps` in reverse order.
INLINE int turned_tap(turned_filter_t filter, int tap, int taps) {
  const int columns = filter.columns, row = taps / columns - 1 - tap / columns, column = columns - 1 - tap % columns;
  return (filter.firstRow + filter.stride * row) * filter.s + filter.firstColumn + filter.stride * column;
}

// Packs the turned filter of one phase of an input gradient: taps firstRow, firstRow + stride, … in reverse order, with input and
// output channels exchanged. w is [R,S,C,K], with C of one group and K of all groups, `depth` in each. The phase's filter begins
// at `start`. It has `depth` input channels for each of its output channels, which are the C channels of every group. Panels are
// of KB of these output channels. Work-items: (panels, rows·columns).
//
// Blocks of 16×16 are transposed at a time: the elements of one channel's row that are read are a cache line, and so are those
// that are written.
__kernel void pack_turned_filter(__global const float *restrict w, __global factor *restrict packed,
                                 const turned_filter_t filter) {
  const int C = filter.c, K = filter.k, depth = filter.depth;
  const int panel = get_global_id(0), tap = get_global_id(1), taps = get_global_size(1);
  __global const float *from = w + ((size_t)turned_tap(filter, tap, taps) * C + panel * KB % C) * K + panel * KB / C * depth;
  __global factor *to = packed + filter.start + ((size_t)panel * taps + tap) * FACTORS(depth) * KB;
  for (int k = 0; k < FACTORS(depth); k += 16)
    for (int c = 0; c < KB; c += 16) {
      if ((k + 16) * TERMS <= depth && c + 16 <= KB) {
        TURN(from + (size_t)c * K + k * TERMS, to + (size_t)k * KB + c)
      } else {
        for (int j = k; j < min(k + 16, FACTORS(depth)); j++)
          for (int i = c; i < min(c + 16, KB); i++)
            to[(size_t)j * KB + i] = READ_FACTOR(from + (size_t)i * K, j * TERMS, 0, depth);
      }
    }
}

#ifndef GROUPS
#define GROUPS 1  // number of channel groups
#endif
#ifndef SIDE
#define SIDE 8    // side of the blocks that a work-group transposes
#endif

// Packs the turned filter with one panel of the C channels of all GROUPS, for GPUs. Work-groups transpose blocks in local memory,
// so that neighbors read and write neighboring memory. Work-items: (C and depth rounded up to whole blocks, rows·columns·GROUPS),
// SIDE×SIDE per work-group.
__kernel __attribute__((reqd_work_group_size(SIDE, SIDE, 1)))
void turn_filter(__global const float *restrict w, __global float *restrict turned, const turned_filter_t filter) {
  __local float block[SIDE][SIDE + 1];
  const int C = filter.c, depth = filter.depth, i = get_local_id(0), j = get_local_id(1);
  const int tap = get_global_id(2) / GROUPS, taps = get_global_size(2) / GROUPS, group = get_global_id(2) % GROUPS;
  const int c = get_group_id(0) * SIDE, k = get_group_id(1) * SIDE;
  const size_t from = (size_t)turned_tap(filter, tap, taps) * C + c + j;
  if (c + j < C && k + i < depth) block[j][i] = w[from * filter.k + group * depth + k + i];
  barrier(CLK_LOCAL_MEM_FENCE);
  const size_t to = (((size_t)tap * depth + k + j) * GROUPS + group) * C + c + i;
  if (c + i < C && k + j < depth) turned[filter.start + to] = block[i][j];
}
