// SPDX-License-Identifier: Apache-2.0
// ReadXattrs (core/fs/source_file.h).
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/xattr.h>

#include "absl/strings/str_format.h"
#include "core/fs/source_file.h"
#include "tests/fs/temp_tree.h"
#include "tests/support/in_child.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::testing::_;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOkAndHolds;
using testing::IsRoot;
using ::testing::Pair;
using ::testing::SizeIs;
using testing::StatusIs;
using testing::TempTree;

void SetXattr(const std::string& path, const std::string& name, std::string_view value) {
  TempTree::Must(::lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0) == 0,
                 "setxattr");
}

TEST(ReadXattrsTest, AFileMayHaveNone) {
  const TempTree tree;
  tree.Write("file", "");
  EXPECT_THAT(ReadXattrs(tree.fd(), "file"), IsOkAndHolds(IsEmpty()));
}

TEST(ReadXattrsTest, AFileSystemMayHaveNone) {
  EXPECT_THAT(ReadXattrs(AT_FDCWD, "/proc/self/status"), StatusIs(StatusCode::kNotFound))
      << "the descriptor must be a real one";
  const UniqueFd proc(::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_THAT(ReadXattrs(proc.get(), "version"), IsOkAndHolds(IsEmpty()));
}

TEST(ReadXattrsTest, GivesNamesAndValuesByName) {
  const TempTree tree;
  const std::string name = "\xff a name of many bytes " + std::string(200, 'n');
  tree.Write(name, "");
  SetXattr(tree.Path(name), "user.b", "two");
  SetXattr(tree.Path(name), "user.a", std::string_view("o\0ne", 4));
  SetXattr(tree.Path(name), "user.\xff", "");
  EXPECT_THAT(
      ReadXattrs(tree.fd(), name.c_str()),
      IsOkAndHolds(ElementsAre(Pair("user.a", ToBytes(std::string_view("o\0ne", 4))),
                               Pair("user.b", ToBytes("two")), Pair("user.\xff", IsEmpty()))));
}

TEST(ReadXattrsTest, EmptyNameMeansWhatTheDescriptorRefersTo) {
  const TempTree tree;
  SetXattr(tree.path(), "user.of.directory", "d");
  EXPECT_THAT(ReadXattrs(tree.fd(), ""),
              IsOkAndHolds(ElementsAre(Pair("user.of.directory", ToBytes("d")))));
  const UniqueFd file = tree.Create("file");
  SetXattr(tree.Path("file"), "user.of.file", "f");
  EXPECT_THAT(ReadXattrs(file.get(), ""),
              IsOkAndHolds(ElementsAre(Pair("user.of.file", ToBytes("f")))));
}

TEST(ReadXattrsTest, ManyNamesAndLargeValues) {
  const TempTree tree("/dev/shm");
  tree.Write("file", "");
  const std::string large(60'000, 'v');
  if (::setxattr(tree.Path("file").c_str(), "user.large", large.data(), large.size(), 0) != 0) {
    GTEST_SKIP() << "this tmpfs has no user attributes, or small ones";
  }
  for (int i = 0; i < 40; ++i) {
    SetXattr(tree.Path("file"), absl::StrFormat("user.%0100d", i), absl::StrFormat("%d", i));
  }
  ASSERT_OK_AND_ASSIGN(const auto xattrs, ReadXattrs(tree.fd(), "file"));
  ASSERT_THAT(xattrs, SizeIs(41));
  EXPECT_EQ(xattrs[39].second, ToBytes("39"));
  EXPECT_EQ(xattrs[40].second, ToBytes(large));
}

TEST(ReadXattrsTest, AVanishedFileIsNotFound) {
  const TempTree tree;
  EXPECT_THAT(ReadXattrs(tree.fd(), "none"), StatusIs(StatusCode::kNotFound, HasSubstr("none")));
}

TEST(ReadXattrsTest, ReadsThoseOfSymlinksAndFifosThemselves) {
  if (!IsRoot()) GTEST_SKIP() << "only root may set these";
  const TempTree tree;
  tree.Write("file", "");
  SetXattr(tree.Path("file"), "trusted.file", "of the file");
  tree.MakeSymlink("file", "link");
  SetXattr(tree.Path("link"), "trusted.link", "of the link");
  ASSERT_EQ(::mkfifoat(tree.fd(), "fifo", 0600), 0);
  SetXattr(tree.Path("fifo"), "trusted.fifo", "of the fifo");
  EXPECT_THAT(ReadXattrs(tree.fd(), "link"),
              IsOkAndHolds(ElementsAre(Pair("trusted.link", ToBytes("of the link")))));
  EXPECT_THAT(ReadXattrs(tree.fd(), "fifo"),
              IsOkAndHolds(ElementsAre(Pair("trusted.fifo", ToBytes("of the fifo")))));
}

TEST(ReadXattrsTest, ReadsCapabilitiesAndAccessControlLists) {
  if (!IsRoot()) GTEST_SKIP() << "only root may set these";
  const TempTree tree;
  tree.Write("file", "");
  const vfs_cap_data capabilities{.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
                                  .data = {{1u << CAP_NET_RAW, 0}, {0, 0}}};
  const std::string_view capability_bytes(reinterpret_cast<const char*>(&capabilities),
                                          sizeof(capabilities));
  SetXattr(tree.Path("file"), "security.capability", capability_bytes);
  // Version 2; entries of tag, permissions, id: owner rw-, user 1000 r--, group r--, mask r--,
  // others ---.
  const uint8_t acl[] = {2,    0, 0, 0,                          //
                         0x01, 0, 6, 0, 0xff, 0xff, 0xff, 0xff,  //
                         0x02, 0, 4, 0, 0xe8, 0x03, 0,    0,     //
                         0x04, 0, 4, 0, 0xff, 0xff, 0xff, 0xff,  //
                         0x10, 0, 4, 0, 0xff, 0xff, 0xff, 0xff,  //
                         0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
  SetXattr(tree.Path("file"), "system.posix_acl_access", AsText(acl));
  EXPECT_THAT(ReadXattrs(tree.fd(), "file"),
              IsOkAndHolds(ElementsAre(
                  Pair("security.capability", ToBytes(capability_bytes)),
                  Pair("system.posix_acl_access", Bytes(std::begin(acl), std::end(acl))))));
}

TEST(ReadXattrsTest, LeavesOutWhatIsNeverKept) {
  if (!IsRoot()) GTEST_SKIP() << "only root may set these";
  const TempTree tree;
  tree.Write("file", "");
  SetXattr(tree.Path("file"), "trusted.overlay.opaque", "y");
  SetXattr(tree.Path("file"), "user.kept", "y");
  EXPECT_THAT(ReadXattrs(tree.fd(), "file"), IsOkAndHolds(ElementsAre(Pair("user.kept", _))));
}

TEST(ReadXattrsTest, SaysThatTheyNeedProc) {
  if (!IsRoot()) GTEST_SKIP() << "needs root";
  const TempTree tree;
  tree.Write("file", "");
  testing::InChild([&] {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      return;
    }
    ASSERT_EQ(::mount("none", "/proc", "tmpfs", 0, nullptr), 0);
    EXPECT_THAT(ReadXattrs(tree.fd(), "file"),
                StatusIs(StatusCode::kFailedPrecondition, HasSubstr("/proc is not mounted")));
  });
}

}  // namespace
}  // namespace cairn
