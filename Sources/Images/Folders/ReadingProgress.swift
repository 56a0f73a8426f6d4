/// Called while images are looked for, after each class of a folder, row of a table or path.
/// - Parameters:
///   - done: number of classes, rows or paths that are done.
///   - total: number of all of them.
///   - subject: name of the one that is done; empty for a row.
public typealias ReadingProgress = @Sendable (_ done: Int, _ total: Int, _ subject: String) -> Void
