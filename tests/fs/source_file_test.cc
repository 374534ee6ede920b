// SPDX-License-Identifier: Apache-2.0
#include "core/fs/source_file.h"

#include <array>
#include <cstring>
#include <random>
#include <thread>

#include "core/fs/piece_cutter.h"
#include "tests/fs/temp_tree.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::StatusIs;
using testing::TempTree;

constexpr size_t kBlock = 4096;
constexpr size_t kMaxChunk = 20'000;

// A piece whose bytes are kept.
struct KeptPiece {
  bool zero = false;
  uint64_t bytes = 0;
  Bytes data;
  friend bool operator==(const KeptPiece&, const KeptPiece&) = default;
};
using Pieces = std::vector<KeptPiece>;

void PrintTo(const KeptPiece& piece, std::ostream* os) {
  *os << (piece.zero ? "zeros " : "chunk ") << piece.bytes;
}

// Cuts where bytes say so, so that a cut at a wrong place moves those after it.
size_t ToyCut(ByteSpan data) {
  constexpr size_t kMin = 1000;
  if (data.size() <= kMin) return data.size();
  const void* const cut = std::memchr(data.data() + kMin, 7, data.size() - kMin);
  return cut == nullptr ? data.size()
                        : static_cast<size_t>(static_cast<const uint8_t*>(cut) - data.data()) + 1;
}

FileScanner MakeScanner() { return FileScanner(kMaxChunk, ToyCut); }

// docs/format.md, word by word, with everything in memory.
Pieces PiecesByTheBook(ByteSpan content) {
  Pieces pieces;
  const auto chunk = [&](ByteSpan data) {
    while (!data.empty()) {
      const size_t size = ToyCut(data.first(std::min(data.size(), kMaxChunk)));
      pieces.push_back({false, size, Bytes(data.begin(), data.begin() + size)});
      data = data.subspan(size);
    }
  };
  const auto zero_block = [&](size_t at) {
    static constexpr std::array<uint8_t, kBlock> kZeros{};
    return std::memcmp(&content[at], kZeros.data(), std::min(kBlock, content.size() - at)) == 0;
  };
  size_t data_begin = 0;
  for (size_t at = 0; at < content.size();) {
    size_t end = at;
    while (end < content.size() && zero_block(end)) end += std::min(kBlock, content.size() - end);
    if (end - at >= 65'536 || (end > at && end == content.size())) {
      chunk(content.subspan(data_begin, at - data_begin));
      pieces.push_back({true, end - at, {}});
      data_begin = at = end;
    } else {
      at = end + std::min(kBlock, content.size() - end);
    }
  }
  chunk(content.subspan(data_begin));
  return pieces;
}

// A visitor that passes pieces on one by one.
template <typename F>
auto Each(F visit) {
  return [visit](std::span<const Piece> pieces) {
    for (const Piece& piece : pieces) RETURN_IF_ERROR(visit(piece));
    return OkStatus();
  };
}

auto KeepIn(Pieces& pieces) {
  return Each([&pieces](const Piece& piece) {
    pieces.push_back({piece.zero, piece.bytes, Bytes(piece.data.begin(), piece.data.end())});
    return OkStatus();
  });
}

Status Ignore(std::span<const Piece>) { return OkStatus(); }

Pieces ScanMemory(ByteSpan content) {
  FileScanner scanner = MakeScanner();
  Pieces pieces;
  EXPECT_OK(scanner.ScanMemory(content, KeepIn(pieces)));
  return pieces;
}

Bytes RandomBytes(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  Bytes bytes(size);
  for (size_t at = 0; at < size; at += 4) {
    const auto word = static_cast<uint32_t>(random());
    std::memcpy(&bytes[at], &word, std::min<size_t>(4, size - at));
  }
  return bytes;
}

KeptPiece Zeros(uint64_t bytes) { return {true, bytes, {}}; }

TEST(ScanMemoryTest, AnEmptyFileHasNoPieces) { EXPECT_THAT(ScanMemory({}), IsEmpty()); }

