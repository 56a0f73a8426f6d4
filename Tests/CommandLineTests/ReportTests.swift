import Foundation
import TestSupport
import Testing

/// Tests the pages that `train` and `report` write.
@Suite struct ReportTests {
  /// A page as its reader sees it.
  private struct Page {
    let html: String
    let elements: XMLElements

    init(_ path: String) throws {
      html = try String(contentsOfFile: path, encoding: .utf8)
      elements = try XMLElements(html)
    }

    /// Texts without the time when the page was written.
    var lasting: [String] { elements.texts.filter { !$0.hasPrefix("Written by") } }

    /// Expects a page that loads nothing and runs nothing.
    func expectIsAlone() {
      for (name, attributes) in elements.elements {
        #expect(name != "script" && name != "link" && name != "iframe")
        for (key, value) in attributes where key != "xmlns" {
          #expect(!value.contains("http:") && !value.contains("https:") && !key.hasPrefix("on"), "\(name) \(key)=\(value)")
          if key == "src" || key == "href" { #expect(value.hasPrefix("data:image/png;base64,"), "\(value.prefix(80))") }
        }
      }
      #expect(!html.contains("url(") && !html.contains("@import"))
    }
  }

  @discardableResult
  private func run(_ line: String, in folder: String) throws -> Program.Result {
    let result = try Program.run(line.split(separator: " ").map(String.init), in: folder)
    #expect(result.code == 0, "\(line): \(result.err)")
    return result
  }

  private func page(_ path: String) throws -> Page { try Page(path) }

  private static let tensors = "train --data \(Samples.folder)/images.safetensors --model resnet8 --batch-size 4"

