// SPDX-License-Identifier: Apache-2.0
// Owners, modes, extended attributes and times of what is restored.
#include <initializer_list>

#include "core/base/coding.h"
#include "tests/fs/target_fixture.h"

namespace cairn::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr char kAcl[] = "system.posix_acl_access";
constexpr char kDefaultAcl[] = "system.posix_acl_default";
constexpr char kCapability[] = "security.capability";

class TargetAttributesTest : public TargetTest {
 protected:
  // user::rw-, user:7:rw-, group::r--, mask::rw-, other::--- : mode 0660.
  static Bytes Acl() {
    Bytes bytes;
    Encoder encoder(bytes);
    encoder.Fixed32(2);
    const auto add = [&](uint16_t tag, uint16_t rights, uint32_t id) {
      encoder.Fixed16(tag);
      encoder.Fixed16(rights);
      encoder.Fixed32(id);
    };
    add(0x01, 6, UINT32_MAX);
    add(0x02, 6, 7);
    add(0x04, 4, UINT32_MAX);
    add(0x10, 6, UINT32_MAX);
    add(0x20, 0, UINT32_MAX);
    return bytes;
  }

  // CAP_NET_RAW permitted and effective, revision 2.
  static Bytes Capability() {
    Bytes bytes;
    Encoder encoder(bytes);
    for (const uint32_t word : {0x02000001U, 1U << 13, 0U, 0U, 0U}) encoder.Fixed32(word);
    return bytes;
  }

  static bool HasXattrs(const std::string& path) {
    if (::setxattr(path.c_str(), "user.probe", "", 0, 0) != 0) return false;
    return ::removexattr(path.c_str(), "user.probe") == 0;
  }

  StatusOr<AttributeReport> Commit(const std::string& name, const Attributes& attributes) {
    ASSIGN_OR_RETURN(auto file, target_->CreateFile(name));
    RETURN_IF_ERROR(file->WriteAt(0, AsBytes("content")));
    return file->Commit(attributes);
  }
};

TEST_F(TargetAttributesTest, KeepsTimesFarFromNow) {
  const Timestamp times[] = {
      {-1, 999'999'999}, {-2'000'000'000, 1}, {0, 0}, {5'000'000'000, 999'999'999}};
  for (const Timestamp& time : times) {
    Attributes attributes = Plain();
    attributes.mtime = time;
    ASSERT_OK_AND_ASSIGN(const AttributeReport report, Commit("f", attributes));
    EXPECT_FALSE(report.any());
    ASSERT_OK_AND_ASSIGN(const auto status, target_->Stat("f"));
    EXPECT_EQ(status->mtime, time);
  }
}

TEST_F(TargetAttributesTest, ReportsATimeIfTheFileSystemCutsIt) {
  Attributes attributes = Plain();
  attributes.mtime = {INT64_MAX / 2, 0};
  ASSERT_OK_AND_ASSIGN(const AttributeReport report, Commit("f", attributes));
  ASSERT_OK_AND_ASSIGN(const auto status, target_->Stat("f"));
  EXPECT_EQ(report.times, status->mtime != attributes.mtime);
}

TEST_F(TargetAttributesTest, OwnerSetIdBitsAclAndCapabilityAreAllKept) {
  CAIRN_ROOT_ONLY();
  if (!HasXattrs(Path(""))) GTEST_SKIP() << "no extended attributes here";
  Attributes attributes = Plain();
  attributes.mode = 06660;
  attributes.uid = 1234;
  attributes.gid = 2345;
  attributes.xattrs = {
      {kCapability, Capability()}, {kAcl, Acl()}, {"trusted.t", ToBytes("2")}, {"user.u", {}}};
  ASSERT_OK_AND_ASSIGN(const AttributeReport report, Commit("f", attributes));
  EXPECT_FALSE(report.any());
  const struct stat st = StatOf(Path("f"));
  EXPECT_EQ(st.st_mode, S_IFREG | 06660U);
  EXPECT_EQ(st.st_uid, 1234U);
  EXPECT_EQ(st.st_gid, 2345U);
  EXPECT_EQ(st.st_mtim.tv_nsec, 123'456'789);
  ASSERT_OK_AND_ASSIGN(auto xattrs, target_->Xattrs("f"));
  EXPECT_THAT(xattrs, ElementsAre(Pair(kCapability, Capability()), Pair(kAcl, Acl()),
                                  Pair("trusted.t", ToBytes("2")), Pair("user.u", Bytes())));
}

