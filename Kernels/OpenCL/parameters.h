// Parameters that the host passes to kernels, and names of columns and elements that both sides use. Kernels include this file,
// and Swift imports it as the module CKernelParameters, so it is plain C.
//
// A kernel takes its structure by value, after its buffers. All fields are 32-bit numbers, so that every compiler lays a
// structure out alike, without gaps; both sides check the size. The names of fields are in lower case, because the host defines
// constants in upper case.
#ifndef PARAMETERS_H
#define PARAMETERS_H

// Columns of a batch plan, int32 [N,VIEW_COLUMNS]: the view of one image.
enum {
  VIEW_INDEX,       // number of the image
  VIEW_TOP,         // row and column of the image where the view begins; negative in the border
  VIEW_LEFT,
  VIEW_IS_FLIPPED,  // 1: columns are counted from the right
  VIEW_COLUMNS
};

// Columns of a rectangle, in pixels of the batch.
enum { BOX_TOP, BOX_LEFT, BOX_HEIGHT, BOX_WIDTH, BOX_COLUMNS };

// Columns of the plan of a batch of mixed images, int32 [N,MIXED_COLUMNS]: two views, each with the rectangle that is erased in
// it, and the mixture.
enum {
  MIXED_FIRST = 0,
  MIXED_FIRST_ERASED = MIXED_FIRST + VIEW_COLUMNS,
  MIXED_SECOND = MIXED_FIRST_ERASED + BOX_COLUMNS,
  MIXED_SECOND_ERASED = MIXED_SECOND + VIEW_COLUMNS,
  MIXED_BOX = MIXED_SECOND_ERASED + BOX_COLUMNS,  // rectangle in which only the second view shows
  MIXED_PIXEL_SHARE = MIXED_BOX + BOX_COLUMNS,    // share of the first view in the pixels elsewhere
  MIXED_LABEL_SHARE,                              // share of the first label
  MIXED_COLUMNS
};

// Columns of the labels of mixed images, int32 [N,LABEL_COLUMNS].
enum { LABEL_FIRST, LABEL_SECOND, LABEL_SHARE, LABEL_COLUMNS };

// Integer that stands for a share of 1.
enum { WHOLE_SHARE = 1 << 24 };

// Elements of a loss scale, float32 [SCALE_COUNT].
enum {
  SCALE_NEXT,       // factor of the next loss
  SCALE_CURRENT,    // factor that the current gradients have
  SCALE_IS_FINITE,  // 1 if the current gradients are all finite, else 0
  SCALE_STEPS,      // number of steps since the scale last changed
  SCALE_SKIPPED,    // number of steps left out since the beginning
  SCALE_COUNT
};

// Elements of a step guard, float32 [GUARD_COUNT].
enum {
  GUARD_IS_LEFT_OUT,  // 1 if the current step is left out, else 0
  GUARD_IS_OPEN,      // 1 until so many steps in a row were at fault that none follows, then 0
  GUARD_ROW,          // number of steps in a row, up to the current one, that were at fault
  GUARD_COUNT
};

// Totals of the class weights of a batch's labels, float32 [WEIGHT_TOTALS].
enum {
  TOTAL_WEIGHT,  // sum of the weights
  TOTAL_IMAGES,  // number of images
  WEIGHT_TOTALS
};

// Stops the compiler if a structure is not `count` numbers of 32 bits.
#define NUMBERS(type, count) typedef char type##_has_no_gaps[sizeof(type) == 4 * (count) ? 1 : -1]

// MARK: Optimizers

// Use of stored gradients: they are multiplied by `factor`, and scaled down if their norm would exceed `largestNorm`.
typedef struct {
  float factor, largestNorm;
} gradient_use_t;
NUMBERS(gradient_use_t, 2);

// Step of stochastic gradient descent.
typedef struct {
  gradient_use_t use;
  float rate, momentum, decay;
  float trust;  // share of its norm by which a tensor changes at a rate of 1 (LARS)
  int norms;    // index of the tensor's sums of squares
} sgd_t;
NUMBERS(sgd_t, 7);

// Step of Adam with decoupled weight decay.
typedef struct {
  gradient_use_t use;
  float rate, decay, epsilon;
  float log1, log2;    // logarithms of β1 and β2
  float rest1, rest2;  // 1 − β1 and 1 − β2
  int step;            // number of the step, from 1
} adamw_t;
NUMBERS(adamw_t, 10);

// Verdict on a step: numbers of partial results about gradients and running statistics, and of the steps in a row at fault that
// close the guard.
typedef struct {
  int gradients, statistics, limit;
} guard_t;
NUMBERS(guard_t, 3);

