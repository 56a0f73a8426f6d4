// The header that the kernels include, as a module for Swift.
#include "../../../Kernels/OpenCL/parameters.h"
