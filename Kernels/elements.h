// Kernels over `vectors` vectors of VW elements, for group.h and vector.h too. Work-items: any number, each of which takes a
// block of consecutive vectors; in groups each takes every so manieth, so that neighbours take neighbours.
#include "vector.h"
#include "group.h"

// Runs the statement that follows for the offset `i` of each vector that is this work-item's.
#define ITEM ((long)get_global_id(1) * get_global_size(0) + get_global_id(0))
#define ITEMS ((long)get_global_size(1) * get_global_size(0))
#if LANES
#define EACH_VECTOR for (long i = ITEM * VW; i < (long)vectors * VW; i += ITEMS * VW)
#else
#define EACH_VECTOR for (long i = vectors * ITEM / ITEMS * VW, end = vectors * (ITEM + 1) / ITEMS * VW; i < end; i += VW)
#endif
