// Matrix product by work-groups that share tiles in local memory (local-tiled). This form of kernel is for GPUs, but correct on
// any device.
//
//   sum[m,n] = Σ_d A[m,d] · B[d,n]        d from `begin` to `end`
//
//   B [depth, columns], its rows `pitch` apart
//   A is an image x [N,H,W,C], seen as the matrix X that a convolution multiplies by its filter (im2col), or Xᵀ. X is not stored.
//
//   X[(n,p,q), (r,s,c)] = x[n, p·STRIDE + r − padTop, q·STRIDE + s − padLeft, c], zero outside the image
//
// for c below C: the pixels of x may have more channels than C.
//
// With TAPS 0 the filter is a single tap that meets every pixel, and X is x itself, [pixels, C]: a plain matrix.
//
// Usage: include it in a file whose host defines the constants below, and in a kernel like
//
//     __kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void name(…) {
//       __local word tiles[TILE_WORDS] TILE_ALIGNED;
//       float sum[TM][TN];
//       const image_t image = {x, H, W, channels, C, P, Q, S, padTop, padLeft, pixels, terms};
//       // A plain matrix [rows,C]: {x, 1, rows, C, C, 1, rows, 1, 0, 0, rows, C}.
//       product(image, b, columns, pitch, firstRow, firstColumn, begin, end, tiles, sum);
//
// The work-item then owns TM×TN sums: sum[i][4·j …] is row firstRow + row_of(i), columns firstColumn + column_of(j) … + 4. For a
// batch of products the kernel moves the pointers by a dimension of the NDRange. `begin` is a multiple of BK. `begin` and `end`
// are the same in all work-items of a work-group, and every work-item of it must reach the call.
//
// Each slice of BK depths goes through registers into one of two pairs of tiles while the other pair is multiplied (double
// buffering): one barrier per slice.
//
//              BN columns                  A word of a tile is a float, or, for matrix instructions on 16-bit
//            ┌──────────┐                  factors, two neighboring depths of one row or column.
//         BK │    B     │
//            └──────────┘                  tile of A  [WORDS][BM + 8]      tile of B  [WORDS][BN + 8]
//     BK     ┌──────────┐
//   ┌────┐   │ ┌──┐     │                  A work-item reads four rows and four columns at a time. Rows of a tile are
//   │ A  │ BM│ │  │TM   │                  8 words longer than necessary, and columns of A's tile are swapped
//   └────┘   │ └──┘TN   │                  (`a_word`), so that the lanes of a warp use all 32 banks when they read
//            └──────────┘                  and also when they write a transposed slice.
//
// Constraints on the host's choice: all sizes are powers of two; BM is a multiple of 32 and BN of 16; TM and TN are 4 or 8; BK
// is between 8 and 32; ITEMS is a multiple of 32. With MATRIX also TN = 8, BM is a multiple of 8·TM, BN one of 32, and BK one of
// 8 words. VW is 4 if columns and pitch are multiples of four, otherwise 1. VA is VW if C and the channels of a pixel are
// multiples of it too, otherwise 1.
#include "vector.h"

#ifndef STRIDE
#define STRIDE 1
#endif
#ifndef TAPS
#define TAPS 1        // 0: x is a plain matrix
#endif
#ifndef TRANSPOSED
#define TRANSPOSED 0  // 1: A = Xᵀ, and B is an image too
#endif
#ifndef VA
#define VA 1          // elements of x in one load
#endif
#ifndef BM
#define BM 64         // rows of a work-group
#endif
#ifndef BN
#define BN 64         // columns of a work-group
#endif
#ifndef BK
#define BK 8          // depth of a slice
#endif
#ifndef TM
#define TM 4          // rows of a work-item
#endif
#ifndef TN
#define TN 4          // columns of a work-item
#endif
#ifndef MATRIX
#define MATRIX 0      // 1: matrix instructions; factors are rounded to tf32, or to the type of x if it has 16 bits
#endif
#ifndef MATRIX_EMULATED
#define MATRIX_EMULATED 0  // 1: plain C in place of matrix instructions, with the same fragments in each lane
#endif

