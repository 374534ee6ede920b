// SPDX-License-Identifier: Apache-2.0
#include "core/repo/snapshot_selector.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/repo/time_spec.h"

namespace cairn {
namespace {

constexpr size_t kMinPrefixDigits = 4;
constexpr size_t kMaxPrefixDigits = 2 * SnapshotId::kBytes;
constexpr size_t kShownDigits = 8;
constexpr size_t kMaxCandidatesShown = 10;
constexpr std::string_view kSeeList = "; `cairn snapshots` lists them";

template <typename T>
bool Contains(const std::vector<T>& list, const T& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

bool IsHexDigit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

char LowerHexDigit(char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c; }

// Tidied as text only: what ".." means depends on symbolic links, so it is refused.
StatusOr<std::string> ParsePath(std::string_view path) {
  if (path.empty() || path.front() != '/') {
    return InvalidArgument(absl::StrFormat(
        "the path '%s' is not absolute: give it from / on, as it was when the snapshot was taken",
        path));
  }
  std::string tidy;
  for (size_t start = 1; start <= path.size();) {
    const size_t end = std::min(path.find('/', start), path.size());
    const std::string_view name = path.substr(start, end - start);
    if (name == "..") {
      return InvalidArgument(
          absl::StrFormat("the path '%s' contains '..': write it without", path));
    }
    if (!name.empty() && name != ".") tidy.append("/").append(name);
    start = end + 1;
  }
  return tidy.empty() ? "/" : tidy;
}

Status ParseLatest(std::string_view text, SnapshotSelector& selector) {
  selector.kind = SnapshotSelector::Kind::kLatest;
  const std::string_view suffix = text.substr(std::string_view("latest").size());
  if (suffix.empty()) return OkStatus();
  const char* const end = suffix.data() + suffix.size();
  const auto [stop, error] = std::from_chars(suffix.data() + 1, end, selector.back);
  if (error != std::errc() || stop != end) {
    return InvalidArgument(absl::StrFormat(
        "'%s': after 'latest~' stands a number, such as latest~2 for the second before it", text));
  }
  return OkStatus();
}

Status ParseIdPrefix(std::string_view text, SnapshotSelector& selector) {
  selector.kind = SnapshotSelector::Kind::kIdPrefix;
  const bool is_hex = !text.empty() && std::all_of(text.begin(), text.end(), IsHexDigit);
  if (!is_hex || text.size() > kMaxPrefixDigits) {
    return InvalidArgument(absl::StrFormat(
        "'%s' names no snapshot: write latest, latest~N, @TIME or 4 or more hex digits of an id%s",
        text, kSeeList));
  }
  if (text.size() < kMinPrefixDigits) {
    return InvalidArgument(absl::StrFormat(
        "'%s' is too short for an id: give 4 or more of its hex digits%s", text, kSeeList));
  }
  selector.id_prefix.resize(text.size());
  std::transform(text.begin(), text.end(), selector.id_prefix.begin(), LowerHexDigit);
  return OkStatus();
}

bool HasIdPrefix(const SnapshotId& id, std::string_view prefix) {
  const size_t bytes = (prefix.size() + 1) / 2;
  return HexEncode(id.span().first(bytes)).compare(0, prefix.size(), prefix) == 0;
}

SnapshotId FirstWithPrefix(std::string prefix) {
  prefix.resize(kMaxPrefixDigits, '0');
  return SnapshotId::FromHex(prefix).value_or(SnapshotId{});  // nothing but digits
}

// How many leading digits tell the candidates apart, at least kShownDigits. REQUIRES: sorted hex.
size_t DistinctDigits(const std::vector<std::string>& sorted) {
  size_t digits = kShownDigits;
  for (size_t i = 1; i < sorted.size(); ++i) {
    const auto [first, second] =
        std::mismatch(sorted[i - 1].begin(), sorted[i - 1].end(), sorted[i].begin());
    const auto common = static_cast<size_t>(first - sorted[i - 1].begin());
    digits = std::max(digits, std::min(common + 1, kMaxPrefixDigits));
  }
  return digits;
}

// `candidates` in the order of their ids.
Status AmbiguousPrefix(std::string_view text, const std::vector<SnapshotInfo>& candidates) {
  std::vector<std::string> ids;
  for (const SnapshotInfo& candidate : candidates) ids.push_back(candidate.id.Hex());
  const size_t digits = DistinctDigits(ids);

  std::string message = absl::StrFormat(
      "'%s' begins the ids of %u snapshots; give more digits of one of", text, candidates.size());
  for (size_t i = 0; i < std::min(ids.size(), kMaxCandidatesShown); ++i) {
    absl::StrAppendFormat(&message, "%s %s (%s)", i == 0 ? "" : ",", ids[i].substr(0, digits),
                          FormatForPeople(candidates[i].time));
  }
  if (ids.size() > kMaxCandidatesShown) {
    absl::StrAppendFormat(&message, " and %u more", ids.size() - kMaxCandidatesShown);
  }
  return InvalidArgument(message);
}

StatusOr<SnapshotInfo> SelectByIdPrefix(const SnapshotSelector& selector,
                                        SnapshotFinder& snapshots) {
  std::vector<SnapshotInfo> candidates;
  const auto keep = [&](const SnapshotInfo& snapshot) {
    if (!HasIdPrefix(snapshot.id, selector.id_prefix)) return false;
    candidates.push_back(snapshot);
    return true;
  };
  RETURN_IF_ERROR(snapshots.ForEachSnapshotFrom(FirstWithPrefix(selector.id_prefix), keep));
  if (candidates.empty()) {
    return NotFound(absl::StrFormat("no snapshot matches '%s'%s", selector.text, kSeeList));
  }
  if (candidates.size() > 1) return AmbiguousPrefix(selector.text, candidates);
  return candidates.front();
}

// None of those that `filter` leaves is the wanted one; `matching` of them were looked at.
Status WhyNone(const SnapshotSelector& selector, SnapshotFinder& snapshots,
               const SnapshotFilter& filter, uint64_t matching) {
  bool any = false;
  std::optional<SnapshotInfo> oldest;
  RETURN_IF_ERROR(snapshots.ForEachSnapshotBefore(kEndOfTime, [&](const SnapshotInfo& snapshot) {
    any = true;
    if (MatchesFilter(snapshot, filter)) oldest = snapshot;
    return true;
  }));
  if (!any) {
    return NotFound("the repository holds no snapshot yet; `cairn snapshot PATH` takes one");
  }
  if (!oldest) {
    return NotFound(
        absl::StrFormat("no snapshot matches '%s' with the given --host, --tag and --path%s",
                        selector.text, kSeeList));
  }
  if (selector.kind == SnapshotSelector::Kind::kLatest) {
    return NotFound(absl::StrFormat("no snapshot is '%s': there are only %u of them%s",
                                    selector.text, matching, kSeeList));
  }
  return NotFound(absl::StrFormat(
      "no snapshot matches '%s': none was taken at or before %s, the oldest one, %s, is of %s%s",
      selector.text, FormatForPeople(selector.as_of), oldest->id.ShortHex(),
      FormatForPeople(oldest->time), kSeeList));
}

}  // namespace

bool MatchesFilter(const SnapshotInfo& snapshot, const SnapshotFilter& filter) {
  if (!filter.hosts.empty() && !Contains(filter.hosts, snapshot.host)) return false;
  if (!filter.tags.empty() && !MatchesAnyTagList(snapshot.tags, filter.tags)) return false;
  return std::all_of(filter.paths.begin(), filter.paths.end(),
                     [&](const std::string& path) { return Contains(snapshot.paths, path); });
}

StatusOr<SnapshotSelector> ParseSnapshotSelector(std::string_view text, const Timestamp& now,
                                                 bool path_allowed) {
  const bool is_time = !text.empty() && text.front() == '@';
  const size_t colon = is_time ? text.find(":/") : text.find(':');
  const std::string_view name = text.substr(0, colon);

  SnapshotSelector selector;
  selector.text = name;
  if (is_time) {
    selector.kind = SnapshotSelector::Kind::kAsOf;
    ASSIGN_OR_RETURN(selector.as_of, ParseAsOfTime(name.substr(1), now));
  } else if (name == "latest" || name.substr(0, 7) == "latest~") {
    RETURN_IF_ERROR(ParseLatest(name, selector));
  } else {
    RETURN_IF_ERROR(ParseIdPrefix(name, selector));
  }

  if (colon == std::string_view::npos) return selector;
  if (!path_allowed) {
    return InvalidArgument(absl::StrFormat(
        "'%s' has a path, and here stands a whole snapshot: write '%s'", text, name));
  }
  ASSIGN_OR_RETURN(selector.path, ParsePath(text.substr(colon + 1)));
  return selector;
}

StatusOr<SnapshotInfo> SelectSnapshot(const SnapshotSelector& selector, SnapshotFinder& snapshots,
                                      const SnapshotFilter& filter) {
  if (selector.kind == SnapshotSelector::Kind::kIdPrefix) {
    return SelectByIdPrefix(selector, snapshots);
  }
  const bool by_time = selector.kind == SnapshotSelector::Kind::kAsOf;
  std::optional<SnapshotInfo> found;
  uint64_t matching = 0;
  RETURN_IF_ERROR(snapshots.ForEachSnapshotBefore(
      by_time ? selector.as_of : kEndOfTime, [&](const SnapshotInfo& snapshot) {
        if (MatchesFilter(snapshot, filter) && matching++ == selector.back) found = snapshot;
        return !found;
      }));
  if (found) return *std::move(found);
  return WhyNone(selector, snapshots, filter, matching);
}

}  // namespace cairn
