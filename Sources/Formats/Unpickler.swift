import Compute

/// Reads the pickles (Python's protocols 2 to 5) that `torch.save` writes. It runs nothing: the names that a pickle refers to
/// are looked up in ``PyTorchGlobal``, and any other, as any opcode that `torch.save` has no use for, ends it with an error.
///
/// The time and memory that it takes are in proportion to the pickle, whatever is in it.
struct Unpickler {
  var input: PickleBytes
  var stack: [PickleValue] = []
  /// Heights of the stack at the marks.
  private var marks: [Int] = []
  private var memo: [Int: PickleValue] = [:]
  /// Elements of all tuples and entries of all dictionaries.
  private var elementCount = 0
  var pickle = Pickle()

  /// ResNet-1202's state dictionary takes some 60,000 of what takes the most.
  private static let maximumCount = 1 << 20

  /// - Parameter place: what messages begin with, the file's and the record's name.
  /// - Returns: all that the pickle describes, and the value that it is about.
  /// - Throws: a ``Failure`` that gives the byte and what is wrong there.
  static func read(_ bytes: [UInt8], place: String) throws -> (pickle: Pickle, root: PickleValue) {
    var unpickler = Unpickler(input: PickleBytes(bytes, place: place))
    let root = try unpickler.run()
    return (unpickler.pickle, root)
  }

  private init(input: PickleBytes) { self.input = input }

  private mutating func run() throws -> PickleValue {
    guard try input.opcode() == 0x80 else { throw input.failure("it does not begin with a protocol, so it is not a pickle") }
    let version = try input.integer(1)
    guard (2...5).contains(version) else { throw input.failure("a pickle of protocol \(version); 2 to 5 are read") }
    while true {
      let opcode = try input.opcode()
      if opcode == UInt8(ascii: ".") { break }
      guard try atom(opcode) || compound(opcode) || recall(opcode) || call(opcode) else { throw input.refusal(of: opcode) }
      guard stack.count <= Self.maximumCount, memo.count <= Self.maximumCount, marks.count <= Self.maximumCount,
        pickle.tuples.count + pickle.dictionaries.count + pickle.tensors.count <= Self.maximumCount,
        elementCount <= 4 * Self.maximumCount
      else { throw input.failure("more than \(Self.maximumCount) values, which no checkpoint of a network has") }
    }
    let root = try pop()
    guard stack.isEmpty && marks.isEmpty else { throw input.failure("it stops with \(stack.count) values too many") }
    guard input.isAtEnd else { throw input.failure("bytes follow its end") }
    return root
  }

  // MARK: The stack

  private mutating func pop() throws -> PickleValue {
    guard let value = stack.last, stack.count > marks.last ?? 0 else {
      throw input.failure("a value is taken that is not there")
    }
    stack.removeLast()
    return value
  }

  private mutating func pop(_ count: Int) throws -> [PickleValue] {
    try (0..<count).map { _ in try pop() }.reversed()
  }

  private mutating func popToMark() throws -> [PickleValue] {
    guard let height = marks.popLast() else { throw input.failure("a mark is taken that is not there") }
    defer { stack.removeLast(stack.count - height) }
    return Array(stack[height...])
  }

  private mutating func push(tuple values: [PickleValue]) {
    stack.append(.tuple(values.isEmpty ? 0 : pickle.tuples.count))
    if !values.isEmpty { pickle.tuples.append(values) }
    elementCount += values.count
  }

  mutating func pushDictionary() {
    stack.append(.dictionary(pickle.dictionaries.count))
    pickle.dictionaries.append([])
  }

  // MARK: Opcodes, by Python's names for them

  /// Values that hold no others. Each of these functions tells whether it knows the opcode.
  private mutating func atom(_ opcode: UInt8) throws -> Bool {
    switch opcode {
    case UInt8(ascii: "N"): stack.append(.none)
    case 0x88: stack.append(.boolean(true))  // NEWTRUE
    case 0x89: stack.append(.boolean(false))  // NEWFALSE
    case UInt8(ascii: "K"): stack.append(.integer(try input.integer(1)))  // BININT1
    case UInt8(ascii: "M"): stack.append(.integer(try input.integer(2)))  // BININT2
    case UInt8(ascii: "J"): stack.append(.integer(Int(Int32(truncatingIfNeeded: try input.integer(4)))))  // BININT
    case 0x8A: stack.append(try long(try input.integer(1)))  // LONG1
    case 0x8B: stack.append(try long(try input.integer(4)))  // LONG4
    case UInt8(ascii: "G"):  // BINFLOAT
      _ = try input.bytes(8)
      stack.append(.other("a number"))
    case 0x8C: stack.append(.string(try input.string(try input.integer(1))))  // SHORT_BINUNICODE
    case UInt8(ascii: "X"): stack.append(.string(try input.string(try input.integer(4))))  // BINUNICODE
    case 0x8D: stack.append(.string(try input.string(try input.integer(8))))  // BINUNICODE8
    case UInt8(ascii: "C"): try bytes(1)  // SHORT_BINBYTES
    case UInt8(ascii: "B"): try bytes(4)  // BINBYTES
    case 0x8E, 0x96: try bytes(8)  // BINBYTES8, BYTEARRAY8
    case 0x95: try input.checkFrame()  // FRAME
    default: return false
    }
    return true
  }

  private mutating func bytes(_ width: Int) throws {
    _ = try input.bytes(try input.integer(width))
    stack.append(.other("bytes"))
  }

