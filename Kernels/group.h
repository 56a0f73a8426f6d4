// Work-groups that share the rows of a matrix, for devices whose neighbouring work-items should read neighbouring memory
// (GPUs).
//
//   LANES work-items side by side over its columns, each a vector of VW,
//   ROWS of them above each other over its rows, which they take in turns: row y takes rows y, y + ROWS, …
//
// What the rows of a group have summed comes together in local memory, as a tree, so in an order that never changes. Without
// LANES each work-item is a group of its own that takes all rows. Needs vector.h.
//
//   GROUP_ROW      the work-item's row in its group
//   BLOCK, BLOCKS  the group's number in the second dimension, and how many there are
//   COLUMN(C)      the first channel of its vector; lanes beyond the C-th repeat the last vector, since all must meet at
//                  barriers
//   IS_COLUMN(C)   false for those
//   STORES(C)      whether this work-item stores what its group has found for its column
//   IN_GROUPS      a kernel's attribute
//   SHARED         declares what follows need, at a kernel's top
//   SHARED_PARAMETER, SHARED_ARGUMENT   hand it on to a function, behind its other parameters
//   TOTAL(v)       Σ over the group's rows, for all of them; MAXIMUM(v) likewise. Only where the whole group comes along
//
// And for kernels over the rows of images, [N,rows,columns,channels]. Without groups the work-items are (rows, N), and each
// walks along its row; in groups they are (columns·channels/VW, rounded up to LANES; rows; N).
//
//   IMAGE, IMAGE_ROW, IMAGE_ROWS   the image's number, the row's, and how many rows there are
//   EACH_PIXEL(q, Q, C), then EACH_CHANNEL(c, C)   run the statement that follows for each vector of a row [Q,C] that is this
//                                                  work-item's, which in groups is one or none
#ifndef LANES
#define LANES 0  // 0: no groups
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
