// SPDX-License-Identifier: Apache-2.0
// ReadXattrs (core/fs/source_file.h).
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "absl/strings/str_format.h"
#include "core/fs/source_file.h"
#include "core/tree/xattrs.h"

namespace cairn {
namespace {

// Names or values that grow again and again between asking for their size and reading them; also a
// name that the kernel itself lists and then refuses as too long.
constexpr int kMaxTries = 8;

// The file as an argument of the xattr calls: a descriptor, or a path that leads from one to a name
// and is not followed there.
class XattrFile {
 public:
  XattrFile(int directory, const char* name) : descriptor_(directory), name_(name) {
    if (*name != '\0') path_ = absl::StrFormat("/proc/self/fd/%d/%s", directory, name);
  }

  ssize_t List(char* out, size_t size) const {
    return path_.empty() ? ::flistxattr(descriptor_, out, size)
                         : ::llistxattr(path_.c_str(), out, size);
  }
  ssize_t Get(const char* attribute, void* out, size_t size) const {
    return path_.empty() ? ::fgetxattr(descriptor_, attribute, out, size)
                         : ::lgetxattr(path_.c_str(), attribute, out, size);
  }
  Status Error(int error_number, const char* attribute) const {
    if (error_number == ENOENT && !path_.empty() && ::access("/proc/self/fd", X_OK) != 0) {
      return FailedPrecondition("cannot read extended attributes: /proc is not mounted");
    }
    return ErrnoError(error_number, absl::StrFormat("read attribute %s of", attribute), name_);
  }

 private:
  const int descriptor_;
  const char* const name_;
  std::string path_;
};

bool IsUnsupported(int error_number) {
  return error_number == EOPNOTSUPP || error_number == ENOSYS;
}

// Fills `out` with what `read` gives, which is called as (buffer, size): first with a buffer on the
// stack, enough for nearly all. Returns an errno; 0 is success.
template <typename Read>
int ReadGrowing(Read read, Bytes& out) {
  std::array<uint8_t, 1024> small;
  ssize_t size = read(small.data(), small.size());
  if (size >= 0) {
    out.assign(small.begin(), small.begin() + size);
    return 0;
  }
  for (int i = 0; i < kMaxTries && errno == ERANGE; ++i) {
    size = read(nullptr, 0);
    if (size < 0) break;
    out.resize(std::max<size_t>(static_cast<size_t>(size), 1));
    size = read(out.data(), out.size());
    if (size >= 0) {
      out.resize(static_cast<size_t>(size));
      return 0;
    }
  }
  return errno;
}

}  // namespace

StatusOr<std::vector<std::pair<std::string, Bytes>>> ReadXattrs(int directory, const char* name) {
  std::vector<std::pair<std::string, Bytes>> xattrs;
  const XattrFile file(directory, name);
  Bytes list;
  int error = ReadGrowing(
      [&](uint8_t* out, size_t size) { return file.List(reinterpret_cast<char*>(out), size); },
      list);
  if (IsUnsupported(error)) return xattrs;
  if (error != 0) return file.Error(error, "names");

  std::string_view names = AsText(list);
  while (!names.empty()) {
    const std::string attribute(names.substr(0, names.find('\0')));
    names.remove_prefix(std::min(names.size(), attribute.size() + 1));
    if (!IsKeptXattr(attribute)) continue;
    Bytes value;
    error = ReadGrowing(
        [&](uint8_t* out, size_t size) { return file.Get(attribute.c_str(), out, size); }, value);
    // Removed since it was listed; listed by a file system that then does not give it.
    if (error == ENODATA || IsUnsupported(error)) continue;
    if (error != 0) return file.Error(error, attribute.c_str());
    xattrs.emplace_back(attribute, std::move(value));
  }
  std::sort(xattrs.begin(), xattrs.end());
  // A file system in user space may list a name twice.
  const auto same_name = [](const auto& a, const auto& b) { return a.first == b.first; };
  xattrs.erase(std::unique(xattrs.begin(), xattrs.end(), same_name), xattrs.end());
  return xattrs;
}

}  // namespace cairn
