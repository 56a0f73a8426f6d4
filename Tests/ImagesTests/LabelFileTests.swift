import Foundation
import Images
import Support
import TestSupport
import Testing

/// Tests files of labels.
@Suite struct LabelFileTests {
  private func withImages(_ body: (String) throws -> Void) throws {
    try withTemporaryFolder { folder in
      try writePhotographs("\(folder)/data", train: 4, validation: 2)
      try writeArchive(ofFolder: "\(folder)/data", under: "photos/", as: .zip, to: "\(folder)/data.zip")
      try body(folder)
    }
  }

  private func paths(_ folder: ImageFolder) -> [Substring] { folder.samples.map { $0.path.dropFirst(folder.path.count + 1) } }

  /// Rows of all images of a folder, in an order that is not that of the folder.
  private func rows(_ folder: String, _ row: (_ path: String, _ label: String, _ split: String) -> String) throws -> String {
    let names = try FileManager.default.subpathsOfDirectory(atPath: "\(folder)/data").filter { $0.hasSuffix(".png") }
    return names.sorted { $0.reversed().lexicographicallyPrecedes($1.reversed()) }.map { name in
      let parts = name.split(separator: "/").map(String.init)
      return row(name, parts[1], parts[0])
    }.joined(separator: "\n")
  }

  @Test(arguments: ["data", "data.zip"]) func aTableIsItsFolder(_ data: String) throws {
    try withImages { folder in
      let expected = (splits: try ImageFolderSplits("\(folder)/data"), measured: try MeasuredFolder("\(folder)/data").folder)
      let tables = [
        "path,class,split\n" + (try rows(folder) { "\($0),\($1),\($2)" }),
        "\u{FEFF}Label;Split;File\r\n" + (try rows(folder) { "\($1);\($2 == "val" ? "Validation" : "TRAIN");\"./\($0)\"" }),
        try rows(folder) { "\($0)\t\($1)\t\($2)" } + "\n\n",
      ]
      for table in tables {
        try write(Array(table.utf8), to: "\(folder)/labels.csv")
        let found = try ImageFolderSplits("\(folder)/\(data)", labels: "\(folder)/labels.csv")
        #expect(found.train.classes == ["ant", "bee", "cat"])
        #expect(paths(found.train) == paths(expected.splits.train).map { "train/\($0)" })
        #expect(paths(found.validation) == paths(expected.splits.validation).map { "val/\($0)" })
        #expect(found.train.samples.map(\.label) == expected.splits.train.samples.map(\.label))
        let measured = try MeasuredFolder("\(folder)/\(data)", labels: "\(folder)/labels.csv")
        #expect(paths(measured.folder) == paths(expected.measured).map { "val/\($0)" } && !measured.mayHaveBeenTrainedOn)
      }
    }
  }

  /// Takes images beside the table, without parts, with other classes than the folders have.
  @Test func partsAreSetApart() throws {
    try withImages { folder in
      try write(
        Array(
          try rows(folder) { path, label, _ in "\(path),\(label == "cat" ? "insect, no" : "insect")" }
            .replacing("insect, no", with: "\"insect, no\"").utf8), to: "\(folder)/data/labels.csv")
      let labels = "\(folder)/data/labels.csv"
      let splits = try ImageFolderSplits(folder, labels: labels)
      #expect(splits.train.classes == ["insect", "insect, no"])
      #expect(splits.train.samples.count == 16 && splits.validation.samples.count == 2)
      #expect(splits.notes == ["to validate on: a tenth of each class of \(labels), set apart"])
      let measured = try MeasuredFolder(folder, labels: labels)
      #expect(measured.folder.samples.count == 18 && measured.mayHaveBeenTrainedOn)
    }
  }

  /// A resumed run opens the data by its absolute path, and finds the same images in the same order.
  @Test func imagesHaveTheNamesOfTheTable() throws {
    try withImages { folder in
      let rows = ["\(folder)/data/train/ant/1.png,a", "val/ant/0.png,b", "./train/ant/0.png,a", "data/val/ant/1.png,b"]
      try write(Array("path,class\n\(rows.joined(separator: "\n"))".utf8), to: "\(folder)/labels.csv")
      let names = try ["\(folder)/data", "\(folder)/./data/"].map { data in
        try MeasuredFolder(data, labels: "\(folder)/labels.csv").folder.samples.map(\.name)
      }
      let expected = ["\(folder)/data/train/ant/1.png", "train/ant/0.png", "data/val/ant/1.png", "val/ant/0.png"]
      #expect(names[0] == expected && names[1] == expected)
    }
  }

  static let wrong: [(String, String)] = [
    ("path,class\ntrain/ant/0.png,a\ntrain/ant/9.png,a", "line 3: there is no file train/ant/9.png"),
    ("path,class\ntrain/ant/0.png,a\n\n./train/ant/0.png,b", "line 4: ./train/ant/0.png is in line 2 already"),
    ("path,class,split\ntrain/ant/0.png,a,trian", "line 2: unknown split 'trian': known are train"),
    ("path,class,split\ntrain/ant/0.png,a,", "line 2: no split"), ("path,class\n,a", "line 2: no path"),
    ("path,class\ntrain/ant/0.png,", "line 2: no class"),
    ("path,class\ntrain/ant/0.png", "line 2: 1 columns, and the first line has 2"),
    ("a,b,c,d\n", "line 1: 4 columns and no names of columns"), ("justone\n", "line 1: 1 columns and no names"),
    ("path,class\n", "no rows in it but the names"), ("", "no rows in it"),
    ("path,class\n\"a,b", "line 2: a quote is not closed"),
    ("path,class,split\ntrain/ant/0.png,a,val\ntrain/ant/1.png,a,val", "no row has the split train"),
    (
      "path,class,split\ntrain/ant/0.png,a,train\ntrain/ant/1.png,b,val", "the class 'a' is in the split train only"
    ),
    ("path,class\ntrain/ant/0.png,a\ntrain/ant/1.png,b", "a single image"),
  ]

  @Test(arguments: wrong.indices) func isRefused(_ index: Int) throws {
    let (table, complaint) = Self.wrong[index]
    try withImages { folder in
      let labels = "\(folder)/labels.csv"
      try write(Array(table.utf8), to: labels)
      let message = failureMessage { _ = try ImageFolderSplits("\(folder)/data", labels: labels) }
      #expect(message.hasPrefix(labels) && message.contains(complaint), "\(message)")
    }
  }
}
