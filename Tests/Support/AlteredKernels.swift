import Foundation

/// Copies the package's kernels into a new folder, with the text of one file changed.
///
/// - Parameters:
///   - folder: the copy's path. There must be nothing at it.
///   - file: name of the kernel file, without its folder.
///   - alter: returns the file's new text for the old one.
public func copyKernels(to folder: String, altering file: String, by alter: (String) throws -> String) throws {
  let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../Kernels/OpenCL").path
  try FileManager.default.copyItem(atPath: sources, toPath: folder)
  let paths = try FileManager.default.subpathsOfDirectory(atPath: folder)
  guard let path = paths.first(where: { $0 == file || $0.hasSuffix("/\(file)") }).map({ "\(folder)/\($0)" }) else {
    throw CocoaError(.fileNoSuchFile, userInfo: [NSFilePathErrorKey: "\(folder)/\(file)"])
  }
  try alter(String(contentsOfFile: path, encoding: .utf8)).write(toFile: path, atomically: true, encoding: .utf8)
}
