// SPDX-License-Identifier: Apache-2.0
// What every FileSystem does, run against each of them.
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/file_system.h"
#include "core/base/memory_file_system.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::cairn::testing::IsOk;
using ::cairn::testing::IsOkAndHolds;
using ::cairn::testing::StatusIs;
using ::testing::AllOf;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

// A file system together with whatever it stands on.
class Fixture {
 public:
  virtual ~Fixture() = default;
  virtual FileSystem& fs() = 0;
};

class MemoryFixture : public Fixture {
 public:
  FileSystem& fs() override { return fs_; }

 private:
  MemoryFileSystem fs_;
};

class PosixFixture : public Fixture {
 public:
  PosixFixture() {
    std::string name = ::testing::TempDir() + "cairn-fs-XXXXXX";
    directory_ = mkdtemp(name.data());
    fs_ = *OpenPosixFileSystem(directory_, false);
  }
  ~PosixFixture() override { std::filesystem::remove_all(directory_); }
  FileSystem& fs() override { return *fs_; }

 private:
  std::string directory_;
  std::unique_ptr<FileSystem> fs_;
};

struct Implementation {
  const char* name;
  std::function<std::unique_ptr<Fixture>()> make;
};

class FileSystemConformanceTest : public ::testing::TestWithParam<Implementation> {
 protected:
  FileSystemConformanceTest() : fixture_(GetParam().make()), fs_(fixture_->fs()) {}

  void Write(const std::string& path, std::string_view content) {
    ASSERT_OK_AND_ASSIGN(const auto file, fs_.CreateNew(path));
    ASSERT_OK(file->Append(AsBytes(content)));
    ASSERT_OK(file->Sync());
  }
  StatusOr<std::string> Read(const std::string& path) {
    ASSIGN_OR_RETURN(const Bytes bytes, ReadWholeFile(fs_, path, 1 << 20));
    return std::string(AsText(bytes));
  }

  const std::unique_ptr<Fixture> fixture_;
  FileSystem& fs_;
};

TEST_P(FileSystemConformanceTest, ReadsBackWhatWasAppended) {
  ASSERT_OK_AND_ASSIGN(const auto file, fs_.CreateNew("f"));
  EXPECT_OK(file->Append(AsBytes("one ")));
  EXPECT_OK(file->Append({}));
  EXPECT_OK(file->Append(AsBytes("two")));
  EXPECT_THAT(Read("f"), IsOkAndHolds("one two"));
  EXPECT_OK(file->Sync());
  EXPECT_THAT(fs_.FileSize("f"), IsOkAndHolds(7));
}

TEST_P(FileSystemConformanceTest, ReadAtIsShortOnlyAtTheEnd) {
  Write("f", "0123456789");
  ASSERT_OK_AND_ASSIGN(const auto file, fs_.OpenRead("f"));
  Bytes out(4);
  EXPECT_THAT(file->ReadAt(3, out), IsOkAndHolds(4));
  EXPECT_EQ(AsText(out), "3456");
  EXPECT_THAT(file->ReadAt(8, out), IsOkAndHolds(2));
  EXPECT_EQ(AsText(ByteSpan(out).first(2)), "89");
  EXPECT_THAT(file->ReadAt(10, out), IsOkAndHolds(0));
  EXPECT_THAT(file->ReadAt(1000, out), IsOkAndHolds(0));
  EXPECT_THAT(file->ReadAt(0, {}), IsOkAndHolds(0));
  EXPECT_THAT(file->Size(), IsOkAndHolds(10));
}

