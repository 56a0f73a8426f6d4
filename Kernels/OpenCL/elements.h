// Kernels over `vectors` vectors of VW elements. They use group.h and vector.h too. There may be any number of work-items, and
// each takes a block of consecutive vectors. In work-groups each takes a strided slice of the vectors, so that neighbors take
// neighbors.
#include "vector.h"
#include "group.h"

// Runs the following statement for the offset `i` of each vector that belongs to this work-item.
#define ITEM ((long)get_global_id(1) * get_global_size(0) + get_global_id(0))
#define ITEMS ((long)get_global_size(1) * get_global_size(0))
#if LANES
#define EACH_VECTOR for (long i = ITEM * VW; i < (long)vectors * VW; i += ITEMS * VW)
#else
#define EACH_VECTOR for (long i = vectors * ITEM / ITEMS * VW, end = vectors * (ITEM + 1) / ITEMS * VW; i < end; i += VW)
#endif
