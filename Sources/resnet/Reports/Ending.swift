import Compute
import Datasets
import Formats
import Glibc
import Support
import Training

/// Lines at the end of a run: its best epoch, its files, and the command to go on with.
struct Ending {
  let trainer: Trainer
  let folder: RunFolder
  /// Seconds for which this process trained.
  let seconds: Double

  /// Best epoch, with its figures, and files. Nil before an epoch is finished.
  var results: String? {
    guard let best = trainer.bestFigures else { return nil }
    let epoch = best.epoch.map { "best epoch \(grouped($0)): " } ?? "best epoch: "
    let loss = best.loss.map { ", loss \(lossText($0))" } ?? ""
    return "\(epoch)validation accuracy \(percentText(best.accuracy, 2))\(loss); trained for \(clock(seconds))\n" + files
  }

  /// Folder and the files in it, with their sizes.
  private var files: String {
    let found = [folder.bestPath, folder.lastPath, folder.statePath, folder.metricsPath, folder.reportPath].compactMap {
      path -> String? in
      guard let file = try? InputFile(path) else { return nil }
      return "\(path.dropFirst(folder.path.count + 1)) (\(bytes(file.byteCount)))"
    }
    return "\(printable(folder.path)): \(found.joined(separator: ", "))"
  }

  /// Checks that a finished run has best weights.
  /// - Throws: ``Failure`` if the validation loss of no epoch was finite.
  func requireBest() throws {
    guard trainer.bestFigures == nil else { return }
    throw Failure(
      .diverged, about: folder.path, "the validation loss of no epoch is finite, so there are no best weights",
      remedy: "try a lower \(Setting.learningRate), and check the validation images; the last weights are in \(folder.lastPath)")
  }

  /// Command that uses the best weights.
  var next: String {
    let run = shellQuoted(folder.path)
    // Without a data set, the run's own validation images are measured on.
    return trainer.configuration.data.photographs == nil
      ? "next: resnet evaluate --checkpoint \(run)" : "next: resnet predict --checkpoint \(run) IMAGE…"
  }
}

/// Spells a word for a shell: as it is if no character of it has a meaning there, otherwise in quotes.
package func shellQuoted(_ word: String) -> String {
  let plain = word.utf8.allSatisfy { byte in
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte >= 0x80
      || "/._-+=:,@%".utf8.contains(byte)
  }
  return plain && !word.isEmpty ? word : "'\(word.replacing("'", with: "'\\''"))'"
}
