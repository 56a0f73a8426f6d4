// Matrix instruction of a warp of 32 lanes: C [16,8] += A [16,8·n] · B [8·n,8], with sums in float32.
//
//   STORAGE 0   tf32, n = 1: a word holds one factor of 8 + 10 bits
//   STORAGE 1   float16, n = 2: a word holds the factors of two neighboring depths, the first in the low half
//   STORAGE 2   bfloat16, otherwise like float16
//
// If sizes are counted in words, all three have the same fragments (PTX ISA, "Warp Level Matrix Multiply-Accumulate
// Instructions": the sections on fragments of mma.m16n8k8 for .tf32 and of mma.m16n8k16 for .f16 and .bf16). Lane 4g + t holds:
//
//   a  words (g, t)  (g + 8, t)  (g, t + 4)  (g + 8, t + 4)  of A's (row, word)
//   b  words (t, g)  (t + 4, g)                              of B's (word, column)
//   c  sums  (g, 2t) (g, 2t + 1) (g + 8, 2t) (g + 8, 2t + 1) of C's (row, column)
//
// With MATRIX_EMULATED the lanes hold the same fragments, exchange them through local memory, and compute in plain C. Devices
// without such instructions can then test the code around them.

#if !MATRIX_EMULATED

// Rounds to the nearest factors.
INLINE uint pack_factors(float low, float high) {
  uint word;
#if STORAGE == 0
  __asm__("cvt.rna.tf32.f32 %0, %1;" : "=r"(word) : "f"(low));
#elif STORAGE == 1
  __asm__("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
#else
  __asm__("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
#endif
  return word;
}

#if STORAGE == 0
#define MULTIPLY "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"
#elif STORAGE == 1
#define MULTIPLY "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"
#else
#define MULTIPLY "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"
#endif

// `exchange` is not used.
INLINE float4 multiply_fragments(uint4 a, uint2 b, float4 c, __local uint *exchange) {
  float c0 = c.s0, c1 = c.s1, c2 = c.s2, c3 = c.s3;
  const uint a0 = a.s0, a1 = a.s1, a2 = a.s2, a3 = a.s3, b0 = b.s0, b1 = b.s1;
  __asm__ volatile(MULTIPLY " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)
               : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
  return (float4)(c0, c1, c2, c3);
}

#else

#if STORAGE == 0

INLINE uint pack_factors(float low, float high) {
  // Rounds to nearest, ties away from zero. A NaN must not become anything else.
  return isnan(low) ? 0x7FFFE000u : (as_uint(low) + 0x1000u) & 0xFFFFE000u;
}

INLINE float multiply_words(uint a, uint b, float sum) { return fma(as_float(a), as_float(b), sum); }

#else

#if STORAGE == 1
INLINE uint factor_bits(float v) {
  ushort bits;
  vstore_half_rte(v, 0, (half *)&bits);
  return bits;
}

INLINE float factor_value(uint bits) {
  const ushort low = bits;
  return vload_half(0, (const half *)&low);
}
#else
INLINE uint factor_bits(float v) { return one_rounded_to_bfloat16(v); }
INLINE float factor_value(uint bits) { return as_float(bits << 16); }
#endif

INLINE uint pack_factors(float low, float high) { return factor_bits(high) << 16 | factor_bits(low); }

INLINE float multiply_words(uint a, uint b, float sum) {
  sum = fma(factor_value(a & 0xFFFF), factor_value(b & 0xFFFF), sum);
  return fma(factor_value(a >> 16), factor_value(b >> 16), sum);
}

#endif

// `exchange` has six words per work-item. Every work-item of the work-group must reach the call.
INLINE float4 multiply_fragments(uint4 a, uint2 b, float4 c, __local uint *exchange) {
  const int g = ITEM % 32 / 4, t = ITEM % 4;
  __local uint *warp = exchange + ITEM / 32 * 32 * 6;
  vstore4(a, 0, exchange + ITEM * 6);
  vstore2(b, 0, exchange + ITEM * 6 + 4);
  barrier(CLK_LOCAL_MEM_FENCE);
  float sums[4] = {c.s0, c.s1, c.s2, c.s3};
  for (int i = 0; i < 4; i++) {
    const int row = g + i / 2 * 8, column = 2 * t + i % 2;
    for (int w = 0; w < 8; w++) {
      const uint u = warp[(row % 8 * 4 + w % 4) * 6 + row / 8 + w / 4 * 2], v = warp[(column * 4 + w % 4) * 6 + 4 + w / 4];
      sums[i] = multiply_words(u, v, sums[i]);
    }
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  return vload4(0, sums);
}

#endif
