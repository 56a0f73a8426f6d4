// Vectors of VW floats. VW is 1, 2, 4, 8 or 16; the host chooses a width that divides the channel count.
//   STORAGE         type of stored activations and their gradients: 0 float32, 1 float16, 2 bfloat16; all arithmetic is in
//                   float32
//   real            one stored element in memory
//   LOAD_REAL(p)    loads VW elements from p as a floatv; LOAD_REAL16(p) loads sixteen as OpenCL's vector type float16
//   STORE_REAL(v, p) stores VW elements to p, rounded to nearest
//   READ_REAL(p), WRITE_REAL(v, p)   load and store one element
//   floatv          vector of VW floats
//   LOAD(p)         loads VW floats from p; needs no alignment, except with ALIGNED
//   STORE(v, p)     stores VW floats to p
//   intv, ucharv    vectors of VW ints and bytes; TO_UCHARV and TO_INTV convert them; LOAD_BYTES and STORE_BYTES move bytes
//   ANY(v)          whether one of the ints of v is not zero
//   ALIGNED         1: every pointer to a vector points to global memory, to a multiple of VW elements; GPUs need this to move
//                   a vector with one instruction
//   FMA(a, b, c)    a·b + c, fused if the device does that in one instruction
//   PREFETCH(p)     prefetches the line of global memory at p with -DPREFETCHES=1; otherwise does nothing
//   UNROLL          unrolls loops with compile-time bounds whose index selects registers
//   INLINE          inlines functions: otherwise an array that is passed by its address would lie in memory, not in registers
#ifndef VW
#define VW 4
#endif
#ifndef ALIGNED
#define ALIGNED 0
#endif

#define INLINE __attribute__((always_inline))
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

#if VW == 1
typedef float floatv;
typedef int intv;
typedef uchar ucharv;
#define LOAD(p) (*(p))
#define STORE(v, p) (*(p) = (v))
#define LOAD_BYTES(p) (*(p))
#define STORE_BYTES(v, p) (*(p) = (v))
#define TO_UCHARV(v) convert_uchar(v)
#define TO_INTV(v) (v)
#define ANY(v) ((v) != 0)
#else
typedef JOIN(float, VW) floatv;
typedef JOIN(int, VW) intv;
typedef JOIN(uchar, VW) ucharv;
#if ALIGNED
#define LOAD(p) (*(__global const floatv *)(p))
#define STORE(v, p) (*(__global floatv *)(p) = (v))
#define LOAD_BYTES(p) (*(__global const ucharv *)(p))
#define STORE_BYTES(v, p) (*(__global ucharv *)(p) = (v))
#else
#define LOAD(p) JOIN(vload, VW)(0, p)
#define STORE(v, p) JOIN(vstore, VW)(v, 0, p)
#define LOAD_BYTES(p) LOAD(p)
#define STORE_BYTES(v, p) STORE(v, p)
#endif
#define TO_UCHARV(v) JOIN(convert_uchar, VW)(v)
#define TO_INTV(v) JOIN(convert_int, VW)(v)
#define ANY(v) any((v) != 0)
#endif

#ifndef STORAGE
#define STORAGE 0
#endif

#if STORAGE == 0

typedef float real;
#define LOAD_REAL(p) LOAD(p)
#define LOAD_REAL16(p) vload16(0, p)
#define STORE_REAL(v, p) STORE(v, p)
#define READ_REAL(p) (*(p))
#define WRITE_REAL(v, p) (*(p) = (v))

#elif STORAGE == 1

typedef half real;
#define READ_REAL(p) vload_half(0, p)
#define WRITE_REAL(v, p) vstore_half(v, 0, p)
#define LOAD_REAL16(p) vload_half16(0, p)
#if VW == 1
#define LOAD_REAL(p) READ_REAL(p)
#define STORE_REAL(v, p) WRITE_REAL(v, p)
#elif ALIGNED
#define LOAD_REAL(p) JOIN(vloada_half, VW)(0, p)
#define STORE_REAL(v, p) JOIN(vstorea_half, VW)(v, 0, p)
#else
#define LOAD_REAL(p) JOIN(vload_half, VW)(0, p)
#define STORE_REAL(v, p) JOIN(vstore_half, VW)(v, 0, p)
#endif

#else

// Upper half of a float32.
typedef ushort real;
#if VW == 1
typedef uint uintv;
#define AS_FLOATV(v) as_float(v)
#define AS_UINTV(v) as_uint(v)
#define TO_UINTV(v) (uint)(v)
#define TO_REALV(v) (ushort)(v)
#else
typedef JOIN(uint, VW) uintv;
#define AS_FLOATV(v) JOIN(as_float, VW)(v)
#define AS_UINTV(v) JOIN(as_uint, VW)(v)
#define TO_UINTV(v) JOIN(convert_uint, VW)(v)
#define TO_REALV(v) JOIN(convert_ushort, VW)(v)
#endif

// Rounds to nearest, ties to even. A NaN stays a NaN, whatever its payload. `bits` are the bits of v.
#define ROUNDED_TO_BFLOAT16(v, bits) ((v) == (v) ? ((bits) + 0x7fffu + ((bits) >> 16 & 1u)) >> 16 : (bits) >> 16 | 0x40u)

INLINE uint one_rounded_to_bfloat16(float v) { return ROUNDED_TO_BFLOAT16(v, as_uint(v)); }
INLINE uintv rounded_to_bfloat16(floatv v) { return ROUNDED_TO_BFLOAT16(v, AS_UINTV(v)); }

#if ALIGNED && VW > 1
#define LOAD_BITS(p) (*(__global const JOIN(ushort, VW) *)(p))
#else
#define LOAD_BITS(p) LOAD(p)
#endif
// Addresses of stores are always aligned. Besides, PoCL's compiler splits a vstore of ushorts into single stores.
#if VW > 1
#define STORE_BITS(v, p) (*(__global JOIN(ushort, VW) *)(p) = (v))
#else
#define STORE_BITS(v, p) STORE(v, p)
#endif
#define LOAD_REAL(p) AS_FLOATV(TO_UINTV(LOAD_BITS(p)) << 16)
#define LOAD_REAL16(p) as_float16(convert_uint16(vload16(0, p)) << 16)
#define STORE_REAL(v, p) STORE_BITS(TO_REALV(rounded_to_bfloat16(v)), p)
#define READ_REAL(p) as_float((uint)(*(p)) << 16)
#define WRITE_REAL(v, p) (*(p) = (ushort)one_rounded_to_bfloat16(v))

#endif

// PoCL does not report that fma is fast (FP_FAST_FMAF). Its compiler reports the processor's abilities (__FMA__).
#if defined(FP_FAST_FMAF) || defined(__FMA__)
#define FMA(a, b, c) fma(a, b, c)
#else
#define FMA(a, b, c) mad(a, b, c)
#endif

// PREFETCH works only if the host asks for it (KernelSources.swift). NVIDIA's compiler refuses this builtin for a pointer to
// global memory, Intel's cannot translate it for GPUs, and Mesa's ends the process.
#ifndef PREFETCHES
#define PREFETCHES 0
#endif
#if PREFETCHES
#define PREFETCH(p) __builtin_prefetch((const __global void *)(p))
#else
#define PREFETCH(p)
#endif

// The attribute for this belongs to OpenCL C 2.0, but these kernels are compiled as an earlier version.
#define UNROLL _Pragma("unroll")
