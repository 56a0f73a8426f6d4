import Support

/// Reads the pickles (Python's protocols 2 to 5) that `torch.save` writes. It runs nothing and builds nothing. Names in a
/// pickle are looked up in ``PyTorchGlobal``. The result of any other name is kept as a placeholder of which only the kind is
/// known. An opcode that `torch.save` does not need is an error.
///
/// Time and memory are proportional to the size of the pickle, whatever it contains.
struct Unpickler {
  var input: PickleBytes
  var stack: [PickleValue] = []
  /// Heights of the stack at the marks.
  private var marks: [Int] = []
  private var memo: [Int: PickleValue] = [:]
  /// Number of elements in all tuples and lists and of entries in all dictionaries.
  private var elementCount = 0
  var pickle = Pickle()

  /// Limit on the stack, the memo, the marks and the containers. ResNet-1202's state dictionary needs about 60,000 for
  /// the largest of these.
  private static let maximumCount = 1 << 20

  /// Reads a pickle that fills all the bytes.
  /// - Parameters:
  ///   - path: the file.
  ///   - place: what the pickle is in the file, for messages.
  /// - Returns: all values that the pickle describes, and its root value.
  /// - Throws: a ``Failure`` that gives the byte offset and the reason.
  static func read(_ bytes: [UInt8], of path: String, place: String) throws -> (pickle: Pickle, root: PickleValue) {
    var unpickler = Unpickler(input: PickleBytes(bytes, of: path, place: place))
    do {
      let root = try unpickler.run()
      guard unpickler.input.isAtEnd else { throw unpickler.input.failure("bytes follow its end") }
      return (unpickler.pickle, root)
    } catch let early as PickleBytes.EndsEarly { throw early.failure }
  }

  /// Reads a pickle that may be followed by others.
  /// - Parameter offset: offset at which the pickle begins; on return, offset at which the following data begin.
  /// - Throws: a ``Failure`` as above; ``PickleBytes/EndsEarly`` if the bytes end before the pickle does.
  static func read(
    _ bytes: [UInt8], from offset: inout Int, of path: String, place: String
  ) throws -> (pickle: Pickle, root: PickleValue) {
    var unpickler = Unpickler(input: PickleBytes(bytes, from: offset, of: path, place: place))
    let root = try unpickler.run()
    offset = unpickler.input.position
    return (unpickler.pickle, root)
  }

  private init(input: PickleBytes) { self.input = input }

  private mutating func run() throws -> PickleValue {
    guard try input.opcode() == 0x80 else { throw input.failure("it does not begin with a protocol, so it is not a pickle") }
    let version = try input.integer(1)
    guard (2...5).contains(version) else {
      throw input.failure("a pickle of protocol \(version); 2 to 5 are read", .unsupported)
    }
    while true {
      let opcode = try input.opcode()
      if opcode == UInt8(ascii: ".") { break }
      guard try atom(opcode) || compound(opcode) || recall(opcode) || call(opcode) else { throw input.refusal(of: opcode) }
      guard stack.count <= Self.maximumCount, memo.count <= Self.maximumCount, marks.count <= Self.maximumCount,
        pickle.tuples.count + pickle.lists.count + pickle.dictionaries.count + pickle.tensors.count <= Self.maximumCount,
        elementCount <= 4 * Self.maximumCount
      else { throw input.failure("more than \(Self.maximumCount) values, which no checkpoint of a network has", .unsupported) }
    }
    let root = try pop()
    guard stack.isEmpty && marks.isEmpty else { throw input.failure("it stops with \(stack.count) values too many") }
    return root
  }

  // MARK: Stack

  mutating func pop() throws -> PickleValue {
    guard let value = stack.last, stack.count > marks.last ?? 0 else {
      throw input.failure("a value is taken that is not there")
    }
    stack.removeLast()
    return value
  }

  mutating func pop(_ count: Int) throws -> [PickleValue] {
    try (0..<count).map { _ in try pop() }.reversed()
  }

  mutating func popToMark() throws -> [PickleValue] {
    guard let height = marks.popLast() else { throw input.failure("a mark is taken that is not there") }
    defer { stack.removeLast(stack.count - height) }
    return Array(stack[height...])
  }