TEST_P(FileSystemConformanceTest, OpenReadOfAnAbsentFileIsNotFound) {
  EXPECT_THAT(fs_.OpenRead("none"), StatusIs(StatusCode::kNotFound, HasSubstr("none")));
  EXPECT_THAT(fs_.OpenRead("no/ne"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(fs_.FileSize("none"), StatusIs(StatusCode::kNotFound, HasSubstr("none")));
}

TEST_P(FileSystemConformanceTest, ADirectoryIsNoFile) {
  ASSERT_OK(fs_.CreateDirectory("d"));
  EXPECT_THAT(fs_.OpenRead("d"), StatusIs(StatusCode::kDataLoss, HasSubstr("not a regular file")));
  EXPECT_THAT(fs_.FileSize("d"), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(fs_.TryLock("d", true), StatusIs(StatusCode::kDataLoss));
}

TEST_P(FileSystemConformanceTest, CreateNewRefusesATakenName) {
  Write("f", "first");
  ASSERT_OK(fs_.CreateDirectory("d"));
  EXPECT_THAT(fs_.CreateNew("f"), StatusIs(StatusCode::kAlreadyExists, HasSubstr("f")));
  EXPECT_THAT(fs_.CreateNew("d"), StatusIs(StatusCode::kAlreadyExists));
  EXPECT_THAT(Read("f"), IsOkAndHolds("first"));
}

TEST_P(FileSystemConformanceTest, CreateNewNeedsTheParent) {
  Write("f", "");
  EXPECT_THAT(fs_.CreateNew("no/f"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(fs_.CreateNew("f/f"), StatusIs(StatusCode::kNotFound));
}

TEST_P(FileSystemConformanceTest, RenameNoReplaceMovesAndNeverReplaces) {
  ASSERT_OK(fs_.CreateDirectory("d"));
  Write("a", "A");
  Write("b", "B");
  EXPECT_OK(fs_.RenameNoReplace("a", "d/a"));
  EXPECT_THAT(Read("d/a"), IsOkAndHolds("A"));
  EXPECT_THAT(Read("a"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(fs_.RenameNoReplace("b", "d/a"),
              StatusIs(StatusCode::kAlreadyExists, AllOf(HasSubstr("b"), HasSubstr("d/a"))));
  EXPECT_THAT(fs_.RenameNoReplace("b", "d"), StatusIs(StatusCode::kAlreadyExists));
  EXPECT_THAT(fs_.RenameNoReplace("b", "b"), StatusIs(StatusCode::kAlreadyExists));
  EXPECT_THAT(Read("b"), IsOkAndHolds("B"));
  EXPECT_THAT(Read("d/a"), IsOkAndHolds("A"));
}

TEST_P(FileSystemConformanceTest, RenameOfAnAbsentFileIsNotFound) {
  Write("f", "");
  EXPECT_THAT(fs_.RenameNoReplace("none", "x"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(fs_.RenameReplace("none", "x"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(fs_.RenameNoReplace("f", "no/x"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(fs_.RenameNoReplace("none", "f"), StatusIs(StatusCode::kNotFound));
}

TEST_P(FileSystemConformanceTest, RenameReplaceReplaces) {
  Write("a", "A");
  Write("b", "B");
  ASSERT_OK_AND_ASSIGN(const auto old, fs_.OpenRead("b"));
  EXPECT_OK(fs_.RenameReplace("a", "b"));
  EXPECT_OK(fs_.RenameReplace("b", "b"));
  EXPECT_THAT(Read("b"), IsOkAndHolds("A"));
  EXPECT_THAT(fs_.List(""), IsOkAndHolds(UnorderedElementsAre("b")));
  Bytes out(1);
  EXPECT_THAT(old->ReadAt(0, out), IsOkAndHolds(1));
  EXPECT_EQ(AsText(out), "B");
}

TEST_P(FileSystemConformanceTest, OneOfManyRenamesToOneNameWins) {
  constexpr int kRacers = 4;
  for (int i = 0; i < kRacers; ++i) Write("tmp" + std::to_string(i), std::to_string(i));
  std::vector<StatusCode> results(kRacers);
  {
    std::vector<std::jthread> racers;
    for (int i = 0; i < kRacers; ++i) {
      racers.emplace_back([this, i, &results] {
        results[i] = fs_.RenameNoReplace("tmp" + std::to_string(i), "final").code();
      });
    }
  }
  EXPECT_EQ(std::count(results.begin(), results.end(), StatusCode::kOk), 1);
  EXPECT_EQ(std::count(results.begin(), results.end(), StatusCode::kAlreadyExists), kRacers - 1);
  const auto winner = std::find(results.begin(), results.end(), StatusCode::kOk) - results.begin();
  EXPECT_THAT(Read("final"), IsOkAndHolds(std::to_string(winner)));
}

TEST_P(FileSystemConformanceTest, UnlinkRemovesTheNameAndNotTheOpenFile) {
  Write("f", "still here");
  ASSERT_OK_AND_ASSIGN(const auto file, fs_.OpenRead("f"));
  EXPECT_OK(fs_.Unlink("f"));
  EXPECT_THAT(fs_.Unlink("f"), StatusIs(StatusCode::kNotFound, HasSubstr("f")));
  EXPECT_THAT(Read("f"), StatusIs(StatusCode::kNotFound));
  Bytes out(10);
  EXPECT_THAT(file->ReadAt(0, out), IsOkAndHolds(10));
  EXPECT_EQ(AsText(out), "still here");
}

TEST_P(FileSystemConformanceTest, UnlinkRefusesDirectories) {
  ASSERT_OK(fs_.CreateDirectory("d"));
  EXPECT_THAT(fs_.Unlink("d"), Not(IsOk()));
  EXPECT_THAT(fs_.List(""), IsOkAndHolds(UnorderedElementsAre("d")));
}

TEST_P(FileSystemConformanceTest, DirectoriesAreMadeOnceAndListed) {
  EXPECT_THAT(fs_.List(""), IsOkAndHolds(IsEmpty()));
  EXPECT_OK(fs_.CreateDirectory("d"));
  EXPECT_THAT(fs_.CreateDirectory("d"), StatusIs(StatusCode::kAlreadyExists));
  EXPECT_THAT(fs_.CreateDirectory(""), StatusIs(StatusCode::kAlreadyExists));
  EXPECT_THAT(fs_.CreateDirectory("no/d"), StatusIs(StatusCode::kNotFound));
  EXPECT_OK(fs_.CreateDirectory("d/e"));
  Write("d/f", "");
  Write("g", "");
  EXPECT_THAT(fs_.CreateDirectory("g"), StatusIs(StatusCode::kAlreadyExists));
  EXPECT_THAT(fs_.List(""), IsOkAndHolds(UnorderedElementsAre("d", "g")));
  EXPECT_THAT(fs_.List("d"), IsOkAndHolds(UnorderedElementsAre("e", "f")));
  EXPECT_THAT(fs_.List("none"), StatusIs(StatusCode::kNotFound, HasSubstr("none")));
  EXPECT_THAT(fs_.List("g"), StatusIs(StatusCode::kNotFound));
}

TEST_P(FileSystemConformanceTest, SyncDirectoryNeedsADirectory) {
  ASSERT_OK(fs_.CreateDirectory("d"));
  Write("f", "");
  EXPECT_OK(fs_.SyncDirectory(""));
  EXPECT_OK(fs_.SyncDirectory("d"));
  EXPECT_THAT(fs_.SyncDirectory("none"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(fs_.SyncDirectory("f"), StatusIs(StatusCode::kNotFound));
}

TEST_P(FileSystemConformanceTest, ALockExcludesUntilItIsDropped) {
  EXPECT_THAT(fs_.TryLock("l", false), StatusIs(StatusCode::kNotFound));
  ASSERT_OK_AND_ASSIGN(auto lock, fs_.TryLock("l", true));
  EXPECT_THAT(fs_.TryLock("l", true), StatusIs(StatusCode::kAborted, HasSubstr("l")));
  EXPECT_THAT(fs_.TryLock("l", false), StatusIs(StatusCode::kAborted));
  EXPECT_OK(fs_.TryLock("other", true));
  lock.reset();
  EXPECT_OK(fs_.TryLock("l", false));
}

TEST_P(FileSystemConformanceTest, ALockedFileHasItsContentReplaced) {
  ASSERT_OK_AND_ASSIGN(const auto lock, fs_.TryLock("l", true));
  EXPECT_THAT(Read("l"), IsOkAndHolds(""));
  EXPECT_OK(lock->WriteContent(AsBytes("pid 12345")));
  EXPECT_THAT(Read("l"), IsOkAndHolds("pid 12345"));
  EXPECT_OK(lock->WriteContent(AsBytes("pid 6")));
  EXPECT_THAT(Read("l"), IsOkAndHolds("pid 6"));
}

TEST_P(FileSystemConformanceTest, ALockKnowsWhetherItsFileHasItsName) {
  ASSERT_OK_AND_ASSIGN(const auto lock, fs_.TryLock("l", true));
  EXPECT_THAT(lock->StillLinked(), IsOkAndHolds(true));
  ASSERT_OK(fs_.Unlink("l"));
  EXPECT_THAT(lock->StillLinked(), IsOkAndHolds(false));
  ASSERT_OK_AND_ASSIGN(const auto second, fs_.TryLock("l", true));
  EXPECT_THAT(lock->StillLinked(), IsOkAndHolds(false));
  EXPECT_THAT(second->StillLinked(), IsOkAndHolds(true));
}

TEST_P(FileSystemConformanceTest, ReadWholeFileIsBounded) {
  Write("f", "12345");
  EXPECT_THAT(ReadWholeFile(fs_, "f", 5), IsOkAndHolds(ToBytes("12345")));
  EXPECT_THAT(ReadWholeFile(fs_, "f", 4), StatusIs(StatusCode::kResourceExhausted, HasSubstr("f")));
  EXPECT_THAT(ReadWholeFile(fs_, "none", 4), StatusIs(StatusCode::kNotFound));
}

TEST_P(FileSystemConformanceTest, MovesMuchDataInOneCall) {
  Bytes big(9 * kMiB + 1);
  for (size_t i = 0; i < big.size(); ++i) big[i] = static_cast<uint8_t>(i * 31 >> 3);
  ASSERT_OK_AND_ASSIGN(const auto file, fs_.CreateNew("big"));
  ASSERT_OK(file->Append(big));
  ASSERT_OK_AND_ASSIGN(const Bytes back, ReadWholeFile(fs_, "big", kGiB));
  EXPECT_TRUE(back == big);
}

TEST_P(FileSystemConformanceTest, NamesAreBytes) {
  Write("\xff\x01 ", "odd");
  EXPECT_THAT(fs_.List(""), IsOkAndHolds(UnorderedElementsAre("\xff\x01 ")));
  EXPECT_THAT(Read("\xff\x01 "), IsOkAndHolds("odd"));
}

TEST_P(FileSystemConformanceTest, TellsTheFreeSpace) {
  EXPECT_THAT(fs_.FreeBytes(), IsOkAndHolds(Gt(0)));
}

INSTANTIATE_TEST_SUITE_P(
    All, FileSystemConformanceTest,
    ::testing::Values(Implementation{"Posix", [] { return std::make_unique<PosixFixture>(); }},
                      Implementation{"Memory", [] { return std::make_unique<MemoryFixture>(); }}),
    [](const auto& suite) { return std::string(suite.param.name); });

}  // namespace
}  // namespace cairn