#define ITEMS ((BM / TM) * (BN / TN))
// Converted to an int first: Intel's compiler for CPUs makes vectors of remainders of the size_t, converts them to ints, and then
// mistakes them for consecutive numbers.
#define ITEM ((int)get_local_id(0))
#define PACK (MATRIX && STORAGE != 0 ? 2 : 1)     // depths in a word
#define WORDS (BK / PACK)                         // words of a slice
#define A_PITCH (BM + 8)
#define B_PITCH (BN + 8)
#define A_TILE (WORDS * A_PITCH)
#define B_TILE (WORDS * B_PITCH)
#define TILE_WORDS (2 * (A_TILE + B_TILE) + (MATRIX && MATRIX_EMULATED ? 6 * ITEMS : 0))
#define TILE_ALIGNED __attribute__((aligned(16)))

// Loads of one work-item per slice, in units of one or two parts. A part is one load.
#if TRANSPOSED
#define A_PARTS PACK                              // PACK depths of VA rows
#define A_TOTAL (WORDS * (BM / VA))
#else
#define A_PARTS (VA == 1 ? PACK : 1)              // VA or PACK depths of one row
#define A_DEPTHS (VA * A_PARTS)
#define A_TOTAL (BM * (BK / A_DEPTHS))
#endif
#define B_TOTAL (WORDS * (BN / VW))               // PACK depths of VW columns
#define A_UNITS ((A_TOTAL + ITEMS - 1) / ITEMS)
#define B_UNITS ((B_TOTAL + ITEMS - 1) / ITEMS)
#define IS_UNIT(unit, total) ((total) % ITEMS == 0 || (unit) < (total))

// B is a filter, or with TRANSPOSED the gradient of an image.
#if TRANSPOSED
typedef real factor;
#define LOAD_FACTORS(p) LOAD_REAL(p)
#else
typedef float factor;
#define LOAD_FACTORS(p) LOAD(p)
#endif

#if VA == 1
typedef float floata;
#define LOAD_A(p) READ_REAL(p)
#else
typedef floatv floata;
#define LOAD_A(p) LOAD_REAL(p)
#endif

// MARK: Words

#if !MATRIX
typedef float word;
typedef float4 word4;
#define WORD(low, high) (low)
#else
typedef uint word;
typedef uint4 word4;
#include "matrix_instructions.h"
#define WORD(low, high) pack_factors(low, high)
#endif

// A word4 of the words of four pairs of depths. If a word is one depth, `low` alone counts.
#define WORD4(low, high) \
  (word4)(WORD((low).s0, (high).s0), WORD((low).s1, (high).s1), WORD((low).s2, (high).s2), WORD((low).s3, (high).s3))

// MARK: The image as a matrix

typedef struct {
  __global const real *x;
  int H, W, channels, C, P, Q, S, padTop, padLeft;    // channels per pixel; C of them are used, from x on
  int pixels, terms;      // N·P·Q and R·S·C: rows and columns of X
} image_t;

// A number with two steps, (s0·middles + s1)·lows + s2: a pixel is (n,p,q), a term is (r,s,c). It is a vector, like a place
// below, because a struct would be returned through memory.
typedef int3 digits_t;

INLINE digits_t digits_of(int value, int middles, int lows) {
#if TAPS
  const int rest = value / lows;
  return (digits_t)(rest / middles, rest % middles, value % lows);
#else
  return (digits_t)(0, 0, value);
#endif
}

// Adds two such numbers without a division.
INLINE digits_t add_digits(digits_t a, digits_t b, int middles, int lows) {
  a.s2 += b.s2;
#if TAPS
  a.s1 += b.s1;
  a.s0 += b.s0;
  if (a.s2 >= lows) {
    a.s2 -= lows;
    a.s1++;
  }
  if (a.s1 >= middles) {
    a.s1 -= middles;
    a.s0++;
  }
#endif
  return a;
}

#define PIXEL(image, value) digits_of(value, (image).P, (image).Q)
#define TERM(image, value) digits_of(value, (image).S, (image).C)

// Position of a pixel's first tap: its offset in x, its row and its column in the image.
typedef int3 place_t;

// A number larger than any row, and so outside every image. Twice the number is still an int.
#define OUTSIDE (1 << 29)

