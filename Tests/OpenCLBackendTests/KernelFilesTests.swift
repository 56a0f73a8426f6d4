import Compute
import Foundation
import Kernels
import OpenCL
import OpenCLBackend
import Testing

/// Checks the list of the embedded kernel files against their folder, and each file on its own.
@Suite struct KernelFilesTests {
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../../Kernels/OpenCL").path

  @Test func listIsTheFolder() throws {
    #expect(try KernelFiles.names == FileManager.default.contentsOfDirectory(atPath: Self.folder).sorted())
    for name in KernelFiles.names {
      #expect(try KernelFiles.text(of: name) == String(contentsOfFile: "\(Self.folder)/\(name)", encoding: .utf8), "\(name)")
    }
  }

  /// The texts have their headers in them. No constant is defined but those that a file or its headers define themselves.
  @Test(arguments: KernelFiles.sources) func everyFileBuildsAlone(_ name: String) throws {
    let text = try #require(try OpenCLBackend.kernelFiles().first { $0.name == name }?.text)
    #expect(!text.contains("#include \""))
    let context = try Context(device: DeviceList.find("opencl").device)
    _ = try Program(context: context, source: text, options: "-cl-std=CL1.2 -w")
  }

  /// Puts an error at the end of a header that another header includes, and reads where the compiler reports it.
  @Test func errorsHaveTheLinesOfTheirFile() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("resnet-kernels-\(UUID().uuidString)").path
    try FileManager.default.copyItem(atPath: Self.folder, toPath: folder)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let header = KernelFiles.text(of: "vector.h")
    try (header + "#error refused by a test\n").write(toFile: "\(folder)/vector.h", atomically: true, encoding: .utf8)
    let device = try DeviceList.find("opencl").device
    let backend = try OpenCLBackend(device: device, traits: DeviceTraits(device), kernels: folder)
    let x = try backend.tensor([16])
    let error = #expect(throws: (any Error).self) { try backend.relu(x, into: x) }
    let line = header.count { $0 == "\n" } + 1
    #expect("\(error.map { "\($0)" } ?? "")".contains("vector.h:\(line):"), "\(error.map { "\($0)" } ?? "")")
  }
}
