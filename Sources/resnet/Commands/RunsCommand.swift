import ArgumentParser
import Compute
import Support
import Training

struct RunsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "runs", abstract: "List the runs of `resnet train`, or compare them.", usage: "resnet runs <subcommand>",
    discussion: examples("resnet runs list", "resnet runs compare runs/a runs/b"), subcommands: [List.self, Compare.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the runs in a folder, the latest last.", usage: "resnet runs list [options] [<folder>]",
      discussion: examples("resnet runs list", "resnet runs list experiments", "resnet runs list --json"))

    @Argument(help: ArgumentHelp("Folder with the folders of the runs.", valueName: "folder"), completion: .directory)
    var folder = RunFolder.home

    @Flag(help: "Print a JSON array.")
    var json = false

    func validate() throws { try requirePaths(["<folder>": folder]) }

    func run() throws {
      if folder != RunFolder.home, !InputFile.isFolder(folder) {
        throw Failure(
          .notFound, about: folder, InputFile.exists(folder) ? "it is a file, not a folder with runs" : "there is no such folder")
      }
      var runs: [ReadRun] = []
      let failures = FailureReport()
      for run in try RunFolder.all(in: folder) {
        do { runs.append(try ReadRun(run)) } catch let failure as Failure { failures.add(failure) }
      }
      runs.sort { ($0.started, $0.folder.path) < ($1.started, $1.folder.path) }
      if json {
        printJSON(.array(runs.map(\.json)))
      } else if !runs.isEmpty {
        print(table(runs))
      } else if failures.count == 0 {
        print("there is no run in \(folder)")
      }
      try failures.finish()
    }

    private func table(_ runs: [ReadRun]) -> String {
      // Numbers of images tell runs apart only where they differ.
      let showsImages = Set(runs.compactMap(\.imagesPerClass)).count > 1
      var table = Table(["run", "model", "data"] + (showsImages ? ["images/class"] : []) + ["epochs", "best", "started"])
      for run in runs {
        table.add(
          [printable(run.folder.path), run.configuration.model.name, run.configuration.data.name]
            + (showsImages ? [run.imagesPerClass ?? ""] : [])
            + ["\(run.figures.epochs)/\(run.configuration.epochs)", run.best, run.when])
      }
      return table.text
    }
  }

  struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show what differs between runs: settings, figures and machines, and nothing else.",
      usage: "resnet runs compare [options] <run> <run>...",
      discussion: examples(
        "resnet runs compare runs/a runs/b", "resnet runs compare runs/a runs/b runs/c",
        "resnet runs compare runs/a runs/b --json"))

    @Argument(help: ArgumentHelp("Folders of the runs.", valueName: "run"), completion: .runs)
    var runs: [String]

    @Flag(help: "Print a JSON array with an object for each difference.")
    var json = false

    func validate() throws {
      if runs.contains("") { throw ValidationError("<run> '': a folder is needed") }
      if runs.count < 2 { throw ValidationError("at least two runs are needed to compare") }
    }

    func run() throws {
      let read = try runs.map { path in
        guard InputFile.isFolder(path) else { throw Failure(.notFound, about: path, "there is no such folder of a run") }
        return try ReadRun(RunFolder(existing: path))
      }
      let rows = try ReadRun.differences(read)
      if json {
        return printJSON(
          .array(
            rows.map { row in
              .members([
                "name": .string(row.name),
                "values": .object(zip(runs, row.values).map { JSON.Member($0, $1 ?? .null) }),
              ])
            }))
      }
      guard !rows.isEmpty else { return print("nothing differs") }
      var table = Table([""] + runs.map(printable))
      for row in rows { table.add([row.name] + row.values.map { $0.map(ReadRun.text) ?? "" }) }
      print(table.text)
    }
  }
}
