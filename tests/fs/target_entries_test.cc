// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>

#include "core/fs/target.h"
#include "core/fs/target_remove.h"
#include "tests/fs/target_fixture.h"

namespace cairn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TargetSpecialTest : public TargetTest {};
class TargetLinkTest : public TargetTest {};
class TargetRemoveTest : public TargetTest {};

TEST_F(TargetSpecialTest, MakesEveryKindWithItsAttributes) {
  std::vector<EntryType> types = {EntryType::kSymlink, EntryType::kFifo, EntryType::kSocket};
  if (::geteuid() == 0) {
    types.push_back(EntryType::kCharacterDevice);
    types.push_back(EntryType::kBlockDevice);
  }
  for (const EntryType type : types) {
    Entry entry = SpecialEntry("special", type);
    const bool device = type == EntryType::kCharacterDevice || type == EntryType::kBlockDevice;
    if (device) entry.device = {4095, 1048575};
    Attributes attributes = Plain(type);
    attributes.mtime = {-1, 999'999'999};
    ASSERT_OK_AND_ASSIGN(const AttributeReport report, target_->CreateSpecial(entry, attributes));
    EXPECT_FALSE(report.any()) << EntryTypeName(type);
    ASSERT_OK_AND_ASSIGN(const auto status, target_->Stat("special"));
    ASSERT_TRUE(status.has_value());
    EXPECT_EQ(status->type, type);
    EXPECT_EQ(status->mode, attributes.mode);
    EXPECT_EQ(status->mtime, attributes.mtime);
    EXPECT_EQ(status->device_major, entry.device.major);
    EXPECT_EQ(status->device_minor, entry.device.minor);
    EXPECT_THAT(NamesIn(Path("")), ElementsAre("special"));
  }
}

TEST_F(TargetSpecialTest, SymlinkKeepsItsTargetByteForByte) {
  Entry entry = SpecialEntry("link", EntryType::kSymlink);
  entry.target = "/../\xff//x";
  ASSERT_OK(target_->CreateSpecial(entry, Plain(EntryType::kSymlink)));
  EXPECT_EQ(std::filesystem::read_symlink(Path("link")).string(), entry.target);
}

TEST_F(TargetSpecialTest, ReplacesAFileButNotADirectory) {
  WriteFile(Path("a"), "old");
  ASSERT_EQ(::mkdir(Path("b").c_str(), 0755), 0);
  const Attributes plain = Plain(EntryType::kSymlink);
  EXPECT_OK(target_->CreateSpecial(SpecialEntry("a", EntryType::kSymlink), plain));
  EXPECT_TRUE(S_ISLNK(StatOf(Path("a")).st_mode));
  EXPECT_THAT(target_->CreateSpecial(SpecialEntry("b", EntryType::kSymlink), plain),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(NamesIn(Path("")), ElementsAre("a", "b"));
}

TEST_F(TargetSpecialTest, RefusesWhatNoFileSystemHas) {
  const auto invalid = StatusIs(StatusCode::kInvalidArgument);
  Entry link = SpecialEntry("x", EntryType::kSymlink);
  link.target = "";
  EXPECT_THAT(target_->CreateSpecial(link, Plain(link.type)), invalid);
  link.target = std::string("a\0b", 3);
  EXPECT_THAT(target_->CreateSpecial(link, Plain(link.type)), invalid);
  Entry device = SpecialEntry("x", EntryType::kBlockDevice);
  device.device = {4096, 0};
  EXPECT_THAT(target_->CreateSpecial(device, Plain(device.type)),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("no device 4096:0")));
  device.device = {0, 1048576};
  EXPECT_THAT(target_->CreateSpecial(device, Plain(device.type)),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("no device 0:1048576")));
  EXPECT_THAT(target_->CreateSpecial(SpecialEntry("x", EntryType::kDirectory), Plain()), invalid);
  EXPECT_THAT(NamesIn(Path("")), IsEmpty());
}

TEST_F(TargetSpecialTest, AnOrdinaryUserMakesNoDevices) {
  CAIRN_ROOT_ONLY();
  GiveToOrdinaryUser();
  AsOrdinaryUser({}, [&] {
    Entry device = SpecialEntry("x", EntryType::kBlockDevice);
    device.device = {8, 0};
    EXPECT_THAT(target_->CreateSpecial(device, Plain(device.type)),
                StatusIs(StatusCode::kPermissionDenied));
    EXPECT_THAT(NamesIn(Path("")), IsEmpty());
  });
}

TEST_F(TargetLinkTest, MakesASecondNameInAnotherDirectory) {
  ASSERT_OK(Put(*target_, "f", "x"));
  ASSERT_OK_AND_ASSIGN(auto directory, target_->Directory("d"));
  ASSERT_OK(directory->Link("g", *target_, "f"));
  EXPECT_EQ(StatOf(Path("d/g")).st_ino, StatOf(Path("f")).st_ino);
}

