import Compute
import Formats
import Foundation
import ONNX
import ONNXProto
import Support
import SwiftProtobuf
import TestSupport

/// A model built node by node.
struct TestModel {
  var proto: Onnx_ModelProto = .with {
    $0.irVersion = 8
    $0.opsetImport = [.with { $0.version = 17 }]
    $0.graph = .with { $0.name = "test" }
  }

  enum Attribute {
    case int(Int)
    case ints([Int])
    case float(Float)
    case string(String)
  }

  /// - Parameter sizes: dimensions, negative for a dimension that is not fixed.
  func input(_ name: String, _ sizes: [Int], type: Int32 = 1) -> TestModel {
    changed { $0.graph.input.append(Self.value(name, sizes, type)) }
  }

  func output(_ name: String) -> TestModel { changed { $0.graph.output.append(Self.value(name, [], 1)) } }

  func floats(_ name: String, _ values: [Float], _ shape: [Int]) -> TestModel {
    changed {
      $0.graph.initializer.append(
        .with {
          $0.name = name
          $0.dims = shape.map(Int64.init)
          $0.dataType = 1
          $0.rawData = values.withUnsafeBytes { Data($0) }
        })
    }
  }

  /// Adds an initializer of type float16.
  func halves(_ name: String, _ values: [Float16], _ shape: [Int]) -> TestModel {
    changed {
      $0.graph.initializer.append(
        .with {
          $0.name = name
          $0.dims = shape.map(Int64.init)
          $0.dataType = 10
          $0.rawData = values.withUnsafeBytes { Data($0) }
        })
    }
  }

  func integers(_ name: String, _ values: [Int]) -> TestModel {
    changed {
      $0.graph.initializer.append(
        .with {
          $0.name = name
          $0.dims = [Int64(values.count)]
          $0.dataType = 7
          $0.int64Data = values.map(Int64.init)
        })
    }
  }

  func node(_ op: String, _ inputs: [String], _ output: String, _ attributes: KeyValuePairs<String, Attribute> = [:]) -> TestModel
  {
    changed {
      $0.graph.node.append(
        .with {
          $0.opType = op
          $0.name = "the \(op)"
          $0.input = inputs
          $0.output = [output]
          $0.attribute = attributes.map(Self.attribute)
        })
    }
  }

  func changed(_ change: (inout Onnx_ModelProto) throws -> Void) rethrows -> TestModel {
    var copy = self
    try change(&copy.proto)
    return copy
  }

  var bytes: [UInt8] {
    do { return try proto.serializedBytes() } catch { preconditionFailure("\(error)") }
  }

  /// Writes the model to a file and reads it.
  func model() throws -> ONNXModel {
    try withTemporaryFolder { folder in
      try AtomicFile.write(bytes, to: "\(folder)/model.onnx")
      return try ONNXModel(contentsOf: "\(folder)/model.onnx")
    }
  }

  private static func value(_ name: String, _ sizes: [Int], _ type: Int32) -> Onnx_ValueInfoProto {
    .with {
      $0.name = name
      $0.type.tensorType.elemType = type
      $0.type.tensorType.shape.dim = sizes.map { size in
        .with { $0.value = size < 0 ? .dimParam("any") : .dimValue(Int64(size)) }
      }
    }
  }

  private static func attribute(_ name: String, _ value: Attribute) -> Onnx_AttributeProto {
    .with {
      $0.name = name
      switch value {
      case .int(let value): ($0.type, $0.i) = (2, Int64(value))
      case .ints(let values): ($0.type, $0.ints) = (7, values.map(Int64.init))
      case .float(let value): ($0.type, $0.f) = (1, value)
      case .string(let text): ($0.type, $0.s) = (3, Data(text.utf8))
      }
    }
  }
}