TEST_F(TargetAttributesTest, AChangeOfOwnerTakesNothingElseAway) {
  CAIRN_ROOT_ONLY();
  if (!HasXattrs(Path(""))) GTEST_SKIP() << "no extended attributes here";
  Attributes attributes = Plain();
  attributes.mode = 04711;
  attributes.xattrs = {{kCapability, Capability()}};
  ASSERT_OK(Commit("f", attributes));
  // The user's own file is not safe to take over; a file of root is.
  attributes.gid = 2345;
  EXPECT_THAT(target_->SetAttributes("f", attributes), StatusIs(StatusCode::kFailedPrecondition));
  ASSERT_OK_AND_ASSIGN(const AttributeReport report, Commit("f", attributes));
  EXPECT_FALSE(report.any());
  EXPECT_EQ(StatOf(Path("f")).st_mode, S_IFREG | 04711U);
  EXPECT_EQ(XattrOf(Path("f"), kCapability), AsText(Capability()));
}

TEST_F(TargetAttributesTest, LendsNoRightsToContentThatOthersMayWrite) {
  CAIRN_ROOT_ONLY();
  Attributes wanted = Plain();
  wanted.mode = 04755;
  const auto refused = StatusIs(StatusCode::kFailedPrecondition);

  WriteFile(Path("foreign"), "");
  ASSERT_EQ(::chown(Path("foreign").c_str(), kOrdinaryUser, 0), 0);
  EXPECT_THAT(target_->SetAttributes("foreign", wanted), refused);
  EXPECT_EQ(StatOf(Path("foreign")).st_uid, kOrdinaryUser);

  WriteFile(Path("open"), "");
  ASSERT_EQ(::chmod(Path("open").c_str(), 0666), 0);
  EXPECT_THAT(target_->SetAttributes("open", wanted), refused);

  WriteFile(Path("closed"), "");
  ASSERT_EQ(::chmod(Path("closed").c_str(), 0600), 0);
  EXPECT_OK(target_->SetAttributes("closed", wanted));
  EXPECT_EQ(StatOf(Path("closed")).st_mode, S_IFREG | 04755U);

  Attributes capable = Plain();
  capable.xattrs = {{kCapability, Capability()}};
  EXPECT_THAT(target_->SetAttributes("open", capable), refused);
  // Nothing is gained by what is there already.
  ASSERT_EQ(::chmod(Path("closed").c_str(), 04777), 0);
  wanted.mode = 04777;
  EXPECT_OK(target_->SetAttributes("closed", wanted));
}

TEST_F(TargetAttributesTest, RemovesAttributesThatAreNotWanted) {
  if (!HasXattrs(Path(""))) GTEST_SKIP() << "no extended attributes here";
  WriteFile(Path("f"), "");
  const Bytes acl = Acl();
  ASSERT_EQ(::setxattr(Path("f").c_str(), "user.old", "1", 1, 0), 0);
  ASSERT_EQ(::setxattr(Path("f").c_str(), kAcl, acl.data(), acl.size(), 0), 0);
  Attributes attributes = Plain();
  attributes.mode = 0640;
  attributes.xattrs = {{"user.new", ToBytes("2")}};
  ASSERT_OK_AND_ASSIGN(const AttributeReport report, target_->SetAttributes("f", attributes));
  EXPECT_FALSE(report.any());
  EXPECT_EQ(StatOf(Path("f")).st_mode, S_IFREG | 0640U);
  EXPECT_THAT(target_->Xattrs("f"), IsOkAndHolds(ElementsAre(Pair("user.new", ToBytes("2")))));
}

