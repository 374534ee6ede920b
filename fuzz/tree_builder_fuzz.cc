// SPDX-License-Identifier: Apache-2.0
// A directory and what became of it: three bytes of an edit, then bytes that each make a run of
// entries. The id of a directory depends on its entries alone, whether they are added one by one or
// as nodes of its former state, and reading gives back what was added. The same of a file's
// content.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/tree/builder.h"
#include "core/tree/reader.h"
#include "tests/support/memory_blobs.h"

namespace cairn {
namespace {

constexpr size_t kMaxEntries = 3000;

BlobId NumberedId(size_t number) {
  BlobId id;
  for (size_t i = 0; i < 8; ++i) id.bytes[i] = static_cast<uint8_t>(number * 0x9e3779b1u >> i * 4);
  return id;
}

// Of the kind that `shape` says, with as many bytes as it says.
Entry MakeEntry(size_t number, uint8_t shape) {
  Entry entry;
  char name[16];
  std::snprintf(name, sizeof name, "%07zu", number);
  entry.name = name + std::string(shape % 32 * 8u, 'x');
  switch (shape / 64) {
    case 0:
      entry.size = shape;
      if (shape > 0)
        entry.content.items = {{.bytes = shape, .zero = false, .id = NumberedId(number)}};
      break;
    case 1:
      entry.type = EntryType::kDirectory;
      entry.node = NumberedId(number);
      break;
    case 2:
      entry.xattrs = {{"user.x", Bytes(shape % 64 * 16u, shape)}};
      break;
    default:
      entry.type = EntryType::kSymlink;
      entry.target = std::string(1 + shape % 64 * 60u, 't');
  }
  return entry;
}

std::vector<Entry> MakeEntries(ByteSpan runs) {
  std::vector<Entry> entries;
  for (const uint8_t run : runs) {
    for (int i = 0; i < 1 + run % 37 && entries.size() < kMaxEntries; ++i) {
      entries.push_back(MakeEntry(entries.size() * 2, run));
    }
  }
  return entries;
}

// Changes, removes, or inserts before, the entry at `at`.
std::vector<Entry> Edit(std::vector<Entry> entries, size_t at, uint8_t how) {
  if (entries.empty()) return entries;
  at %= entries.size();
  const auto place = entries.begin() + static_cast<ptrdiff_t>(at);
  if (how % 3 == 0) {
    place->mode = 0600;
    if (place->type == EntryType::kSymlink) place->uid = 7;
    if (place->type == EntryType::kSymlink) place->mode = 0;
  } else if (how % 3 == 1) {
    entries.erase(place);
  } else {
    Entry entry = MakeEntry(at * 2 + 1, static_cast<uint8_t>(how * 5));
    const auto by_name = [](const Entry& a, const Entry& b) { return a.name < b.name; };
    entries.insert(std::ranges::lower_bound(entries, entry, by_name), entry);
  }
  return entries;
}

BlobId Build(testing::MemoryBlobs& blobs, const std::vector<Entry>& entries,
             std::vector<NamedChild>* leaves) {
  TreeBuilder builder(blobs);
  if (leaves != nullptr) {
    builder.OnLeaf([leaves](const NamedChild& leaf) { leaves->push_back(leaf); });
  }
  for (const Entry& entry : entries) CHECK(builder.Add(entry).ok());
  const auto top = builder.Finish();
  CHECK(top.ok());
  return *top;
}

// Takes over every leaf that the edit left as it was, as a snapshot does.
BlobId BuildFromLeaves(testing::MemoryBlobs& blobs, const std::vector<Entry>& before,
                       const std::vector<NamedChild>& leaves, const std::vector<Entry>& after) {
  TreeBuilder builder(blobs);
  size_t old_at = 0;
  size_t at = 0;
  for (const NamedChild& leaf : leaves) {
    const size_t old_end = old_at + static_cast<size_t>(leaf.count);
    const auto same_until = [&](size_t count) {
      return at + count <= after.size() &&
             std::equal(before.begin() + static_cast<ptrdiff_t>(old_at),
                        before.begin() + static_cast<ptrdiff_t>(old_end),
                        after.begin() + static_cast<ptrdiff_t>(at));
    };
    if (same_until(old_end - old_at) && leaf.count > 0 && builder.TryAddNode(leaf)) {
      at += old_end - old_at;
    } else {
      while (at < after.size() && after[at].name <= leaf.last) CHECK(builder.Add(after[at++]).ok());
    }
    old_at = old_end;
  }
  while (at < after.size()) CHECK(builder.Add(after[at++]).ok());
  const auto top = builder.Finish();
  CHECK(top.ok());
  return *top;
}

void ReadBack(testing::MemoryBlobs& blobs, const BlobId& top, const std::vector<Entry>& entries) {
  DirectoryReader reader(blobs, top);
  for (const Entry& expected : entries) {
    const auto entry = reader.Next();
    CHECK(entry.ok() && *entry != nullptr && **entry == expected);
  }
  const auto end = reader.Next();
  CHECK(end.ok() && *end == nullptr);
}

void BuildContent(ByteSpan runs) {
  testing::MemoryBlobs blobs;
  ListBuilder builder(blobs);
  std::vector<ContentItem> expected;
  for (const uint8_t run : runs) {
    for (int i = 0; i < 1 + run % 37 && expected.size() < kMaxEntries; ++i) {
      const ContentItem item = {.bytes = uint64_t{run} + 1,
                                .zero = run % 4 == 0,
                                .id = run % 4 == 0   ? BlobId{}
                                      : run % 4 == 1 ? BlobId{.bytes = {run}}
                                                     : NumberedId(expected.size())};
      CHECK(builder.Add(item).ok());
      if (item.zero && !expected.empty() && expected.back().zero) {
        expected.back().bytes += item.bytes;
      } else {
        expected.push_back(item);
      }
    }
  }
  const auto content = builder.Finish();
  CHECK(content.ok());
  ContentReader reader(blobs, *content);
  for (const ContentItem& item : expected) {
    const auto found = reader.Next();
    CHECK(found.ok() && found->has_value() && **found == item);
  }
  const auto end = reader.Next();
  CHECK(end.ok() && !end->has_value());
}

}  // namespace
}  // namespace cairn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cairn;  // NOLINT(google-build-using-namespace)
  Decoder input(ByteSpan(data, size));
  const size_t at = input.Fixed16();
  const uint8_t how = input.Fixed8();
  const ByteSpan runs = input.Raw(input.remaining());
  if (!input.ok()) return 0;

  const std::vector<Entry> before = MakeEntries(runs);
  const std::vector<Entry> after = Edit(before, at, how);
  testing::MemoryBlobs blobs;
  std::vector<NamedChild> leaves;
  const BlobId top_before = Build(blobs, before, &leaves);
  const BlobId top_after = Build(blobs, after, nullptr);
  CHECK(BuildFromLeaves(blobs, before, leaves, before) == top_before);
  CHECK(BuildFromLeaves(blobs, before, leaves, after) == top_after);
  ReadBack(blobs, top_after, after);
  BuildContent(runs);
  return 0;
}
