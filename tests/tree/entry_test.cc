// SPDX-License-Identifier: Apache-2.0
#include "core/tree/entry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/tree/node.h"
#include "core/tree/xattrs.h"
#include "tests/support/memory_blobs.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::testing::HasSubstr;
using testing::IsOkAndHolds;
using testing::MemoryBlobs;
using testing::StatusIs;

TEST(NameTest, AcceptsWhateverLinuxDoes) {
  for (const std::string& name : {std::string("a"), std::string("..."), std::string(".a"),
                                  std::string("\xff\n "), std::string(4095, 'x')}) {
    EXPECT_TRUE(IsValidName(name)) << name;
  }
}

TEST(NameTest, RefusesWhatWouldLeadElsewhere) {
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("/"),
        std::string("a\0b", 3), std::string(4096, 'x')}) {
    EXPECT_FALSE(IsValidName(name)) << name;
  }
}

TEST(LinkPathTest, IsMadeOfValidNames) {
  for (const char* path : {"a", "a/b", "a/.../c"}) EXPECT_TRUE(IsValidLinkPath(path)) << path;
  for (const char* path : {"", "/a", "a/", "a//b", "a/../b", "./a", "a/."}) {
    EXPECT_FALSE(IsValidLinkPath(path)) << path;
  }
}

TEST(LinkPathTest, HasItsLimit) {
  std::string path = "a";
  while (path.size() < kMaxLinkPathBytes - 1) path += "/a";
  EXPECT_EQ(path.size(), kMaxLinkPathBytes - 1);
  EXPECT_TRUE(IsValidLinkPath(path + "b"));
  EXPECT_FALSE(IsValidLinkPath(path + "bc"));
}

TEST(ComparePathsTest, IsTheOrderOfAWalk) {
  const std::vector<std::string> walk = {"a",     "a/b", "a/b/c", "a/b\x01", "a/c",
                                         "a\x01", "a!",  "a!/a",  "ab",      "\xff"};
  for (size_t i = 0; i < walk.size(); ++i) {
    for (size_t j = 0; j < walk.size(); ++j) {
      const int order = ComparePaths(walk[i], walk[j]);
      EXPECT_EQ(order < 0, i < j) << walk[i] << " and " << walk[j];
      EXPECT_EQ(order > 0, i > j) << walk[i] << " and " << walk[j];
    }
  }
}

using Attributes = std::vector<std::pair<std::string, Bytes>>;

TEST(XattrsTest, LeavesOutWhatBelongsToTheMachine) {
  for (const char* name :
       {"security.evm", "security.ima", "security.selinux", "system.nfs4_acl", "system.cifs_acl",
        "system.richacl", "trusted.overlay.opaque", "user.overlay.redirect", "btrfs.compression"}) {
    EXPECT_FALSE(IsKeptXattr(name)) << name;
  }
  for (const char* name : {"security.capability", "system.posix_acl_access", "user.comment",
                           "trusted.overlay", "user.btrfs.x", "security.ima2"}) {
    EXPECT_TRUE(IsKeptXattr(name)) << name;
  }
}

TEST(XattrsTest, SortsByName) {
  MemoryBlobs blobs;
  ASSERT_OK_AND_ASSIGN(const auto xattrs,
                       PlaceXattrs({{"user.b", {2}}, {"user.a", {1}}, {"user.c", {}}}, blobs));
  ASSERT_EQ(xattrs.size(), 3u);
  EXPECT_EQ(xattrs[0], (Xattr{"user.a", Bytes{1}}));
  EXPECT_EQ(xattrs[1], (Xattr{"user.b", Bytes{2}}));
  EXPECT_EQ(xattrs[2], (Xattr{"user.c", Bytes{}}));
  EXPECT_EQ(blobs.writes(), 0u);
}

TEST(XattrsTest, PutsAValueOverOneKilobyteIntoABlob) {
  MemoryBlobs blobs;
  const Bytes fits(1024, 'a');
  const Bytes large(1025, 'b');
  ASSERT_OK_AND_ASSIGN(const auto xattrs,
                       PlaceXattrs({{"user.fits", fits}, {"user.large", large}}, blobs));
  EXPECT_EQ(xattrs[0].value.index(), 0u);
  EXPECT_EQ(xattrs[1].value.index(), 1u);
  EXPECT_EQ(blobs.writes(), 1u);
  EXPECT_THAT(ReadXattrValue(blobs, xattrs[0]), IsOkAndHolds(fits));
  EXPECT_THAT(ReadXattrValue(blobs, xattrs[1]), IsOkAndHolds(large));
  EXPECT_EQ(XattrsFault(xattrs), nullptr);
}

TEST(XattrsTest, PutsAllValuesIntoBlobsIfTheyExceedFourKilobytesTogether) {
  MemoryBlobs blobs;
  Attributes attributes = {{"a", Bytes(1024, 1)}, {"b", Bytes(1024, 2)}, {"c", Bytes(1024, 3)},
                           {"d", Bytes(1024, 4)}, {"empty", {}},         {"x", Bytes(5000, 6)}};
  ASSERT_OK_AND_ASSIGN(const auto fit, PlaceXattrs(attributes, blobs));
  EXPECT_EQ(fit[0].value.index(), 0u);
  EXPECT_EQ(fit[5].value.index(), 1u);
  attributes.push_back({"e", Bytes{5}});
  ASSERT_OK_AND_ASSIGN(const auto exceed, PlaceXattrs(attributes, blobs));
  for (const Xattr& xattr : exceed) {
    EXPECT_EQ(xattr.value.index(), xattr.name == "empty" ? 0u : 1u) << xattr.name;
  }
  EXPECT_EQ(XattrsFault(fit), nullptr);
  EXPECT_EQ(XattrsFault(exceed), nullptr);
}

TEST(XattrsTest, RefusesWhatLinuxCannotHave) {
  MemoryBlobs blobs;
  Attributes many;
  for (int i = 0; i < 257; ++i)
    many.push_back({std::to_string(1000 + i) + std::string(251, 'x'), {}});
  for (const Attributes& attributes : std::vector<Attributes>{{{"", {}}},
                                                              {{std::string(256, 'x'), {}}},
                                                              {{std::string("a\0", 2), {}}},
                                                              {{"a", {}}, {"a", {1}}},
                                                              {{"a", Bytes(65537)}},
                                                              many}) {
    EXPECT_THAT(PlaceXattrs(attributes, blobs), StatusIs(StatusCode::kInvalidArgument));
  }
  EXPECT_EQ(blobs.writes(), 0u);
  many.pop_back();
  EXPECT_THAT(PlaceXattrs(many, blobs), testing::IsOk());
}

TEST(XattrsTest, ReportsAMissingOrWrongBlobAsDataLoss) {
  MemoryBlobs blobs;
  ASSERT_OK_AND_ASSIGN(auto xattrs, PlaceXattrs({{"user.x", Bytes(2000, 1)}}, blobs));
  const BlobId id = std::get<Xattr::InBlob>(xattrs[0].value).id;
  blobs.Replace({BlobKind::kChunk, id}, Bytes(1999, 1));
  EXPECT_THAT(ReadXattrValue(blobs, xattrs[0]),
              StatusIs(StatusCode::kDataLoss, HasSubstr("user.x: blob has 1999 bytes")));
  blobs.Remove({BlobKind::kChunk, id});
  EXPECT_THAT(ReadXattrValue(blobs, xattrs[0]),
              StatusIs(StatusCode::kDataLoss, HasSubstr("user.x: reading chunk")));
}

}  // namespace
}  // namespace cairn
