import Compute
import Datasets
import Formats
import TestSupport
import Testing

@Suite struct TensorFileTests {
  typealias Tensors = [(name: String, tensor: HostTensor)]

  static let images = HostTensor((0..<16).map { Float($0) - 4.5 }, shape: [2, 2, 2, 2])
  static let labels = HostTensor([2, 0] as [Int32], shape: [2])

  static func long(_ values: [Int64]) -> HostTensor {
    HostTensor(shape: [values.count], type: .int64, bytes: values.withUnsafeBytes { Array($0) })
  }

  private func load(_ tensors: Tensors) throws -> DatasetSplits {
    try withTemporaryFolder { folder in
      try Safetensors.write(tensors, metadata: [:], to: folder + "/data.safetensors")
      return try DatasetKind.tensors.load(from: folder + "/data.safetensors")
    }
  }

  @Test func withoutValidationTheTrainingSetServes() throws {
    let splits = try load([("images", Self.images), ("labels", Self.labels)])
    #expect(splits.train.images == Self.images && splits.train.labels == Self.labels)
    #expect(splits.validation.images == Self.images && splits.validation.labels == Self.labels)
    #expect(splits.train.classes == ["0", "1", "2"] && !splits.train.namesClasses && !splits.train.prefix(1).namesClasses)
    #expect(splits.train.normalization == .none(channels: 2))
  }

  @Test func bytesAndLongLabelsAndValidation() throws {
    let bytes = HostTensor([1, 2, 3, 255] as [UInt8], shape: [1, 2, 2, 1])
    let more = HostTensor([5, 6, 7, 8, 9, 10, 11, 12] as [UInt8], shape: [2, 2, 2, 1])
    let splits = try load([
      ("images", bytes), ("labels", Self.long([1])), ("validation_images", more), ("validation_labels", Self.long([0, 3])),
    ])
    #expect(splits.train.images == bytes && splits.train.labels == HostTensor([1] as [Int32], shape: [1]))
    #expect(splits.validation.images == more && splits.validation.labels == HostTensor([0, 3] as [Int32], shape: [2]))
    #expect(splits.train.classes.count == 4 && splits.validation.classes.count == 4)
    #expect(splits.train.normalization == .none(channels: 1))
  }

  struct Case: CustomTestStringConvertible, Sendable {
    let tensors: Tensors
    let says: [String]
    var testDescription: String { says.joined(separator: " ") }
  }

  static let cases: [Case] = [
    Case(tensors: [], says: ["images and labels are needed", "has none"]),
    Case(tensors: [("images", images), ("lables", labels)], says: ["images and labels are needed", "images, lables"]),
    Case(tensors: [("images", images.reshaped([2, 8])), ("labels", labels)], says: ["images are [2, 8]", "[N, H, W, C]"]),
    Case(tensors: [("images", images.converted(to: .float64)), ("labels", labels)], says: ["float64", "uint8 or float32"]),
    Case(
      tensors: [("images", HostTensor([] as [Float], shape: [0, 2, 2, 1])), ("labels", HostTensor([] as [Int32], shape: [0]))],
      says: ["images are empty"]),
    Case(tensors: [("images", images), ("labels", HostTensor([1] as [Int32], shape: [1]))], says: ["labels are [1]", "[2]"]),
    Case(tensors: [("images", images), ("labels", labels.reshaped([2, 1]))], says: ["labels are [2, 1]"]),
    Case(tensors: [("images", images), ("labels", labels.converted(to: .float32))], says: ["labels", "float32", "int64"]),
    Case(tensors: [("images", images), ("labels", HostTensor([0, -1] as [Int32], shape: [2]))], says: ["labels[1] is -1"]),
    Case(tensors: [("images", images), ("labels", long([.max, 0]))], says: ["labels[0] is 9223372036854775807"]),
    Case(tensors: [("images", images), ("labels", long([0, 65536]))], says: ["labels[1] is 65536", "65535"]),
    Case(
      tensors: [("images", images), ("labels", long([0, 65535]))],
      says: ["the label 65535 makes 65,536 classes, and only 2 of them have an image", "number the classes 0, 1, 2"]),
    Case(tensors: [("images", images), ("labels", long([1000, 7]))], says: ["makes 1,001 classes"]),
    Case(
      tensors: [("images", images), ("labels", labels), ("validation_images", images)], says: ["without validation_labels"]),
    Case(
      tensors: [("images", images), ("labels", labels), ("validation_labels", labels)], says: ["without validation_images"]),
    Case(
      tensors: [
        ("images", images), ("labels", labels), ("validation_images", images.reshaped([2, 4, 1, 2])),
        ("validation_labels", labels),
      ], says: ["[2, 2, 2, 2]", "[2, 4, 1, 2]"]),
    Case(
      tensors: [
        ("images", images), ("labels", labels), ("validation_images", images),
        ("validation_labels", HostTensor([0, -7] as [Int32], shape: [2])),
      ], says: ["validation_labels[1] is -7"]),
  ]

