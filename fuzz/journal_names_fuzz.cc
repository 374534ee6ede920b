// SPDX-License-Identifier: Apache-2.0
// Names that stand in the folders of records and folds: a line each, first those of records, behind
// an empty line those of folds. Whatever they are, those that are taken for names of records and
// folds are what their numbers and hashes are written as, ascending, and no name is taken twice.
#include <algorithm>
#include <string>
#include <string_view>

#include "core/base/check.h"
#include "core/base/memory_file_system.h"
#include "core/store/journal.h"
#include "core/store/journal_names.h"

namespace cairn {
namespace {

constexpr size_t kMaxNames = 50;

void Put(MemoryFileSystem& fs, const std::string& path) {
  const auto file = fs.CreateNew(path);
  if (file.ok()) CHECK((*file)->Append(Bytes(1, 'x')).ok());
}

void ListNames(std::string_view text) {
  MemoryFileSystem fs;
  CHECK(fs.CreateDirectory(kJournalFolder).ok() && fs.CreateDirectory(kFoldFolder).ok());
  std::string folder = kJournalFolder;
  for (size_t i = 0; i < kMaxNames && !text.empty(); ++i) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string name(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (name.empty()) folder = kFoldFolder;
    // As no file system has them.
    if (name.empty() || name.find('/') != std::string::npos ||
        name.find('\0') != std::string::npos || name == "." || name == "..") {
      continue;
    }
    Put(fs, folder + "/" + name);
  }
  const auto store = NewLocalObjectStore(fs);
  const auto records = ListRecords(*store);
  CHECK(records.ok());
  CHECK(std::ranges::is_sorted(*records, {}, &ListedRecord::name));
  for (const ListedRecord& record : *records) {
    CHECK(store->Size(record.name).ok());
    if (record.parts.number == 0) continue;  // follows nothing, so it has no other name
    RecordHash hash;
    std::ranges::copy(record.parts.predecessor, hash.bytes.begin());
    CHECK(RecordName({record.parts.number - 1, hash}) == record.name);
  }
  const auto folds = ListFolds(*store);
  CHECK(folds.ok());
  CHECK(std::ranges::adjacent_find(*folds, std::greater_equal<>()) == folds->end());
  for (const uint64_t fold : *folds) CHECK(store->Size(FoldName(fold)).ok());

  // None of them is a record, or a fold.
  Journal journal(*store, RepositoryKeys());
  journal.ReadState().IgnoreError();
  CHECK(journal.Verify().ok());
  const auto remains = journal.ReadRemains();
  CHECK(!remains.ok() || remains->beyond.empty());
}

}  // namespace
}  // namespace cairn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cairn::ListNames({reinterpret_cast<const char*>(data), size});
  return 0;
}
