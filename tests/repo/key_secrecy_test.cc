// SPDX-License-Identifier: Apache-2.0
// What the objects of two encrypted repositories with equal content have in common, and whether
// sizes are to be seen in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "core/base/coding.h"
#include "core/base/memory_file_system.h"
#include "core/base/random.h"
#include "core/repo/browse.h"
#include "core/repo/forget.h"
#include "core/repo/keys.h"
#include "core/repo/repository.h"
#include "core/repo/snapshot.h"
#include "core/store/key_ring.h"
#include "core/store/pack.h"
#include "core/store/parity.h"
#include "core/store/twin.h"
#include "core/tree/reader.h"
#include "tests/fs/temp_tree.h"
#include "tests/support/encryption.h"
#include "tests/support/memory_search.h"
#include "tests/support/noise.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

constexpr size_t kWindow = 16;

// Bytes from `begin` to before `end`.
struct ByteRange {
  size_t begin = 0;
  size_t end = 0;
};

// What stands in plain in a file, by docs/format.md: it is the same in every repository, or says
// what anybody may know.
using PlainRanges = std::vector<ByteRange>;

// A twin: magic, version and flags; the number, and the predecessor where it is zeros; the length;
// the zeros between the copies. Repository, nonce and predecessor are random, and so is what a key
// has beside kind and time.
PlainRanges PlainOfTwin(const std::string& name, ByteSpan file) {
  const size_t second =
      (file.size() / 2 + kTwinSectorBytes - 1) / kTwinSectorBytes * kTwinSectorBytes;
  const size_t copy = file.size() - second;
  PlainRanges plain;
  for (const size_t at : {size_t{0}, second}) {
    const bool has_predecessor =
        std::ranges::any_of(file.subspan(at + 40, 32), [](uint8_t byte) { return byte != 0; });
    plain.push_back({at, at + 16});
    plain.push_back({at + 32, at + (has_predecessor ? 40 : 72)});
    plain.push_back({at + 88, at + 96});
    if (name.starts_with("keys/")) plain.push_back({at + 96, at + 99});
  }
  plain.push_back({copy, second});
  return plain;
}

// A pack: magic, version and flags; the content and the room behind it; the trailer but its hash.
PlainRanges PlainOfPack(size_t size) {
  return {{0, 16}, {64, kPackHeaderBytes}, {size - kPackTrailerBytes, size - 32}};
}

// Parity is a sum of sealed bytes; but of a pack of a single shard it is that shard times a number,
// so what is plain there is plain here. In the tables: magic, version and flags, the pack's size.
PlainRanges PlainOfParity(size_t pack_size) {
  const ParityLayout layout(pack_size);
  PlainRanges plain;
  if (layout.shards == 1) {
    plain = PlainOfPack(pack_size);
    plain.push_back({pack_size, kShardBytes});
  }
  for (size_t table = layout.parity_bytes(); table < layout.file_bytes();
       table += layout.table_bytes()) {
    plain.push_back({table, table + 16});
    plain.push_back({table + 48, table + 56});
  }
  return plain;
}

// The pieces of all objects that are not plain.
std::vector<Bytes> SecretPieces(MemoryFileSystem& disk) {
  std::vector<Bytes> pieces;
  for (const std::string& name : disk.AllPaths()) {
    const StatusOr<Bytes> file = ReadWholeFile(disk, name, kGiB);
    // The reserve holds nothing.
    if (!file.ok() || file->empty() || name.starts_with("reserve/")) continue;
    PlainRanges plain;
    if (name.ends_with(".par")) {
      const StatusOr<uint64_t> size = disk.FileSize(name.substr(0, name.size() - 4));
      EXPECT_OK(size);
      plain = PlainOfParity(static_cast<size_t>(size.value_or(1)));
    } else if (name.starts_with("packs/")) {
      plain = PlainOfPack(file->size());
    } else {
      EXPECT_TRUE(name == "config" || name.starts_with("journal/") || name.starts_with("keys/"))
          << name;
      plain = PlainOfTwin(name, *file);
    }
    std::ranges::sort(plain, {}, &ByteRange::begin);
    plain.push_back({file->size(), file->size()});
    size_t from = 0;
    for (const ByteRange& range : plain) {
      if (range.begin >= from + kWindow) {
        pieces.emplace_back(file->begin() + static_cast<ptrdiff_t>(from),
                            file->begin() + static_cast<ptrdiff_t>(range.begin));
      }
      from = std::max(from, range.end);
    }
  }
  return pieces;
}

