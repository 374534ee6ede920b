// SPDX-License-Identifier: Apache-2.0
#include "core/repo/rollback.h"

#include <filesystem>

#include "tests/fs/target_fixture.h"
#include "tests/repo/restore_fixture.h"

namespace cairn::testing {
namespace {

using ::testing::HasSubstr;

class RollbackTest : public RestoreTest {
 protected:
  StatusOr<RollbackResult> RollBack(const SnapshotId& id, const std::string& path,
                                    RollbackOptions options = {}) {
    options.safety.labels.host = "host";
    ASSIGN_OR_RETURN(const SnapshotView view, repository_->FindSnapshot(id));
    return Rollback(*repository_, view, path, options);
  }
  // As the owner of the sources, who cannot read what he has closed.
  void WithoutRights(const std::function<void()>& body) {
    if (::geteuid() != 0) return body();
    ASSERT_EQ(::chown(tree_.path().c_str(), kOrdinaryUser, kOrdinaryUser), 0);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(tree_.path())) {
      ASSERT_EQ(::lchown(entry.path().c_str(), kOrdinaryUser, kOrdinaryUser), 0);
    }
    AsOrdinaryUser({}, body);
  }
};

TEST_F(RollbackTest, WhatIsThereNowIsInTheSafetySnapshot) {
  Write(Source("a"), "old");
  const SnapshotId id = Take();
  Write(Source("a"), "new!");
  Write(Source("extra"), "precious");
  ASSERT_OK_AND_ASSIGN(const RollbackResult result, RollBack(id, Source()));
  EXPECT_EQ(Read(Source("a")), "old");
  EXPECT_FALSE(Exists(Source("extra")));
  ASSERT_TRUE(result.safety.has_value());
  RestoreAll(Place(*result.safety));
  EXPECT_EQ(Read(Target("a")), "new!");
  EXPECT_EQ(Read(Target("extra")), "precious");
}

// Of such a directory the snapshot knows one entry, and nothing of the others.
TEST_F(RollbackTest, ADirectoryAboveTheSourceIsRefused) {
  Write(Source("a"), "1");
  const SnapshotId id = Take();
  Write(Path("beside"), "precious");
  RollbackOptions options;
  options.dry_run = true;
  EXPECT_THAT(RollBack(id, tree_.path(), options),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("only on the way")));
}

TEST_F(RollbackTest, WhatTheSnapshotCouldNotReadIsRefused) {
  Write(Source("closed/file"), "1");
  WithoutRights([&] {
    ASSERT_EQ(::chmod(Source("closed").c_str(), 0), 0);
    const SnapshotId id = Take();
    ASSERT_EQ(::chmod(Source("closed").c_str(), 0755), 0);
    RollbackOptions options;
    options.dry_run = true;
    EXPECT_THAT(RollBack(id, Source("closed"), options),
                StatusIs(StatusCode::kFailedPrecondition, HasSubstr("could not be read")));
  });
}

TEST_F(RollbackTest, WhatTheSafetySnapshotLacksIsNotDeletedUnlessForced) {
  Write(Source("a"), "1");
  const SnapshotId id = Take();
  Write(Source("extra"), "precious");
  WithoutRights([&] {
    ASSERT_EQ(::chmod(Source("extra").c_str(), 0), 0);
    EXPECT_THAT(RollBack(id, Source()),
                StatusIs(StatusCode::kFailedPrecondition, HasSubstr("nothing was changed")));
    EXPECT_TRUE(Exists(Source("extra")));
    RollbackOptions options;
    options.force = true;
    EXPECT_OK(RollBack(id, Source(), options).status());
    EXPECT_FALSE(Exists(Source("extra")));
  });
}

}  // namespace
}  // namespace cairn::testing
