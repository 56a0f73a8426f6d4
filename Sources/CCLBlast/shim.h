#pragma once
#define CL_TARGET_OPENCL_VERSION 200
#include <clblast_c.h>
