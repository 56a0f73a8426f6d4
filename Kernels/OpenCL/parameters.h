// Names of columns and elements that kernels and the host share. Kernels include this file, and Swift imports it as the module
// CKernelParameters, so it is plain C.
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

#endif
