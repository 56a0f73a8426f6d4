// Compiles the header, so that a build notices its changes.
#include "CKernelParameters.h"
