// Counts the system calls by which a process changes the files of one folder, and makes one of them fail or kills the process
// before it. It is preloaded (LD_PRELOAD) by Scripts/torture.
//
// TORTURE_FOLDER  folder whose files are watched
// TORTURE_LOG     file to which each call is appended: its number, name and path
// TORTURE_KILL    number of the call before which the process is killed
// TORTURE_FAIL    first and last number of the calls that fail, and the error: "12 14 28"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;

// Whether a path is that of the folder or lies in it.
static int watched(const char *path) {
  const char *folder = getenv("TORTURE_FOLDER");
  if (!folder || !path) return 0;
  char whole[PATH_MAX];
  if (path[0] != '/') {
    if (!getcwd(whole, sizeof whole)) return 0;
    size_t length = strlen(whole);
    if (snprintf(whole + length, sizeof whole - length, "/%s", path) < 0) return 0;
    path = whole;
  }
  size_t length = strlen(folder);
  return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

// Path of an open file; empty if it has none.
static const char *path_of(int descriptor, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  path[length < 0 ? 0 : length] = 0;
  return path;
}

// Counts a call. Returns 1 and sets errno if it fails.
static int fails(const char *name, const char *path) {
  if (!watched(path)) return 0;
  long number = atomic_fetch_add(&calls, 1) + 1;
  const char *log = getenv("TORTURE_LOG"), *kills = getenv("TORTURE_KILL"), *failing = getenv("TORTURE_FAIL");
  if (log) {
    int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    ssize_t (*real_write)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    int (*real_close)(int) = dlsym(RTLD_NEXT, "close");
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%ld %s %s\n", number, name, path);
    int file = real_open(log, O_WRONLY | O_APPEND | O_CREAT, 0666);
    if (file < 0 || real_write(file, line, length) != length) _exit(99);
    real_close(file);
  }
  if (kills && atol(kills) == number) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  long first, last;
  int error;
  if (failing && sscanf(failing, "%ld %ld %d", &first, &last, &error) == 3 && first <= number && number <= last) {
    errno = error;
    return 1;
  }
  return 0;
}

#define REAL(name, result, ...)                           \
  static result (*real)(__VA_ARGS__);                     \
  if (!real) real = dlsym(RTLD_NEXT, name);

#define OPEN(function)                                                                    \
  int function(const char *path, int flags, ...) {                                       \
    REAL(#function, int, const char *, int, ...)                                         \
    va_list list;                                                                        \
    va_start(list, flags);                                                               \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;              \
    va_end(list);                                                                        \
    if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && fails("open", path)) return -1;       \
    return real(path, flags, mode);                                                      \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(function)                                                                 \
  int function(int folder, const char *path, int flags, ...) {                           \
    REAL(#function, int, int, const char *, int, ...)                                    \
    va_list list;                                                                        \
    va_start(list, flags);                                                               \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;              \
    va_end(list);                                                                        \
    char whole[PATH_MAX];                                                                \
    if (flags & (O_WRONLY | O_RDWR | O_CREAT)) {                                         \
      if (path[0] != '/' && folder != AT_FDCWD) {                                        \
        size_t length = strlen(path_of(folder, whole));                                  \
        snprintf(whole + length, sizeof whole - length, "/%s", path);                    \
      } else {                                                                           \
        snprintf(whole, sizeof whole, "%s", path);                                       \
      }                                                                                  \
      if (fails("open", whole)) return -1;                                               \
    }                                                                                    \
    return real(folder, path, flags, mode);                                              \
  }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int file, const void *bytes, size_t count) {
  REAL("write", ssize_t, int, const void *, size_t)
  char path[PATH_MAX];
  return fails("write", path_of(file, path)) ? -1 : real(file, bytes, count);
}

#define PWRITE(function, offset_type)                                              \
  ssize_t function(int file, const void *bytes, size_t count, offset_type offset) { \
    REAL(#function, ssize_t, int, const void *, size_t, offset_type)               \
    char path[PATH_MAX];                                                           \
    return fails("pwrite", path_of(file, path)) ? -1 : real(file, bytes, count, offset); \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define ON_FILE(function)                                              \
  int function(int file) {                                             \
    REAL(#function, int, int)                                          \
    char path[PATH_MAX];                                               \
    return fails(#function, path_of(file, path)) ? -1 : real(file);    \
  }
ON_FILE(fsync)
ON_FILE(fdatasync)

#define TRUNCATE(function, offset_type)                                     \
  int function(int file, offset_type length) {                              \
    REAL(#function, int, int, offset_type)                                  \
    char path[PATH_MAX];                                                    \
    return fails("ftruncate", path_of(file, path)) ? -1 : real(file, length); \
  }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

int rename(const char *old, const char *new) {
  REAL("rename", int, const char *, const char *)
  return fails("rename", new) ? -1 : real(old, new);
}

int renameat(int old_folder, const char *old, int new_folder, const char *new) {
  REAL("renameat", int, int, const char *, int, const char *)
  char whole[PATH_MAX];
  size_t length = new_folder == AT_FDCWD || new[0] == '/' ? 0 : strlen(path_of(new_folder, whole));
  snprintf(whole + length, sizeof whole - length, "%s%s", length ? "/" : "", new);
  return fails("rename", whole) ? -1 : real(old_folder, old, new_folder, new);
}

int unlink(const char *path) {
  REAL("unlink", int, const char *)
  return fails("unlink", path) ? -1 : real(path);
}

int mkdir(const char *path, mode_t mode) {
  REAL("mkdir", int, const char *, mode_t)
  return fails("mkdir", path) ? -1 : real(path, mode);
}
