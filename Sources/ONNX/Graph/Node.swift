import ONNXProto
import Support

/// Operation of a graph.
struct Node {
  /// Index among the graph's nodes.
  let index: Int
  /// Index among the file's nodes, for messages.
  private let number: Int
  let op: String
  let name: String
  /// Names of the values that the node reads; empty for an input that is left out.
  let inputs: [String]
  let outputs: [String]
  let attributes: [String: Attribute]
  /// Version of the standard's operators that the model asks for.
  let opset: Int

  enum Attribute {
    case float(Float)
    case int(Int)
    case string(String)
    case tensor(Constant)
    case floats([Float])
    case ints([Int])
    /// Lists of strings, graphs and all else that no operator here takes.
    case other
  }

  /// Reads a node.
  /// - Parameter folder: folder of the files that tensors may be in.
  /// - Throws: ``Failure`` if an attribute is damaged.
  init(_ proto: Onnx_NodeProto, index: Int, number: Int, opset: Int, in folder: String) throws {
    (self.index, self.number, self.opset) = (index, number, opset)
    let isStandard = proto.domain.isEmpty || proto.domain == "ai.onnx"
    op = isStandard ? proto.opType : "\(proto.domain).\(proto.opType)"
    (name, inputs, outputs) = (proto.name, proto.input, proto.output)
    let place = Self.describe(name, op, number, proto.output)
    var attributes: [String: Attribute] = [:]
    for attribute in proto.attribute {
      let what = "\(place): attribute '\(shortened(attribute.name))'"
      guard attribute.refAttrName.isEmpty else { throw Failure(.damagedFile, "\(what) refers to a function's, and this is none") }
      guard attributes.updateValue(try Self.value(attribute, what, in: folder), forKey: attribute.name) == nil else {
        throw Failure(.damagedFile, "\(what) is there twice")
      }
    }
    self.attributes = attributes
  }

  private static func value(_ attribute: Onnx_AttributeProto, _ what: String, in folder: String) throws -> Attribute {
    switch Onnx_AttributeType(rawValue: Int(attribute.type)) {
    case .float: return .float(attribute.f)
    case .int: return .int(Int(attribute.i))
    case .string: return .string(String(decoding: attribute.s, as: UTF8.self))
    case .floats: return .floats(attribute.floats)
    case .ints: return .ints(attribute.ints.map(Int.init))
    case .tensor:
      do { return .tensor(try Constant(attribute.t, in: folder)) } catch let failure as Failure {
        throw failure.about(what)
      }
    default: return .other
    }
  }

  /// Text for messages, for example `node 'conv1' (Conv)`, or `node 12 (Conv, of 'y')` for a node without a name.
  var description: String { Self.describe(name, op, number, outputs) }

  private static func describe(_ name: String, _ op: String, _ number: Int, _ outputs: [String]) -> String {
    if !name.isEmpty { return "node '\(shortened(name))' (\(shortened(op)))" }
    return "node \(number) (\(shortened(op))" + (outputs.first.map { ", of '\(shortened($0))'" } ?? "") + ")"
  }

  /// Returns a failure of this node.
  func failure(_ problem: Message, kind: Failure.Kind = .damagedFile) -> Failure { Failure(kind, about: description, problem) }

  // MARK: Attributes

  func int(_ key: String, default value: Int) throws -> Int {
    switch attributes[key] {
    case nil: return value
    case .int(let found): return found
    default: throw mistyped(key, "an integer")
    }
  }

  func flag(_ key: String) throws -> Bool {
    let value = try int(key, default: 0)
    guard value == 0 || value == 1 else { throw failure("attribute '\(key)' is \(value), not 0 or 1") }
    return value == 1
  }

  func float(_ key: String, default value: Float) throws -> Float {
    switch attributes[key] {
    case nil: return value
    case .float(let found): return found
    default: throw mistyped(key, "a float")
    }
  }

  func string(_ key: String, default value: String) throws -> String {
    switch attributes[key] {
    case nil: return value
    case .string(let found): return found
    default: throw mistyped(key, "a string")
    }
  }

  /// Returns an attribute that is a list of integers; nil if it is absent.
  func ints(_ key: String) throws -> [Int]? {
    switch attributes[key] {
    case nil: return nil
    case .ints(let found): return found
    default: throw mistyped(key, "a list of integers")
    }
  }

  /// Returns an attribute of `count` integers within a range; if it is absent, `count` times `value`.
  func ints(_ key: String, count: Int, in range: ClosedRange<Int>, default value: Int) throws -> [Int] {
    guard let found = try ints(key) else { return [Int](repeating: value, count: count) }
    guard found.count == count, found.allSatisfy(range.contains) else {
      throw failure(
        "attribute '\(key)' is \(ONNX.describe(found)), not \(count) integers from \(range.lowerBound) to \(range.upperBound)")
    }
    return found
  }

  func mistyped(_ key: String, _ what: String) -> Failure { failure("attribute '\(key)' is not \(what)") }

  /// Returns an axis as an index. Negative axes count from the end.
  func axis(_ axis: Int, rank: Int, inclusive: Bool = false) throws -> Int {
    let limit = inclusive ? rank : rank - 1
    guard -rank <= axis, axis <= limit else { throw failure("there is no axis \(axis) among \(rank) dimensions") }
    return axis < 0 ? axis + rank : axis
  }
}