  /// Two's complement, little-endian.
  private mutating func long(_ count: Int) throws -> PickleValue {
    let bytes = try input.bytes(count)
    guard bytes.count <= 8 else { return .other("an integer of more than 64 bits") }
    let sign = bytes.last.map { $0 >= 0x80 } ?? false
    return .integer(bytes.reversed().reduce(sign ? -1 : 0) { $0 << 8 | Int($1) })
  }

  /// Tuples, lists, dictionaries and sets.
  private mutating func compound(_ opcode: UInt8) throws -> Bool {
    switch opcode {
    case UInt8(ascii: "("): marks.append(stack.count)  // MARK
    case UInt8(ascii: ")"): push(tuple: [])  // EMPTY_TUPLE
    case 0x85, 0x86, 0x87: push(tuple: try pop(Int(opcode) - 0x84))  // TUPLE1 … TUPLE3
    case UInt8(ascii: "t"): push(tuple: try popToMark())  // TUPLE
    case UInt8(ascii: "]"): stack.append(.other("a list"))  // EMPTY_LIST
    case 0x8F: stack.append(.other("a set"))  // EMPTY_SET
    case UInt8(ascii: "a"): try add(1, to: "a list", try pop(1))  // APPEND
    case UInt8(ascii: "e"): try add(1, to: "a list", try popToMark())  // APPENDS
    case 0x90: try add(1, to: "a set", try popToMark())  // ADDITEMS
    case UInt8(ascii: "}"): pushDictionary()  // EMPTY_DICT
    case UInt8(ascii: "s"): try setItems(try pop(2))  // SETITEM
    case UInt8(ascii: "u"): try setItems(try popToMark())  // SETITEMS
    default: return false
    }
    return true
  }

  /// Lists and sets are passed over; only that there is one is checked.
  private mutating func add(_ count: Int, to kind: String, _: [PickleValue]) throws {
    let target = try pop(count)[0]
    guard case .other(kind) = target else { throw input.failure("values are added to \(target.kind) as if it were \(kind)") }
    stack.append(target)
  }

  private mutating func setItems(_ items: [PickleValue]) throws {
    let target = try pop()
    guard case .dictionary(let index) = target, items.count % 2 == 0 else {
      throw input.failure("\(items.count) values are set as keys and values of \(target.kind)")
    }
    elementCount += items.count / 2
    for item in stride(from: 0, to: items.count, by: 2) {
      pickle.dictionaries[index].append((items[item], items[item + 1]))
    }
    stack.append(target)
  }

  /// The memo, and what moves values about.
  private mutating func recall(_ opcode: UInt8) throws -> Bool {
    switch opcode {
    case UInt8(ascii: "q"): try remember(try input.integer(1))  // BINPUT
    case UInt8(ascii: "r"): try remember(try input.integer(4))  // LONG_BINPUT
    case 0x94: try remember(memo.count)  // MEMOIZE
    case UInt8(ascii: "h"): try recall(number: try input.integer(1))  // BINGET
    case UInt8(ascii: "j"): try recall(number: try input.integer(4))  // LONG_BINGET
    case UInt8(ascii: "0"): _ = try pop()  // POP
    case UInt8(ascii: "1"): _ = try popToMark()  // POP_MARK
    case UInt8(ascii: "2"):  // DUP
      let value = try pop()
      stack += [value, value]
    default: return false
    }
    return true
  }

  private mutating func remember(_ number: Int) throws {
    let value = try pop()
    memo[number] = value
    stack.append(value)
  }

  private mutating func recall(number: Int) throws {
    guard let value = memo[number] else { throw input.failure("value \(number) of the memo is used, which is not there") }
    stack.append(value)
  }

  /// Names, and what is made by them.
  private mutating func call(_ opcode: UInt8) throws -> Bool {
    switch opcode {
    case UInt8(ascii: "c"): try pushGlobal(module: try input.line(), name: try input.line())  // GLOBAL
    case 0x93:  // STACK_GLOBAL
      let names = try pop(2)
      guard case .string(let module) = names[0], case .string(let name) = names[1] else {
        throw input.failure("a name is \(names[0].kind) and \(names[1].kind), not two strings")
      }
      try pushGlobal(module: module, name: name)
    case UInt8(ascii: "Q"): stack.append(.storage(try storage(try pop())))  // BINPERSID
    case UInt8(ascii: "R"):  // REDUCE
      let call = try pop(2)
      guard case .global(let global) = call[0], case .tuple(let index) = call[1] else {
        throw input.failure("\(call[0].kind) is called with \(call[1].kind)")
      }
      try make(global, pickle.tuples[index])
    case UInt8(ascii: "b"):  // BUILD
      // PyTorch hangs the versions of its modules on a state dictionary: of no use here.
      let values = try pop(2)
      guard case .dictionary = values[0], case .dictionary = values[1] else {
        throw input.failure("\(values[0].kind) is given a state")
      }
      stack.append(values[0])
    default: return false
    }
    return true
  }

  private mutating func pushGlobal(module: String, name: String) throws {
    guard let global = PyTorchGlobal(module: module, name: name) else {
      throw input.failure(
        "it refers to '\(shortened("\(module).\(name)"))', and only tensors, numbers, strings and containers of them are read: "
          + "save model.state_dict() by itself")
    }
    stack.append(.global(global))
  }
}
