// SPDX-License-Identifier: Apache-2.0
#include "cli/source_paths.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "absl/strings/str_format.h"
#include "core/base/bytes.h"
#include "core/base/unique_fd.h"

namespace cairn {
namespace {

// Of a list of paths: a list that is longer is not one that somebody meant.
constexpr size_t kMaxListBytes = 1 * kGiB;

// `flags` as fstatat takes them: whether symlinks at the end of the paths are followed.
bool IsSamePlace(const char* a, const char* b, int flags) {
  struct stat first;
  struct stat second;
  return ::fstatat(AT_FDCWD, a, &first, flags) == 0 &&
         ::fstatat(AT_FDCWD, b, &second, flags) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

StatusOr<std::string> WorkingDirectory() {
  const char* pwd = std::getenv("PWD");
  if (pwd != nullptr && *pwd == '/' && IsSamePlace(pwd, ".", 0)) return pwd;
  const std::unique_ptr<char, decltype(&std::free)> cwd(::getcwd(nullptr, 0), &std::free);
  if (cwd == nullptr) return ErrnoError(errno, "finding", "the working directory");
  return std::string(cwd.get());
}

// Nothing but text: "a/../b" is "b".
std::string CleanPath(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  std::string clean;
  for (const std::string_view part : parts) clean.append("/").append(part);
  return clean.empty() ? "/" : clean;
}

bool HasParentPart(std::string_view path) {
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    if (path.substr(0, end) == "..") return true;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return false;
}

// With symlinks resolved; empty if it is not there.
std::string RealPath(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                         &std::free);
  return real == nullptr ? "" : real.get();
}

// What follows `directory` in `path`, beginning with a slash; "" if they are equal.
bool IsBelow(std::string_view path, std::string_view directory, std::string_view* rest) {
  if (directory == "/") directory = "";
  if (path.substr(0, directory.size()) != directory) return false;
  *rest = path.substr(directory.size());
  return rest->empty() || rest->front() == '/';
}

}  // namespace

StatusOr<std::string> AbsolutePath(std::string_view path) {
  if (path.empty()) return InvalidArgument("an empty path names nothing");
  std::string absolute(path);
  if (path.front() != '/') {
    ASSIGN_OR_RETURN(const std::string directory, WorkingDirectory());
    absolute = absl::StrFormat("%s/%s", directory, path);
  }
  std::string clean = CleanPath(absolute);
  if (!HasParentPart(absolute) ||
      IsSamePlace(absolute.c_str(), clean.c_str(), AT_SYMLINK_NOFOLLOW)) {
    return clean;
  }
  // ".." led out of a symlink, and not to where its text says.
  const std::string real = RealPath(absolute);
  return real.empty() ? clean : real;
}

bool IsRootDirectory(const std::string& path) { return IsSamePlace(path.c_str(), "/", 0); }

StatusOr<std::vector<std::string>> ReadPathList(const std::string& file) {
  UniqueFd opened;
  if (file != "-") {
    opened = UniqueFd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!opened.valid()) return ErrnoError(errno, "opening the list of paths", file);
  }
  const int descriptor = file == "-" ? STDIN_FILENO : opened.get();
  std::string content;
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t got =
        RetryOnEintr([&] { return ::read(descriptor, buffer.data(), buffer.size()); });
    if (got < 0) return ErrnoError(errno, "reading the list of paths", file);
    if (got == 0) break;
    content.append(buffer.data(), static_cast<size_t>(got));
    if (content.size() > kMaxListBytes) {
      return ResourceExhausted(absl::StrFormat("the list of paths %s is over 1 GiB", file));
    }
  }
  const char separator = content.find('\0') == std::string::npos ? '\n' : '\0';
  std::vector<std::string> paths;
  for (size_t at = 0; at < content.size();) {
    const size_t end = std::min(content.find(separator, at), content.size());
    if (end > at) paths.push_back(content.substr(at, end - at));
    at = end + 1;
  }
  return paths;
}

std::string PatternOfPath(std::string_view path) {
  std::string pattern;
  for (const char c : path) {
    if (std::string_view("*?[]\\!").find(c) != std::string_view::npos) pattern.push_back('\\');
    pattern.push_back(c);
  }
  return pattern;
}

StatusOr<std::vector<std::string>> PlacesWithin(const std::vector<std::string>& sources,
                                                const std::string& directory) {
  std::vector<std::string> places;
  const std::string real = RealPath(directory);
  if (real.empty()) return places;
  for (const std::string& source : sources) {
    struct stat status;
    // A source that is a symlink is stored as one, and nothing of what it leads to.
    if (::lstat(source.c_str(), &status) != 0 || S_ISLNK(status.st_mode)) continue;
    const std::string real_source = RealPath(source);
    if (real_source.empty()) continue;
    std::string_view rest;
    if (IsBelow(real_source, real, &rest)) {
      return InvalidArgument(absl::StrFormat("%s is, or lies in, %s", source, directory));
    }
    if (IsBelow(real, real_source, &rest)) {
      places.push_back((source == "/" ? "" : source) + std::string(rest));
    }
  }
  return places;
}

}  // namespace cairn
