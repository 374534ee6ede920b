// SPDX-License-Identifier: Apache-2.0
// A writer of a TestRepository: it begins at the newest record, and then names a snapshot.
#pragma once

#include <memory>

#include "core/repo/commit.h"
#include "core/repo/repository.h"
#include "core/store/sessions.h"
#include "tests/repo/test_repository.h"

namespace cairn::testing {

class TestWriter {
 public:
  // `test` must outlive it.
  explicit TestWriter(TestRepository& test)
      : test_(test),
        head_(test.State().head()),
        session_(Must(Session::Open(test.fs(), "snapshot"))),
        repository_(test.Open()),
        commit_(*repository_, session_->id(), head_) {
    MustBeOk(session_->SetStart(head_.number));
  }

  // Names a snapshot of `tree`, which goes into a pack with its root.
  StatusOr<JournalHead> Commit(const TestBlob& tree, const WriterClaims& claims) {
    const TestBlob root = test_.Root(tree);
    RecordEntries entries;
    entries.packs = {test_.WritePack(session_->id(), {{tree, root}})};
    entries.snapshots = {test_.SnapshotOf(root)};
    return commit_.Place(entries, claims, nullptr);
  }

  const JournalHead& head() const { return head_; }
  const SessionId& session() const { return session_->id(); }
  Repository& repository() { return *repository_; }

 private:
  TestRepository& test_;
  const JournalHead head_;
  const std::unique_ptr<Session> session_;
  const std::unique_ptr<Repository> repository_;
  WriterCommit commit_;
};

}  // namespace cairn::testing