TEST_F(TargetAttributesTest, ANewFileKeepsNoAclThatItsDirectoryGaveIt) {
  if (!HasXattrs(Path(""))) GTEST_SKIP() << "no extended attributes here";
  const Bytes acl = Acl();
  ASSERT_EQ(::setxattr(Path("").c_str(), kDefaultAcl, acl.data(), acl.size(), 0), 0);
  WriteFile(Path("probe"), "");
  ASSERT_NE(XattrOf(Path("probe"), kAcl), "(none)");
  ASSERT_OK_AND_ASSIGN(const AttributeReport report, Commit("f", Plain()));
  EXPECT_FALSE(report.any());
  EXPECT_THAT(target_->Xattrs("f"), IsOkAndHolds(IsEmpty()));
  EXPECT_EQ(StatOf(Path("f")).st_mode, S_IFREG | 0644U);

  ASSERT_OK_AND_ASSIGN(auto directory, target_->Directory("d"));
  Attributes attributes = Plain(EntryType::kDirectory);
  attributes.mode = 0750;
  ASSERT_OK(directory->SetAttributes("", attributes));
  EXPECT_THAT(directory->Xattrs(""), IsOkAndHolds(IsEmpty()));
  EXPECT_EQ(StatOf(Path("d")).st_mode, S_IFDIR | 0750U);
}

TEST_F(TargetAttributesTest, ANewFileDoesNotKeepTheGroupOfASetGroupIdDirectory) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives away groups";
  ASSERT_EQ(::chown(Path("").c_str(), 0, kOrdinaryUser), 0);
  ASSERT_EQ(::chmod(Path("").c_str(), 02755), 0);
  Attributes attributes = Plain();
  attributes.uid = ::geteuid();
  attributes.gid = ::getegid();
  for (const uint32_t mode : {0640U, 02755U}) {
    attributes.mode = mode;
    ASSERT_OK_AND_ASSIGN(const AttributeReport report, Commit("f", attributes));
    EXPECT_FALSE(report.any());
    EXPECT_EQ(StatOf(Path("f")).st_gid, ::getegid());
    EXPECT_EQ(StatOf(Path("f")).st_mode, S_IFREG | mode);
  }
}

TEST_F(TargetAttributesTest, AModeThatChangesUnderAnEqualAclIsKept) {
  if (!HasXattrs(Path(""))) GTEST_SKIP() << "no extended attributes here";
  Attributes attributes = Plain();
  attributes.mode = 0660;
  attributes.xattrs = {{kAcl, Acl()}};
  ASSERT_OK(Commit("f", attributes));
  ASSERT_EQ(::chmod(Path("f").c_str(), 0600), 0);  // also changes the mask of the list
  ASSERT_OK_AND_ASSIGN(const AttributeReport report, target_->SetAttributes("f", attributes));
  EXPECT_FALSE(report.any());
  EXPECT_EQ(XattrOf(Path("f"), kAcl), AsText(Acl()));
  EXPECT_EQ(StatOf(Path("f")).st_mode, S_IFREG | 0660U);
}

