import Foundation
import TestSupport
import Testing

/// Checks that kernels are built before a run begins, in separate processes, since a driver may end the process.
@Suite struct KernelBuildTests {
  private static let train = [
    "train", "--model", "resnet8", "--dataset", "tensors", "--data", "\(Samples.folder)/images.safetensors", "--batch-size", "4",
    "--max-steps", "1",
  ]
  /// Command that needs few kernels.
  private static let evaluate = [
    "evaluate", "--checkpoint", "\(Samples.folder)/run/last.safetensors", "--data", "\(Samples.folder)/images.safetensors",
  ]

  /// Copies the repository's kernels and adds a line to one file.
  private func withKernels<Result>(_ file: String, adding line: String, _ body: (String) throws -> Result) throws -> Result {
    try withTemporaryFolder { folder in
      let kernels = "\(folder)/Kernels"
      try copyKernels(to: kernels, altering: file) { "\($0)\n\(line)\n" }
      return try body(kernels)
    }
  }

  @Test(arguments: ["cross_entropy.cl", "convolution.cl"]) func driverThatEndsTheProcessIsReported(file: String) throws {
    // This line crashes Clang and with it the process, because PoCL's compiler contains Clang.
    try withKernels(file, adding: "#pragma clang __debug crash") { kernels in
      try withTemporaryFolder { folder in
        let result = try Program.run(Self.train, environment: ["RESNET_KERNELS": kernels], in: folder)
        #expect(result.code == 1 && !result.wasKilled)
        #expect(result.complaint.contains("the driver ended the process (signal"), "\(result.err)")
        #expect(result.complaint.contains("while it compiled \(file)"), "\(result.err)")
        #expect(result.err.split(separator: "\n").count == 1, "\(result.err)")
        #expect(try FileManager.default.subpathsOfDirectory(atPath: folder).allSatisfy { $0 == "runs" }, "nothing was begun")
        // A command whose kernels are not known in advance reports the same.
        let verified = try Program.run(
          ["verify", "--quick", "--filter", "relu"], environment: ["RESNET_KERNELS": kernels], in: folder)
        #expect(verified.code == 1 && verified.complaint.contains("the driver ended the process"), "\(verified.err)")
      }
    }
  }

