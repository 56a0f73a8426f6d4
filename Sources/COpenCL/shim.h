#pragma once
/* The API level that the wrappers call: 2.0 has clCreateCommandQueueWithProperties, the newest entry point in use. */
#define CL_TARGET_OPENCL_VERSION 200
#include <CL/cl.h>
