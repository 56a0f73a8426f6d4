import Formats
import Support
import TestSupport
import Testing

/// Checks that files are recognized by their contents.
@Suite struct FileKindTests {
  private static func ascii(_ text: String) -> [UInt8] { Array(text.utf8) }
  private static let page = ascii("<title>Quota exceeded</title>" + String(repeating: "x", count: 600))
  private static let numbers = [UInt8](0...255)

  static let examples: [(FileKind, [UInt8])] = [
    (.empty, []), (.lfsPointer, ascii("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 102540417\n")),
    (.html, ascii("<!DOCTYPE html>") + page), (.html, ascii("\n <HTML><body>")),
    (.html, [0xEF, 0xBB, 0xBF] + ascii("<html>") + page),
    (.xml, ascii("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>")), (.json, ascii("{\"weight_map\": {}}")),
    (.json, ascii("[\n1]")), (.text, ascii("404: Not Found")), (.text, ascii(String(repeating: "é", count: 255) + "aé")),
    (.pdf, ascii("%PDF-1.7\n%") + numbers), (.zip, ascii("PK\u{3}\u{4}") + numbers),
    (.zip, ascii("PK\u{5}\u{6}") + [UInt8](repeating: 0, count: 18)),
    (.gzip, [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3] + numbers), (.bzip2, ascii("BZh9") + numbers),
    (.xz, [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0] + numbers), (.zstandard, [0x28, 0xB5, 0x2F, 0xFD] + numbers),
    (.sevenZip, [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C] + numbers), (.rar, ascii("Rar!\u{1A}\u{7}\u{1}") + numbers),
    (.tar, ascii("plain.pth") + [UInt8](repeating: 0, count: 248) + ascii("ustar  ") + numbers),
    (.safetensors, little(2, 8) + ascii("{}")), (.safetensors, little(0x0008_8B1F, 8) + ascii("{\"")),
    (.torchStream, TorchStream().bytes), (.torchStream, [0x80, 4, 0x95] + little(13, 8) + TorchStream.magic.dropFirst(2)),
    (.pickle, [0x80, 4, 0x95] + little(300, 8) + numbers), (.pickle, [0x80, 2] + ascii("}q\u{0}X") + numbers),
    (.onnx, [0x08, 8, 0x12, 7] + ascii("pytorch") + numbers), (.tensorFlowModel, [0x08, 1, 0x12, 0x80, 1, 0x0A] + numbers),
    (.hdf5, [0x89] + ascii("HDF\r\n\u{1A}\n") + numbers), (.numpy, [0x93] + ascii("NUMPY\u{1}\0") + numbers),
    (.tensorFlowIndex, numbers + [0x57, 0xFB, 0x80, 0x8B, 0x24, 0x75, 0x47, 0xDB]),
    (.tensorFlowLite, [0x1C, 0, 0, 0] + ascii("TFL3") + numbers), (.gguf, ascii("GGUF") + numbers),
    (.jpeg, [0xFF, 0xD8, 0xFF, 0xE0] + numbers), (.png, [0x89] + ascii("PNG\r\n\u{1A}\n") + numbers),
    (.gif, ascii("GIF89a") + numbers),
    (.bmp, ascii("BM") + little(5000, 4) + little(0, 4) + numbers), (.tiff, ascii("II*\0") + numbers),
    (.tiff, ascii("MM\0*") + numbers),
    (.webP, ascii("RIFF") + little(5000, 4) + ascii("WEBPVP8 ") + numbers),
  ]

  @Test func everyKindIsTold() throws {
    try withTemporaryFolder { folder in
      for (kind, bytes) in Self.examples {
        try AtomicFile.write(bytes, to: folder + "/x")
        #expect(try FileKind(of: InputFile(folder + "/x")) == kind, "\(kind): \(bytes.prefix(20))")
      }
      for bytes in [Self.numbers, [7, 7, 7], Self.ascii("BMW") + Self.numbers, [0x80, 2]] {
        try AtomicFile.write(bytes, to: folder + "/x")
        #expect(try FileKind(of: InputFile(folder + "/x")) == nil, "\(bytes.prefix(20))")
      }
    }
    #expect(Set(FileKind.allCases) == Set(Self.examples.map(\.0)))
  }

  /// Checks that readers of weights name the kind of a file that they do not support, and do not parse it.
  @Test func otherFilesAreNamedWhereWeightsAreWanted() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/model.pth"
      for (kind, bytes) in Self.examples where ![.zip, .safetensors, .torchStream, .json].contains(kind) {
        try AtomicFile.write(bytes, to: path)
        for read in [{ _ = try WeightsFile(path) }, { _ = try Safetensors.read(path) }] {
          let message = failureMessage(read)
          #expect(message.hasPrefix("\(path): this is \(kind.name), not ") && !message.contains("\n"), "\(message)")
        }
      }
      for (names, says) in [
        (["metadata.json", "config.json", "model.weights.h5"], "a Keras model"),
        (["conv1.weight.npy", "fc.npy"], "NumPy arrays (.npz)"),
        (["plain.pth"], "'plain.pth', so not what torch.save writes: unpack it first"),
        (["m/data.pkl", "m/constants.pkl"], "TorchScript"),
      ] {
        var file = TorchFile([])
        // Such archives are compressed.
        file.records = names.map { TorchFile.Record(name: $0, contents: [1, 2, 3], method: 8) }
        try AtomicFile.write(file.bytes, to: path)
        let message = failureMessage { _ = try WeightsFile(path) }
        #expect(message.contains(says), "\(message)")
      }
    }
  }
}