  @Test(arguments: cases) func malformed(_ item: Case) throws {
    let message = failureMessage { _ = try load(item.tensors) }
    expect(message, says: ["/data.safetensors: "] + item.says)
  }

  /// Checks that [N,C,H,W], PyTorch's layout, is recognized: it would mean images of few rows and many channels.
  @Test func channelsAreLast() throws {
    for (shape, isRefused) in [
      ([1, 3, 8, 8], true), ([1, 3, 6, 9], true), ([1, 1, 7, 7], true), ([1, 4, 5, 5], true), ([1, 8, 8, 3], false),
      ([1, 1, 40, 12], false), ([1, 4, 4, 16], false), ([1, 3, 3, 8], false), ([1, 3, 7, 4], false),
    ] as [(Shape, Bool)] {
      let images = HostTensor([UInt8](repeating: 1, count: shape.count), shape: shape)
      let tensors: Tensors = [("images", images), ("labels", Self.long([0]))]
      guard isRefused else {
        #expect(try load(tensors).train.shape == shape)
        continue
      }
      let message = failureMessage { _ = try load(tensors) }
      expect(message, says: ["images are \(shape)", "looks like [N, C, H, W]", "transpose(0, 2, 3, 1)"])
    }
  }

  @Test func classesWithoutImagesAreNoted() throws {
    func notes(_ labels: [Int64]) throws -> [String] {
      let images = HostTensor([Float](repeating: 1, count: labels.count), shape: [labels.count, 1, 1, 1])
      return ImageSplits(try load([("images", images), ("labels", Self.long(labels))])).notes
    }
    #expect(try notes([0, 1, 2]).isEmpty)
    let fromOne = try notes([1, 2, 3])
    #expect(fromOne.count == 1 && fromOne[0].contains("class 0 stays empty") && fromOne[0].contains("count from 1"), "\(fromOne)")
    let gaps = try notes([0, 3, 4])
    #expect(gaps == ["no image to train on has the label 1, 2: of 5 classes 2 stay empty"])
  }

  /// Checks that subsets of data sets with many classes keep their numbers.
  @Test func manyClassesMayBeEmpty() throws {
    func classes(_ labels: [Int64]) throws -> Int {
      let images = HostTensor([Float](repeating: 1, count: labels.count), shape: [labels.count, 1, 1, 1])
      return try load([("images", images), ("labels", Self.long(labels))]).train.classes.count
    }
    #expect(try classes([999, 3]) == 1000)
    #expect(try classes((0..<219).map { $0 * 100 }) == 21801)
  }

  @Test func noSuchFile() throws {
    let message = failureMessage { _ = try DatasetKind.tensors.load(from: "/nowhere.safetensors") }
    expect(message, says: ["/nowhere.safetensors", "No such file"])
  }
}