  private mutating func push(tuple values: [PickleValue]) {
    stack.append(.tuple(values.isEmpty ? 0 : pickle.tuples.count))
    if !values.isEmpty { pickle.tuples.append(values) }
    elementCount += values.count
  }

  mutating func pushDictionary(_ entries: [(key: PickleValue, value: PickleValue)] = []) {
    stack.append(.dictionary(pickle.dictionaries.count))
    pickle.dictionaries.append(entries)
    elementCount += entries.count
  }

  // MARK: Opcodes, with Python's names

  /// Handles values that contain no others. Each of these functions returns whether it knows the opcode.
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
      stack.append(.opaque("a number"))
    case 0x8C: try string(1)  // SHORT_BINUNICODE
    case UInt8(ascii: "X"): try string(4)  // BINUNICODE
    case 0x8D: try string(8)  // BINUNICODE8
    case UInt8(ascii: "U"): try string(1)  // SHORT_BINSTRING, of Python 2
    case UInt8(ascii: "T"): try string(4)  // BINSTRING, of Python 2
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
    stack.append(.opaque("bytes"))
  }

  private mutating func string(_ width: Int) throws {
    stack.append(try input.string(try input.integer(width)).map(PickleValue.string) ?? .opaque("a string that is not UTF-8"))
  }

  /// Reads an integer in two's complement, little-endian.
  private mutating func long(_ count: Int) throws -> PickleValue {
    let bytes = try input.bytes(count)
    guard bytes.count <= 8 else { return .opaque("an integer of more than 64 bits") }
    let sign = bytes.last.map { $0 >= 0x80 } ?? false
    return .integer(bytes.reversed().reduce(sign ? -1 : 0) { $0 << 8 | Int($1) })
  }

  /// Handles tuples, lists, dictionaries and sets.
  private mutating func compound(_ opcode: UInt8) throws -> Bool {
    switch opcode {
    case UInt8(ascii: "("): marks.append(stack.count)  // MARK
    case UInt8(ascii: ")"): push(tuple: [])  // EMPTY_TUPLE
    case 0x85, 0x86, 0x87: push(tuple: try pop(Int(opcode) - 0x84))  // TUPLE1 … TUPLE3
    case UInt8(ascii: "t"): push(tuple: try popToMark())  // TUPLE
    case UInt8(ascii: "]"):  // EMPTY_LIST
      stack.append(.list(pickle.lists.count))
      pickle.lists.append([])
    case 0x8F: stack.append(.opaque(Self.set))  // EMPTY_SET
    case 0x91:  // FROZENSET
      _ = try popToMark()
      stack.append(.opaque(Self.set))
    case UInt8(ascii: "a"): try append(try pop(1))  // APPEND
    case UInt8(ascii: "e"): try append(try popToMark())  // APPENDS
    case 0x90: try addItems(try popToMark())  // ADDITEMS
    case UInt8(ascii: "}"): pushDictionary()  // EMPTY_DICT
    case UInt8(ascii: "s"): try setItems(try pop(2))  // SETITEM
    case UInt8(ascii: "u"): try setItems(try popToMark())  // SETITEMS
    default: return false
    }
    return true
  }

  private static let set = "a set"

  private mutating func append(_ values: [PickleValue]) throws {
    let target = try pop()
    switch target {
    case .list(let index):
      pickle.lists[index] += values
      elementCount += values.count
    case .opaque: break
    default: throw input.failure("values are added to \(target.kind) as if it were a list")
    }
    stack.append(target)
  }

  /// Skips the values of a set. Only the presence of a set is checked.
  private mutating func addItems(_: [PickleValue]) throws {
    let target = try pop()
    guard case .opaque = target else { throw input.failure("values are added to \(target.kind) as if it were \(Self.set)") }
    stack.append(target)
  }

  private mutating func setItems(_ items: [PickleValue]) throws {
    let target = try pop()
    var wrong: Failure { input.failure("\(items.count) values are set as keys and values of \(target.kind)") }
    guard items.count % 2 == 0 else { throw wrong }
    switch target {
    case .dictionary(let index):
      elementCount += items.count / 2
      for item in stride(from: 0, to: items.count, by: 2) {
        pickle.dictionaries[index].append((items[item], items[item + 1]))
      }
    case .opaque: break
    default: throw wrong
    }
    stack.append(target)
  }

  /// Handles the memo and the opcodes that move values.
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
}
