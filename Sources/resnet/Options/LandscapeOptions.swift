import ArgumentParser
import Support

/// Option of how many images a landscape is measured on.
struct LandscapeImagesOption: ParsableArguments {
  @Option(help: ArgumentHelp("Number of images to measure on, the first of the data set.", valueName: "count"))
  var limit = 1024

  func validate() throws { try requireSizes(["--limit": limit], in: 1...1 << 30) }
}

/// Options of the grid of a landscape, and of what is printed and written.
struct LandscapeOptions: ParsableArguments {
  @Option(help: "Number of points along each of two directions, odd.")
  var steps = 21

  @Option(help: "Distance of the outermost points from the weights, in lengths of the weights' filters.")
  var range = 1.0

  @Option(help: "Seed of the directions.")
  var seed: UInt64 = 0

  @Option(
    help: ArgumentHelp(
      "Folder for the pictures and the table: \(LandscapeReport.files.joined(separator: ", ")). They are replaced.",
      valueName: "folder"), completion: .directory)
  var output = "landscape"

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    try requirePaths(["--output": output])
    guard (3...999).contains(steps), !steps.isMultiple(of: 2) else {
      throw ValidationError("--steps \(steps): it must be odd, from 3 to 999, so that the weights are the middle of the grid")
    }
    guard range > 0, range.isFinite else { throw ValidationError("--range \(range): a positive number is needed") }
  }
}
