import ArgumentParser

/// Options of the images that `report` shows.
struct ReportDataOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("Where the data set of the run is, if it has moved.", valueName: "path"), completion: .file())
  var data: String?

  func validate() throws { try requirePaths(["--data": data]) }
}

/// Options of the files that `report` writes.
struct ReportOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "HTML file to write. Default: report.html in the folder of the run; of several runs, here.", valueName: "file.html"),
    completion: .file(extensions: ["html"]))
  var output: String?

  @Option(
    help: ArgumentHelp(
      "Folder to write the charts to as well, an SVG for each, which replaces an earlier one.", valueName: "folder"),
    completion: .directory)
  var figures: String?

  func validate() throws {
    try requirePaths(["--output": output, "--figures": figures])
    if let output, ![".html", ".htm"].contains(where: output.lowercased().hasSuffix) {
      throw ValidationError("--output '\(output)': it is a page of HTML, and its name ends in .html")
    }
  }
}
