import Foundation
import Support
import Training

/// The report of one run, or of several: a page of HTML that needs no other file, no network and no script.
struct RunReport {
  let runs: [ReportedRun]
  /// Why the run ended before its time; nil if it did not, and if that is not known.
  var ending: String?

  /// The pictures that are files of their own: the curves of all runs, and those of each run.
  var figures: [ReportFigure] {
    ReportCurves(runs: runs).figures + runs.indices.flatMap { section(of: $0).figures }
  }

  /// The page, with a newline at its end.
  var html: String {
    let head: [HTML] = [
      .element("meta", ["charset": "utf-8"]),
      .element("meta", ["name": "viewport", "content": "width=device-width, initial-scale=1"]),
      .element("meta", ["name": "color-scheme", "content": "light dark"]),
      // The names in the page come from files: nothing of them may become a script, and nothing is loaded.
      .element(
        "meta",
        [
          "http-equiv": "Content-Security-Policy",
          "content": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
        ]),
      .element("title", [:], title), .style(ReportStyle.text),
    ]
    let page = HTML.element(
      "html", ["xmlns": "http://www.w3.org/1999/xhtml", "lang": "en"],
      [.element("head", [:], head), .element("body", [:], [header, .element("main", [:], sections), footer])])
    return "<!DOCTYPE html>\n\(page.markup)\n"
  }

  // MARK: Parts

  private var title: String {
    guard let run = runs.first, runs.count == 1 else { return "\(runs.count) runs" }
    return "\(run.run.configuration.model.name) on \(run.run.configuration.data.name)"
  }

  private var header: HTML {
    let names = runs.map { $0.run.folder.path }.joined(separator: ", ")
    let warning = ending.map { [HTML.element("p", ["class": "warning"], $0)] } ?? []
    return .element(
      "header", [:],
      [.element("h1", [:], title), .element("p", ["class": "quiet"], names)] + warning
        + [runs.count == 1 ? RunFacts(runs[0]).cards : RunFacts.table(runs)])
  }

  private var sections: [HTML] {
    let curves = ReportCurves(runs: runs).figures
    let shared = [
      ReportSection(
        "Curves", curves.isEmpty ? [.element("p", [:], "No step is logged yet.")] : [.grid(curves)])
    ]
    let parts = runs.indices.map(section)
    if runs.count == 1 { return (shared + parts[0].sections).map { $0.html(level: 2) } }
    return (shared + [differences]).map { $0.html(level: 2) }
      + zip(runs, parts).map { run, part in
        .element(
          "section", ["class": "run"],
          [.element("h2", [:], run.name)] + [RunFacts(run).cards] + part.sections.map { $0.html(level: 3) })
      }
  }

  private func section(of index: Int) -> RunSections {
    RunSections(run: runs[index], suffix: runs.count == 1 ? "" : "-\(index + 1)")
  }

  private var differences: ReportSection {
    func section(_ text: String, _ more: HTML...) -> ReportSection {
      ReportSection("Differences", [.element("p", ["class": "quiet"], text)] + more)
    }
    do {
      let rows = try ReadRun.differences(runs.map(\.run))
      if rows.isEmpty { return section("Settings, figures and machines are the same.") }
      return section(
        "Settings, figures and machines that are not the same in all runs.",
        .table([""] + runs.map(\.name), rows.map { [$0.name] + $0.values.map { $0.map(ReadRun.text) ?? "–" } }))
    } catch { return section("The settings cannot be compared: \(error)") }
  }

  private var footer: HTML {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(identifier: "UTC")
    formatter.dateFormat = "yyyy-MM-dd HH:mm 'UTC'"
    return .element("footer", [:], "Written by resnet \(ResNetCommand.version), \(formatter.string(from: Date())).")
  }
}

/// A part of a report with a title.
struct ReportSection {
  let title: String
  let content: [HTML]

  init(_ title: String, _ content: [HTML]) { (self.title, self.content) = (title, content) }

  func html(level: Int) -> HTML { .element("section", [:], [.element("h\(level)", [:], title)] + content) }
}

extension HTML {
  /// A figure with its caption.
  static func figure(_ figure: ReportFigure) -> HTML {
    let caption = figure.caption.isEmpty ? [] : [element("figcaption", [:], figure.caption)]
    let box = element("div", ["class": figure.isWide ? "scroll" : nil], [chart(figure.svg)])
    return element("figure", ["class": figure.isWide ? "chart wide" : "chart"], [box] + caption)
  }

  /// Figures in as many columns as there is room for.
  static func grid(_ figures: [ReportFigure]) -> HTML { element("div", ["class": "grid"], figures.map(figure)) }
}
