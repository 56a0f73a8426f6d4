/// A picture of a report, which may be a file of its own.
struct ReportFigure {
  /// Name of the file without its end, for example `loss`.
  let name: String
  /// The picture as SVG.
  let svg: String
  /// Sentences below the picture.
  let caption: String
  /// Whether the picture takes the whole width of a page, and is moved sideways where that is too small for it.
  var isWide = false
}

extension LineChart {
  /// The chart as SVG, in a size at which its numbers can be read on a telephone, too.
  var reportSVG: String { ChartFigure(title, [self], plotSize: (400, 230)).svg() }
}
