// SPDX-License-Identifier: Apache-2.0
#include "core/store/journal_names.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "core/store/journal.h"

namespace cairn {
namespace {

constexpr size_t kDigits = 20;

std::optional<uint64_t> ParseNumber(const std::string& text) {
  uint64_t number = 0;
  const bool digits = std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (text.size() != kDigits || !digits || !absl::SimpleAtoi(text, &number)) return std::nullopt;
  return number;
}

std::optional<RecordNameParts> ParseRecordName(const std::string& name) {
  if (name.size() != kDigits + 1 + 2 * sizeof(RecordShortHash) || name[kDigits] != '-') {
    return std::nullopt;
  }
  const std::optional<uint64_t> number = ParseNumber(name.substr(0, kDigits));
  const std::string digits = name.substr(kDigits + 1);
  const std::optional<Bytes> hash = HexDecode(digits);
  // Nobody finds a record by another form of its name, such as one in upper case.
  if (!number || !hash || HexEncode(*hash) != digits) return std::nullopt;
  RecordNameParts parts{.number = *number};
  std::ranges::copy(*hash, parts.predecessor.begin());
  return parts;
}

}  // namespace

std::string RecordName(const JournalHead& head) {
  return absl::StrFormat("%s/%020d-%s", kJournalFolder, head.number + 1,
                         HexEncode(ShortHash(head.hash)));
}

std::string FoldName(uint64_t number) { return absl::StrFormat("%s/%020d", kFoldFolder, number); }

StatusOr<std::vector<ListedRecord>> ListRecords(ObjectStore& store) {
  ASSIGN_OR_RETURN(std::vector<std::string> names, store.List(kJournalFolder));
  std::ranges::sort(names);  // by number, as the digits are as many in all
  std::vector<ListedRecord> records;
  for (const std::string& name : names) {
    const std::optional<RecordNameParts> parts = ParseRecordName(name);
    if (parts) records.push_back({std::string(kJournalFolder) + "/" + name, *parts});
  }
  return records;
}

StatusOr<std::vector<uint64_t>> ListFolds(ObjectStore& store) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, store.List(kFoldFolder));
  std::vector<uint64_t> numbers;
  for (const std::string& name : names) {
    if (const std::optional<uint64_t> number = ParseNumber(name)) numbers.push_back(*number);
  }
  std::ranges::sort(numbers);
  return numbers;
}

}  // namespace cairn