TEST_F(TargetLinkTest, ReplacesWhatIsThere) {
  ASSERT_OK(Put(*target_, "f", "x"));
  WriteFile(Path("g"), "old");
  for (int time = 0; time < 2; ++time) {  // the second time they are the same file already
    ASSERT_OK(target_->Link("g", *target_, "f"));
    EXPECT_EQ(StatOf(Path("g")).st_ino, StatOf(Path("f")).st_ino);
    EXPECT_EQ(StatOf(Path("g")).st_nlink, 2U);
    EXPECT_THAT(NamesIn(Path("")), ElementsAre("f", "g"));
  }
}

TEST_F(TargetLinkTest, LinksASymlinkAndNotItsTarget) {
  WriteFile(Outside("precious"), "");
  ASSERT_EQ(::symlink("../precious", Path("f").c_str()), 0);
  ASSERT_OK(target_->Link("g", *target_, "f"));
  EXPECT_EQ(StatOf(Outside("precious")).st_nlink, 1U);
  EXPECT_EQ(StatOf(Path("g")).st_ino, StatOf(Path("f")).st_ino);
}

TEST_F(TargetLinkTest, SaysWhereItCannotBe) {
  CAIRN_ROOT_ONLY();
  InChild([&] {
    if (!EnterOwnMounts()) return;
    ASSERT_EQ(::mkdir(Path("mount").c_str(), 0755), 0);
    ASSERT_EQ(::mount("none", Path("mount").c_str(), "tmpfs", 0, nullptr), 0);
    ASSERT_OK_AND_ASSIGN(auto mount, target_->Directory("mount"));
    ASSERT_OK(Put(*target_, "f", "x"));
    EXPECT_THAT(mount->Link("g", *target_, "f"), StatusIs(StatusCode::kFailedPrecondition));
    EXPECT_THAT(NamesIn(Path("mount")), IsEmpty());
  });
  EXPECT_THAT(target_->Link("g", *target_, "none"), StatusIs(StatusCode::kNotFound));
}