TEST(ScanMemoryTest, AFileOfZerosIsOneExtent) {
  for (const size_t size : {1, 10, 4095, 4096, 4097, 65'536, 1'000'001}) {
    EXPECT_THAT(ScanMemory(Bytes(size)), ElementsAre(Zeros(size)));
  }
}

TEST(ScanMemoryTest, ZerosAtTheEndAreAnExtentFromTheFirstAlignedBlockOn) {
  Bytes content(10'000);
  content[100] = 1;
  const Pieces pieces = ScanMemory(content);
  EXPECT_EQ(pieces.back(), Zeros(10'000 - 4096));
  EXPECT_EQ(pieces, PiecesByTheBook(content));
}

TEST(ScanMemoryTest, ALastPartialBlockCountsAsABlock) {
  Bytes content(4096 + 5, 1);
  std::fill(content.begin() + 4096, content.end(), 0);
  EXPECT_EQ(ScanMemory(content).back(), Zeros(5));
}

TEST(ScanMemoryTest, ARunIsAnExtentFrom64KiBOn) {
  const auto with_run = [](size_t begin, size_t size) {
    Bytes content = RandomBytes(300'000, 1);
    for (uint8_t& byte : content) byte |= 1;
    std::fill_n(content.begin() + begin, size, 0);
    return content;
  };
  struct Case {
    size_t begin, size;
    uint64_t extent;  // 0: none
  };
  const Case cases[] = {
      {8192, 65'536, 65'536},
      {8192, 65'535, 0},
      {8192, 61'440, 0},
      {8191, 65'536, 0},
      {8191, 65'537, 65'536},
      {8193, 65'536 + 4094, 0},
      {8193, 65'536 + 4095, 65'536},
      {0, 65'536, 65'536},
      {0, 65'535, 0},
      {4096, 69'632 + 7, 69'632},
      {100, 200'000, 192'512},
  };
  for (const Case& c : cases) {
    const Bytes content = with_run(c.begin, c.size);
    const Pieces pieces = ScanMemory(content);
    uint64_t extent = 0;
    for (const KeptPiece& piece : pieces) extent += piece.zero ? piece.bytes : 0;
    EXPECT_EQ(extent, c.extent) << c.begin << " + " << c.size;
    EXPECT_EQ(pieces, PiecesByTheBook(content));
  }
}

TEST(ScanMemoryTest, AnErrorOfTheVisitorEndsIt) {
  FileScanner scanner = MakeScanner();
  int calls = 0;
  EXPECT_THAT(scanner.ScanMemory(RandomBytes(100'000, 2), Each([&](const Piece&) {
                                   return ++calls == 2 ? Cancelled("enough") : OkStatus();
                                 })),
              StatusIs(StatusCode::kCancelled));
  EXPECT_EQ(calls, 2);
}

TEST(ScanMemoryTest, ChunksGetAllThatTheyMayLookAt) {
  const Bytes content = RandomBytes(3 * kMaxChunk + 5, 3);
  std::vector<size_t> offered;
  FileScanner scanner(kMaxChunk, [&](ByteSpan data) {
    offered.push_back(data.size());
    return data.size();
  });
  EXPECT_OK(scanner.ScanMemory(content, Ignore));
  EXPECT_THAT(offered, ElementsAre(kMaxChunk, kMaxChunk, kMaxChunk, 5));
}

// A file as a sequence of holes, written zeros and data.
struct Layout {
  Bytes content;
  bool has_hole = false;
  std::vector<std::pair<size_t, size_t>> written;  // begin, size
};

Layout RandomLayout(uint32_t seed) {
  std::mt19937 random(seed);
  constexpr std::array<size_t, 12> kSizes{1,      511,    4095,   4096,   8192,   61'440,
                                          65'535, 65'536, 65'537, 69'632, 70'000, 400'000};
  Layout layout;
  std::vector<bool> touched;
  for (int parts = static_cast<int>(random() % 12); parts > 0; --parts) {
    const size_t size =
        random() % 3 == 0 ? random() % 300'000 + 1 : kSizes[random() % kSizes.size()];
    const size_t begin = layout.content.size();
    layout.content.resize(begin + size);
    const auto kind = random() % 3;
    if (kind == 2) {
      const Bytes data = RandomBytes(size, static_cast<uint32_t>(random()));
      std::copy(data.begin(), data.end(), layout.content.begin() + begin);
    }
    touched.resize((layout.content.size() + kBlock - 1) / kBlock);
    if (kind == 0) continue;
    layout.written.emplace_back(begin, size);
    for (size_t block = begin / kBlock; block * kBlock < begin + size; ++block) {
      touched[block] = true;
    }
  }
  for (size_t block = 0; (block + 1) * kBlock <= layout.content.size(); ++block) {
    if (!touched[block]) layout.has_hole = true;
  }
  return layout;
}

UniqueFd WriteLayout(const TempTree& tree, const Layout& layout) {
  UniqueFd file = tree.Create("layout");
  TempTree::Must(::ftruncate(file.get(), layout.content.size()) == 0, "ftruncate");
  for (const auto& [begin, size] : layout.written) {
    TempTree::Must(
        ::pwrite(file.get(), &layout.content[begin], size, begin) == static_cast<ssize_t>(size),
        "pwrite");
  }
  return file;
}

Pieces ScanThroughPipe(FileScanner& scanner, ByteSpan content, uint32_t seed, bool nonblocking) {
  int ends[2];
  TempTree::Must(::pipe2(ends, O_CLOEXEC) == 0, "pipe");
  const UniqueFd reader(ends[0]);
  std::thread writer([fd = ends[1], content, seed] {
    const UniqueFd out(fd);
    std::mt19937 random(seed);
    for (size_t at = 0; at < content.size();) {
      const size_t size = std::min<size_t>(random() % 100'000 + 1, content.size() - at);
      const ssize_t written = ::write(out.get(), &content[at], size);
      TempTree::Must(written > 0, "write");
      at += static_cast<size_t>(written);
    }
  });
  if (nonblocking) TempTree::Must(::fcntl(reader.get(), F_SETFL, O_NONBLOCK) == 0, "fcntl");
  Pieces pieces;
  const StatusOr<FileScanner::Result> result = scanner.ScanStream(reader.get(), KeepIn(pieces));
  writer.join();
  EXPECT_OK(result);
  if (result.ok()) {
    EXPECT_EQ(result->bytes, content.size());
    EXPECT_FALSE(result->has_hole);
  }
  return pieces;
}

class ScanLayoutsTest : public ::testing::TestWithParam<const char*> {};

TEST_P(ScanLayoutsTest, PiecesAreTheSameHoweverTheFileIsRead) {
  const TempTree tree(GetParam());
  FileScanner scanner = MakeScanner();
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const Layout layout = RandomLayout(seed);
    const Pieces expected = PiecesByTheBook(layout.content);
    EXPECT_EQ(ScanMemory(layout.content), expected) << "seed " << seed;
    const UniqueFd file = WriteLayout(tree, layout);
    for (const bool believe : {false, true}) {
      Pieces pieces;
      ASSERT_OK_AND_ASSIGN(const FileScanner::Result result,
                           scanner.ScanFile(file.get(), true, believe, KeepIn(pieces)));
      EXPECT_EQ(pieces, expected) << "seed " << seed << ", believe " << believe;
      EXPECT_EQ(result.bytes, layout.content.size());
      EXPECT_EQ(result.has_hole, layout.has_hole) << "seed " << seed << ", believe " << believe;
    }
    Pieces pieces;
    ASSERT_OK_AND_ASSIGN(const FileScanner::Result result,
                         scanner.ScanFile(file.get(), false, true, KeepIn(pieces)));
    EXPECT_EQ(pieces, expected) << "seed " << seed << ", without looking for holes";
    EXPECT_FALSE(result.has_hole);
    EXPECT_EQ(ScanThroughPipe(scanner, layout.content, seed, seed % 2 == 0), expected)
        << "seed " << seed << ", through a pipe";
  }
}

INSTANTIATE_TEST_SUITE_P(FileSystems, ScanLayoutsTest, ::testing::Values("/tmp", "/dev/shm"));

// File systems with blocks of 1 KiB have such holes.
TEST(HoldsAlignedBlockTest, AHoleCountsOnlyByTheBlocksThatItHoldsWhole) {
  struct Case {
    uint64_t from, to;
    bool holds;
  };
  const Case cases[] = {
      {0, 4095, false},      {0, 4096, true},      {1024, 4096, false},
      {1024, 8191, false},   {1024, 8192, true},   {4096, 4096, false},
      {5120, 12'287, false}, {8192, 12'288, true}, {1, uint64_t{1} << 62, true},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(HoldsAlignedBlock(c.from, c.to), c.holds) << c.from << " to " << c.to;
  }
}

TEST(ScanFileTest, ChunksMayBeAsLargeAsABlobMayBe) {
  const TempTree tree("/dev/shm");
  const Bytes content = RandomBytes(9 * kMiB + 3, 4);
  tree.Write("file", AsText(content));
  ASSERT_OK_AND_ASSIGN(const Descriptor file, OpenFileAt(tree.fd(), "file"));
  FileScanner scanner(4 * kMiB, [](ByteSpan data) { return data.size(); });
  std::vector<uint64_t> sizes;
  ASSERT_OK(scanner.ScanFile(file.get(), true, true, Each([&](const Piece& piece) {
                               sizes.push_back(piece.bytes);
                               return OkStatus();
                             })));
  EXPECT_THAT(sizes, ElementsAre(4 * kMiB, 4 * kMiB, kMiB + 3));
}

TEST(ScanFileTest, AHugeHoleIsSkippedNotRead) {
  const TempTree tree;
  const UniqueFd file = tree.Create("file");
  constexpr uint64_t kEnd = uint64_t{1} << 40;
  ASSERT_EQ(::pwrite(file.get(), "head", 4, 0), 4);
  ASSERT_EQ(::pwrite(file.get(), "tail", 4, kEnd), 4);
  FileScanner scanner(kMaxChunk, [](ByteSpan data) { return data.size(); });
  Pieces pieces;
  ASSERT_OK_AND_ASSIGN(const FileScanner::Result result,
                       scanner.ScanFile(file.get(), true, true, KeepIn(pieces)));
  EXPECT_EQ(result.bytes, kEnd + 4);
  EXPECT_TRUE(result.has_hole);
  ASSERT_THAT(pieces, SizeIs(3));
  EXPECT_EQ(pieces[0].bytes, kBlock);
  EXPECT_EQ(pieces[1], Zeros(kEnd - kBlock));
  EXPECT_EQ(pieces[2].data, ToBytes("tail"));
}

TEST(ScanFileTest, AnExtentLongerThanTheFormatAllowsIsSplit) {
  const TempTree tree("/dev/shm");
  const UniqueFd file = tree.Create("file");
  constexpr uint64_t kMost = uint64_t{1} << 62;
  if (::ftruncate(file.get(), static_cast<off_t>(kMost + 100)) != 0) {
    GTEST_SKIP() << "no file may be so large here";
  }
  FileScanner scanner = MakeScanner();
  Pieces pieces;
  ASSERT_OK(scanner.ScanFile(file.get(), true, true, KeepIn(pieces)));
  EXPECT_THAT(pieces, ElementsAre(Zeros(kMost), Zeros(100)));
}

TEST(ScanFileTest, ReadsWhatIsAddedMeanwhile) {
  const TempTree tree("/dev/shm");
  const Bytes content = RandomBytes(3 * kMiB, 5);
  for (const bool believe : {false, true}) {
    tree.Write("file", AsText(content));
    const UniqueFd writer(::openat(tree.fd(), "file", O_WRONLY | O_APPEND | O_CLOEXEC));
    ASSERT_OK_AND_ASSIGN(const Descriptor file, OpenFileAt(tree.fd(), "file"));
    FileScanner scanner = MakeScanner();
    Bytes read;
    bool grown = false;
    const auto grow = Each([&](const Piece& piece) {
      Append(read, piece.data);
      if (!std::exchange(grown, true)) {
        EXPECT_EQ(::write(writer.get(), content.data(), kMiB), static_cast<ssize_t>(kMiB));
      }
      return OkStatus();
    });
    ASSERT_OK_AND_ASSIGN(const FileScanner::Result result,
                         scanner.ScanFile(file.get(), true, believe, grow));
    EXPECT_EQ(result.bytes, 4 * kMiB);
    Bytes expected = content;
    Append(expected, ByteSpan(content).first(kMiB));
    EXPECT_TRUE(read == expected);
  }
}

TEST(ScanFileTest, EndsWhereTheFileIsCutOffMeanwhile) {
  const TempTree tree("/dev/shm");
  const Bytes content = RandomBytes(5 * kMiB, 6);
  for (const bool believe : {false, true}) {
    tree.Write("file", AsText(content));
    ASSERT_OK_AND_ASSIGN(const Descriptor file, OpenFileAt(tree.fd(), "file"));
    FileScanner scanner = MakeScanner();
    uint64_t bytes = 0;
    const auto cut_off = Each([&](const Piece& piece) {
      bytes += piece.bytes;
      EXPECT_EQ(::truncate(tree.Path("file").c_str(), 2 * kMiB), 0);
      return OkStatus();
    });
    ASSERT_OK_AND_ASSIGN(const FileScanner::Result result,
                         scanner.ScanFile(file.get(), true, believe, cut_off));
    EXPECT_EQ(result.bytes, 2 * kMiB);
    EXPECT_EQ(bytes, result.bytes);
  }
}

TEST(ScanFileTest, IsOfUseAgainAfterAnError) {
  const TempTree tree("/dev/shm");
  const Bytes content = RandomBytes(200'000, 7);
  tree.Write("file", AsText(content));
  ASSERT_OK_AND_ASSIGN(const Descriptor file, OpenFileAt(tree.fd(), "file"));
  FileScanner scanner = MakeScanner();
  EXPECT_THAT(scanner.ScanFile(file.get(), true, true,
                               Each([](const Piece&) { return Cancelled("enough"); })),
              StatusIs(StatusCode::kCancelled));
  EXPECT_THAT(scanner.ScanFile(tree.fd(), false, false, Ignore), StatusIs(StatusCode::kUnavailable))
      << "a directory cannot be read";
  Pieces pieces;
  ASSERT_OK(scanner.ScanFile(file.get(), true, true, KeepIn(pieces)));
  EXPECT_EQ(pieces, PiecesByTheBook(content));
}

TEST(ReadSmallFileTest, GivesWhatEndsBeforeTheRoomIsFull) {
  const TempTree tree;
  FileScanner scanner = MakeScanner();
  Bytes room(100'001);
  for (const size_t size : {0, 1, 4096, 99'999, 100'000, 100'001, 3'000'000}) {
    const Bytes content = RandomBytes(size, 8);
    tree.Write("file", AsText(content));
    ASSERT_OK_AND_ASSIGN(const Descriptor file, OpenFileAt(tree.fd(), "file"));
    ASSERT_OK_AND_ASSIGN(const std::optional<size_t> small, ReadSmallFile(file.get(), room, 0));
    EXPECT_EQ(small.has_value(), size <= 100'000) << size;
    if (small) {
      EXPECT_EQ(Bytes(room.begin(), room.begin() + static_cast<ptrdiff_t>(*small)), content);
      Pieces pieces;
      EXPECT_OK(scanner.ScanMemory(ByteSpan(room).first(*small), KeepIn(pieces)));
      EXPECT_EQ(pieces, PiecesByTheBook(content));
    }
  }
}

TEST(ReadSmallFileTest, WhatWasExpectedIsTakenForTheWhole) {
  const TempTree tree;
  tree.Write("file", "ten bytes.");
  ASSERT_OK_AND_ASSIGN(const Descriptor file, OpenFileAt(tree.fd(), "file"));
  Bytes room(10);
  // Nothing says that it ends there.
  ASSERT_OK_AND_ASSIGN(std::optional<size_t> small, ReadSmallFile(file.get(), room, 10));
  EXPECT_EQ(small, std::nullopt);
  room.resize(11);
  ASSERT_OK_AND_ASSIGN(small, ReadSmallFile(file.get(), room, 10));
  EXPECT_EQ(small, 10U);
  ASSERT_OK_AND_ASSIGN(small, ReadSmallFile(file.get(), room, 7));
  EXPECT_EQ(small, 10U);
}

TEST(ReadSmallFileTest, AShortReadIsNotTheEnd) {
  ASSERT_OK_AND_ASSIGN(const Descriptor file, OpenFileAt(AT_FDCWD, "/proc/self/smaps"));
  Bytes room(10 * kMiB);
  ASSERT_OK_AND_ASSIGN(const std::optional<size_t> small, ReadSmallFile(file.get(), room, 0));
  ASSERT_TRUE(small);
  // One read gives no more than a page of it or two; the stack is mapped near the end.
  EXPECT_THAT(std::string(AsText(ByteSpan(room).first(*small))), HasSubstr("[stack]"));
}

}  // namespace
}  // namespace cairn
