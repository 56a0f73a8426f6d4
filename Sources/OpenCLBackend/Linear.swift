import CCLBlast
import Compute
import Kernels
import OpenCL

typealias Argument = OpenCL.Kernel.Argument

extension OpenCLBackend {
  public func multiply(_ a: Tensor, transposed ta: Bool, _ b: Tensor, transposed tb: Bool, into c: Tensor) throws {
    precondition(a.shape.rank == 2 && b.shape.rank == 2 && c.shape.rank == 2, "[multiply] \(a.shape) · \(b.shape) → \(c.shape)")
    let (m, k) = ta ? (a.shape[1], a.shape[0]) : (a.shape[0], a.shape[1])
    let (inner, n) = tb ? (b.shape[1], b.shape[0]) : (b.shape[0], b.shape[1])
    precondition(
      inner == k && c.shape == [m, n], "[multiply] \(a.shape)\(ta ? "ᵀ" : "") · \(b.shape)\(tb ? "ᵀ" : "") → \(c.shape)")
    // Of the kernels that CLBlast runs, the event is the last one's.
    let before = try profiler == nil ? nil : queue.marker()
    var handle: cl_command_queue? = queue.handle
    var event: cl_event?
    let status = withUnsafeMutablePointer(to: &event) {
      CLBlastSgemm(
        CLBlastLayoutRowMajor, ta ? CLBlastTransposeYes : CLBlastTransposeNo, tb ? CLBlastTransposeYes : CLBlastTransposeNo, m, n,
        k, 1,
        a.buffer.handle, 0, a.shape[1], b.buffer.handle, 0, b.shape[1], 0, c.buffer.handle, 0, n, &handle,
        profiler == nil ? nil : $0)
    }
    guard status == CLBlastSuccess else {
      throw OpenCLError(call: "CLBlastSgemm", code: status.rawValue, detail: "m \(m), n \(n), k \(k)")
    }
    if let event {
      try profiler?.add(
        .command("CLBlastSgemm"), bytes: a.byteCount + b.byteCount + c.byteCount, after: before, Event(handle: event))
    }
  }

  public func addBias(_ bias: Tensor, to y: Tensor) throws {
    let columns = bias.count
    precondition(y.count % columns == 0, "[addBias] \(bias.shape) to \(y.shape)")
    let width = traits.vectorWidth(dividing: columns)
    try launch(
      Specialisation(.elementwise, "add_bias", ["VW": width]), global: [columns / width, y.count / columns],
      [.buffer(bias.buffer), .buffer(y.buffer), .int(columns)])
  }

  public func sumRows(_ x: Tensor, into sum: Tensor) throws {
    let columns = sum.count
    precondition(x.count % columns == 0, "[sumRows] \(x.shape) → \(sum.shape)")
    let width = traits.vectorWidth(dividing: columns)
    try launch(
      Specialisation(.elementwise, "sum_rows", ["VW": width]), global: [columns / width],
      [.buffer(x.buffer), .buffer(sum.buffer), .int(x.count / columns), .int(columns)])
  }
}
