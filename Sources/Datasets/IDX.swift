import Compute
import Support

/// Format of MNIST's files (http://yann.lecun.com/exdb/mnist), gzipped or plain. A file consists of a magic number, the
/// dimensions and the elements. The magic number is two zeros, the element type (8 for bytes) and the number of dimensions.
/// Each dimension takes four bytes, big-endian.
enum IDX {
  /// Size limit in bytes, above that of any data set in this format.
  static let maximumByteCount = 2 << 30

  /// Reads gray images, uint8 [N,H,W,1].
  /// - Parameter labels: number of labels and path of their file. There must be as many images.
  static func images(_ path: String, _ labels: (count: Int, path: String)) throws -> HostTensor {
    let (dimensions, bytes) = try read(path, rank: 3) { dimensions in
      // Compares the counts before the images are inflated, as they may be a thousand times as large as their file.
      guard dimensions[0] == labels.count else {
        throw Failure(.mismatch, "\(path) has \(dimensions[0]) images, but \(labels.path) has \(labels.count) labels")
      }
    }
    return HostTensor(bytes, shape: Shape(dimensions + [1]))
  }

  /// Reads labels, int32 [N], each below `classes`.
  static func labels(_ path: String, classes: Int) throws -> HostTensor {
    let (dimensions, bytes) = try read(path, rank: 1)
    if let index = bytes.firstIndex(where: { $0 >= classes }) {
      throw Failure(.damagedFile, about: path, "label \(bytes[index]) of sample \(index) is not below \(classes)")
    }
    return HostTensor(bytes.map(Int32.init), shape: Shape(dimensions))
  }

  private static func read(
    _ path: String, rank: Int, check: ([Int]) throws -> Void = { _ in }
  ) throws -> (dimensions: [Int], bytes: [UInt8]) {
    var reader = try InflatingReader(path)
    let magic = try reader.read(4)
    let wanted: [UInt8] = [0, 0, 8, UInt8(rank)]
    guard magic == wanted else {
      let kind = rank == 1 ? "IDX labels" : "IDX images"
      throw Failure(
        .damagedFile, about: path,
        "not \(kind), it starts with \(hexadecimal(magic)) instead of \(hexadecimal(wanted))")
    }
    let dimensions = try (0..<rank).map { _ in try reader.read(4).reduce(0) { $0 << 8 | Int($1) } }
    let text = dimensions.map(String.init).joined(separator: "×")
    guard !dimensions.contains(0) else {
      throw Failure(.damagedFile, about: path, "announces \(text) bytes, so it holds nothing")
    }
    let product = dimensions.reduce((partialValue: 1, overflow: false)) { product, size in
      let next = product.partialValue.multipliedReportingOverflow(by: size)
      return (next.partialValue, product.overflow || next.overflow)
    }
    guard !product.overflow, product.partialValue <= maximumByteCount else {
      throw Failure(.unsupported, about: path, "announces \(text) bytes, over the bound of \(maximumByteCount)")
    }
    guard product.partialValue <= reader.maximumByteCount else {
      throw Failure(.damagedFile, about: path, "truncated, announces \(text) bytes and is too short to hold them")
    }
    try check(dimensions)
    let bytes = try reader.read(product.partialValue)
    try reader.finish()
    return (dimensions, bytes)
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    "0x" + bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
