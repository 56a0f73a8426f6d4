import Foundation

/// Part of a page in HTML that is well-formed XML, too. Text becomes a part by ``text(_:)`` alone, which escapes it.
struct HTML {
  /// The part as it stands in the page.
  let markup: String

  private init(markup: String) { self.markup = markup }

  /// A text, from wherever it comes.
  static func text(_ text: String) -> HTML { HTML(markup: SVG.escaped(text)) }

  /// A chart of this program.
  static func chart(_ svg: String) -> HTML { HTML(markup: svg) }

  /// A style sheet of this program, without `<` and `&`.
  static func style(_ text: String) -> HTML { HTML(markup: "<style>\n\(text)</style>") }

  /// An element with its children. An attribute that is nil is left out.
  static func element(_ name: String, _ attributes: KeyValuePairs<String, String?> = [:], _ children: [HTML] = []) -> HTML {
    let list = attributes.compactMap { name, value in value.map { " \(name)=\"\(SVG.escaped($0))\"" } }.joined()
    if children.isEmpty, void.contains(name) { return HTML(markup: "<\(name)\(list)/>") }
    let isBlock = children.count > 1
    let content = children.map(\.markup).joined(separator: isBlock ? "\n" : "")
    return HTML(markup: "<\(name)\(list)>\(content)</\(name)>")
  }

  /// An element with a text.
  static func element(_ name: String, _ attributes: KeyValuePairs<String, String?> = [:], _ words: String) -> HTML {
    element(name, attributes, [text(words)])
  }

  /// Elements that cannot have children.
  private static let void: Set = ["img", "meta"]

  /// A picture in the page itself, as a PNG.
  /// - Parameter name: description of the picture for readers who do not see it.
  static func picture(_ png: [UInt8], name: String, width: Int, height: Int) -> HTML {
    element(
      "img",
      [
        "src": "data:image/png;base64,\(Data(png).base64EncodedString())", "alt": name, "width": "\(width)",
        "height": "\(height)",
      ])
  }

  /// A table. The first column names its row.
  /// - Parameters:
  ///   - header: titles of the columns.
  ///   - textColumns: number of columns with text, on the left. Those after them hold numbers, which stand on the right.
  static func table(_ header: [String], _ rows: [[String]], textColumns: Int = .max) -> HTML {
    func kind(_ column: Int) -> String? { column < textColumns ? nil : "number" }
    let head = header.enumerated().map { element("th", ["scope": "col", "class": kind($0)], $1) }
    let body = rows.map { row in
      element(
        "tr", [:],
        row.enumerated().map { column, cell in
          column == 0 ? element("th", ["scope": "row"], cell) : element("td", ["class": kind(column)], cell)
        })
    }
    return element(
      "div", ["class": "scroll"],
      [element("table", [:], [element("thead", [:], [element("tr", [:], head)]), element("tbody", [:], body)])])
  }
}
