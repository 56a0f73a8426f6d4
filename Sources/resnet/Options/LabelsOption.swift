import ArgumentParser

/// Option `--labels`, for the commands that read labeled photographs.
struct LabelsOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "CSV file with the class of each photograph: columns path, class and perhaps split. Default: their folders tell the classes.",
      valueName: "file.csv"),
    completion: .file(extensions: ["csv"]))
  var labels: String?

  func validate() throws { try requirePaths(["--labels": labels]) }
}