INLINE place_t place_of(image_t image, digits_t pixel, int isPixel) {
#if TAPS
  const int h = pixel.s1 * STRIDE - image.padTop, w = pixel.s2 * STRIDE - image.padLeft;
  return (place_t)(((pixel.s0 * image.H + h) * image.W + w) * image.channels, isPixel ? h : OUTSIDE, w);
#else
  return (place_t)(pixel.s2 * image.channels, isPixel ? 0 : OUTSIDE, 0);
#endif
}

INLINE floata load_image(image_t image, place_t pixel, digits_t term, int isTerm) {
#if TAPS
  const int h = pixel.s1 + (isTerm ? term.s0 : OUTSIDE), w = pixel.s2 + term.s1;
  const int isInside = h >= 0 && h < image.H && w >= 0 && w < image.W;
#else
  const int isInside = isTerm && pixel.s1 == 0;
#endif
  return isInside ? LOAD_A(image.x + pixel.s0 + (term.s0 * image.W + term.s1) * image.channels + term.s2) : (floata)(0.0f);
}

// MARK: Slices

// State of a work-item's loads of A, and the values of the next slice that it has loaded already.
typedef struct {
#if TRANSPOSED
  digits_t pixel[A_UNITS][A_PARTS];
  digits_t term[A_UNITS];
  int isTerm[A_UNITS];
#else
  place_t place[A_UNITS];
  digits_t term[A_PARTS];
#endif
  digits_t step;    // BK, as digits
  int depth;        // depth of the next slice
  floata values[A_UNITS][A_PARTS];
} a_slice_t;

typedef struct {
  int at[B_UNITS];      // offset in B of the unit's first part
  floatv values[B_UNITS][PACK];
} b_slice_t;

#if TRANSPOSED
#define A_ROW(unit) (VA * ((unit) % (BM / VA)))
#define A_DEPTH(unit) (PACK * ((unit) / (BM / VA)))
#else
#define A_ROW(unit) ((unit) / (BK / A_DEPTHS))
#define A_DEPTH(unit) (A_DEPTHS * ((unit) % (BK / A_DEPTHS)))     // equal for all units of a work-item, which are ITEMS apart
#endif
#define B_COLUMN(unit) (VW * ((unit) % (BN / VW)))
#define B_DEPTH(unit) (PACK * ((unit) / (BN / VW)))

INLINE void begin_a(a_slice_t *slice, image_t image, int firstRow, int begin) {
  slice->depth = begin;
#if TRANSPOSED
  slice->step = PIXEL(image, BK);
  UNROLL for (int i = 0; i < A_UNITS; i++) {
    const int unit = ITEM + i * ITEMS, row = firstRow + A_ROW(unit);
    slice->term[i] = TERM(image, row);
    slice->isTerm[i] = IS_UNIT(unit, A_TOTAL) && row < image.terms;
    UNROLL for (int part = 0; part < A_PARTS; part++) slice->pixel[i][part] = PIXEL(image, begin + A_DEPTH(unit) + part);
  }
#else
  slice->step = TERM(image, BK);
  UNROLL for (int i = 0; i < A_UNITS; i++) {
    const int unit = ITEM + i * ITEMS, row = firstRow + A_ROW(unit);
    slice->place[i] = place_of(image, PIXEL(image, row), IS_UNIT(unit, A_TOTAL) && row < image.pixels);
  }
  UNROLL for (int part = 0; part < A_PARTS; part++) slice->term[part] = TERM(image, begin + A_DEPTH(ITEM) + part);
#endif
}

INLINE void load_a(a_slice_t *slice, image_t image, int end) {
#if TRANSPOSED
  UNROLL for (int i = 0; i < A_UNITS; i++)
    UNROLL for (int part = 0; part < A_PARTS; part++) {
      const int isPixel = slice->depth + A_DEPTH(ITEM + i * ITEMS) + part < end;
      const place_t place = place_of(image, slice->pixel[i][part], isPixel);
      slice->values[i][part] = load_image(image, place, slice->term[i], slice->isTerm[i]);
      slice->pixel[i][part] = add_digits(slice->pixel[i][part], slice->step, image.P, image.Q);
    }
#else
  UNROLL for (int part = 0; part < A_PARTS; part++) {
    const int isTerm = slice->depth + A_DEPTH(ITEM) + part < end;
    UNROLL for (int i = 0; i < A_UNITS; i++)
      slice->values[i][part] = load_image(image, slice->place[i], slice->term[part], isTerm);
    slice->term[part] = add_digits(slice->term[part], slice->step, image.S, image.C);
  }
#endif
  slice->depth += BK;
}

