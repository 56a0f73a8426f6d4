import Foundation
import TestSupport
import Testing
import resnet

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// Elements of an XML text: their names with their attributes, and the texts in them.
final class XMLElements: NSObject, XMLParserDelegate {
  private(set) var elements: [(name: String, attributes: [String: String])] = []
  private(set) var texts: [String] = []
  private var text = ""

  /// - Throws: the parser's error if the text is not XML.
  init(_ xml: String) throws {
    super.init()
    let parser = XMLParser(data: Data(xml.utf8))
    parser.delegate = self
    guard parser.parse() else { throw parser.parserError ?? Surprise("no XML") }
  }

  func named(_ name: String) -> [[String: String]] { elements.filter { $0.name == name }.map(\.attributes) }

  func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
    attributes: [String: String]
  ) {
    elements.append((name, attributes))
    text = ""
  }

  func parser(_ parser: XMLParser, foundCharacters characters: String) { text += characters }

  func parser(_ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?) {
    if !text.isEmpty { texts.append(text) }
    text = ""
  }
}

@Suite struct LineChartTests {
  private func curves(_ chart: LineChart) throws -> [String] {
    try XMLElements(chart.svg).named("path").compactMap { $0["d"] }
  }

  @Test func axesHaveRoundNumbers() throws {
    let chart = LineChart(
      "title", x: .init("rate", .logarithmic), y: .init("loss"), [.init("a", [(1e-7, 0.13), (1e-3, 2.4), (10, 1)])])
    let texts = try XMLElements(chart.svg).texts
    for number in ["1e-7", "1e-6", "1e-5", "0.0001", "0.001", "0.01", "0.1", "1", "10", "0.5", "1.5", "2"] {
      #expect(texts.contains(number), "\(number) is not in \(texts)")
    }
    #expect(texts.contains("title") && texts.contains("rate") && texts.contains("loss"))
    let short = LineChart("", x: .init("x", .logarithmic), y: .init("y"), [.init("a", [(1, -100), (30, 250)])])
    let numbers = try XMLElements(short.svg).texts
    for number in ["1", "2", "5", "10", "20", "-100", "0", "100", "200"] { #expect(numbers.contains(number), "\(numbers)") }
  }

  @Test(arguments: [(2.1, 4.9, ["3", "4"]), (300, 310, ["300", "302", "304", "306", "308", "310"])])
  func shortLogarithmicAxesHaveNumbers(_ low: Double, _ high: Double, _ numbers: [String]) throws {
    let chart = LineChart(
      "", x: .init("x", range: 0.1...0.2), y: .init("y", .logarithmic), [.init("a", [(0.1, low), (0.2, high)])])
    let texts = try XMLElements(chart.svg).texts
    for number in numbers { #expect(texts.contains(number), "\(number) is not in \(texts)") }
  }

  /// The plot is 624 pixels wide and 336 high.
  @Test func pointsLieInProportion() throws {
    let linear = LineChart("", x: .init("x"), y: .init("y"), [.init("a", [(0, 0), (1, 5), (4, 10)])])
    #expect(try curves(linear) == ["M0 336 L156 168 L624 0"])
    let logarithmic = LineChart(
      "", x: .init("x", .logarithmic), y: .init("y", range: 0...1), [.init("a", [(1, 0), (10, 0.25), (100, 2)])])
    #expect(try curves(logarithmic) == ["M0 336 L312 252 L624 -336"])
  }

  @Test func valuesWithoutAPlaceInterruptACurve() throws {
    let chart = LineChart(
      "", x: .init("x", .logarithmic), y: .init("y"),
      [.init("a", [(1, 0), (2, .nan), (0, 1), (10, 1), (100, .infinity)]), .init("b", [])])
    #expect(try curves(chart) == ["M0 336 M312 0"])
  }

  @Test func chartsOfNothingAreDrawn() throws {
    for points: [(x: Double, y: Double)] in [
      [], [(3, 3)], [(0, 0), (0, 0)], [(-1e300, 1e300), (1e300, -1e300)], [(1e16, 1e16 + 2)],
    ] {
      for scale in [LineChart.Scale.linear, .logarithmic] {
        let chart = LineChart("", x: .init("x", scale), y: .init("y", scale), [.init("a", points)], marks: [.init(.nan, "m")])
        #expect(!chart.svg.contains("nan") && !chart.svg.contains("inf"))
        _ = try XMLElements(chart.svg)
      }
    }
  }

  @Test func dashesBandsAndDotsBelongToTheirSeries() throws {
    let mean = LineChart.Series("b", meanOf: [[(0, 1), (2, 4)], [(2, 8), (0, 3)]], isDashed: true)
    #expect(mean.points.map(\.x) == [0, 2] && mean.points.map(\.y) == [2, 6])
    #expect(mean.band.map(\.low) == [1, 4] && mean.band.map(\.high) == [3, 8])
    #expect(LineChart.Series("c", meanOf: [[(0, 1)]]).band.isEmpty)
    let dots = LineChart.Series("a", [(0, 0), (1, .nan), (2, 8)], hasMarkers: true)
    let drawn = try XMLElements(LineChart("", x: .init("x"), y: .init("y"), [dots, mean]).svg)
    let paths = drawn.named("path")
    #expect(
      paths.compactMap { $0["class"] } == ["band color1 dashed", "curve color0", "curve color1 dashed"], "\(paths)")
    // The plot is 624 by 336 for values 0 … 2 and 0 … 8.
    #expect(paths[0]["d"] == "M0 210 L624 0 L624 168 L0 294 Z")
    // Two dots on the curve, one in the legend.
    #expect(drawn.named("circle").compactMap { $0["class"] } == [String](repeating: "dot color0", count: 3))
  }

  @Test func panelsShareAnAxisAndALegend() throws {
    func panel(_ title: String, _ y: Double) -> LineChart {
      LineChart(title, x: .init("x"), y: .init("error"), [.init("a", [(0, 0), (1, y)]), .init(title, [(0, 1)], color: 5)])
    }
    let drawn = try XMLElements(ChartFigure("both", [panel("left", 10), panel("right", 20)]).svg())
    // Both plots are 420 by 336, and reach from 0 to 20.
    #expect(drawn.named("path").compactMap { $0["d"] } == ["M0 336 L420 168", "M0 319.2", "M0 336 L420 0", "M0 319.2"])
    for name in ["error", "a"] { #expect(drawn.texts.count { $0 == name } == 1) }
    // Each title is above its panel and names a series in the legend.
    for name in ["left", "right"] { #expect(drawn.texts.count { $0 == name } == 2) }
    #expect(
      drawn.named("line").compactMap { $0["class"] }.filter { $0.hasPrefix("curve") } == [
        "curve color0", "curve color5", "curve color5",
      ])
  }

  /// The converter knows no CSS variables.
  @Test func lightColorsAreLiteral() {
    let figure = ChartFigure("", [LineChart("", x: .init("x"), y: .init("y"), [.init("a", [(0, 0), (1, 1)])])])
    #expect(!figure.svg(.light).contains("var(") && figure.svg(.light).contains("color: #0072b2"))
    #expect(figure.svg().contains("var(--chart-color0)") && figure.svg().contains("prefers-color-scheme: dark"))
  }

  @Test func picturesAreWrittenWithAndWithoutAConverter() throws {
    let figure = ChartFigure("", [LineChart("", x: .init("x"), y: .init("y"), [.init("a", [(0, 0), (1, 1)])])])
    try withTemporaryFolder { folder in
      let alone = try ChartFiles.write(figure, to: "\(folder)/a", searching: "\(folder)/nowhere")
      #expect(alone.files == ["\(folder)/a.svg"])
      #expect(
        alone.note == "there is no \(folder)/a.png, as that needs the program rsvg-convert, which Debian has as librsvg2-bin")
      // A converter that writes what it reads, and one that fails.
      func program(_ name: String, _ text: String) throws -> String {
        let path = "\(folder)/\(name)/rsvg-convert"
        try TestSupport.write(Array("#!/bin/sh\n\(text)\n".utf8), to: path)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        return "\(folder)/\(name)"
      }
      let copied = try ChartFiles.write(figure, to: "\(folder)/b", searching: "/nowhere:\(program("copy", "cat"))")
      #expect(copied.files == ["\(folder)/b.svg", "\(folder)/b.png"] && copied.note == nil)
      #expect(try String(contentsOfFile: "\(folder)/b.png", encoding: .utf8) == figure.svg(.light))
      let failed = try ChartFiles.write(figure, to: "\(folder)/c", searching: program("fail", "echo bad picture >&2; exit 3"))
      #expect(failed.files == ["\(folder)/c.svg"])
      #expect(failed.note?.hasSuffix("rsvg-convert failed: bad picture") == true, "\(failed)")
    }
  }

  @Test func namesAreEscaped() throws {
    let name = "a<b & \"c\">\u{1}\u{FFFE}"
    let chart = LineChart(
      name, x: .init(name), y: .init(name), [.init(name, [(0, 0)]), .init("b", [(1, 1)])], marks: [.init(0.5, name)])
    let texts = try XMLElements(chart.svg).texts
    #expect(texts.count { $0.hasPrefix("a<b & \"c\">") } == 6, "\(texts)")
  }
}
