// Vectors of VW floats, VW one of 1, 2, 4, 8, 16; the host picks a width that divides the channel count.
//   floatv          the type
//   LOAD(p)         VW floats from p, no alignment needed
//   STORE(v, p)     VW floats to p
//   intv, ucharv    as many ints and bytes; TO_UCHARV and TO_INTV convert; LOAD and STORE serve bytes too
//   FMA(a, b, c)    a·b + c: fused where the device does that in one instruction
//   PREFETCH(p)     asks for the line of global memory at p, where the compiler knows how
//   UNROLL          for loops over compile-time bounds whose index selects registers
#ifndef VW
#define VW 4
#endif

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

#if VW == 1
typedef float floatv;
typedef int intv;
typedef uchar ucharv;
#define LOAD(p) (*(p))
#define STORE(v, p) (*(p) = (v))
#define TO_UCHARV(v) convert_uchar(v)
#define TO_INTV(v) (v)
#else
typedef JOIN(float, VW) floatv;
typedef JOIN(int, VW) intv;
typedef JOIN(uchar, VW) ucharv;
#define LOAD(p) JOIN(vload, VW)(0, p)
#define STORE(v, p) JOIN(vstore, VW)(v, 0, p)
#define TO_UCHARV(v) JOIN(convert_uchar, VW)(v)
#define TO_INTV(v) JOIN(convert_int, VW)(v)
#endif

// PoCL does not say that fma is fast; its compiler says what the processor has.
#if defined(FP_FAST_FMAF) || defined(__FMA__)
#define FMA(a, b, c) fma(a, b, c)
#else
#define FMA(a, b, c) mad(a, b, c)
#endif

#ifdef __has_builtin
#if __has_builtin(__builtin_prefetch)
#define PREFETCH(p) __builtin_prefetch((const __global void *)(p))
#endif
#endif
#ifndef PREFETCH
#define PREFETCH(p)
#endif

#define UNROLL __attribute__((opencl_unroll_hint))

#ifndef STORAGE
#define STORAGE 0
#endif
typedef float real;
#define LOAD_REAL(p) LOAD(p)
#define STORE_REAL(v, p) STORE(v, p)
#define READ_REAL(p) (*(p))
#define WRITE_REAL(v, p) (*(p) = (v))