TEST_F(TargetAttributesTest, DoesNotTouchWhatIsAsWanted) {
  Attributes attributes = Plain();
  if (HasXattrs(Path(""))) attributes.xattrs = {{"user.x", ToBytes("1")}, {kAcl, Acl()}};
  attributes.mode = 0660;
  ASSERT_OK(Commit("f", attributes));
  const struct stat before = StatOf(Path("f"));
  // Any change would be later than this one, whatever the clock's ticks.
  struct stat marker {};
  do {
    WriteFile(Path("marker"), "x");
    marker = StatOf(Path("marker"));
  } while (marker.st_ctim.tv_sec == before.st_ctim.tv_sec &&
           marker.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
  ASSERT_OK_AND_ASSIGN(const AttributeReport report, target_->SetAttributes("f", attributes));
  EXPECT_FALSE(report.any());
  const struct stat after = StatOf(Path("f"));
  EXPECT_EQ(before.st_ctim.tv_sec, after.st_ctim.tv_sec);
  EXPECT_EQ(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
}

TEST_F(TargetAttributesTest, RefusesAnEntryOfAnotherType) {
  WriteFile(Path("f"), "");
  ASSERT_EQ(::symlink("f", Path("link").c_str()), 0);
  const auto refused = StatusIs(StatusCode::kFailedPrecondition);
  EXPECT_THAT(target_->SetAttributes("f", Plain(EntryType::kDirectory)), refused);
  EXPECT_THAT(target_->SetAttributes("link", Plain()), refused);
  EXPECT_THAT(target_->SetAttributes("", Plain()), refused);
  EXPECT_THAT(target_->SetAttributes("none", Plain()), StatusIs(StatusCode::kNotFound));
}

TEST_F(TargetAttributesTest, OfASymlinkAreItsOwn) {
  WriteFile(Path("f"), "");
  const struct stat before = StatOf(Path("f"));
  Entry link;
  link.name = "link";
  link.type = EntryType::kSymlink;
  link.target = "f";
  Attributes attributes = Plain(EntryType::kSymlink);
  if (::geteuid() == 0) {
    attributes.uid = 1234;
    attributes.gid = 2345;
    if (HasXattrs(Path(""))) attributes.xattrs = {{"trusted.t", ToBytes("1")}};
  }
  ASSERT_OK_AND_ASSIGN(AttributeReport report, target_->CreateSpecial(link, attributes));
  EXPECT_FALSE(report.any());
  EXPECT_EQ(StatOf(Path("link")).st_mtim.tv_nsec, 123'456'789);
  EXPECT_EQ(StatOf(Path("link")).st_uid, attributes.uid);
  EXPECT_THAT(target_->Xattrs("link"), IsOkAndHolds(attributes.xattrs));

  attributes.mtime = {-7, 5};
  attributes.xattrs.clear();
  ASSERT_OK_AND_ASSIGN(report, target_->SetAttributes("link", attributes));
  EXPECT_FALSE(report.any());
  EXPECT_EQ(StatOf(Path("link")).st_mtim.tv_sec, -7);
  EXPECT_THAT(target_->Xattrs("link"), IsOkAndHolds(IsEmpty()));
  const struct stat after = StatOf(Path("f"));
  EXPECT_EQ(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
}

TEST_F(TargetAttributesTest, AttributesThatNoSnapshotKeepsAreNotSet) {
  Attributes attributes = Plain();
  attributes.xattrs = {{"security.ima", ToBytes("x")}, {"no.such.kind", ToBytes("x")}};
  ASSERT_OK_AND_ASSIGN(const AttributeReport report, Commit("f", attributes));
  EXPECT_THAT(report.xattrs, ElementsAre("security.ima", "no.such.kind"));
  EXPECT_THAT(target_->Xattrs("f"), IsOkAndHolds(IsEmpty()));
}

TEST_F(TargetAttributesTest, TheOwnerThatMeansNoneIsNotTakenForSet) {
  CAIRN_ROOT_ONLY();
  Attributes attributes = Plain();
  attributes.uid = UINT32_MAX;
  attributes.mode = 04755;
  ASSERT_OK_AND_ASSIGN(const AttributeReport report, Commit("f", attributes));
  EXPECT_TRUE(report.owner);
  EXPECT_TRUE(report.mode);
  EXPECT_EQ(StatOf(Path("f")).st_mode, S_IFREG | 0755U);
}

TEST_F(TargetAttributesTest, WithoutTheOwnerNoRightsAreLent) {
  CAIRN_ROOT_ONLY();
  GiveToOrdinaryUser();
  AsOrdinaryUser({}, [&] {
    Attributes attributes = Plain();
    attributes.mode = 06755;
    attributes.uid = 0;
    attributes.gid = 0;
    attributes.xattrs = {{kCapability, Capability()}, {"trusted.t", ToBytes("1")}};
    ASSERT_OK_AND_ASSIGN(const AttributeReport report, Commit("f", attributes));
    EXPECT_TRUE(report.owner);
    EXPECT_TRUE(report.mode);
    EXPECT_FALSE(report.times);
    EXPECT_THAT(report.xattrs, ElementsAre(kCapability, "trusted.t"));
    EXPECT_EQ(StatOf(Path("f")).st_mode, S_IFREG | 0755U);
    EXPECT_EQ(StatOf(Path("f")).st_uid, kOrdinaryUser);
    EXPECT_EQ(ReadFile(Path("f")), "content");
  });
}

TEST_F(TargetAttributesTest, AnOrdinaryUserGivesHisOwnSetIdBitsAndGroups) {
  CAIRN_ROOT_ONLY();
  GiveToOrdinaryUser();
  AsOrdinaryUser({2345}, [&] {
    Attributes attributes = Plain();
    attributes.mode = 06755;
    attributes.gid = 2345;
    ASSERT_OK_AND_ASSIGN(AttributeReport report, Commit("f", attributes));
    EXPECT_FALSE(report.any());
    EXPECT_EQ(StatOf(Path("f")).st_mode, S_IFREG | 06755U);
    EXPECT_EQ(StatOf(Path("f")).st_gid, 2345U);

    // The owner is another's, the group is given all the same.
    attributes.uid = 0;
    ASSERT_OK_AND_ASSIGN(report, Commit("g", attributes));
    EXPECT_TRUE(report.owner);
    EXPECT_EQ(StatOf(Path("g")).st_gid, 2345U);
    EXPECT_EQ(StatOf(Path("g")).st_mode, S_IFREG | 0755U);
  });
}

TEST_F(TargetAttributesTest, AnOrdinaryUserChangesAttributesOfHisReadOnlyFile) {
  CAIRN_ROOT_ONLY();
  if (!HasXattrs(Path(""))) GTEST_SKIP() << "no extended attributes here";
  GiveToOrdinaryUser();
  AsOrdinaryUser({}, [&] {
    Attributes attributes = Plain();
    attributes.mode = 0444;
    attributes.xattrs = {{"user.a", ToBytes("1")}, {"user.b", ToBytes("1")}};
    ASSERT_OK_AND_ASSIGN(AttributeReport report, Commit("f", attributes));
    EXPECT_FALSE(report.any());
    attributes.xattrs = {{"user.a", ToBytes("2")}};
    ASSERT_OK_AND_ASSIGN(report, target_->SetAttributes("f", attributes));
    EXPECT_FALSE(report.any());
    EXPECT_EQ(XattrOf(Path("f"), "user.a"), "2");
    EXPECT_EQ(XattrOf(Path("f"), "user.b"), "(none)");
    EXPECT_EQ(StatOf(Path("f")).st_mode, S_IFREG | 0444U);
  });
}

TEST_F(TargetAttributesTest, OfAForeignDirectoryAreReportedAndNoError) {
  CAIRN_ROOT_ONLY();
  AsOrdinaryUser({}, [&] {
    Attributes attributes = Plain(EntryType::kDirectory);
    attributes.mode = 0700;
    ASSERT_OK_AND_ASSIGN(const AttributeReport report, target_->SetAttributes("", attributes));
    EXPECT_TRUE(report.owner);
    EXPECT_TRUE(report.mode);
    EXPECT_TRUE(report.times);
  });
}

}  // namespace
}  // namespace cairn::testing
