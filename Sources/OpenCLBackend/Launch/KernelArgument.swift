import OpenCL

typealias Argument = OpenCL.Kernel.Argument

/// Returns a number as the structures of `parameters.h` hold it.
/// - Throws: CL_INVALID_ARG_VALUE if it does not fit into 32 bits.
func int32(_ value: Int) throws(OpenCLError) -> Int32 { try OpenCL.Kernel.int32(value) }
