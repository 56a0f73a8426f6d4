import Compute

extension Catalog {
  static var memory: [Case] {
    let copies: [(Values, DataType, String)] = [
      (.normal, .float32, "float"), (.indices(below: 1000), .int32, "int32"), (.pixels, .uint8, "uint8"),
    ]
    return [1, 17, 1000, 4099].flatMap { count in
      copies.map { values, type, name in copy(count, values, type, name) }
    } + [
      fill(1, 0, .float32), fill(33, -2.5, .float32), fill(4099, .infinity, .float32), fill(100, .nan, .float32),
      fill(33, -7, .int32), fill(4099, 2_000_000_000, .int32), fill(17, 255, .uint8), fill(1001, 0, .uint8),
      slice(1024, 1024, of: 3072), slice(2048, 33, of: 2081), slice(0, 17, of: 1000), readLater(17), readLater(4099),
    ]
  }

  private static func copy(_ count: Int, _ values: Values, _ type: DataType, _ typeName: String) -> Case {
    let operands: [Operand] = [.input("x", [count], values), .output("y", [count], type)]
    return Case("copy", "\(count) of \(typeName)", flops: 0, bound: .exact, operands) { try $0.copy($1["x"], into: $1["y"]) }
  }

  private static func fill(_ count: Int, _ value: Double, _ type: DataType) -> Case {
    Case("fill", "\(count) of \(type) with \(value)", flops: 0, bound: .exact, [.output("y", [count], type)]) {
      try $0.fill($1["y"], with: value)
    }
  }

  /// Returns a case that writes `count` elements from `first` on through a view of x, and reads them through a second view.
  private static func slice(_ first: Int, _ count: Int, of total: Int) -> Case {
    Case(
      "slice", "\(count) from \(first) of \(total)", flops: 0, bound: .exact,
      [.input("values", [count]), .updated("x", [total]), .output("y", [count])]
    ) { backend, tensors in
      let size = backend.scalar.byteCount
      func view() throws -> Tensor {
        let storage = try backend.slice(tensors["x"].storage, offset: first * size, byteCount: count * size)
        return Tensor(shape: [count], type: backend.scalar, storage: storage)
      }
      try backend.copy(tensors["values"], into: view())
      try backend.copy(view(), into: tensors["y"])
    }
  }

  /// Returns a case that reads x, overwrites it before waiting, and writes the values that arrived to y.
  private static func readLater(_ count: Int) -> Case {
    Case("readLater", "\(count)", flops: 0, bound: .exact, [.updated("x", [count]), .output("y", [count])]) { backend, tensors in
      let readback = try backend.readLater(tensors["x"])
      try backend.fill(tensors["x"], with: 1)
      try backend.flush()
      try readback.wait().bytes.withUnsafeBytes { try backend.write($0, to: tensors["y"]) }
    }
  }
}
