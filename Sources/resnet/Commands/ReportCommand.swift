import ArgumentParser
import ResNetKit
import Support
import Training

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report", abstract: "Show what happened in training: curves, mistakes and machines, as one page of HTML.",
    usage: "resnet report [options] [<run>...]",
    discussion: """
      The page needs no other file, no network and no script. Every run of `resnet train` writes it at its end, report.html in \
      its folder. Of several runs, the page shows the curves together, and what differs between the runs. Without a run, it is \
      that of the newest one.
      """
        + "\n\n"
        + examples(
          "resnet report", "resnet report runs/a --figures figures",
          "resnet report runs/a runs/b --output comparison.html"))

  @Argument(help: ArgumentHelp("Folders of the runs.", valueName: "run"), completion: .runs)
  var runs: [String] = []

  @OptionGroup(title: HelpGroup.data) var images: ReportDataOptions
  @OptionGroup(title: HelpGroup.output) var files: ReportOptions
  @OptionGroup(title: HelpGroup.output) var verbosity: VerbosityOptions

  func validate() throws {
    if runs.contains("") { throw ValidationError("<run> '': a folder is needed") }
    if images.data != nil && runs.count > 1 { throw ValidationError("--data: it is for one run: name the run alone") }
  }

  func run() throws {
    verbosity.begin()
    let folders = try folders()
    let path = files.output ?? (folders.count == 1 ? folders[0].reportPath : RunFolder.reportName)
    try AtomicFile.requireWritable(path)
    Display.shared.begin(.reading)
    let report = RunReport(
      runs: try zip(folders, RunFolder.names(of: folders)).map { try ReportedRun($0, named: $1, data: images.data) })
    try AtomicFile.write(report.html, to: path)
    Display.shared.finish()
    print(path)
    guard let figures = files.figures else { return }
    try Folder.make(figures)
    for figure in report.figures { try AtomicFile.write(figure.svg, to: "\(figures)/\(figure.name).svg") }
    print("\(figures): \(report.figures.map { "\($0.name).svg" }.joined(separator: ", "))")
  }

  /// The runs that are named, each once, or the newest one.
  private func folders() throws -> [RunFolder] {
    guard !runs.isEmpty else {
      guard let newest = try RunFolder.newest() else {
        throw usageError("there is no run under \(RunFolder.home): name the folder of a run")
      }
      printErrorNote("\(newest.path) is taken, the newest run")
      return [newest]
    }
    var seen: Set<String> = []
    return try runs.map { path in
      var path = path[...]
      while path.count > 1, path.hasSuffix("/") { path = path.dropLast() }
      return String(path)
    }.filter { seen.insert($0).inserted }.map { path in
      guard InputFile.isFolder(path) else { throw Failure(.notFound, about: path, "there is no such folder of a run") }
      return RunFolder(existing: path)
    }
  }
}

extension RunFolder {
  /// Name of the file of a report.
  static let reportName = "report.html"
  /// Path of the run's report.
  var reportPath: String { "\(path)/\(Self.reportName)" }

  /// Names of runs in a report: the names of their folders, or their paths if two folders have the same name.
  static func names(of folders: [RunFolder]) -> [String] {
    let short = folders.map { $0.path.split(separator: "/").last.map(String.init) ?? $0.path }
    return Set(short).count == short.count ? short : folders.map(\.path)
  }

  /// Writes the report of the run after training.
  /// - Parameters:
  ///   - images: the images of the run.
  ///   - failure: the error that ended the run; nil if there was none.
  /// - Returns: what kept the report from being written; nil if nothing did.
  func writeReport(_ images: ImageSplits, after failure: (any Error)? = nil) -> Failure? {
    // A run that saved nothing has removed its files.
    guard InputFile.exists(configurationPath) else { return nil }
    do {
      let run = try ReportedRun(self, named: Self.names(of: [self])[0], images: images)
      let ending = failure.map { "The run ended with an error: \(($0 as? Failure)?.line ?? "\($0)")" }
      try AtomicFile.write(RunReport(runs: [run], ending: ending).html, to: reportPath)
      return nil
    } catch {
      return error as? Failure ?? Failure(.inputOutput, "\(error)")
    }
  }
}
