import CArchive
import Foundation

/// Form of an archive that tests write.
public enum ArchiveForm: String, CaseIterable, Sendable {
  case zip, stored, ustar, gnu, pax, gzip, bzip2, xz, zstd

  /// Usual end of the name of such a file.
  public var suffix: String {
    switch self {
    case .zip, .stored: "zip"
    case .ustar, .gnu, .pax: "tar"
    case .gzip: "tar.gz"
    case .bzip2: "tar.bz2"
    case .xz: "tar.xz"
    case .zstd: "tar.zst"
    }
  }
}

/// Writes an archive of members, in their order, by libarchive.
/// - Parameters:
///   - links: symbolic links behind the members.
///   - password: encrypts the members of a zip archive; nil for no encryption.
public func writeArchive(
  _ members: [(name: String, bytes: [UInt8])], as form: ArchiveForm, to path: String,
  links: [(name: String, target: String)] = [],
  password: String? = nil
) throws {
  // libarchive takes names in the encoding of the locale.
  let utf8 = newlocale(1 << LC_CTYPE, "C.UTF-8", nil)
  let former = uselocale(utf8)
  defer {
    uselocale(former)
    freelocale(utf8)
  }
  let archive = archive_write_new()
  defer { archive_write_free(archive) }
  func check(_ status: Int32) throws {
    guard status == ARCHIVE_OK else {
      throw NSError(
        domain: archive_error_string(archive).map { String(cString: $0) } ?? "libarchive \(status)", code: Int(status))
    }
  }
  switch form {
  case .zip, .stored:
    try check(archive_write_set_format_zip(archive))
    try check(archive_write_set_options(archive, form == .zip ? "zip:compression=deflate" : "zip:compression=store"))
    try check(archive_write_set_options(archive, "zip:hdrcharset=UTF-8"))
    if let password {
      try check(archive_write_set_options(archive, "zip:encryption=zipcrypt"))
      try check(archive_write_set_passphrase(archive, password))
    }
  case .ustar: try check(archive_write_set_format_ustar(archive))
  case .gnu: try check(archive_write_set_format_gnutar(archive))
  default: try check(archive_write_set_format_pax(archive))
  }
  switch form {
  case .gzip: try check(archive_write_add_filter_gzip(archive))
  case .bzip2: try check(archive_write_add_filter_bzip2(archive))
  case .xz: try check(archive_write_add_filter_xz(archive))
  case .zstd: try check(archive_write_add_filter_zstd(archive))
  default: break
  }
  try check(archive_write_open_filename(archive, path))
  for member in members {
    let entry = archive_entry_new()
    defer { archive_entry_free(entry) }
    archive_entry_update_pathname_utf8(entry, member.name)
    archive_entry_copy_pathname(entry, member.name)
    archive_entry_set_size(entry, Int64(member.bytes.count))
    archive_entry_set_filetype(entry, 0o100000)
    archive_entry_set_perm(entry, 0o644)
    try check(archive_write_header(archive, entry))
    let written = member.bytes.withUnsafeBytes { archive_write_data(archive, $0.baseAddress, $0.count) }
    guard written == member.bytes.count else { throw NSError(domain: "libarchive wrote \(written) bytes", code: 1) }
  }
  for link in links {
    let entry = archive_entry_new()
    defer { archive_entry_free(entry) }
    archive_entry_copy_pathname(entry, link.name)
    archive_entry_set_filetype(entry, 0o120000)
    archive_entry_set_perm(entry, 0o777)
    archive_entry_copy_symlink(entry, link.target)
    try check(archive_write_header(archive, entry))
  }
  try check(archive_write_close(archive))
}

/// Writes an archive of the files in and below a folder, sorted, with a folder before their names.
public func writeArchive(ofFolder folder: String, under top: String, as form: ArchiveForm, to path: String) throws {
  let names = try FileManager.default.subpathsOfDirectory(atPath: folder).sorted()
  let members = try names.compactMap { name -> (name: String, bytes: [UInt8])? in
    var isFolder: ObjCBool = false
    _ = FileManager.default.fileExists(atPath: "\(folder)/\(name)", isDirectory: &isFolder)
    return isFolder.boolValue ? nil : (top + name, [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)"))))
  }
  try writeArchive(members, as: form, to: path)
}