  /// The names of the classes contain what HTML has other meanings for.
  @Test func aRunWritesItsReport() throws {
    let names = ["ant": "a<b>", "bee": "b&amp;\"", "cat": "<script>c"]
    try withTemporaryFolder { folder in
      try writePhotographs("\(folder)/insects", train: 4, validation: 4)
      for split in ["train", "val"] {
        for (old, new) in names {
          try FileManager.default.moveItem(
            atPath: "\(folder)/insects/\(split)/\(old)", toPath: "\(folder)/insects/\(split)/\(new)")
        }
      }
      let trained = try run(
        "train --data insects --model resnet8 --image-size 16 --batch-size 4 --epochs 2 --output runs/insects", in: folder)
      #expect(trained.out.contains("report.html ("))
      let page = try page("\(folder)/runs/insects/report.html")
      page.expectIsAlone()
      for title in [
        "resnet8 on folder", "Curves", "Loss", "Accuracy", "Learning rate", "Speed of training", "Gradients",
        "Gradients by layer",
        "Confusions", "Confusion matrix", "Most confused classes", "Worst mistakes", "Training images", "Settings", "Model",
        "Environment", "layer1.0.conv1", "batch-size", "validation accuracy", "2 of 2",
      ] { #expect(page.elements.texts.contains(title), "\(title)") }
      #expect(!page.elements.texts.contains("Not shown"))
      for name in names.values { #expect(page.elements.texts.contains(name), "\(name)") }

      let validation = try JSONSerialization.jsonObject(with: contents("\(folder)/runs/insects/validation.json"))
      let worst = try #require((validation as? [String: Any])?["worst"] as? [[String: Any]])
      #expect(!worst.isEmpty, "the test needs mistakes")
      #expect(page.elements.elements.count { $0.name == "img" } == worst.count + 1)
      for mistake in worst {
        let path = try #require(mistake["path"] as? String)
        #expect(page.elements.named("span").contains { $0["title"] == path }, "\(path)")
      }

      // The same page comes from the files alone.
      try FileManager.default.removeItem(atPath: "\(folder)/runs/insects/report.html")
      let again = try run("report", in: folder)
      #expect(again.out == "runs/insects/report.html\n" && again.err.contains("runs/insects is taken"))
      #expect(try self.page("\(folder)/runs/insects/report.html").lasting == page.lasting)

      // Images that have moved are found where the option says.
      try FileManager.default.moveItem(atPath: "\(folder)/insects", toPath: "\(folder)/moved")
      try run("report --output none.html", in: folder)
      #expect(try self.page("\(folder)/none.html").elements.named("img").isEmpty)
      try run("report --data moved --output moved.html", in: folder)
      #expect(try self.page("\(folder)/moved.html").lasting == page.lasting)
      try FileManager.default.moveItem(atPath: "\(folder)/moved", toPath: "\(folder)/insects")

      // Pictures of other images would be wrong.
      try FileManager.default.removeItem(atPath: "\(folder)/insects/val/a<b>/0.png")
      try run("report --output changed.html", in: folder)
      let changed = try self.page("\(folder)/changed.html")
      #expect(changed.html.contains("has changed since the run began") && changed.elements.named("img").isEmpty)
      #expect(changed.elements.texts.contains("Worst mistakes") && changed.elements.texts.contains("no picture"))
    }
  }

  @Test func severalRunsAreOverlaid() throws {
    try withTemporaryFolder { folder in
      try run("\(Self.tensors) --epochs 2 --output runs/a", in: folder)
      try run("\(Self.tensors) --epochs 2 --learning-rate 0.05 --output runs/b<", in: folder)
      let result = try run("report runs/a runs/b< runs/a/ --output both.html --figures figures", in: folder)
      let page = try page("\(folder)/both.html")
      page.expectIsAlone()
      for text in ["2 runs", "Differences", "learning-rate", "0.05", "a", "b<", "2/2"] {
        #expect(page.elements.texts.contains(text), "\(text)")
      }
      #expect(!page.elements.texts.contains("momentum") || page.elements.texts.count { $0 == "momentum" } == 2)
      let files = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/figures").sorted()
      #expect(
        files == [
          "accuracy.svg", "confusion-1.svg", "confusion-2.svg", "gradients-1.svg", "gradients-2.svg",
          "gradients-by-layer-1.svg", "gradients-by-layer-2.svg", "learning-rate.svg", "loss.svg", "throughput.svg",
        ])
      #expect(result.out.contains("figures: loss.svg"))
      for file in files { _ = try Page("\(folder)/figures/\(file)") }
      let loss = try Page("\(folder)/figures/loss.svg").elements
      let curves = loss.named("path").compactMap { $0["class"] }.filter { $0.hasPrefix("curve") }
      #expect(curves.sorted() == ["curve color0", "curve color0 dashed", "curve color1", "curve color1 dashed"])
      #expect(loss.texts.filter { ["a", "b<"].contains($0) } == ["a", "b<"])
    }
  }

  /// A run of an earlier version, whose data set has gone, too.
  @Test func whatIsMissingIsLeftOut() throws {
    try withTemporaryFolder { folder in
      try FileManager.default.createDirectory(atPath: "\(folder)/old", withIntermediateDirectories: true)
      for file in ["config.json", "metrics.jsonl"] {
        try FileManager.default.copyItem(atPath: "\(Samples.folder)/run/\(file)", toPath: "\(folder)/old/\(file)")
      }
      let path = "\(folder)/old/config.json"
      try String(contentsOfFile: path, encoding: .utf8).replacing("images.safetensors", with: "gone.safetensors")
        .write(toFile: path, atomically: true, encoding: .utf8)
      try run("report old", in: folder)
      let page = try page("\(folder)/old/report.html")
      for title in ["Curves", "Loss", "Settings", "Not shown"] { #expect(page.elements.texts.contains(title), "\(title)") }
      for title in ["Gradients", "Confusions", "Worst mistakes", "Training images", "Model", "Environment"] {
        #expect(!page.elements.texts.contains(title), "\(title)")
      }
      for file in ["sessions.json", "layers.jsonl", "validation.json", "gone.safetensors"] {
        #expect(page.elements.texts.contains { $0.contains(file) }, "\(file)")
      }

      // A run that was killed in its first epoch, and damaged files.
      try Data().write(to: URL(fileURLWithPath: "\(folder)/old/metrics.jsonl"))
      for file in ["sessions.json", "validation.json"] {
        try Data("{".utf8).write(to: URL(fileURLWithPath: "\(folder)/old/\(file)"))
      }
      let failed = try Program.run(["report", "old"], in: folder)
      #expect(failed.code == 1 && failed.complaint.contains("sessions.json"), "\(failed.err)")
      try FileManager.default.removeItem(atPath: "\(folder)/old/sessions.json")
      try run("report old", in: folder)
      let texts = try self.page("\(folder)/old/report.html").elements.texts
      #expect(texts.contains("No step is logged yet.") && texts.contains { $0.contains("validation.json: it is damaged") })
    }
  }

  @Test func aReportThatCannotBeWrittenIsAWarning() throws {
    try withTemporaryFolder { folder in
      try FileManager.default.createDirectory(atPath: "\(folder)/run/report.html", withIntermediateDirectories: true)
      let result = try run("\(Self.tensors) --epochs 1 --output run", in: folder)
      #expect(result.err.contains("warning: there is no report: cannot write run/report.html"), "\(result.err)")
      #expect(exists("\(folder)/run/best.safetensors"))
    }
  }

  static let wrong: [Wrong] = [
    Wrong("report nowhere", 1, "nowhere", "no such folder"), Wrong("report ''", 64, "<run> ''"),
    Wrong("report run --output page.txt", 64, "--output 'page.txt'", ".html"), Wrong("report nothing", 1, "nothing"),
    Wrong("report run --output nowhere/a.html", 1, "nowhere/a.html", "no folder"),
  ]

  @Test(arguments: wrong) func isRefused(_ wrong: Wrong) throws { try wrong.check() }
}
