import Datasets
import Foundation
import Support
import TestSupport
import Testing

/// Tests what a path is taken for if no data set is named.
@Suite struct RecognitionTests {
  @Test func dataSetsAreToldByTheirFiles() throws {
    try withTemporaryFolder { folder in
      func labels(_ first: [UInt8]) -> [UInt8] { [0, 0, 8, 1, 0, 0, 0, 10] + first + [0, 0] }
      try write(labels([5, 0, 4, 1, 9, 2, 1, 3]), to: "\(folder)/digits/train-labels-idx1-ubyte")
      try write(labels([9, 0, 0, 3, 0, 2, 7, 2]), to: "\(folder)/clothes/train-labels-idx1-ubyte")
      try write([1], to: "\(folder)/ten/data_batch_1.bin")
      try write([1], to: "\(folder)/above/cifar-10-batches-bin/data_batch_1.bin")
      try write([1], to: "\(folder)/hundred/train.bin")
      try write([1], to: "\(folder)/photographs/ant/1.jpg")
      for (name, kind) in [
        ("digits", .mnist), ("clothes", .fashionMNIST), ("ten", .cifar10), ("above", .cifar10), ("hundred", .cifar100),
        ("photographs", .folder),
      ] as [(String, DatasetKind)] {
        #expect(try DatasetKind.guess(at: "\(folder)/\(name)")?.kind == kind, "\(name)")
      }
      try write([1], to: "\(folder)/nothing/file")
      try write([1], to: "\(folder)/hidden/.cache/file")
      #expect(try DatasetKind.guess(at: "\(folder)/nothing") == nil)
      #expect(try DatasetKind.guess(at: "\(folder)/hidden") == nil)
      #expect(throws: Failure.self) { try DatasetKind.guess(at: "\(folder)/nothing/file") }
      #expect(throws: Failure.self) { try DatasetKind.guess(at: "\(folder)/missing") }
      try write([0, 0, 8], to: "\(folder)/short/train-labels-idx1-ubyte")
      #expect(throws: Failure.self) { try DatasetKind.guess(at: "\(folder)/short") }
    }
  }
}
