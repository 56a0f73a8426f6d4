import OpenCL
import Testing

/// Tests the wrappers of the C API on the first OpenCL device of this machine. The tests' setup makes sure that there is one.
@Suite struct OpenCLTests {
  private let device: Device
  private let context: Context

  init() throws {
    device = try #require(try Platform.all().first?.devices().first)
    context = try Context(device: device)
  }

  @Test func deviceDescribesItself() throws {
    #expect(try !device.name.isEmpty)
    #expect(try device.computeUnits > 0)
    #expect(try device.globalMemory >= device.maxAllocation)
    #expect(try device.languageVersion >= (1, 2))
    #expect(try device.baseAddressAlignment.nonzeroBitCount == 1)
    #expect(try device.isAvailable)
  }

  @Test func buildFailureCarriesTheCompilersLog() throws {
    do {
      _ = try Program(context: context, source: "__kernel void f(__global int *x) { *x = misspelt; }", options: "")
      Issue.record("a wrong program was built")
    } catch {
      #expect(error.call == "clBuildProgram")
      #expect(error.name == "CL_BUILD_PROGRAM_FAILURE")
      #expect(error.description.contains("misspelt"))
    }
  }

  @Test func missingKernelIsNamed() throws {
    let program = try Program(context: context, source: "__kernel void f(__global int *x) { *x = 1; }", options: "")
    do {
      _ = try Kernel("g", in: program)
      Issue.record("a kernel that is not there was found")
    } catch {
      #expect(error.name == "CL_INVALID_KERNEL_NAME")
      #expect(error.description.contains("g"))
    }
  }

  @Test func errorsHaveTheirNamesFromTheHeader() {
    #expect(OpenCLError(call: "clFinish", code: -5).description == "clFinish failed: CL_OUT_OF_RESOURCES")
    #expect(OpenCLError(call: "clFinish", code: -4).name == "CL_MEM_OBJECT_ALLOCATION_FAILURE")
    #expect(OpenCLError(call: "clFinish", code: -12345).name == "error -12345")
  }

  @Test func kernelRunsOnPartOfABufferAndIsTimed() throws {
    let queue = try Queue(context: context, profiling: true)
    let source =
      "__kernel void fill(__global int *x, int start, float step) { int i = get_global_id(0); x[i] = start + (int)(i * step); }"
    let kernel = try Kernel("fill", in: try Program(context: context, source: source, options: ""))
    let alignment = try device.baseAddressAlignment
    let whole = try Buffer(context: context, byteCount: alignment * 2)
    try queue.fill(whole, with: Int32(-1), byteCount: whole.byteCount)
    let part = try Buffer(of: whole, offset: alignment, byteCount: alignment)
    try kernel.set([.buffer(part), .int(7), .float(2)])
    let event = try #require(try queue.enqueue(kernel, global: [4], local: [1], event: true))
    try event.wait()
    #expect(try event.isComplete)
    #expect(try !event.interval.isEmpty)

    var result = [Int32](repeating: 0, count: alignment * 2 / 4)
    try result.withUnsafeMutableBytes { try queue.read(whole, into: $0) }
    var expected = [Int32](repeating: -1, count: result.count)
    for i in 0..<4 { expected[alignment / 4 + i] = Int32(7 + 2 * i) }
    #expect(result == expected)
  }

  @Test func wrongNumberOfArgumentsIsReportedWithTheKernelsName() throws {
    let kernel = try Kernel("f", in: try Program(context: context, source: "__kernel void f(int x, int y) {}", options: ""))
    for arguments: [Kernel.Argument] in [[.int(1)], [.int(1), .int(2), .int(3)]] {
      let error = #expect(throws: OpenCLError.self) { try kernel.set(arguments) }
      #expect(error?.name == "CL_INVALID_KERNEL_ARGS")
      #expect(error?.description.contains("kernel f takes 2 arguments, not \(arguments.count)") == true)
    }
    try kernel.set([.int(1), .int(2)])
  }

  @Test func numbersBeyond32BitsAreRefused() throws {
    let kernel = try Kernel("f", in: try Program(context: context, source: "__kernel void f(int x) {}", options: ""))
    try kernel.set([.int(Int(Int32.max))])
    let error = #expect(throws: OpenCLError.self) { try kernel.set([.int(1 << 31)]) }
    #expect(error?.name == "CL_INVALID_ARG_VALUE" && error?.description.contains("not to 2147483648") == true)
  }

  private struct Line { var start: Int32, step: Float }

  @Test func kernelTakesAStructureByValue() throws {
    let source = """
      typedef struct { int start; float step; } line_t;
      __kernel void fill(__global int *x, const line_t line) {
        int i = get_global_id(0);
        x[i] = line.start + (int)(i * line.step);
      }
      """
    let queue = try Queue(context: context)
    let kernel = try Kernel("fill", in: try Program(context: context, source: source, options: ""))
    let buffer = try Buffer(context: context, byteCount: 16)
    try kernel.set([.buffer(buffer), .structure(Line(start: 7, step: 2))])
    try queue.enqueue(kernel, global: [4], local: [1])
    var result = [Int32](repeating: 0, count: 4)
    try result.withUnsafeMutableBytes { try queue.read(buffer, into: $0) }
    #expect(result == [7, 9, 11, 13])
  }
}
