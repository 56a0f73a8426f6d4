import Foundation
import Support
import TestSupport
import Testing

/// Tests runs on archives of photographs and on files of labels.
@Suite struct ArchiveRunTests {
  private static let options = "--model resnet8 --image-size 16 --batch-size 8 --epochs 1"

  private func run(_ line: String, in folder: String) throws -> Program.Result {
    try Program.onReference(line, in: folder)
  }

  /// From nothing to predictions in three commands. The weights are those of a run on the unpacked folder.
  @Test func anArchiveTrainsAndIsPredicted() throws {
    try withTemporaryFolder { folder in
      try writePhotographs("\(folder)/data", train: 4, validation: 3)
      try writeArchive(ofFolder: "\(folder)/data", under: "photos/", as: .zip, to: "\(folder)/photos.zip")
      try writeArchive(ofFolder: "\(folder)/data", under: "", as: .xz, to: "\(folder)/photos.tar.xz")
      let unpacked = try run("train --dataset folder --data data \(Self.options) --output unpacked", in: folder)
      #expect(unpacked.code == 0, "\(unpacked.err)")
      for (name, root) in [("photos.zip", "photos.zip/photos"), ("photos.tar.xz", "photos.tar.xz")] {
        let trained = try run("train --data \(name) \(Self.options) --output \(name)-run", in: folder)
        #expect(trained.code == 0 && trained.out.contains("folder, 12 images of 16×16×3 to train on, 9"), "\(trained.err)")
        let checkpoint = "\(name)-run/best.safetensors"
        #expect(try contents("\(folder)/\(checkpoint)") == contents("\(folder)/unpacked/best.safetensors"), "\(name)")

        let evaluated = try run("evaluate --checkpoint \(checkpoint) --data \(name) --json", in: folder)
        #expect(evaluated.complaint.hasPrefix("measuring on all 9 images of \(root)/val"), "\(evaluated.err)")
        #expect(try evaluated.out == run("evaluate --checkpoint \(checkpoint) --data data --json", in: folder).out)

        let predicted = try run("predict --checkpoint \(checkpoint) \(name) --json", in: folder)
        let expected = try run("predict --checkpoint \(checkpoint) data --json", in: folder)
        #expect(predicted.code == 0 && predicted.out == expected.out.replacing("\"data/", with: "\"\(root)/"), "\(predicted.err)")
      }
      // A run on an archive goes on with it, or with its folder.
      let resumed = try run("train --resume photos.zip-run", in: folder)
      #expect(resumed.code == 0 && resumed.out.contains("this run is finished"), "\(resumed.err)")
      let moved = try run("train --resume photos.zip-run --data data", in: folder)
      #expect(moved.code == 0 && moved.out.contains("this run is finished"), "\(moved.err)")
      let linked = try run("predict --checkpoint unpacked/best.safetensors photos.zip --sort-into sorted", in: folder)
      #expect(linked.code == 64 && linked.complaint.contains("add --copy"), "\(linked.err)")
      let copied = try run("predict --checkpoint unpacked/best.safetensors photos.zip --sort-into sorted --copy", in: folder)
      #expect(copied.code == 0, "\(copied.err)")
      let files = try FileManager.default.subpathsOfDirectory(atPath: "\(folder)/sorted").filter { $0.hasSuffix(".png") }
      #expect(files.count == 21)
    }
  }

  /// Trains on a flat folder whose classes a table tells. The weights are those of a run on folders of classes.
  @Test func aTableTellsTheClasses() throws {
    try withTemporaryFolder { folder in
      try writePhotographs("\(folder)/data", train: 4, validation: 3)
      var table = "filename,label,split\n"
      try FileManager.default.createDirectory(atPath: "\(folder)/flat", withIntermediateDirectories: true)
      for path in try FileManager.default.subpathsOfDirectory(atPath: "\(folder)/data").sorted() where path.hasSuffix(".png") {
        let parts = path.split(separator: "/").map(String.init)
        let name = parts.joined(separator: "-")
        try FileManager.default.copyItem(atPath: "\(folder)/data/\(path)", toPath: "\(folder)/flat/\(name)")
        table += "\(name),\(parts[1]),\(parts[0])\n"
      }
      try write(Array(table.utf8), to: "\(folder)/labels.csv")
      for line in ["train --dataset folder --data data", "train --data flat --labels labels.csv"] {
        let name = line.contains("flat") ? "flat-run" : "run"
        let trained = try run("\(line) \(Self.options) --output \(name)", in: folder)
        #expect(trained.code == 0, "\(trained.err)")
      }
      #expect(try contents("\(folder)/flat-run/last.safetensors") == contents("\(folder)/run/last.safetensors"))
      let evaluate = "evaluate --checkpoint flat-run/last.safetensors --json --data"
      let measured = try run("\(evaluate) flat --labels labels.csv", in: folder)
      #expect(measured.complaint == "measuring on the 9 images of labels.csv whose split is validation", "\(measured.err)")
      #expect(try measured.out == run("\(evaluate) data", in: folder).out)

      // The run keeps the table, and notices when it changes.
      let resumed = try run("train --resume flat-run", in: folder)
      #expect(resumed.code == 0 && resumed.out.contains("this run is finished"), "\(resumed.err)")
      let kept = try run("train --resume flat-run --labels labels.csv", in: folder)
      #expect(kept.code == 64 && kept.complaint.contains("leave --labels out"), "\(kept.err)")
      try write(Array(table.replacing("train-ant-0.png,ant", with: "train-ant-0.png,bee").utf8), to: "\(folder)/labels.csv")
      let changed = try run("train --resume flat-run", in: folder)
      #expect(changed.code == 1 && changed.complaint.contains("has changed since the run began"), "\(changed.err)")
      try FileManager.default.removeItem(atPath: "\(folder)/labels.csv")
      let lost = try run("train --resume flat-run", in: folder)
      #expect(
        lost.code == 1 && lost.complaint.contains("/labels.csv, the labels of the run's images, is not there"), "\(lost.err)")
    }
  }

  static let wrong: [Wrong] = [
    Wrong("train --labels ''", 64, "--labels ''"),
    Wrong("train --dataset cifar10 --labels x", 64, "--labels", "--dataset folder"),
    Wrong("train --labels gone.csv --output refused", 1, "gone.csv", "No such file"),
    Wrong("train --data nothing --labels images.safetensors --output refused", 1, "images.safetensors"),
    Wrong("train --data gone.zip --output refused", 1, "gone.zip", "no such folder"),
    Wrong("evaluate --checkpoint run/last.safetensors --data images.safetensors --labels x.csv", 64, "--labels", "photographs"),
    Wrong("train --dataset folder --data weights.pth --output refused", 1, "weights.pth"),
  ]

  @Test(arguments: wrong) func isRefused(_ wrong: Wrong) throws { try wrong.check() }
}