TEST_F(TargetRemoveTest, RemovesOneFileAndSaysIfThereIsNone) {
  WriteFile(Path("f"), "");
  WriteFile(Path("g"), "");
  EXPECT_OK(target_->Remove("f"));
  EXPECT_THAT(target_->Remove("f"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(NamesIn(Path("")), ElementsAre("g"));
}

TEST_F(TargetRemoveTest, RemovesASymlinkAndNotWhatItPointsTo) {
  WithoutRights([&] {
    ASSERT_EQ(::mkdir(Outside("elsewhere").c_str(), 0755), 0);
    WriteFile(Outside("elsewhere/precious"), "");
    ASSERT_EQ(::symlink("../elsewhere", Path("link").c_str()), 0);
    ASSERT_EQ(::mkdir(Path("d").c_str(), 0755), 0);
    ASSERT_EQ(::symlink("../../elsewhere", Path("d/link").c_str()), 0);
    EXPECT_OK(target_->Remove("link"));
    EXPECT_OK(target_->Remove("d"));
    EXPECT_THAT(NamesIn(Path("")), IsEmpty());
    EXPECT_THAT(NamesIn(Outside("elsewhere")), ElementsAre("precious"));
  });
}

TEST_F(TargetRemoveTest, RemovesManyEntriesAmongDirectories) {
  WithoutRights([&] {
    ASSERT_EQ(::mkdir(Path("d").c_str(), 0755), 0);
    for (int i = 0; i < 1000; ++i) {
      const std::string path = Path("d/" + std::to_string(i) + std::string(40, 'x'));
      if (i % 10 == 0) {
        ASSERT_EQ(::mkdir(path.c_str(), 0755), 0);
        WriteFile(path + "/f", "");
      } else {
        WriteFile(path, "");
      }
    }
    EXPECT_OK(target_->Remove("d"));
    EXPECT_THAT(NamesIn(Path("")), IsEmpty());
  });
}

TEST_F(TargetRemoveTest, RemovesTreesDeeperThanDescriptorsGo) {
  WithoutRights([&] {
    constexpr rlim_t kDescriptors = 100;
    std::shared_ptr<TargetDirectory> directory = target_;
    for (int depth = 0; depth < 400; ++depth) {
      ASSERT_OK_AND_ASSIGN(directory, directory->Directory("d"));
      if (depth % 50 == 0) {
        ASSERT_OK(Put(*directory, "f", ""));
      }
    }
    directory.reset();
    InChild([&] {
      const rlimit limit = {kDescriptors, kDescriptors};
      ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
      ASSERT_OK_AND_ASSIGN(auto target, OpenTarget(Path("")));
      EXPECT_OK(target->Remove("d"));
    });
    EXPECT_THAT(NamesIn(Path("")), IsEmpty());
  });
}

TEST_F(TargetRemoveTest, DoesNotEnterAnotherMount) {
  CAIRN_ROOT_ONLY();
  ASSERT_EQ(::mkdir(Outside("elsewhere").c_str(), 0755), 0);
  WriteFile(Outside("elsewhere/precious"), "");
  for (const bool bind : {false, true}) {
    InChild([&] {
      if (!EnterOwnMounts()) return;
      std::filesystem::create_directories(Path("d/e/mount"));
      const std::string point = Path("d/e/mount");
      const int mounted =
          bind ? ::mount(Outside("elsewhere").c_str(), point.c_str(), nullptr, MS_BIND, nullptr)
               : ::mount("none", point.c_str(), "tmpfs", 0, nullptr);
      ASSERT_EQ(mounted, 0);
      if (!bind) WriteFile(point + "/precious", "");
      EXPECT_THAT(target_->Remove("d"), StatusIs(StatusCode::kFailedPrecondition));
      ASSERT_OK_AND_ASSIGN(auto d, target_->Directory("d"));
      ASSERT_OK_AND_ASSIGN(auto e, d->Directory("e"));
      EXPECT_THAT(e->Remove("mount"), StatusIs(StatusCode::kFailedPrecondition));
      EXPECT_THAT(NamesIn(point), ElementsAre("precious"));
    });
  }
}

// It would have to be made accessible to be looked into.
TEST_F(TargetRemoveTest, LeavesAClosedMountClosed) {
  CAIRN_ROOT_ONLY();
  GiveToOrdinaryUser();
  InChild([&] {
    if (!EnterOwnMounts()) return;
    std::filesystem::create_directories(Path("d/mount"));
    ASSERT_EQ(::mount("none", Path("d/mount").c_str(), "tmpfs", 0, "mode=0,uid=65534"), 0);
    ASSERT_EQ(::chown(Path("d").c_str(), kOrdinaryUser, kOrdinaryUser), 0);
    AsOrdinaryUser({}, [&] {
      EXPECT_THAT(target_->Remove("d"), StatusIs(StatusCode::kFailedPrecondition));
      EXPECT_EQ(StatOf(Path("d/mount")).st_mode & 07777, 0U);
    });
  });
}

// The interface below checks names before; this is the last one that could.
TEST_F(TargetRemoveTest, RemovesNothingByWhatIsNoName) {
  WithoutRights([&] {
    std::filesystem::create_directories(Path("d/below"));
    WriteFile(Path("f"), "");
    WriteFile(Path("d/below/f"), "");
    const UniqueFd d(::open(Path("d").c_str(), O_RDONLY | O_DIRECTORY));
    for (const char* name : {"", ".", "..", "../f", "below/f"}) {
      EXPECT_THAT(RemoveTree(d.get(), name), StatusIs(StatusCode::kInvalidArgument)) << name;
    }
    EXPECT_THAT(NamesIn(Path("")), ElementsAre("d", "f"));
    EXPECT_THAT(NamesIn(Path("d/below")), ElementsAre("f"));
  });
}

TEST_F(TargetRemoveTest, DoesNotRemoveAFileThatIsAMountPoint) {
  CAIRN_ROOT_ONLY();
  WriteFile(Outside("precious"), "kept");
  InChild([&] {
    if (!EnterOwnMounts()) return;
    WriteFile(Path("f"), "");
    ASSERT_EQ(::mount(Outside("precious").c_str(), Path("f").c_str(), nullptr, MS_BIND, nullptr),
              0);
    EXPECT_THAT(target_->Remove("f"), StatusIs(StatusCode::kFailedPrecondition));
    EXPECT_THAT(Put(*target_, "f", "new"), StatusIs(StatusCode::kFailedPrecondition));
    EXPECT_EQ(ReadFile(Path("f")), "kept");
  });
}

TEST_F(TargetRemoveTest, EmptiesAnOrdinaryUsersOwnClosedDirectories) {
  CAIRN_ROOT_ONLY();
  GiveToOrdinaryUser();
  AsOrdinaryUser({}, [&] {
    std::filesystem::create_directories(Path("d/readonly/below"));
    WriteFile(Path("d/readonly/f"), "");
    ASSERT_EQ(::mkdir(Path("d/closed").c_str(), 0), 0);
    ASSERT_EQ(::chmod(Path("d/readonly").c_str(), 0555), 0);
    ASSERT_EQ(::chmod(Path("d").c_str(), 0500), 0);
    EXPECT_OK(target_->Remove("d"));
    EXPECT_THAT(NamesIn(Path("")), IsEmpty());
  });
}

}  // namespace
}  // namespace cairn::testing
