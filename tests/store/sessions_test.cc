// SPDX-License-Identifier: Apache-2.0
#include "core/store/sessions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "core/base/check.h"
#include "core/base/memory_file_system.h"
#include "tests/store/store_data.h"

namespace cairn {
namespace {

using ::cairn::testing::IsOkAndHolds;
using ::cairn::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Kind = DiskOperation::Kind;

class SessionsTest : public ::testing::Test {
 protected:
  std::unique_ptr<Session> Open(const std::string& command = "snapshot") {
    auto session = Session::Open(fs_, command);
    EXPECT_OK(session.status());
    return *std::move(session);
  }
  SessionInfo OnlyLive() {
    const auto sessions = ListLiveSessions(fs_);
    EXPECT_THAT(sessions, IsOkAndHolds(SizeIs(1)));
    return (*sessions)[0];
  }
  // A file as a process leaves it that is killed, or never wrote it whole.
  void Leave(const std::string& name, std::string_view content) {
    fs_.CreateDirectory("sessions").IgnoreError();
    ASSERT_OK_AND_ASSIGN(const auto file, fs_.CreateNew("sessions/" + name));
    ASSERT_OK(file->Append(AsBytes(content)));
  }

  MemoryFileSystem fs_;
};

TEST_F(SessionsTest, ThereAreNoneAtFirst) {
  EXPECT_THAT(ListLiveSessions(fs_), IsOkAndHolds(IsEmpty()));
}

TEST_F(SessionsTest, ASessionOfThisProcessIsAliveAsWell) {
  const auto session = Open("restore");
  const SessionInfo info = OnlyLive();
  EXPECT_EQ(info.id, session->id());
  EXPECT_EQ(info.start, std::nullopt);
  EXPECT_EQ(info.pid, getpid());
  EXPECT_EQ(info.command, "restore");
  EXPECT_NE(info.host, "");
}

TEST_F(SessionsTest, TheStartIsKnownOnceItIsSet) {
  const auto session = Open();
  ASSERT_OK(session->SetStart(123'456));
  EXPECT_EQ(OnlyLive().start, 123'456u);
  ASSERT_OK(session->SetStart(7));
  EXPECT_EQ(OnlyLive().start, 7u);
}

TEST_F(SessionsTest, EachHasAnIdOfItsOwn) {
  const auto first = Open();
  const auto second = Open();
  EXPECT_NE(first->id(), second->id());
  EXPECT_THAT(ListLiveSessions(fs_), IsOkAndHolds(SizeIs(2)));
}

TEST_F(SessionsTest, EndsWithItsObjectAndLeavesNoFile) {
  Open().reset();
  EXPECT_THAT(ListLiveSessions(fs_), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(fs_.List("sessions"), IsOkAndHolds(IsEmpty()));
}

TEST_F(SessionsTest, FilesOfDeadSessionsAreRemoved) {
  const auto session = Open();
  Leave(std::string(32, 'a'), "pid 1\n");
  EXPECT_EQ(OnlyLive().id, session->id());
  EXPECT_THAT(fs_.List("sessions"), IsOkAndHolds(ElementsAre(session->id().Hex())));
}

TEST_F(SessionsTest, AKilledProcessIsDead) {
  const auto session = Open();
  const auto after = fs_.CrashedAt(fs_.operation_count(), {.policy = CrashPolicy::kKeepAll});
  ASSERT_THAT(after->List("sessions"), IsOkAndHolds(SizeIs(1)));
  EXPECT_THAT(ListLiveSessions(*after), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(after->List("sessions"), IsOkAndHolds(IsEmpty()));
}

TEST_F(SessionsTest, FilesOfOtherNamesAreLeftAlone) {
  for (const char* name : {"README", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "abc"}) Leave(name, "");
  EXPECT_THAT(ListLiveSessions(fs_), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(fs_.List("sessions"), IsOkAndHolds(SizeIs(3)));
}

TEST_F(SessionsTest, TextThatIsNotWholeSaysNothing) {
  const auto session = Open();
  ASSERT_OK(session->SetStart(500));
  const std::string path = "sessions/" + session->id().Hex();
  ASSERT_OK_AND_ASSIGN(const Bytes whole, ReadWholeFile(fs_, path, kMiB));
  for (size_t size = 0; size < whole.size(); ++size) {
    ASSERT_OK(fs_.Damage(path, [&](Bytes& bytes) { bytes.resize(size); }));
    const SessionInfo info = OnlyLive();
    EXPECT_EQ(info.id, session->id()) << size;
    EXPECT_EQ(info.start, std::nullopt) << size;
    ASSERT_OK(fs_.Damage(path, [&](Bytes& bytes) { bytes = whole; }));
  }
  for (size_t i = 0; i < whole.size(); ++i) {
    ASSERT_OK(fs_.Damage(path, [&](Bytes& bytes) { bytes[i] ^= 1; }));
    EXPECT_EQ(OnlyLive().start, std::nullopt) << i;
    ASSERT_OK(fs_.Damage(path, [&](Bytes& bytes) { bytes = whole; }));
  }
  ASSERT_OK(fs_.Damage(path, [&](Bytes& bytes) { bytes.resize(kMiB); }));
  EXPECT_EQ(OnlyLive().start, std::nullopt);
}

TEST_F(SessionsTest, ACommandStaysInItsLine) {
  const auto session = Open("snapshot\nstart 1\n");
  const SessionInfo info = OnlyLive();
  EXPECT_EQ(info.start, std::nullopt);
  EXPECT_EQ(info.command, "snapshot start 1 ");
}

TEST_F(SessionsTest, AFileRemovedBetweenMakingAndLockingIsMadeAnew) {
  int locks = 0;
  fs_.SetHook([&](const DiskOperation& operation) {
    // Another process takes the first file for that of a dead session: it locks it, just as this
    // process comes to lock it.
    if (operation.kind == Kind::kLock && ++locks == 1) return Aborted("locked");
    return OkStatus();
  });
  const auto session = Open();
  fs_.SetHook(nullptr);
  EXPECT_GE(locks, 2);
  EXPECT_EQ(OnlyLive().id, session->id());
}

TEST_F(SessionsTest, GivesUpWhereEachFileIsTakenFromIt) {
  int locks = 0;
  fs_.SetHook([&](const DiskOperation& operation) {
    return operation.kind == Kind::kLock && ++locks < 1000 ? Aborted("locked") : OkStatus();
  });
  EXPECT_THAT(Session::Open(fs_, "snapshot"), StatusIs(StatusCode::kUnavailable));
  fs_.SetHook(nullptr);
}

TEST_F(SessionsTest, WhatCannotBeToldCountsAsAliveAndAsTheOldest) {
  const auto session = Open();
  ASSERT_OK(session->SetStart(5));
  fs_.SetHook([](const DiskOperation& operation) {
    return operation.kind == Kind::kLock ? MakeError(StatusCode::kPermissionDenied, "injected")
                                         : OkStatus();
  });
  EXPECT_EQ(OnlyLive().id, session->id());
  fs_.SetHook(nullptr);
}

TEST_F(SessionsTest, AFullDiskHindersNoSession) {
  fs_.SetCapacityBytes(0);
  const auto session = Open();
  EXPECT_EQ(OnlyLive().id, session->id());
}

TEST_F(SessionsTest, OnAReadOnlyRepositoryThereIsNone) {
  fs_.FailChanges({.code = StatusCode::kPermissionDenied, .count = DiskFault::kForever});
  EXPECT_THAT(Session::Open(fs_, "restore"), StatusIs(StatusCode::kPermissionDenied));
}

TEST_F(SessionsTest, OnePruneAtATime) {
  ASSERT_OK_AND_ASSIGN(auto lock, LockForPrune(fs_));
  EXPECT_THAT(LockForPrune(fs_), StatusIs(StatusCode::kAborted));
  lock.reset();
  EXPECT_OK(LockForPrune(fs_).status());
}

TEST(SessionsOnDiskTest, OpenAndListAtTheSameTime) {
  std::string name = ::testing::TempDir() + "cairn-sessions-XXXXXX";
  CHECK(mkdtemp(name.data()) != nullptr);
  {
    ASSERT_OK_AND_ASSIGN(const auto fs, OpenPosixFileSystem(name, false));
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&fs] {
        for (uint64_t i = 0; i < 30; ++i) {
          auto session = Session::Open(*fs, "snapshot");
          EXPECT_OK(session.status());
          if (!session.ok()) return;
          EXPECT_OK((*session)->SetStart(i));
          const auto live = ListLiveSessions(*fs);
          EXPECT_OK(live.status());
          // Its own is alive, whoever looks and removes at the same time.
          EXPECT_THAT(*live, ::testing::Contains(Field(&SessionInfo::id, (*session)->id())));
        }
      });
    }
    threads.clear();
    EXPECT_THAT(ListLiveSessions(*fs), IsOkAndHolds(IsEmpty()));
    EXPECT_THAT(fs->List("sessions"), IsOkAndHolds(IsEmpty()));
  }
  std::filesystem::remove_all(name);
}

}  // namespace
}  // namespace cairn
