import Glibc

extension Folder {
  /// Lock that marks a folder as in use by one process. It is released when the object is deallocated or when the process
  /// ends, however it ends.
  public final class Lock: Sendable {
    /// Whether other processes are kept out. A file system may have no locks.
    package let isEffective: Bool
    private let descriptor: Int32

    /// Locks the folder.
    /// - Returns: nil if another lock is held. On a file system without locks, the lock has no effect.
    /// - Throws: a ``Failure`` if the folder cannot be opened or the system refuses the lock.
    public init?(_ path: String) throws {
      descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      guard descriptor >= 0 else { throw systemFailure("cannot open the folder \(path)") }
      var status = flock(descriptor, LOCK_EX | LOCK_NB)
      while status != 0 && errno == EINTR { status = flock(descriptor, LOCK_EX | LOCK_NB) }
      isEffective = status == 0
      if status == 0 || [ENOLCK, ENOTSUP, ENOSYS, EINVAL].contains(errno) { return }
      // The object is complete here, so that its end closes the folder.
      let code = errno
      if code == EWOULDBLOCK { return nil }
      throw systemFailure("cannot lock the folder \(path)", code)
    }

    deinit {
      // Closing alone would leave the lock with a child process that has been forked but has not yet started its program.
      flock(descriptor, LOCK_UN)
      close(descriptor)
    }

    /// Whether a path leads to another folder than the locked one, as the locked one was moved or removed and another one has
    /// taken its name. False if nothing is there.
    package func isReplaced(at path: String) -> Bool {
      var (locked, found) = (stat(), stat())
      guard fstat(descriptor, &locked) == 0, stat(path, &found) == 0 else { return false }
      return locked.st_dev != found.st_dev || locked.st_ino != found.st_ino
    }
  }
}
