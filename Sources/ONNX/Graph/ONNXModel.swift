import Compute
import Formats
import ONNXProto
import Support
import SwiftProtobuf

/// Model in an ONNX file, checked, that runs on any backend.
public struct ONNXModel {
  let graph: Graph
  let path: String

  init(graph: Graph, path: String) { (self.graph, self.path) = (graph, path) }

  /// Whether a file is treated as an ONNX model: its name ends in `.onnx`, or it begins as such a model does.
  /// - Throws: ``Failure`` if the file cannot be read.
  public static func isModel(_ path: String) throws -> Bool {
    if InputFile.isFolder(path) { return false }
    if path.hasSuffix(".onnx") { return true }
    return try FileKind(of: try InputFile(path)) == .onnx
  }

  /// Reads and checks a model.
  /// - Throws: ``Failure`` that names the file and the node, tensor or value that is wrong or not supported.
  public init(contentsOf path: String) throws {
    self.path = path
    let file = try InputFile(path)
    if let kind = try FileKind(of: file), kind != .onnx { throw Failure(.damagedFile, about: path, "\(kind.refusal(.model))") }
    // Reading takes the bytes, the messages made of them, and the constants made of the messages.
    try requireMemory(3 * file.byteCount, for: path)
    let bytes = try file.read()
    do {
      var options = BinaryDecodingOptions()
      options.discardUnknownFields = true
      graph = try Graph(try Onnx_ModelProto(serializedBytes: bytes, options: options), in: Folder.parent(of: path))
    } catch let failure as Failure {
      throw failure.about(path)
    } catch {
      throw Failure(.damagedFile, about: path, "this is not an ONNX model, or a damaged one: \(Self.describe(error))")
    }
  }

  private static func describe(_ error: any Error) -> String {
    switch error as? BinaryDecodingError {
    case .truncated: "it ends within a value"
    case .invalidUTF8: "a string in it is not valid UTF-8"
    case .messageDepthLimit: "its messages are nested too deeply"
    default: "malformed protobuf"
    }
  }

  /// Inputs that must be given, in order; a dimension that is not fixed is nil.
  public var inputs: [(name: String, shape: [Int?])] { graph.inputs.map { ($0.name, $0.shape) } }

  /// Names of the results, in order.
  public var outputs: [String] { graph.outputs }

  /// Metadata of the file, by key.
  public var metadata: [String: String] { graph.metadata }

  /// Runs the graph once on float32 tensors, row-major in ONNX's dimensions.
  ///
  /// This is meant for trying graphs; ``ONNXClassifier`` runs many batches.
  /// - Throws: ``Failure`` if the inputs do not fit the graph; errors of the backend.
  public func run(_ inputs: [String: HostTensor], on backend: any Backend) throws -> [(name: String, tensor: HostTensor)] {
    do {
      let given = inputs.filter { input in graph.inputs.contains { $0.name == input.key } }
      if let other = given.first(where: { $0.value.type != .float32 }) {
        throw Failure(.unsupported, "input '\(other.key)' is of type \(other.value.type), and only float32 is computed with")
      }
      let plan = try Planner.plan(graph, inputs: given.mapValues { ($0.shape.dimensions, nil) })
      let tensors = try given.mapValues { try backend.upload($0) }
      let execution = try Runner(on: backend).run(plan, plan.lastUses(), inputs: tensors)
      return try plan.outputs.map { name, value in
        switch value {
        case .constant(let constant): (name, constant.host)
        case .computed(let computed): (name, try backend.download(execution[computed]))
        }
      }
    } catch let failure as Failure { throw failure.about(path) }
  }
}

extension Constant {
  /// Tensor of the constant's values; integers of all types become int64.
  fileprivate var host: HostTensor {
    switch elements {
    case .floats(let values): HostTensor(values, shape: Shape(shape))
    case .integers(let values):
      HostTensor(shape: Shape(shape), type: .int64, bytes: values.withUnsafeBytes { Array($0) })
    }
  }
}