// MARK: Elements, rows and windows

// Copy between two tensors of six dimensions: elements before the first one, extents, and strides.
typedef struct {
  int from, to;
  int extents[6], fromStrides[6], toStrides[6];
} strided_copy_t;
NUMBERS(strided_copy_t, 20);

// Batch normalization of x [rows,channels], whose statistics are those of `allRows` rows on all devices, in chunks of rows.
typedef struct {
  int rows, allRows, channels, chunks;
  float epsilon, momentum;
} batch_norm_t;
NUMBERS(batch_norm_t, 6);

// Softmax cross-entropy of `images` images on all devices.
typedef struct {
  int images, classes;
  float smoothing;
} cross_entropy_t;
NUMBERS(cross_entropy_t, 3);

// Maximum over square windows: x [N,h,w,c] → y [N,p,q,c].
typedef struct {
  int h, w, c, p, q;
  int window, stride, padding;
} max_pool_t;
NUMBERS(max_pool_t, 8);

// One dimension of a general window: its i-th tap of output p is at p·stride − before + i·dilation.
typedef struct {
  int input, output;
  int window, stride, dilation;
  int before, after;  // padding
} sliding_axis_t;
NUMBERS(sliding_axis_t, 7);

// Pooling with a general window: x [N,rows.input,columns.input,c] → y [N,rows.output,columns.output,c].
typedef struct {
  sliding_axis_t rows, columns;
  int c;
  int countsPadding;  // 1: a mean is also over the taps in the padding
} window_pool_t;
NUMBERS(window_pool_t, 16);

// Shortcut without parameters: x [N,h,w,c] ↔ y [N,p,q,k], with zeros in `before` channels before those of x.
typedef struct {
  int h, w, c, p, q, k;
  int before, stride;
} pad_shortcut_t;
NUMBERS(pad_shortcut_t, 8);

// Images [N,h,w,c] that become [N,p,q,c].
typedef struct {
  int h, w, p, q, c;
} shrink_t;
NUMBERS(shrink_t, 5);

// Batch of views [N,P,q,c] of images [M,h,w,c].
typedef struct {
  int h, w, c, q;
} gather_t;
NUMBERS(gather_t, 4);

// MARK: Convolutions

// A convolution x [n,h,w,c] ∗ w [r,s,c/groups,k] → y [n,p,q,k], or a phase of an input gradient, which is a convolution too.
typedef struct {
  int n, h, w, c, k, p, q, r, s;
  int stride, groups;
  int padTop, padLeft;              // negative if the first input rows or columns are not used
  int yImage, yRow, yColumn, yStart;  // elements of y between images, rows and columns, and before its first pixel
  int wStart;                       // elements before the filter
} convolution_t;
NUMBERS(convolution_t, 18);

// Tile of an input in local memory (strip.h).
typedef struct {
  int sample;  // sampling step: the tile stores every `sample`-th pixel
  int pitch;   // terms between neighboring pixels
  int row;     // factors between neighboring rows
} input_tile_t;
NUMBERS(input_tile_t, 3);

// Tiles of x and dy in local memory for the direct filter gradient.
typedef struct {
  int depth;                 // output channels of a work-item
  int rows;                  // output rows of a block
  int sample;                // sampling step of the tile of x
  int xPitch, dyPitch;       // factors between neighboring pixels
} gradient_tile_t;
NUMBERS(gradient_tile_t, 5);

// Filter [r,s,c,k] of an input gradient's phase: taps from (firstRow, firstColumn) on, every stride-th, in reverse order.
typedef struct {
  int s, c, k;
  int depth;    // output channels of a group
  int columns;  // taps in a row of the phase
  int firstRow, firstColumn, stride;
  int start;    // elements before the phase's filter
} turned_filter_t;
NUMBERS(turned_filter_t, 9);

// Winograd's convolution in tiles (winograd.h).
typedef struct {
  int h, w, c, p, q, k;
  int padTop, padLeft;
  int down, across, tiles;        // number of tiles in a column, in a row, and in all images
  int inputPitch, gradientPitch;  // factors between neighboring slots of the transformed inputs and output gradients
  int slotsAtOnce;                // slots that a work-item holds at a time
} winograd_t;
NUMBERS(winograd_t, 14);

// Matrix product at each point of transformed tiles: [pixels,c] · [c,k], or a sum over `part` pixels for each split.
typedef struct {
  int pixels, c, k, part;
} batched_product_t;
NUMBERS(batched_product_t, 4);

#endif
