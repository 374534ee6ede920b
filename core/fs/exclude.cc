// SPDX-License-Identifier: Apache-2.0
#include "core/fs/exclude.h"

#include <fnmatch.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"

namespace cairn {
namespace {

constexpr size_t kNone = std::string_view::npos;

// The place after the ']' that closes the bracket opened at `at`, by fnmatch's rules: a ']' that
// comes first is a member, and so is what stands in [: :], [. .] and [= =].
size_t EndOfBracket(std::string_view text, size_t at) {
  ++at;
  if (at < text.size() && (text[at] == '!' || text[at] == '^')) ++at;
  for (bool first = true; at < text.size(); first = false) {
    if (text[at] == ']' && !first) return at + 1;
    if (text[at] == '\\') {
      at += 2;
    } else if (text[at] == '[' && at + 1 < text.size() &&
               std::string_view(":.=").find(text[at + 1]) != kNone) {
      const char closing[] = {text[at + 1], ']'};
      const size_t end = text.find(std::string_view(closing, 2), at + 2);
      if (end == kNone) return kNone;
      at = end + 2;
    } else {
      ++at;
    }
  }
  return kNone;
}

std::string Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') ++i;
    plain.push_back(text[i]);
  }
  return plain;
}

// A path's parts, each ended by a NUL, as fnmatch wants them.
class PathParts {
 public:
  explicit PathParts(std::string_view path) : text_(path) {
    std::replace(text_.begin(), text_.end(), '/', '\0');
    for (size_t at = 0; at < text_.size();) {
      if (text_[at] == '\0') {
        ++at;
        continue;
      }
      parts_.push_back(&text_[at]);
      at = std::min(text_.find('\0', at), text_.size());
    }
  }
  const std::vector<const char*>& parts() const { return parts_; }

 private:
  std::string text_;
  std::vector<const char*> parts_;
};

// Cuts the blanks at the end of a line, but not one that is escaped.
std::string_view WithoutTrailingBlanks(std::string_view line) {
  const size_t end = line.find_last_not_of(" \t\r");
  if (end == kNone) return {};
  const size_t last = line.find_last_not_of('\\', end);
  const size_t backslashes = end - (last == kNone ? size_t{0} - 1 : last);
  const bool escapes = backslashes % 2 == 1 && end + 1 < line.size();
  return line.substr(0, end + 1 + (escapes ? 1 : 0));
}

}  // namespace

bool PatternList::Part::Matches(const char* name) const {
  switch (kind) {
    case Kind::kLiteral:
      return text == name;
    case Kind::kAnyName:
      return true;
    case Kind::kWildcard:
      return ::fnmatch(text.c_str(), name, 0) == 0;
    case Kind::kAnyDepth:
      break;
  }
  return false;
}

StatusOr<PatternList::Part> PatternList::ParsePart(std::string_view text) {
  if (text == "*") return Part{Part::Kind::kAnyName, ""};
  if (text == "**") return Part{Part::Kind::kAnyDepth, ""};
  if (text == "." || text == "..") {
    return InvalidArgument(absl::StrFormat("a part \"%s\" never matches", text));
  }
  bool wildcard = false;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '\\') {
      if (at + 1 == text.size()) return InvalidArgument("nothing follows a '\\'");
      at += 2;
    } else if (text[at] == '[') {
      wildcard = true;
      at = EndOfBracket(text, at);
      if (at == kNone) return InvalidArgument("a '[' is not closed");
    } else {
      if (text[at] == '*' || text[at] == '?') wildcard = true;
      ++at;
    }
  }
  if (wildcard) return Part{Part::Kind::kWildcard, std::string(text)};
  return Part{Part::Kind::kLiteral, Unescape(text)};
}

