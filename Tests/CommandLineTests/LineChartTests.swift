import Foundation
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

  @Test func namesAreEscaped() throws {
    let name = "a<b & \"c\">\u{1}\u{FFFE}"
    let chart = LineChart(
      name, x: .init(name), y: .init(name), [.init(name, [(0, 0)]), .init("b", [(1, 1)])], marks: [.init(0.5, name)])
    let texts = try XMLElements(chart.svg).texts
    #expect(texts.count { $0.hasPrefix("a<b & \"c\">") } == 6, "\(texts)")
  }
}
