import CPUBackend
import Compute
import Conformance
import Foundation
import Testing

@Suite struct ConformanceTests {
  /// Checks that float32 rounds no more than each case allows any backend. The two precisions share the same code.
  @Test func float32AgreesWithFloat64OnTheSmallCatalog() throws {
    let (candidate, reference) = (CPUBackend(), CPUBackend(precision: .float64))
    for subject in Catalog.small {
      let outcome = try Conformance.check(subject, on: candidate, against: reference)
      #expect(outcome.passed, "\(outcome.name): \(outcome.message)")
    }
    #expect(candidate.memory.bytesInUse == 0)
  }

  @Test func gradientsAgreeWithTheirDefinitions() throws {
    for precision in [DataType.float32, .float64] {
      for subject in Conformance.gradientCases where precision == .float64 || !subject.needsFloat64 {
        let outcome = try subject.check(on: CPUBackend(precision: precision))
        #expect(outcome.passed, "\(outcome.name) in \(precision): \(outcome.message)")
      }
    }
  }

  /// Runs twice with as many threads as the machine has: a data race would show as a difference.
  @Test func resultsAreReproducible() throws {
    let exact = Bound(value: 0, reason: "the same work")
    for subject in Catalog.small where subject.operation.hasPrefix("convolution") {
      let runs = try (0..<2).map { _ in
        let backend = CPUBackend()
        let prepared = try subject.prepare(on: backend)
        try prepared.run()
        return try prepared.outputs()
      }
      for (a, b) in zip(runs[0], runs[1]) {
        #expect(Comparison(a.name, a.values, against: b.values, exact).complaint == nil, "\(subject.name)")
      }
    }
  }

  private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")

  /// Compares with the declarations of the operations, so that no operation is forgotten.
  @Test func theCatalogCoversEveryOperation() throws {
    let folder = root.appendingPathComponent("Sources/Compute/Operations")
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    var declared: Set<String> = []
    for text in try files.map({ try String(contentsOf: $0, encoding: .utf8) }) {
      for declaration in text.components(separatedBy: "public protocol ").dropFirst() {
        let body = declaration.components(separatedBy: "\n}\n")[0]
        declared.formUnion(body.matches(of: /\n  func (\w+)/).map { String($0.1) })
      }
    }
    #expect(declared.count > 30)
    // Cases of folded convolutions prepare their filters.
    declared.subtract(["prepareFilter", "preparedFilterCount", "plannedFilterCount"])
    #expect(Set(Catalog.small.map(\.operation)) == declared.union(["slice", "readLater"]))
  }

  /// Checks the filters by which Scripts/verify-runtimes selects cases. Products are left out there.
  @Test func verifyRuntimesCoversEveryOperation() throws {
    let script = try String(contentsOf: root.appendingPathComponent("Scripts/verify-runtimes"), encoding: .utf8)
    let list = try #require(script.firstMatch(of: /\ncases=\(\n((?:.*\n)*?)\)\n/)).1
    let filters = list.matches(of: /"([^"]+)"|(\S+)/).map { String($0.1 ?? $0.2 ?? "") }
    #expect(filters.count > 30)
    for filter in filters { #expect(Catalog.small.contains { $0.name.contains(filter) }, "\(filter) selects no case") }
    let selected = Catalog.small.filter { subject in filters.contains(where: subject.name.contains) }
    #expect(Set(selected.map(\.operation)) == Set(Catalog.small.map(\.operation)).subtracting(["multiply"]))
  }

  @Test func namesAreUnique() {
    for cases in [Catalog.all, Catalog.real(batch: 128)] {
      #expect(Set(cases.map(\.name)).count == cases.count)
    }
  }

  /// Table 1 of He et al. 2015: the stem of the ImageNet networks has 118 million multiply-adds per image.
  @Test func costsAreCounted() throws {
    let stem = try #require(
      Catalog.real(batch: 8).first { $0.name == "convolution 1×224×224×3 → 112×112×64, 7×7 stride 2 padding 3" })
    #expect(stem.flops == 2 * 118_013_952)
    #expect(stem.bytes == 4 * (224 * 224 * 3 + 7 * 7 * 3 * 64 + 112 * 112 * 64))
  }
}

/// Checks which differences the comparison refuses.
@Suite struct ComparisonTests {
  private let bound = Bound(value: 1e-6, reason: "an example")

  private func complaint(_ a: [Float], _ b: [Float]) -> String? {
    Comparison("y", HostTensor(a, shape: [a.count]), against: HostTensor(b, shape: [b.count]), bound).complaint
  }

  @Test func equalIsWithinTheBound() {
    #expect(complaint([1, .nan, .infinity, -2], [1, .nan, .infinity, -2]) == nil)
    #expect(complaint([0, 0], [0, 0]) == nil)
    #expect(complaint([1, 1.000_000_1], [1, 1]) == nil)
  }

  @Test(arguments: [Float.nan, .infinity, 2, 1.001]) func aDifferenceIsRefused(value: Float) {
    #expect(complaint([value, 3], [1, 3]) != nil)
  }

  @Test func nonFiniteValuesMustMatch() {
    #expect(complaint([1, 3], [.nan, 3]) != nil)
    #expect(complaint([.infinity, 3], [-.infinity, 3]) != nil)
    #expect(complaint([.nan], [.infinity]) != nil)
    #expect(complaint([1e-30], [0]) != nil)
  }

  /// One wrong element in a large output hides in the norm, but not in the maximum.
  @Test func oneElementAmongManyIsFound() {
    var elements = [Float](repeating: 1, count: 1_000_000)
    elements[123_456] = 1.0001
    #expect(complaint(elements, [Float](repeating: 1, count: 1_000_000)) != nil)
  }

  @Test func integersMustBeEqual() {
    let (a, b) = (HostTensor([1, 2] as [Int32], shape: [2]), HostTensor([1, 3] as [Int32], shape: [2]))
    #expect(Comparison("y", a, against: b, bound).complaint == "y[1] is 2, not 3")
    #expect(Comparison("y", a, against: a, bound).complaint == nil)
  }
}
