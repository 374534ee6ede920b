// SPDX-License-Identifier: Apache-2.0
#include "core/fs/target.h"

#include <sys/statvfs.h>

#include <climits>

#include "core/base/unique_fd.h"
#include "core/fs/file_status.h"
#include "tests/fs/target_fixture.h"

namespace cairn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TargetFileTest : public TargetTest {};
class TargetDirectoryTest : public TargetTest {};
class OpenTargetTest : public TargetTest {};

TEST_F(TargetFileTest, HasItsContentWhateverTheOrderOfWrites) {
  ASSERT_OK_AND_ASSIGN(auto file, target_->CreateFile("f"));
  ASSERT_OK(file->SetSize(10, false));
  ASSERT_OK(file->WriteAt(5, AsBytes("world")));
  ASSERT_OK(file->WriteAt(0, AsBytes("hello")));
  ASSERT_OK_AND_ASSIGN(const AttributeReport report, file->Commit(Plain()));
  EXPECT_FALSE(report.any());
  EXPECT_EQ(ReadFile(Path("f")), "helloworld");
  EXPECT_EQ(StatOf(Path("f")).st_mode, S_IFREG | 0644U);
  EXPECT_EQ(StatOf(Path("f")).st_mtim.tv_sec, 1'500'000'000);
  EXPECT_EQ(StatOf(Path("f")).st_mtim.tv_nsec, 123'456'789);
}

TEST_F(TargetFileTest, IsNotSeenBeforeItsCommit) {
  ASSERT_OK_AND_ASSIGN(auto file, target_->CreateFile("f"));
  ASSERT_OK(file->WriteAt(0, AsBytes("x")));
  EXPECT_THAT(target_->List(), IsOkAndHolds(IsEmpty()));
  ASSERT_OK(file->Commit(Plain()));
  EXPECT_THAT(NamesIn(Path("")), ElementsAre("f"));
}

TEST_F(TargetFileTest, LeavesNothingWhenDropped) {
  ASSERT_OK_AND_ASSIGN(auto file, target_->CreateFile("f"));
  ASSERT_OK(file->WriteAt(0, AsBytes("x")));
  file.reset();
  EXPECT_THAT(NamesIn(Path("")), IsEmpty());
}

TEST_F(TargetFileTest, NeedsNoProc) {
  CAIRN_ROOT_ONLY();
  InChild([&] {
    if (!EnterOwnMounts()) return;
    ASSERT_EQ(::mount("none", "/proc", "tmpfs", 0, nullptr), 0);
    ASSERT_OK_AND_ASSIGN(auto dropped, target_->CreateFile("dropped"));
    EXPECT_EQ(NamesIn(Path("")).size(), 1U) << "a temporary name is expected here";
    dropped.reset();
    EXPECT_THAT(NamesIn(Path("")), IsEmpty());
    WriteFile(Path("f"), "old");
    EXPECT_OK(Put(*target_, "f", "new"));
    EXPECT_EQ(ReadFile(Path("f")), "new");
    EXPECT_THAT(NamesIn(Path("")), ElementsAre("f"));
  });
}

TEST_F(TargetFileTest, SparesOtherNamesAndReadersOfTheFileThatItReplaces) {
  WriteFile(Path("f"), "old");
  ASSERT_EQ(::link(Path("f").c_str(), Path("other").c_str()), 0);
  const UniqueFd reader(::open(Path("f").c_str(), O_RDONLY));
  ASSERT_OK(Put(*target_, "f", "new"));
  EXPECT_EQ(ReadFile(Path("f")), "new");
  EXPECT_EQ(ReadFile(Path("other")), "old");
  char read[4] = {};
  EXPECT_EQ(::pread(reader.get(), read, 3, 0), 3);
  EXPECT_STREQ(read, "old");
  EXPECT_THAT(NamesIn(Path("")), ElementsAre("f", "other"));
}

TEST_F(TargetFileTest, ReplacesASymlinkAndNotWhatItPointsTo) {
  WriteFile(Outside("precious"), "kept");
  ASSERT_EQ(::symlink("../precious", Path("f").c_str()), 0);
  ASSERT_OK(Put(*target_, "f", "new"));
  EXPECT_EQ(ReadFile(Outside("precious")), "kept");
  EXPECT_TRUE(S_ISREG(StatOf(Path("f")).st_mode));
}

TEST_F(TargetFileTest, DoesNotReplaceADirectory) {
  ASSERT_EQ(::mkdir(Path("f").c_str(), 0755), 0);
  EXPECT_THAT(Put(*target_, "f", "new"), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(NamesIn(Path("")), ElementsAre("f"));
}

TEST_F(TargetFileTest, IsFilledWithZerosUpToItsSize) {
  ASSERT_OK_AND_ASSIGN(auto file, target_->CreateFile("f"));
  ASSERT_OK(file->SetSize(5, false));
  ASSERT_OK(file->WriteAt(0, AsBytes("ab")));
  ASSERT_OK(file->Commit(Plain()));
  EXPECT_EQ(ReadFile(Path("f")), std::string("ab\0\0\0", 5));
}

TEST_F(TargetFileTest, HasHolesOnlyIfSparse) {
  constexpr uint64_t kBytes = 16 * kMiB;
  const UniqueFd directory(::open(Path("").c_str(), O_PATH));
  ASSERT_OK_AND_ASSIGN(const FileSystemTraits traits, TraitsOf(directory.get()));
  for (const bool sparse : {true, false}) {
    if (!sparse && traits.tmpfs) continue;  // the next test's
    ASSERT_OK_AND_ASSIGN(auto file, target_->CreateFile("f"));
    ASSERT_OK(file->SetSize(kBytes, sparse));
    ASSERT_OK(file->WriteAt(kBytes - 1, AsBytes("x")));
    ASSERT_OK(file->Commit(Plain()));
    const struct stat st = StatOf(Path("f"));
    EXPECT_EQ(static_cast<uint64_t>(st.st_size), kBytes);
    EXPECT_EQ(static_cast<uint64_t>(st.st_blocks) * 512 < kBytes / 2, sparse);
  }
}

TEST_F(TargetFileTest, GetsItsPagesInMemoryWhenTheyAreWritten) {
  CAIRN_ROOT_ONLY();
  InChild([&] {
    if (!EnterOwnMounts()) return;
    ASSERT_EQ(::mount("none", Path("").c_str(), "tmpfs", 0, "size=16m"), 0);
    ASSERT_OK_AND_ASSIGN(target_, OpenTarget(Path("")));
    ASSERT_OK_AND_ASSIGN(auto file, target_->CreateFile("f"));
    ASSERT_OK(file->SetSize(12 * kMiB, false));
    EXPECT_THAT(file->SetSize(20 * kMiB, false), StatusIs(StatusCode::kResourceExhausted));
    ASSERT_OK(file->WriteAt(0, AsBytes("x")));
    struct statvfs stat {};
    ASSERT_EQ(::statvfs(Path("").c_str(), &stat), 0);
    EXPECT_GT(stat.f_bavail * stat.f_bsize, 12 * kMiB);
  });
}

TEST_F(TargetFileTest, SaysBeforehandThatTheDiskHasNoRoom) {
  ASSERT_OK_AND_ASSIGN(auto file, target_->CreateFile("f"));
  EXPECT_THAT(file->SetSize(uint64_t{1} << 62, false), StatusIs(StatusCode::kResourceExhausted));
  EXPECT_THAT(file->SetSize(uint64_t{1} << 63, true), StatusIs(StatusCode::kInvalidArgument));
  const auto too_large = StatusIs(StatusCode::kInvalidArgument, HasSubstr("is too large"));
  EXPECT_THAT(file->WriteAt(kMaxFileBytes, AsBytes("x")), too_large);
  EXPECT_THAT(file->WriteAt(UINT64_MAX, AsBytes("x")), too_large);
}

TEST_F(TargetDirectoryTest, RefusesNamesThatLeadElsewhere) {
  const std::string bad[] = {".", "..", "a/b", "/", std::string("a\0b", 3), std::string(5000, 'x')};
  for (const std::string& name : bad) {
    const auto invalid = StatusIs(StatusCode::kInvalidArgument);
    Entry fifo = SpecialEntry(name, EntryType::kFifo);
    EXPECT_THAT(target_->Stat(name), invalid);
    EXPECT_THAT(target_->CreateFile(name), invalid);
    EXPECT_THAT(target_->OpenForRead(name), invalid);
    EXPECT_THAT(target_->CreateSpecial(fifo, Plain(EntryType::kFifo)), invalid);
    EXPECT_THAT(target_->Link(name, *target_, "f"), invalid);
    EXPECT_THAT(target_->Link("f", *target_, name), invalid);
    EXPECT_THAT(target_->Directory(name), invalid);
    EXPECT_THAT(target_->ExistingDirectory(name), invalid);
    EXPECT_THAT(target_->Remove(name), invalid);
    EXPECT_THAT(target_->SetAttributes(name, Plain()), invalid);
    EXPECT_THAT(target_->Xattrs(name), invalid);
  }
  const auto invalid = StatusIs(StatusCode::kInvalidArgument);
  EXPECT_THAT(target_->CreateFile(""), invalid);
  EXPECT_THAT(target_->OpenForRead(""), invalid);
  EXPECT_THAT(target_->Directory(""), invalid);
  EXPECT_THAT(target_->Remove(""), invalid);
  EXPECT_THAT(NamesIn(Path("")), IsEmpty());
}

TEST_F(TargetDirectoryTest, MakesAMissingDirectoryForItsOwnerOnly) {
  ASSERT_OK_AND_ASSIGN(auto made, target_->Directory("d"));
  EXPECT_EQ(StatOf(Path("d")).st_mode, S_IFDIR | 0700U);
  ASSERT_OK(Put(*made, "f", "x"));
  EXPECT_EQ(ReadFile(Path("d/f")), "x");
}

TEST_F(TargetDirectoryTest, OpensWhatIsThereAsItIs) {
  ASSERT_EQ(::mkdir(Path("d").c_str(), 0755), 0);
  WriteFile(Path("d/f"), "x");
  ASSERT_OK_AND_ASSIGN(auto opened, target_->Directory("d"));
  EXPECT_THAT(opened->List(), IsOkAndHolds(ElementsAre("f")));
  EXPECT_EQ(StatOf(Path("d")).st_mode, S_IFDIR | 0755U);
}

TEST_F(TargetDirectoryTest, OpensNeitherFilesNorSymlinks) {
  WriteFile(Path("f"), "");
  ASSERT_EQ(::mkdir(Outside("elsewhere").c_str(), 0755), 0);
  ASSERT_EQ(::symlink("../elsewhere", Path("link").c_str()), 0);
  const auto refused = StatusIs(StatusCode::kFailedPrecondition);
  for (const char* name : {"f", "link"}) {
    EXPECT_THAT(target_->Directory(name), refused);
    EXPECT_THAT(target_->ExistingDirectory(name), refused);
  }
}

TEST_F(TargetDirectoryTest, ExistingDirectoryMakesNothing) {
  EXPECT_THAT(target_->ExistingDirectory("d"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(NamesIn(Path("")), IsEmpty());
}

TEST_F(TargetDirectoryTest, TellsWhatIsThere) {
  WriteFile(Path("b"), "12345");
  ASSERT_EQ(::symlink("b", Path("a").c_str()), 0);
  ASSERT_OK_AND_ASSIGN(const auto status, target_->Stat("b"));
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->size, 5U);
  ASSERT_OK_AND_ASSIGN(const auto link, target_->Stat("a"));
  EXPECT_EQ(link->type, EntryType::kSymlink);
  ASSERT_OK_AND_ASSIGN(const auto own, target_->Stat(""));
  ASSERT_OK_AND_ASSIGN(const FileStatus own_status, target_->OwnStatus());
  EXPECT_EQ(own->inode, StatOf(Path("")).st_ino);
  EXPECT_EQ(own_status.inode, own->inode);
  EXPECT_THAT(target_->List(), IsOkAndHolds(ElementsAre("a", "b")));
  EXPECT_THAT(target_->List(), IsOkAndHolds(ElementsAre("a", "b"))) << "a second time";
}

TEST_F(TargetDirectoryTest, ReadsRegularFilesOnly) {
  WriteFile(Path("f"), "12345");
  ASSERT_EQ(::symlink("f", Path("link").c_str()), 0);
  ASSERT_EQ(::mkfifo(Path("fifo").c_str(), 0600), 0);
  ASSERT_OK_AND_ASSIGN(const Descriptor file, target_->OpenForRead("f"));
  char read[6] = {};
  EXPECT_EQ(::read(file.get(), read, 5), 5);
  EXPECT_STREQ(read, "12345");
  EXPECT_THAT(target_->OpenForRead("link"), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(target_->OpenForRead("fifo"), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(target_->OpenForRead("none"), StatusIs(StatusCode::kNotFound));
}

TEST_F(TargetDirectoryTest, WorksBelowPathsLongerThanTheSystemTakes) {
  const std::string part(200, 'p');
  std::shared_ptr<TargetDirectory> directory = target_;
  for (size_t bytes = 0; bytes < 2 * PATH_MAX; bytes += part.size()) {
    ASSERT_OK_AND_ASSIGN(directory, directory->Directory(part));
  }
  EXPECT_OK(Put(*directory, "f", "deep"));
  EXPECT_OK(
      directory->CreateSpecial(SpecialEntry("s", EntryType::kSymlink), Plain(EntryType::kSymlink)));
  EXPECT_OK(directory->Link("g", *directory, "f"));
  EXPECT_OK(directory->SetAttributes("g", Plain()));
  EXPECT_OK(directory->SetAttributes("", Plain(EntryType::kDirectory)));
  EXPECT_THAT(directory->List(), IsOkAndHolds(ElementsAre("f", "g", "s")));
  EXPECT_OK(directory->Remove("g"));
  EXPECT_OK(target_->Remove(part));
  EXPECT_THAT(NamesIn(Path("")), IsEmpty());
}

TEST_F(TargetDirectoryTest, HoldsFewDescriptorsInDeepTrees) {
  std::vector<std::shared_ptr<TargetDirectory>> chain = {target_};
  for (int depth = 0; depth < 200; ++depth) {
    ASSERT_OK_AND_ASSIGN(auto child, chain.back()->Directory("d"));
    chain.push_back(std::move(child));
  }
  EXPECT_LT(NamesIn("/proc/self/fd").size(), 128U);
  for (const auto& directory : chain) ASSERT_OK(Put(*directory, "f", "x"));
  EXPECT_LT(NamesIn("/proc/self/fd").size(), 128U);
  for (const auto& directory : chain) {
    EXPECT_OK(directory->SetAttributes("", Plain(EntryType::kDirectory)));
  }
}

TEST_F(TargetDirectoryTest, DoesNotTakeAnotherDirectoryForItselfWhenReopened) {
  ASSERT_OK_AND_ASSIGN(auto directory, target_->Directory("d"));
  std::vector<std::shared_ptr<TargetDirectory>> others;
  for (int i = 0; i < 100; ++i) {
    ASSERT_OK_AND_ASSIGN(auto other, target_->Directory("other" + std::to_string(i)));
    others.push_back(std::move(other));
  }
  ASSERT_EQ(::rename(Path("d").c_str(), Path("moved").c_str()), 0);
  ASSERT_EQ(::mkdir(Path("d").c_str(), 0755), 0);
  EXPECT_THAT(directory->CreateFile("f"), StatusIs(StatusCode::kAborted));
  EXPECT_THAT(NamesIn(Path("d")), IsEmpty());
}

TEST_F(TargetDirectoryTest, LetsAnOrdinaryUserChangeHisOwnReadOnlyDirectory) {
  CAIRN_ROOT_ONLY();
  GiveToOrdinaryUser();
  AsOrdinaryUser({}, [&] {
    ASSERT_EQ(::mkdir(Path("readonly").c_str(), 0755), 0);
    WriteFile(Path("readonly/old"), "");
    ASSERT_EQ(::chmod(Path("readonly").c_str(), 0555), 0);
    ASSERT_EQ(::mkdir(Path("closed").c_str(), 0), 0);
    for (const char* name : {"readonly", "closed"}) {
      ASSERT_OK_AND_ASSIGN(auto directory, target_->Directory(name));
      ASSERT_OK(Put(*directory, "f", "x"));
      Attributes attributes = Plain(EntryType::kDirectory);
      attributes.mode = 0555;
      EXPECT_OK(directory->SetAttributes("", attributes));
      EXPECT_EQ(StatOf(Path(name)).st_mode, S_IFDIR | 0555U);
      EXPECT_EQ(ReadFile(Path(name) + "/f"), "x");
    }
    ASSERT_OK_AND_ASSIGN(auto again, target_->Directory("readonly"));
    EXPECT_OK(again->Remove("old"));
  });
}

TEST_F(OpenTargetTest, MakesMissingParents) {
  const mode_t before = ::umask(022);
  ASSERT_OK_AND_ASSIGN(auto target, OpenTarget(Path("a//b/./c/")));
  ::umask(before);
  EXPECT_OK(Put(*target, "f", "x"));
  EXPECT_EQ(ReadFile(Path("a/b/c/f")), "x");
  EXPECT_EQ(StatOf(Path("a/b")).st_mode, S_IFDIR | 0755U);
}

TEST_F(OpenTargetTest, FollowsSymlinksThatTheUserNamed) {
  ASSERT_EQ(::mkdir(Outside("elsewhere").c_str(), 0755), 0);
  ASSERT_EQ(::symlink("../elsewhere", Path("link").c_str()), 0);
  ASSERT_OK_AND_ASSIGN(auto last, OpenTarget(Path("link")));
  EXPECT_OK(Put(*last, "f", "x"));
  ASSERT_OK_AND_ASSIGN(auto below, OpenTarget(Path("link/d")));
  EXPECT_OK(Put(*below, "f", "x"));
  EXPECT_EQ(ReadFile(Outside("elsewhere/d/f")), "x");
}

TEST_F(OpenTargetTest, TakesRelativePaths) {
  InChild([&] {
    ASSERT_EQ(::chdir(base_.c_str()), 0);
    ASSERT_OK_AND_ASSIGN(auto target, OpenTarget("target/d"));
    ASSERT_EQ(::chdir("/"), 0);
    EXPECT_OK(Put(*target, "f", "x"));
    EXPECT_EQ(ReadFile(Path("d/f")), "x");
  });
}

TEST_F(OpenTargetTest, TakesPathsLongerThanTheSystemDoes) {
  std::string path = Path("");
  while (path.size() < 2 * PATH_MAX) path += "/" + std::string(100, 'p');
  ASSERT_OK_AND_ASSIGN(auto target, OpenTarget(path));
  EXPECT_OK(Put(*target, "f", "x"));
  ASSERT_OK_AND_ASSIGN(auto again, OpenExistingTarget(path));
  EXPECT_THAT(again->List(), IsOkAndHolds(ElementsAre("f")));
}

TEST_F(OpenTargetTest, RefusesWhatIsNoDirectory) {
  WriteFile(Path("f"), "");
  EXPECT_THAT(OpenTarget(Path("f")), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(OpenTarget(Path("f/d")), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(OpenExistingTarget(Path("f")), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(OpenTarget(""), StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(OpenTargetTest, ExistingTargetMakesNothing) {
  EXPECT_THAT(OpenExistingTarget(Path("d")), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(NamesIn(Path("")), IsEmpty());
}

}  // namespace
}  // namespace cairn::testing
