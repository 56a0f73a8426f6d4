// Work-groups that share the rows of a matrix, for devices whose neighboring work-items should read neighboring memory (GPUs).
//
//   LANES work-items lie side by side over the columns, each with a vector of VW columns.
//   ROWS of them lie above each other over the rows and take turns: row y takes rows y, y + ROWS, …
//
// The sums of the rows of a work-group are added up in local memory, as a tree, so in an order that never changes. Without
// LANES each work-item is its own work-group, which takes all rows. Needs vector.h.
//
//   GROUP_ROW      row of the work-item in its work-group
//   BLOCK, BLOCKS  number of the work-group in the second dimension, and number of such work-groups
//   COLUMN(C)      first channel of the work-item's vector; lanes beyond the C-th channel repeat the last vector, since all
//                  must meet at barriers
//   IS_COLUMN(C)   false for those lanes
//   STORES(C)      whether this work-item stores the result of its work-group for its column
//   IN_GROUPS      attribute of a kernel
//   SHARED         declares the local memory that the macros below need, at the top of a kernel
//   SHARED_PARAMETER, SHARED_ARGUMENT   pass that memory on to a function, after its other parameters
//   TOTAL(v)       Σ over the rows of the work-group, for all of them; MAXIMUM(v) likewise. The whole work-group must reach the
//                  call
//
// Kernels over the rows of images, [N,rows,columns,channels], have the macros below as well. Without work-groups their
// work-items are (rows, N), and each walks along its row. In work-groups they are (columns·channels/VW, rounded up to LANES;
// rows; N).
//
//   IMAGE, IMAGE_ROW, IMAGE_ROWS   number of the image, number of the row, and number of rows
//   EACH_PIXEL(q, Q, C), then EACH_CHANNEL(c, C)   run the following statement for each vector of a row [Q,C] that belongs to
//                                                  this work-item; in work-groups there is one such vector or none
#ifndef LANES
#define LANES 0  // 0: no work-groups
#endif
#ifndef ROWS
#define ROWS 1   // a power of two
#endif

#define IS_COLUMN(C) ((int)get_global_id(0) * VW < (C))
#define COLUMN(C) min((int)get_global_id(0) * VW, (C) - VW)
#define STORES(C) (IS_COLUMN(C) && GROUP_ROW == 0)

#if LANES
#define GROUP_ROW ((int)get_local_id(1))
#define BLOCK ((int)get_group_id(1))
#define BLOCKS ((int)get_num_groups(1))
#define IN_GROUPS __attribute__((reqd_work_group_size(LANES, ROWS, 1)))
#define SHARED __local floatv shared[LANES * ROWS];
#define SHARED_PARAMETER , __local floatv *shared
#define SHARED_ARGUMENT , shared
#define TOTAL(v) total(v, shared)
#define MAXIMUM(v) maximum(v, shared)

#define IMAGE ((int)get_global_id(2))
#define IMAGE_ROW ((int)get_global_id(1))
#define IMAGE_ROWS ((int)get_global_size(1))
#define EACH_PIXEL(q, Q, C) for (int q = (int)get_global_id(0) * VW / (C); q < (Q); q = (Q))
#define EACH_CHANNEL(c, C) for (int c = (int)get_global_id(0) * VW % (C); c < (C); c = (C))

#define TREE(name, COMBINED)                                                \
  floatv name(floatv v, __local floatv *shared) {                           \
    const int at = GROUP_ROW * LANES + (int)get_local_id(0);                \
    shared[at] = v;                                                         \
    for (int step = ROWS / 2; step > 0; step /= 2) {                        \
      barrier(CLK_LOCAL_MEM_FENCE);                                         \
      if (GROUP_ROW < step) {                                               \
        const floatv a = shared[at], b = shared[at + step * LANES];         \
        shared[at] = COMBINED;                                              \
      }                                                                     \
    }                                                                       \
    barrier(CLK_LOCAL_MEM_FENCE);                                           \
    const floatv result = shared[get_local_id(0)];                          \
    barrier(CLK_LOCAL_MEM_FENCE); /* before the next tree writes */         \
    return result;                                                          \
  }
TREE(total, a + b)
TREE(maximum, fmax(a, b))

#else
#define GROUP_ROW 0
#define BLOCK ((int)get_global_id(1))
#define BLOCKS ((int)get_global_size(1))
#define IN_GROUPS
#define SHARED
#define SHARED_PARAMETER
#define SHARED_ARGUMENT
#define TOTAL(v) (v)
#define MAXIMUM(v) (v)
#define IMAGE ((int)get_global_id(1))
#define IMAGE_ROW ((int)get_global_id(0))
#define IMAGE_ROWS ((int)get_global_size(0))
#define EACH_PIXEL(q, Q, C) for (int q = 0; q < (Q); q++)
#define EACH_CHANNEL(c, C) for (int c = 0; c < (C); c += VW)
#endif
