// Factors (operands) of the products in a convolution: float32, or with PAIRS two bfloat16 at a time, for CPUs with
// AVX512-BF16. The instruction vdpbf16ps adds two products per lane to sums in float32, in the time of one multiply-add. Factors
// are rounded to nearest; denormal ones count as zero.
//
//   TERMS                   number of terms of a sum in one factor, 1 or 2
//   factor                  a float, or a pair of bfloat16 for neighboring terms, the first in the lower half
//   factorv, factor16       vectors of VW and of sixteen factors; LOAD and STORE move them too
//   FACTORS(n)              number of factors that n terms take; the last one is padded with zero
//   MULTIPLY_ADD(a, b, s)   s + a·b, lane by lane, over all terms of a factor
//   JOIN_TERMS(v, at)       VW factors of the TERMS vectors of floats v[0] at …, where `at` is an index such as [i][j]
//   STORE_TERMS(v, p)       stores VW floats as neighboring terms to p, which is in SCRATCH memory
//   LOAD_FACTOR16(p)        sixteen factors of neighboring reals
//   READ_FACTOR(p, i, first, last)   one factor of p[i] …, with zero in place of the terms outside [first, last)
//
// Needs vector.h. With PAIRS, VW is 8 or 16.
#ifndef PAIRS
#define PAIRS 0
#endif

#if PAIRS

#define TERMS 2
typedef int factor;
typedef intv factorv;
typedef int16 factor16;

INLINE floatv MULTIPLY_ADD(factorv a, factorv b, floatv sum) {
  __asm__("vdpbf16ps %1, %2, %0" : "+v"(sum) : "v"(a), "v"(b));
  return sum;
}

// Returns the upper halves, rounded to nearest.
JOIN(ushort, VW) rounded(floatv v) {
  JOIN(ushort, VW) halves;
  __asm__("vcvtneps2bf16 %1, %0" : "=v"(halves) : "v"(v));
  return halves;
}

// Returns the pair (a, b) of each lane.
INLINE factorv pairs(floatv a, floatv b) { return JOIN(as_int, VW)(upsample(rounded(b), rounded(a))); }
INLINE factor pair(float a, float b) { return pairs((floatv)(a), (floatv)(b)).s0; }

// Returns the pairs of neighbors in a, then the pairs in b.
int16 neighbors(float16 a, float16 b) {
  int16 pairs;
  __asm__("vcvtne2ps2bf16 %1, %2, %0" : "=v"(pairs) : "v"(a), "v"(b));
  return pairs;
}

#define JOIN_TERMS(v, at) pairs((v)[0] at, (v)[1] at)
#if VW == 16
#define STORE_TERMS(v, p) vstore8(as_int8(rounded(v)), 0, p)
#else
#define STORE_TERMS(v, p) vstore4(as_int4(rounded(v)), 0, p)
#endif
#if STORAGE == 2
#undef STORE_REAL
#define STORE_REAL(v, p) STORE_TERMS(v, (__global int *)(p))
// The elements are bfloat16 already. The processor's loads need no alignment.
#define LOAD_FACTOR16(p) vload16(0, (const __global int *)(p))
#else
#define LOAD_FACTOR16(p) neighbors(LOAD_REAL16(p), LOAD_REAL16((p) + 16))
#endif
#define READ_FACTOR(p, i, first, last) pair(READ_TERM(p, i, first, last), READ_TERM(p, (i) + 1, first, last))

#else

#define TERMS 1
typedef float factor;
typedef floatv factorv;
typedef float16 factor16;
#define MULTIPLY_ADD(a, b, s) FMA(a, b, s)
#define JOIN_TERMS(v, at) (v)[0] at
#define STORE_TERMS(v, p) STORE(v, p)
#define LOAD_FACTOR16(p) LOAD_REAL16(p)
#define READ_FACTOR(p, i, first, last) READ_TERM(p, i, first, last)

#endif

#define FACTORS(n) (((n) + TERMS - 1) / TERMS)
#define READ_TERM(p, i, first, last) ((i) >= (first) && (i) < (last) ? READ_REAL((p) + (i)) : 0.0f)