INLINE void begin_b(b_slice_t *slice, int pitch, int firstColumn, int begin) {
  UNROLL for (int i = 0; i < B_UNITS; i++) {
    const int unit = ITEM + i * ITEMS;
    slice->at[i] = (begin + B_DEPTH(unit)) * pitch + firstColumn + B_COLUMN(unit);
  }
}

INLINE void load_b(b_slice_t *slice, __global const factor *b, int columns, int pitch, int firstColumn, int depth, int end) {
  UNROLL for (int i = 0; i < B_UNITS; i++) {
    const int unit = ITEM + i * ITEMS;
    const int isColumn = IS_UNIT(unit, B_TOTAL) && firstColumn + B_COLUMN(unit) < columns;
    UNROLL for (int part = 0; part < PACK; part++) {
      const int isInside = isColumn && depth + B_DEPTH(unit) + part < end;
      slice->values[i][part] = isInside ? LOAD_FACTORS(b + slice->at[i] + part * pitch) : (floatv)(0.0f);
    }
    slice->at[i] += BK * pitch;
  }
}

// Returns the index of a row of words and a column of A's tile. The lanes of a warp write four depths of 128/BK rows each.
// Swapping columns by the depth spreads these writes over the banks, and keeps groups of four columns together.
INLINE int a_word(int row, int column) { return row * A_PITCH + (TRANSPOSED ? column : column ^ (128 / BK * (row / 4))); }

INLINE void store_a(const a_slice_t *slice, __local word *tile) {
  UNROLL for (int i = 0; i < A_UNITS; i++) {
    const int unit = ITEM + i * ITEMS, row = A_ROW(unit), at = A_DEPTH(unit) / PACK;
    if (!IS_UNIT(unit, A_TOTAL)) continue;
    const floata low = slice->values[i][0], high = slice->values[i][A_PARTS - 1];
#if VA == 1
    tile[a_word(at, row)] = WORD(low, high);
#elif TRANSPOSED
    *(__local word4 *)(tile + a_word(at, row)) = WORD4(low, high);
#elif PACK == 1
    const word4 words = WORD4(low, low);
    tile[a_word(at, row)] = words.s0;
    tile[a_word(at + 1, row)] = words.s1;
    tile[a_word(at + 2, row)] = words.s2;
    tile[a_word(at + 3, row)] = words.s3;
#else
    tile[a_word(at, row)] = WORD(low.s0, low.s1);
    tile[a_word(at + 1, row)] = WORD(low.s2, low.s3);
#endif
  }
}

INLINE void store_b(const b_slice_t *slice, __local word *tile) {
  UNROLL for (int i = 0; i < B_UNITS; i++) {
    const int unit = ITEM + i * ITEMS, at = B_DEPTH(unit) / PACK * B_PITCH + B_COLUMN(unit);
    if (!IS_UNIT(unit, B_TOTAL)) continue;
    const floatv low = slice->values[i][0], high = slice->values[i][PACK - 1];
#if VW == 1
    tile[at] = WORD(low, high);
#else
    *(__local word4 *)(tile + at) = WORD4(low, high);
#endif
  }
}

// MARK: Multiplication

#define READ4(tile) (*(__local const word4 *)(tile))

#if !MATRIX

// The groups of four rows and of four columns of a work-item lie BM·4/TM and BN·4/TN apart, so that neighboring work-items read
// neighboring groups.
INLINE int row_of(int row) { return row / 4 * (4 * BM / TM) + ITEM / (BN / TN) * 4 + row % 4; }
INLINE int column_of(int four) { return four * (4 * BN / TN) + ITEM % (BN / TN) * 4; }

INLINE void multiply(__local const word *a, __local const word *b, __local word *exchange, float sum[TM][TN]) {
  UNROLL for (int d = 0; d < BK; d++) {
    float u[TM], v[TN];
    UNROLL for (int i = 0; i < TM / 4; i++) vstore4(READ4(a + a_word(d, row_of(4 * i))), i, u);
    UNROLL for (int j = 0; j < TN / 4; j++) vstore4(READ4(b + d * B_PITCH + column_of(j)), j, v);
    UNROLL for (int i = 0; i < TM; i++)
      UNROLL for (int j = 0; j < TN; j++) sum[i][j] = FMA(u[i], v[j], sum[i][j]);
  }
}

