#pragma once
/* The API level that the wrappers call: 2.0 has clCreateCommandQueueWithProperties, the newest entry point in use. */
#define CL_TARGET_OPENCL_VERSION 200
/* Devices of version 1 need the older clCreateCommandQueue. */
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>
