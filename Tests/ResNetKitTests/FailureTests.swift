import Foundation
import ResNetKit
import Testing

/// Requires that programs can react to failures: by their kind, their subject, and the settings that they name.
@Suite struct FailureTests {
  private func failure(_ body: () throws -> Void) throws -> Failure { try #require(throws: Failure.self, performing: body) }

  @Test func settingsAreValues() throws {
    let wrong = try failure {
      _ = try TrainingSession(
        "resnet8", on: .images(ImageSplits(SyntheticImages(count: 8, validationCount: 8, size: 8).splits())),
        device: .reference
      ) { $0.epochs = 0 }
    }
    #expect(wrong.kind == .invalidSetting && wrong.problem.settings.keys.contains(.epochs))
    #expect(wrong.description == "epochs 0: at least one is needed")
  }

  @Test func remediesAreValues() {
    let message: Message = "use \(Setting.batchSize, 32), or \(Setting.recompute)"
    let failure = Failure(.outOfMemory, about: "gpu", "no room", remedy: message)
    #expect(failure.description == "gpu: no room: use batchSize 32, or recompute")
    #expect(failure.suggestions == [.batchSize: "32", .recompute: nil])
    #expect(
      failure.message.text { setting, value in "<\(setting)=\(value ?? "")>" }.hasSuffix("use <batchSize=32>, or <recompute=>"))
  }

  /// What a failure is about grows, and kind, settings and remedy stay.
  @Test func wrappingKeepsTheKind() {
    let inner = Failure(.damagedFile, about: "tensor 'fc'", "it is short", remedy: "leave \(Setting.frozen) out")
    let outer = inner.about("a.safetensors")
    #expect(outer.kind == .damagedFile && outer.subject == "a.safetensors: tensor 'fc'")
    #expect(outer.description == "a.safetensors: tensor 'fc': it is short: leave frozen out")
    let quoted = Failure(.damagedFile, "in vain: \(inner)")
    #expect(quoted.problem.settings.keys.contains(.frozen))
  }

  @Test func missingFilesAreNotFound() throws {
    #expect(try failure { _ = try Checkpoint("/nowhere.safetensors") }.kind == .notFound)
    #expect(try failure { _ = try TrainingSession(on: .folder("/nowhere"), device: .reference) }.kind == .notFound)
    #expect(try failure { _ = try TrainingSession(resuming: "/nowhere", device: .reference) }.kind == .notFound)
  }

  @Test(arguments: [
    "gpu", "opencl:", "opencl:1", "opencl:0.0/0", "cpu,opencl", "opencl:0.0,opencl:0.0", "",
  ]) func impossibleDevices(_ name: String) throws {
    let failure = try failure { _ = try Device(name) }
    #expect(failure.kind == .invalidSetting && failure.problem.settings.keys.contains(.device))
  }

  @Test func possibleDevices() throws {
    for name in ["cpu", "opencl", "opencl:0.1", "opencl:0.0/2,opencl:1.0"] { #expect(try Device(name).description == name) }
  }

  /// Only the command line knows the names of its options.
  @Test func librariesNameNoOptions() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../Sources").standardized
    let option = try Regex(#""[^"]*--[a-z]"#)
    var found: [String] = []
    for case let file as URL in try #require(FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil))
    where file.pathExtension == "swift" && !file.path.contains("/Sources/resnet/") {
      for (number, line) in try String(contentsOf: file, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
        .enumerated() where line.contains(option)
      {
        found.append("\(file.lastPathComponent):\(number + 1): \(line)")
      }
    }
    #expect(found == [])
  }
}