// Whether some window of kWindow bytes is in both. Each window has a whole block of 8 bytes that
// begins at a multiple of 8: so these of one side are kept, and looked for anywhere in the other.
bool HaveACommonWindow(const std::vector<Bytes>& a, const std::vector<Bytes>& b) {
  struct At {
    const Bytes* piece;
    size_t offset;
  };
  absl::flat_hash_map<uint64_t, std::vector<At>> blocks;
  const auto block_at = [](const Bytes& piece, size_t offset) {
    uint64_t block = 0;
    std::memcpy(&block, piece.data() + offset, sizeof(block));
    return block;
  };
  for (const Bytes& piece : a) {
    for (size_t i = 0; i + 8 <= piece.size(); i += 8) {
      blocks[block_at(piece, i)].push_back({&piece, i});
    }
  }
  for (const Bytes& piece : b) {
    for (size_t i = 0; i + 8 <= piece.size(); ++i) {
      const auto found = blocks.find(block_at(piece, i));
      if (found == blocks.end()) continue;
      for (const At& at : found->second) {
        size_t before = 0;
        while (before < std::min(i, at.offset) &&
               piece[i - before - 1] == (*at.piece)[at.offset - before - 1]) {
          ++before;
        }
        size_t after = 8;
        while (i + after < piece.size() && at.offset + after < at.piece->size() &&
               piece[i + after] == (*at.piece)[at.offset + after]) {
          ++after;
        }
        if (before + after >= kWindow) return true;
      }
    }
  }
  return false;
}

class KeySecrecyTest : public ::testing::Test {
 protected:
  struct Side {
    MemoryFileSystem disk;
    std::unique_ptr<Repository> repository;
    SnapshotId first;
  };

  // Sizes that nothing else has: four bytes of one are met by chance once in 2^32 places.
  static constexpr size_t kOddBytes = 1'234'567;
  static constexpr size_t kTextBytes = 1'765'433;
  static constexpr off_t kSparseBytes = 987'654'321;

  void SetUp() override {
    tree_.MakeDirectory("src");
    for (const char* directory : {"src/one", "src/two", "src/three"}) {
      tree_.MakeDirectory(directory);
      tree_.Write(std::string(directory) + "/repeated", Noise(kOddBytes, 1));
      tree_.Write(std::string(directory) + "/small", "the same small text in each of them");
    }
    std::string text;
    for (size_t i = 0; text.size() < kTextBytes; ++i)
      text += "line " + std::to_string(i * i) + "\n";
    text.resize(kTextBytes);
    tree_.Write("src/text", text);
    tree_.Write("src/sparse", Noise(100'000, 2));
    ASSERT_EQ(::truncate(tree_.Path("src/sparse").c_str(), kSparseBytes), 0);
  }

  // Two snapshots, of which the second has deltas; then a tag.
  void Fill(Side& side, bool encrypted) {
    RepositoryConfig config;
    config.id = RandomId<RepositoryId>();
    RepositoryOptions options;
    if (encrypted) {
      ASSERT_OK(Repository::CreateEncrypted(side.disk, config, TestKeyFile(), kLeastPasswordCost));
      options.credential = [] { return StatusOr<Credential>(TestKeyFile()); };
    } else {
      ASSERT_OK(Repository::Create(side.disk, config));
    }
    ASSERT_OK_AND_ASSIGN(side.repository, Repository::Open(side.disk, options));
    for (int i = 0; i < 2; ++i) {
      SnapshotOptions snapshot;
      snapshot.labels.host = "host";
      snapshot.threads = 1;
      ASSERT_OK_AND_ASSIGN(const SnapshotResult taken,
                           TakeSnapshot(*side.repository, {tree_.Path("src")}, snapshot));
      ASSERT_TRUE(taken.id.has_value());
      if (i == 1) break;
      side.first = *taken.id;
      Change(1);
    }
    Change(0);
    ASSERT_OK(HoldSnapshots(*side.repository, {side.first}, true));
  }
  // Of a repeated file, in its middle.
  void Change(char by) const {
    std::string content = Noise(kOddBytes, 1);
    content[kOddBytes / 2] = static_cast<char>(content[kOddBytes / 2] + by);
    std::filesystem::remove(tree_.Path("src/two/repeated"));
    tree_.Write("src/two/repeated", content);
  }

  // Where the chunks of the first snapshot's files end, by path; but for the files' own ends.
  static std::set<std::pair<std::string, uint64_t>> CutsOf(Side& side) {
    std::set<std::pair<std::string, uint64_t>> cuts;
    const StatusOr<SnapshotView> view = side.repository->FindSnapshot(side.first);
    EXPECT_OK(view.status());
    const auto visit = [&](const LocatedEntry& located) -> StatusOr<bool> {
      if (located.entry.type != EntryType::kFile) return true;
      ContentReader reader(*side.repository, located.entry.content);
      for (uint64_t at = 0;;) {
        ASSIGN_OR_RETURN(const std::optional<ContentItem> item, reader.Next());
        if (!item) break;
        at += item->bytes;
        if (!item->zero && at < located.entry.size) cuts.emplace(located.path, at);
      }
      return true;
    };
    EXPECT_OK(ListPath(*side.repository, *view, "/", /*recursive=*/true, nullptr, visit));
    return cuts;
  }

  // Distinct lengths of chunks, and of the files.
  static std::set<uint64_t> LengthsOfChunks(Side& side) {
    std::set<uint64_t> lengths;
    const StatusOr<JournalState> state = side.repository->journal().ReadState();
    EXPECT_OK(state.status());
    for (const auto& [name, entry] : state->packs()) {
      const StatusOr<PackFooter> footer =
          ReadPackFooter(side.repository->store(), side.repository->keys(), entry.info);
      EXPECT_OK(footer.status());
      for (const BlobInfo& blob : footer->blobs) {
        if (blob.ref.kind == BlobKind::kChunk) lengths.insert(blob.bytes);
      }
    }
    return lengths;
  }

  TempTree tree_;
};

// How often any of the patterns stands in any file, at any offset.
uint64_t CountIn(MemoryFileSystem& disk, const std::vector<Bytes>& patterns, uint64_t* places) {
  absl::flat_hash_set<uint64_t> values;  // all of one length, at most 8
  const size_t length = patterns.front().size();
  const uint64_t mask = length == 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * length)) - 1;
  for (const Bytes& pattern : patterns) {
    uint64_t value = 0;
    for (const uint8_t byte : pattern) value = value << 8 | byte;
    values.insert(value);
  }
  uint64_t count = 0;
  *places = 0;
  for (const std::string& name : disk.AllPaths()) {
    const StatusOr<Bytes> file = ReadWholeFile(disk, name, kGiB);
    if (!file.ok() || name == "reserve") continue;
    uint64_t value = 0;
    for (size_t i = 0; i < file->size(); ++i) {
      value = (value << 8 | (*file)[i]) & mask;
      if (i + 1 < length) continue;
      ++*places;
      if (values.contains(value)) ++count;
    }
  }
  return count;
}