#else

// A warp owns 8·TM rows and 4·TN columns, in blocks of 32×32 of which each lane owns 4×8. Fragment rows and columns may stand for
// any rows and columns of the tile. They are assigned so that a lane reads groups of four: rows g and g + 8 of fragment i of a
// block (g is the lane's group, 0 … 7) are its rows 4g + 2i and 4g + 2i + 1, and column g of fragment j is its column 4g + j.
#define LANE (ITEM % 32)
#define WARP (ITEM / 32)
#define WARP_ROW (WARP / (BN / (4 * TN)) * (8 * TM))
#define WARP_COLUMN (WARP % (BN / (4 * TN)) * (4 * TN))

INLINE int row_of(int row) { return WARP_ROW + row / 4 * 32 + LANE / 4 * 4 + row % 4; }
INLINE int column_of(int four) { return WARP_COLUMN + four / 2 * 32 + LANE % 4 * 8 + four % 2 * 4; }

INLINE void multiply(__local const word *a, __local const word *b, __local word *exchange, float sum[TM][TN]) {
  UNROLL for (int d = 0; d < WORDS; d += 8) {
    // Words d + t and d + t + 4 of each row and column, where t is the lane's number in its group.
    uint u[2][TM], v[2][TN / 2];
    UNROLL for (int second = 0; second < 2; second++) {
      const int at = d + 4 * second + LANE % 4;
      UNROLL for (int i = 0; i < TM / 4; i++) vstore4(READ4(a + a_word(at, row_of(4 * i))), i, u[second]);
      UNROLL for (int j = 0; j < TN / 8; j++)
        vstore4(READ4(b + at * B_PITCH + WARP_COLUMN + 32 * j + LANE / 4 * 4), j, v[second]);
    }
    UNROLL for (int i = 0; i < TM; i += 2)
      UNROLL for (int j = 0; j < TN / 2; j++) {
        const uint4 rows = (uint4)(u[0][i], u[0][i + 1], u[1][i], u[1][i + 1]);
        const int k = j / 4 * 8 + j % 4;      // columns 8t + j and 8t + 4 + j of the block
        const float4 c = (float4)(sum[i][k], sum[i][k + 4], sum[i + 1][k], sum[i + 1][k + 4]);
        const float4 result = multiply_fragments(rows, (uint2)(v[0][j], v[1][j]), c, exchange);
        sum[i][k] = result.s0;
        sum[i][k + 4] = result.s1;
        sum[i + 1][k] = result.s2;
        sum[i + 1][k + 4] = result.s3;
      }
  }
}

#endif

INLINE void product(image_t image, __global const factor *b, int columns, int pitch, int firstRow, int firstColumn, int begin,
                    int end, __local word *tiles, float sum[TM][TN]) {
  UNROLL for (int i = 0; i < TM; i++)
    UNROLL for (int j = 0; j < TN; j++) sum[i][j] = 0.0f;
  __local word *aTiles = tiles, *bTiles = tiles + 2 * A_TILE, *exchange = bTiles + 2 * B_TILE;
  a_slice_t aSlice;
  b_slice_t bSlice;
  begin_a(&aSlice, image, firstRow, begin);
  begin_b(&bSlice, pitch, firstColumn, begin);
  load_a(&aSlice, image, end);
  load_b(&bSlice, b, columns, pitch, firstColumn, begin, end);
  store_a(&aSlice, aTiles);
  store_b(&bSlice, bTiles);
  barrier(CLK_LOCAL_MEM_FENCE);
  int current = 0;
  for (int depth = begin; depth < end; depth += BK) {
    const int isNext = depth + BK < end, next = current ^ 1;
    if (isNext) {
      load_a(&aSlice, image, end);
      load_b(&bSlice, b, columns, pitch, firstColumn, depth + BK, end);
    }
    multiply(aTiles + current * A_TILE, bTiles + current * B_TILE, exchange, sum);
    if (isNext) {
      store_a(&aSlice, aTiles + next * A_TILE);
      store_b(&bSlice, bTiles + next * B_TILE);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    current = next;
  }
}