StatusOr<PatternList::Rule> PatternList::Parse(std::string_view pattern) {
  if (pattern.find('\0') != kNone) return InvalidArgument("it contains a NUL");
  Rule rule;
  if (pattern.starts_with('!')) {
    rule.negated = true;
    pattern.remove_prefix(1);
  }
  const bool anchored = pattern.starts_with('/');
  rule.directories_only = pattern.ends_with('/');
  if (!anchored) rule.parts.push_back({Part::Kind::kAnyDepth, ""});
  bool empty = true;
  while (!pattern.empty()) {
    const std::string_view text = pattern.substr(0, pattern.find('/'));
    pattern.remove_prefix(std::min(pattern.size(), text.size() + 1));
    if (text.empty()) continue;
    empty = false;
    ASSIGN_OR_RETURN(Part part, ParsePart(text));
    const bool any_depth = part.kind == Part::Kind::kAnyDepth;
    if (any_depth && !rule.parts.empty() && rule.parts.back().kind == part.kind) continue;
    rule.parts.push_back(std::move(part));
  }
  if (empty) return InvalidArgument("it names nothing");
  // What is in a directory, without the directory.
  if (rule.parts.back().kind == Part::Kind::kAnyDepth) {
    rule.parts.push_back({Part::Kind::kAnyName, ""});
  }
  return rule;
}

Status PatternList::Add(std::string_view pattern) {
  StatusOr<Rule> rule = Parse(pattern);
  if (!rule.ok()) {
    return Annotate(rule.status(), absl::StrFormat("pattern \"%s\"", pattern));
  }
  rules_.push_back(*std::move(rule));
  patterns_.emplace_back(pattern);
  return OkStatus();
}

Status PatternList::AddFile(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) return ErrnoError(errno, "open", path);
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    const std::string_view pattern = WithoutTrailingBlanks(line);
    if (pattern.empty() || pattern[0] == '#') continue;
    if (Status status = Add(pattern); !status.ok()) {
      return Annotate(status, absl::StrFormat("%s:%d", path, number));
    }
  }
  if (file.bad()) return ErrnoError(errno, "read", path);
  return OkStatus();
}

// From the end on, as the last part decides most often. Only the last kAnyDepth that was met is
// ever widened: what an earlier one could add, it can take itself.
bool PatternList::Rule::Matches(const std::vector<const char*>& path) const {
  size_t pattern_left = parts.size();
  size_t path_left = path.size();
  std::optional<std::pair<size_t, size_t>> retry;
  while (path_left > 0) {
    if (pattern_left > 0 && parts[pattern_left - 1].kind == Part::Kind::kAnyDepth) {
      if (pattern_left == 1) return true;
      --pattern_left;
      retry = {pattern_left, path_left};
    } else if (pattern_left > 0 && parts[pattern_left - 1].Matches(path[path_left - 1])) {
      --pattern_left;
      --path_left;
    } else if (retry) {
      pattern_left = retry->first;
      path_left = --retry->second;
    } else {
      return false;
    }
  }
  return pattern_left == 0 || (pattern_left == 1 && parts.front().kind == Part::Kind::kAnyDepth);
}

bool PatternList::Rule::MayMatchBelow(const std::vector<const char*>& directory) const {
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].kind == Part::Kind::kAnyDepth || i == directory.size()) return true;
    if (!parts[i].Matches(directory[i])) return false;
  }
  return false;
}

bool PatternList::Matches(std::string_view path, bool is_directory) const {
  if (rules_.empty()) return false;
  const PathParts split(path);
  if (split.parts().empty()) return false;
  const auto matching = std::find_if(rules_.rbegin(), rules_.rend(), [&](const Rule& rule) {
    return (is_directory || !rule.directories_only) && rule.Matches(split.parts());
  });
  return matching != rules_.rend() && !matching->negated;
}

bool PatternList::MayMatchBelow(std::string_view directory) const {
  const PathParts split(directory);
  return std::any_of(rules_.begin(), rules_.end(), [&](const Rule& rule) {
    return !rule.negated && rule.MayMatchBelow(split.parts());
  });
}

}  // namespace cairn