enum class Form { kLittle4, kBig4, kLittle8, kBig8, kVarint };

Bytes FormOf(Form form, uint64_t value) {
  Bytes bytes;
  Encoder encoder(bytes);
  switch (form) {
    case Form::kLittle4:
    case Form::kBig4:
      encoder.Fixed32(static_cast<uint32_t>(value));
      break;
    case Form::kLittle8:
    case Form::kBig8:
      encoder.Fixed64(value);
      break;
    case Form::kVarint:
      encoder.Varint(value);
  }
  if (form == Form::kBig4 || form == Form::kBig8) std::ranges::reverse(bytes);
  return bytes;
}

// What is found of them beyond what random bytes show: by how many standard deviations, of those
// forms together that are as long.
double Excess(MemoryFileSystem& disk, Form form, const std::set<uint64_t>& values) {
  std::map<size_t, std::vector<Bytes>> by_length;
  for (const uint64_t value : values) {
    Bytes bytes = FormOf(form, value);
    by_length[bytes.size()].push_back(std::move(bytes));
  }
  double most = 0;
  for (const auto& [length, patterns] : by_length) {
    uint64_t places = 0;
    const auto found = static_cast<double>(CountIn(disk, patterns, &places));
    const double expected = static_cast<double>(places) * static_cast<double>(patterns.size()) *
                            std::pow(2.0, -8.0 * static_cast<double>(length));
    most = std::max(most, (found - expected) / std::sqrt(expected + 1));
  }
  return most;
}

TEST_F(KeySecrecyTest, RepositoriesOfEqualContentHaveNoBytesInCommon) {
  Side one;
  Side two;
  Fill(one, /*encrypted=*/true);
  Fill(two, /*encrypted=*/true);
  const std::vector<Bytes> a = SecretPieces(one.disk);
  const std::vector<Bytes> b = SecretPieces(two.disk);
  uint64_t bytes = 0;
  for (const Bytes& piece : a) bytes += piece.size();
  EXPECT_GT(bytes, kMiB);
  EXPECT_FALSE(HaveACommonWindow(a, b));
  // So it would be seen: one that differs in all but a window.
  std::vector<Bytes> c = {Bytes(1000, 'c')};
  EXPECT_FALSE(HaveACommonWindow(a, c));
  ASSERT_GT(a.back().size(), kWindow);
  std::copy_n(a.back().end() - kWindow, kWindow, c[0].begin() + 501);
  EXPECT_TRUE(HaveACommonWindow(a, c));
  // And so it is where nothing is encrypted.
  Side plain;
  Side other_plain;
  Fill(plain, /*encrypted=*/false);
  Fill(other_plain, /*encrypted=*/false);
  EXPECT_TRUE(HaveACommonWindow(SecretPieces(plain.disk), SecretPieces(other_plain.disk)));
  EXPECT_FALSE(HaveACommonWindow(a, SecretPieces(plain.disk)));
}