  /// Returns the files of a folder and its folders that have such a name, sorted.
  private func files(_ name: String, in folder: String) throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: folder).filter { $0.hasSuffix("/\(name)") }.sorted().map {
      "\(folder)/\($0)"
    }
  }

  /// Damages the files of PoCL's own cache, which PoCL does not check.
  private func damagedCacheIsNamed(_ environment: [String: String], pocl: String, in folder: String) throws {
    let advice = "its cache of kernels in \(pocl) is damaged: remove it, `rm -r '\(pocl)'`"
    func run() throws -> Program.Result {
      try Program.run(Self.evaluate, environment: environment.merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }, in: folder)
    }
    let whole = "\(folder)/whole"
    try FileManager.default.copyItem(atPath: pocl, toPath: whole)
    // PoCL finds no kernel in an empty program, and says so.
    for file in try files("program.bc", in: pocl) { try Data().write(to: URL(fileURLWithPath: file)) }
    let empty = try run()
    #expect(empty.code == 1 && empty.complaint.contains("the driver finds no kernel "), "\(empty)")
    #expect(empty.complaint.contains(advice), "\(empty.err)")
    // It ends the process if it cannot load a kernel. The next process notices that one has died, and finds out why.
    try FileManager.default.removeItem(atPath: pocl)
    try FileManager.default.copyItem(atPath: whole, toPath: pocl)
    for file in try files("convolution.so", in: pocl) { try Data().write(to: URL(fileURLWithPath: file)) }
    let death = try run()
    #expect(death.wasKilled && death.err.contains("Error: the driver ended the program (signal 6, Aborted)"), "\(death)")
    #expect(death.err.contains("run the command again") && death.err.contains("`rm -r '\(pocl)'`"), "\(death.err)")
    for _ in 0..<2 {
      let result = try run()
      #expect(result.code == 1 && !result.wasKilled && result.errorLines.count == 1, "\(result)")
      #expect(result.complaint.contains("the driver ended the process (signal 6, Aborted) as it used "), "\(result.err)")
      #expect(result.complaint.contains(advice), "\(result.err)")
    }
    // The advice helps.
    try FileManager.default.removeItem(atPath: pocl)
    try FileManager.default.copyItem(atPath: whole, toPath: pocl)
    for _ in 0..<2 {
      let result = try run()
      #expect(result.code == 0 && result.err.isEmpty, "\(result.err)")
    }
  }

  @Test func kernelsAreCountedAsTheyAreBuiltAndThenKnown() throws {
    try withTemporaryFolder { folder in
      // Both caches are new.
      let environment = ["XDG_CACHE_HOME": "\(folder)/cache", "POCL_CACHE_DIR": "\(folder)/pocl"]
      try FileManager.default.createDirectory(atPath: "\(folder)/pocl", withIntermediateDirectories: true)
      // `script` runs the program on a terminal.
      let variables = environment.merging(["TERM": "xterm"]) { $1 }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
      let line = "\(variables) script -qefc \"$0 \(Self.evaluate.joined(separator: " "))\" /dev/null </dev/null"
      let first = try Program.shell(line, in: folder)
      #expect(first.code == 0, "\(first.out)")
      #expect(first.out.contains(#/compiling kernels [0-9]+/[0-9]+/#), "\(first.out)")
      let second = try Program.run(Self.evaluate, environment: environment, in: folder)
      #expect(second.code == 0 && second.err.isEmpty, "\(second.err)")
      #expect(try files("checked", in: "\(folder)/cache/resnet").count == 1, "convolutions were checked")
      try damagedCacheIsNamed(environment, pocl: "\(folder)/pocl", in: folder)
    }
  }

  @Test func refusedKernelIsReplacedAndSaid() throws {
    try withKernels("winograd.cl", adding: "#error refused by a test") { kernels in
      try withTemporaryFolder { folder in
        let result = try Program.run(
          ["verify", "--quick", "--filter", "2×8×8×64"], environment: ["RESNET_KERNELS": kernels], in: folder)
        #expect(result.code == 1)
        #expect(result.errorLines.contains { $0.contains("warning: winograd.cl does not build for") }, "\(result.err)")
        // The cases themselves pass; verification fails because of the refused kernel, and shows the compiler's log.
        let failures = result.out.split(separator: "\n").filter { $0.hasPrefix("FAILED") }
        #expect(!failures.isEmpty && failures.allSatisfy { $0.contains("winograd.cl does not build for") }, "\(result.out)")
        #expect(result.out.contains("refused by a test"))
      }
    }
  }

  @Test func kernelsOfGPUsAreListed() throws {
    try withTemporaryFolder { folder in
      let result = try Program.run(["kernels", "dg2", "--output", "\(folder)/kernels"])
      #expect(result.code == 0, "\(result.err)")
      let lines = try String(contentsOfFile: "\(folder)/kernels/list.txt", encoding: .utf8).split(separator: "\n")
      #expect(lines.count > 100 && Set(lines).count == lines.count)
      for line in lines {
        let file = String(line.prefix { $0 != " " })
        #expect(FileManager.default.fileExists(atPath: "\(folder)/kernels/\(file)"), "\(line)")
      }
      #expect(lines.contains { $0.hasPrefix("convolution_tiled.cl ") && $0.contains("-DRESIDUAL=1") })
      // Includes are replaced by the headers' text.
      let text = try String(contentsOfFile: "\(folder)/kernels/convolution_tiled.cl", encoding: .utf8)
      #expect(!text.contains("#include"))
    }
  }
}
