// SPDX-License-Identifier: Apache-2.0
#include "core/repo/source_rules.h"

#include <unistd.h>

#include "core/base/bytes.h"
#include "core/fs/file_status.h"
#include "core/fs/source_file.h"

namespace cairn {
namespace {

bool HasCacheTag(int directory) {
  const StatusOr<FileStatus> tag = StatAt(directory, kCacheTagName);
  if (!tag.ok() || tag->type != EntryType::kFile) return false;
  const StatusOr<Descriptor> file = OpenFileAt(directory, kCacheTagName);
  Bytes start(kCacheTag.size());
  return file.ok() &&
         ::pread(file->get(), start.data(), start.size(), 0) ==
             static_cast<ssize_t>(start.size()) &&
         AsText(start) == kCacheTag;
}

}  // namespace

std::optional<std::string> ReasonToEmpty(const SourceRules& rules, int directory,
                                         bool crosses_mount) {
  if (rules.one_file_system && crosses_mount) return "another file system";
  for (const std::string& name : rules.exclude_if_present) {
    if (StatAt(directory, name.c_str()).ok()) return "holds " + name;
  }
  if (rules.exclude_caches && HasCacheTag(directory)) return "a cache, by its CACHEDIR.TAG";
  return std::nullopt;
}

}  // namespace cairn