// A cut falls onto one of the other's by chance about once in 12,000 places: of some two hundred
// cuts, in content of 3 MB, hardly one. With a gear table that does not depend on the key all do.
TEST_F(KeySecrecyTest, CutsAreTheRepositorysOwn) {
  Side one;
  Side two;
  Side plain;
  Fill(one, /*encrypted=*/true);
  Fill(two, /*encrypted=*/true);
  Fill(plain, /*encrypted=*/false);
  const auto a = CutsOf(one);
  EXPECT_GT(a.size(), 100U);
  for (Side* const other : {&two, &plain}) {
    const auto b = CutsOf(*other);
    EXPECT_GT(b.size(), 100U);
    std::vector<std::pair<std::string, uint64_t>> common;
    std::ranges::set_intersection(a, b, std::back_inserter(common));
    // One file stands there three times.
    EXPECT_LE(common.size(), 9U);
  }
}

// Four bytes of a certain value stand at one of 2^32 places by chance, and there are some 2^22: so
// of a file's size in four or eight bytes nothing may be found, nor of the sparse file's as a
// varint of five bytes. (A varint of 1,234,567 has three bytes, which chance shows in every fourth
// such repository.) Lengths of chunks are many and short: there it is their number that may not
// exceed what chance allows, by six standard deviations; varints of two bytes (below 16 KiB) are
// met everywhere, and say nothing.
TEST_F(KeySecrecyTest, SizesAreNotSeen) {
  Side side;
  Side plain;
  Fill(side, /*encrypted=*/true);
  Fill(plain, /*encrypted=*/false);
  const std::set<uint64_t> files = {kOddBytes, kTextBytes, kSparseBytes};
  uint64_t places = 0;
  for (const auto& [little, big] :
       {std::pair(Form::kLittle4, Form::kBig4), std::pair(Form::kLittle8, Form::kBig8)}) {
    std::vector<Bytes> forms;
    for (const uint64_t size : files) {
      forms.push_back(FormOf(little, size));
      forms.push_back(FormOf(big, size));
    }
    EXPECT_EQ(CountIn(side.disk, forms, &places), 0U);
  }
  EXPECT_EQ(FormOf(Form::kVarint, kSparseBytes).size(), 5U);
  EXPECT_EQ(CountIn(side.disk, {FormOf(Form::kVarint, kSparseBytes)}, &places), 0U);
  EXPECT_LT(Excess(side.disk, Form::kVarint, files), 6);

  const auto long_enough = [](std::set<uint64_t> lengths) {
    std::erase_if(lengths, [](uint64_t length) { return length < 16 * kKiB; });
    return lengths;
  };
  const std::set<uint64_t> chunks = long_enough(LengthsOfChunks(side));
  EXPECT_GT(chunks.size(), 50U);
  for (const Form form :
       {Form::kLittle4, Form::kBig4, Form::kLittle8, Form::kBig8, Form::kVarint}) {
    EXPECT_LT(Excess(side.disk, form, chunks), 6) << static_cast<int>(form);
  }
  // Where they stand in a footer they are seen so.
  EXPECT_GT(Excess(plain.disk, Form::kVarint, long_enough(LengthsOfChunks(plain))), 6);
}

#if defined(CAIRN_CAN_SEARCH_MEMORY)

// After all that opening a repository, and adding and changing keys, passes them through.
TEST(KeyMemoryOfRepositoryTest, TheMasterKeyStandsInOnePlaceAndPasswordsInNone) {
  const auto password = [] {
    Credential credential{KeyKind::kPassword, SecretBytes(24)};
    for (size_t i = 0; i < credential.secret.size(); ++i) {
      credential.secret.span()[i] = static_cast<uint8_t>('a' + i * 7 % 25);
    }
    return credential;
  };
  MemoryFileSystem disk;
  RepositoryConfig config;
  config.id = RandomId<RepositoryId>();
  ASSERT_OK(Repository::CreateEncrypted(disk, config, password(), kLeastPasswordCost));
  RepositoryOptions options;
  options.credential = [&]() -> StatusOr<Credential> { return password(); };
  ASSERT_OK_AND_ASSIGN(const auto repository, Repository::Open(disk, options));
  ASSERT_OK(AddKey(*repository, TestKeyFile(), {}, {}).status());
  const ByteSpan master = repository->keys().master();
  EXPECT_THAT(MaskedBytes(master).Find(), ::testing::ElementsAre(master.data()));
  const Credential again = password();
  EXPECT_THAT(MaskedBytes(again.secret.span()).Find(),
              ::testing::ElementsAre(again.secret.span().data()));
}

#endif

}  // namespace
}  // namespace cairn::testing
