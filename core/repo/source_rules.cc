// SPDX-License-Identifier: Apache-2.0
#include "core/repo/source_rules.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "core/base/bytes.h"
#include "core/fs/file_status.h"
#include "core/fs/source_file.h"

namespace cairn {
namespace {

constexpr std::string_view kCaches = "# caches";
constexpr std::string_view kIfPresent = "# if-present ";
constexpr std::string_view kLargerThan = "# larger-than ";
constexpr std::string_view kOneFileSystem = "# one-file-system";

Status ParseRule(std::string_view line, SourceRules& rules) {
  if (line.empty()) return OkStatus();
  if (line == kOneFileSystem) {
    rules.one_file_system = true;
  } else if (line == kCaches) {
    rules.exclude_caches = true;
  } else if (line.starts_with(kIfPresent)) {
    rules.exclude_if_present.emplace_back(line.substr(kIfPresent.size()));
  } else if (line.starts_with(kLargerThan)) {
    line.remove_prefix(kLargerThan.size());
    uint64_t limit = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), limit);
    if (error != std::errc() || end != line.data() + line.size()) {
      return InvalidArgument("the snapshot's rules name no size: " + std::string(line));
    }
    rules.exclude_larger_than = limit;
  } else if (line.starts_with("# ")) {
    return InvalidArgument("the snapshot was made by a rule that is not known: " +
                           std::string(line));
  } else {
    return rules.excludes.Add(line);
  }
  return OkStatus();
}

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

std::string RulesText(const SourceRules& rules) {
  std::string text;
  const auto add = [&text](std::string_view line, std::string_view value = "") {
    text.append(line).append(value).append("\n");
  };
  // One that looks like another rule gets a '\' that changes nothing of what it matches.
  for (const std::string& pattern : rules.excludes.patterns()) {
    add(pattern.starts_with("# ") ? "\\" : "", pattern);
  }
  if (rules.exclude_caches) add(kCaches);
  for (const std::string& name : rules.exclude_if_present) add(kIfPresent, name);
  if (rules.exclude_larger_than) add(kLargerThan, std::to_string(*rules.exclude_larger_than));
  if (rules.one_file_system) add(kOneFileSystem);
  return text;
}

Status CheckRules(const SourceRules& rules) {
  for (const auto* const texts : {&rules.excludes.patterns(), &rules.exclude_if_present}) {
    for (const std::string& text : *texts) {
      if (text.find('\n') == std::string::npos) continue;
      return InvalidArgument(
          "a pattern or name with a line feed cannot be kept (in a pattern '?' matches one): " +
          text);
    }
  }
  return OkStatus();
}

StatusOr<SourceRules> ParseRules(std::string_view text) {
  SourceRules rules;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    RETURN_IF_ERROR(ParseRule(text.substr(0, end), rules));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return rules;
}

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
