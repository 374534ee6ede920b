// SPDX-License-Identifier: Apache-2.0
#include "core/repo/restore_attributes.h"

#include <algorithm>
#include <fstream>
#include <utility>

namespace cairn {
namespace {

// Without changing it, as umask() would, for all threads.
uint32_t Umask() {
  constexpr uint32_t kCautious = 077;
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    uint32_t mask = 0;
    if (word == "Umask:" && status >> std::oct >> mask) return mask & 0777;
  }
  return kCautious;
}

bool SameTypeAndSize(const FileStatus& status, const Entry& entry) {
  if (status.type != entry.type) return false;
  switch (entry.type) {
    case EntryType::kFile:
      return status.size == entry.size;
    case EntryType::kSymlink:
      return status.size == entry.target.size();
    case EntryType::kCharacterDevice:
    case EntryType::kBlockDevice:
      return status.device_major == entry.device.major && status.device_minor == entry.device.minor;
    default:
      return true;
  }
}

}  // namespace

bool LooksTheSame(const FileStatus& status, const Entry& entry) {
  return SameTypeAndSize(status, entry) && status.mtime == entry.mtime;
}

bool IsAsRestored(const FileStatus& status, const Entry& entry) {
  return SameTypeAndSize(status, entry) && status.mtime.seconds == entry.mtime.seconds &&
         (status.mtime.nanoseconds == entry.mtime.nanoseconds || status.mtime.nanoseconds == 0);
}

StatusOr<bool> AttributesDiffer(TargetDirectory& directory, const std::string& name,
                                const FileStatus& status, const Entry& entry) {
  if (status.uid != entry.uid || status.gid != entry.gid || status.mtime != entry.mtime ||
      status.mode != entry.mode) {
    return true;
  }
  auto present = directory.Xattrs(name);
  // What may not be read is set anew.
  if (present.status().code() == StatusCode::kPermissionDenied) return true;
  RETURN_IF_ERROR(present.status());
  std::sort(present->begin(), present->end());
  return !std::equal(present->begin(), present->end(), entry.xattrs.begin(), entry.xattrs.end(),
                     [](const auto& there, const Xattr& wanted) {
                       const Bytes* value = std::get_if<Bytes>(&wanted.value);
                       return there.first == wanted.name && value != nullptr &&
                              there.second == *value;
                     });
}

StatusOr<Attributes> AttributesOfNewDirectory(TargetDirectory& directory) {
  ASSIGN_OR_RETURN(const FileStatus status, directory.OwnStatus());
  Attributes attributes;
  attributes.type = EntryType::kDirectory;
  attributes.mode = (status.mode & 07000) | (0755 & ~Umask());
  attributes.uid = status.uid;
  attributes.gid = status.gid;
  attributes.mtime = status.mtime;
  ASSIGN_OR_RETURN(attributes.xattrs, directory.Xattrs(""));
  return attributes;
}

size_t AttributeBytes(const Entry& entry) {
  size_t bytes = sizeof(Entry) + entry.name.size() + entry.target.size();
  for (const Xattr& xattr : entry.xattrs) {
    bytes += sizeof(Xattr) + xattr.name.size();
    if (const Bytes* value = std::get_if<Bytes>(&xattr.value)) bytes += value->size();
  }
  return bytes;
}

}  // namespace cairn
