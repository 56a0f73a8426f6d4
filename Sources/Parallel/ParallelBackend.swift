import Compute

/// Several devices that act as one. Each works on its share of every batch, at the same time as the others.
///
/// A tensor made by ``Backend/batchTensor(_:_:)`` is *split*: its first dimension is the images of a batch, and each device holds
/// its share. All other tensors are *replicated*: parameters, their gradients, statistics, the data set. Each device performs an
/// operation on split tensors on its share. If the operation sums over all images, each device keeps its own summand until the
/// sum is needed, so that the gradients of all parameters are added in one exchange per step. Batch normalization uses the
/// statistics of the whole batch: the devices exchange their moments and sums, a few numbers per channel.
///
/// Exchanged data passes through the host, so that devices of any drivers work together. The host first asks all devices and then
/// waits. Everything is added in the order of the devices, so the same devices and the same split give the same bits. The first
/// device updates the weights and the running statistics, which are then copied to the others. Devices that round differently
/// therefore do not drift apart.
///
/// Every device performs operations on replicated tensors alone. The exception is a convolution with a prepared filter, because
/// each device holds the filter in a form for its share.
package final class ParallelBackend: ContractBackend {
  package let scalar: DataType
  package let alignment: Int
  package let devices: [any Backend]
  package let split: BatchSplit
  let members: [any ShardBackend]

  package func releaseFreeMemory() { for device in devices { device.releaseFreeMemory() } }

  /// - Precondition: there is at least one device, there are as many devices as weights in `split`, and all have one
  ///   ``Backend/scalar`` type.
  package init(_ devices: [any ShardBackend], split: BatchSplit) {
    precondition(!devices.isEmpty && devices.count == split.weights.count, "[ParallelBackend] \(devices.count) devices, \(split)")
    precondition(Set(devices.map(\.scalar)).count == 1, "[ParallelBackend] devices of different precision")
    (members, self.devices, self.split) = (devices, devices, split)
    scalar = devices[0].scalar
    // Alignments are powers of two, so the largest is a multiple of the others.
    alignment = devices.map(\.alignment).max() ?? 1
  }

  /// For example `2 × PoCL`, or the names joined by `+`.
  package var name: String {
    let names = members.map(\.name)
    return Set(names).count == 1 ? "\(names.count) × \(names[0])" : names.joined(separator: " + ")
  }

  /// Memory use of all devices together.
  package var memory: MemoryUse { members.map(\.memory).reduce(MemoryUse(), +) }
  /// Sum of the limits of all devices; each device has its own limit.
  package var memoryLimit: Int { members.reduce(0) { $0 + $1.memoryLimit } }
  package var largestBlock: Int { members.map(\.largestBlock).min() ?? 0 }

  package func replacingDevices(by replacement: (any Backend) -> any ShardBackend) -> any Backend {
    ParallelBackend(members.map(replacement), split: split)
  }

  /// Returns the workspaces that the first device would need for the whole operation. A dry run asks each device about its share.
  package func workspaceByteCounts(_ operation: WorkspaceOperation) -> [Int] { members[0].workspaceByteCounts(operation) }

  // MARK: Memory

  package func allocate(byteCount: Int) throws -> any Storage {
    let parts = try members.map { try $0.allocate(byteCount: byteCount) }
    return ParallelStorage(byteCount: byteCount, .replicated(Replicas(), offset: 0), parts)
  }

  package func allocate(byteCount: Int, images: Int) throws -> any Storage {
    precondition(images > 0 && byteCount % images == 0, "[allocate] \(byteCount) bytes of \(images) images")
    let parts = try zip(members, split.shares(of: images)).map { device, share in
      share.isEmpty ? nil : try device.allocate(byteCount: byteCount / images * share.count)
    }
    return ParallelStorage(byteCount: byteCount, .split(images: images), parts)
  }

  package func slice(_ storage: any Storage, offset: Int, byteCount: Int) throws -> any Storage {
    let whole = own(storage)
    guard case .replicated(let replicas, let start) = whole.layout else {
      preconditionFailure("[slice] a batch is on several devices: it has no slices")
    }
    let parts = try zip(members, whole.parts).map { device, part in
      try part.map { try device.slice($0, offset: offset, byteCount: byteCount) }
    }
    return ParallelStorage(byteCount: byteCount, .replicated(replicas, offset: start + offset), parts)
  }

  package func write(_ bytes: UnsafeRawBufferPointer, to tensor: Tensor) throws {
    precondition(bytes.count == tensor.byteCount, "[write] \(bytes.count) bytes to \(tensor.shape) of \(tensor.type)")
    let shares = images(of: tensor).map { images in
      split.shares(of: images).map { $0.lowerBound * (bytes.count / images)..<$0.upperBound * (bytes.count / images) }
    }
    try each(reads: [], writes: [tensor]) { device, part, index in
      try device.write(shares.map { UnsafeRawBufferPointer(rebasing: bytes[$0[index]]) } ?? bytes, to: part(tensor))
    }
  }

  package func read(_ tensor: Tensor, into bytes: UnsafeMutableRawBufferPointer) throws {
    precondition(bytes.count == tensor.byteCount, "[read] \(tensor.shape) of \(tensor.type) into \(bytes.count) bytes")
    try readLater(tensor).wait().bytes.withUnsafeBytes { bytes.copyMemory(from: $0) }
  }

  package func readLater(_ tensor: Tensor) throws -> any Readback {
    let (shape, type) = (tensor.shape, tensor.type)
    if images(of: tensor) != nil {
      return ParallelReadback(try readParts(of: tensor, from: members.indices)) {
        HostTensor(shape: shape, type: type, bytes: $0.flatMap(\.bytes))
      }
    }
    let summands = summands(of: tensor)
    if summands.isEmpty { return try members[0].readLater(part(of: tensor, 0)) }
    return ParallelReadback(try readParts(of: tensor, from: members.indices)) {
      var sum = $0[0]
      sum.add($0.dropFirst(), in: summands)
      return sum
    }
  }

  /// Starts readbacks from the devices that have a part of the tensor.
  private func readParts(of tensor: Tensor, from indices: Range<Int>) throws -> [any Readback] {
    let parts = own(tensor.storage).parts
    return try indices.filter { parts[$0] != nil }.map { try members[$0].readLater(part(of: tensor, $0)) }
  }

  package func flush() throws { for device in members { try device.flush() } }

  package func finish() throws {
    try flush()
    for device in members { try device.finish() }
  }

  // MARK: Parts

  func own(_ storage: any Storage) -> ParallelStorage {
    guard let storage = storage as? ParallelStorage, storage.parts.count == members.count else {
      preconditionFailure("[ParallelBackend] a tensor of another backend, \(type(of: storage))")
    }
    return storage
  }

  /// Returns the number of images of a batch; nil for a replicated tensor.
  func images(of tensor: Tensor) -> Int? {
    if case .split(let images) = own(tensor.storage).layout { images } else { nil }
  }

  /// Returns the part of a tensor that the device at `index` holds.
  /// - Precondition: the device holds a part.
  func part(of tensor: Tensor, _ index: Int) -> Tensor {
    guard let storage = own(tensor.storage).parts[index] else {
      preconditionFailure("[ParallelBackend] device \(index) has no part of \(tensor.shape)")
    }
    guard let images = images(of: tensor) else { return Tensor(shape: tensor.shape, type: tensor.type, storage: storage) }
    precondition(tensor.shape[0] % images == 0, "[ParallelBackend] \(tensor.shape) of \(images) images")
    let rows = tensor.shape[0] / images * split.shares(of: images)[index].count
    return Tensor(shape: Shape([rows] + tensor.shape.dimensions.dropFirst()), type: tensor.type, storage: storage)
  }

  /// Returns the state of a replicated tensor's bytes; nil for a split tensor.
  private func replicas(of tensor: Tensor) -> (replicas: Replicas, range: Range<Int>)? {
    guard case .replicated(let replicas, let offset) = own(tensor.storage).layout else { return nil }
    return (replicas, offset..<offset + tensor.byteCount)
  }

  /// Returns the bytes of a replicated tensor, counted from its beginning, that are sums over the devices.
  private func summands(of tensor: Tensor) -> RangeSet<Int> {
    guard let (replicas, range) = replicas(of: tensor) else { return RangeSet() }
    let found = replicas.summands.intersection(RangeSet(range)).ranges
    return RangeSet(found.map { $0.lowerBound - range.lowerBound..<$0.upperBound - range.lowerBound })
  }

  func isSum(_ tensor: Tensor) -> Bool { !summands(of: tensor).isEmpty }

  func set(_ state: Replicas.State, _ tensor: Tensor) {
    if let (replicas, range) = replicas(of: tensor) { replicas.set(state, range) }
  }

  /// Makes a replicated tensor valid on the first device, or on all devices.
  func settle(_ tensor: Tensor, onAll: Bool) throws {
    guard let (replicas, range) = replicas(of: tensor) else { return }
    let isSum = isSum(tensor)
    if !isSum && (!onAll || replicas.leading.isDisjoint(RangeSet(range))) { return }
    let value = try readLater(tensor).wait()
    try value.bytes.withUnsafeBytes { bytes in
      for index in (isSum ? 0 : 1)..<(onAll ? members.count : 1) { try members[index].write(bytes, to: part(of: tensor, index)) }
    }
    onAll ? replicas.set(.equal, range) : replicas.lead(range)
  }

  // MARK: Work

  /// A function that returns one device's part of a tensor.
  typealias Part = (Tensor) -> Tensor

  /// Calls an operation on each device: on its share of the images if tensors are split, else on everything.
  /// - Parameters:
  ///   - writes: tensors that are overwritten; they must be split if any tensor is.
  ///   - sums: replicated tensors that are overwritten by sums over the images.
  func each(
    reads: [Tensor], writes: [Tensor], sums: [Tensor] = [],
    _ body: (any ShardBackend, @escaping Part, _ index: Int) throws -> Void
  ) throws {
    let batches = Set((reads + writes).compactMap(images))
    precondition(batches.count <= 1, "[ParallelBackend] batches of \(batches.sorted()) images in one operation")
    for tensor in reads { try settle(tensor, onAll: true) }
    let shares = batches.first.map(split.shares)
    for (index, device) in members.enumerated() {
      if let shares, shares[index].isEmpty {
        for sum in sums { try device.fill(part(of: sum, index), with: 0) }
      } else {
        try body(device, { self.part(of: $0, index) }, index)
      }
    }
    for tensor in writes {
      precondition(shares == nil || images(of: tensor) != nil, "[ParallelBackend] a batch gives \(tensor.shape) for all devices")
      set(.equal, tensor)
    }
    for tensor in sums { set(shares == nil ? .equal : .summands, tensor) }
  }

  /// Calls an operation on the first device alone.
  /// - Precondition: all tensors are replicated.
  func onFirst(reads: [Tensor], writes: [Tensor], _ body: (any ShardBackend, @escaping Part) throws -> Void) throws {
    for tensor in reads + writes {
      precondition(images(of: tensor) == nil, "[ParallelBackend] \(tensor.shape) is split")
      try settle(tensor, onAll: false)
    }
    try body(members[0]) { self.part(of: $0, 0) }
    for tensor in writes { set(.leading, tensor) }
  }
}
