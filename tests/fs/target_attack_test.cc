// SPDX-License-Identifier: Apache-2.0
// Somebody who may write to the target while it is restored into, and wants writes outside of it;
// with openat2, and where it is refused.
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <thread>

#include "tests/fs/target_fixture.h"

namespace cairn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Each attack goes on until so many steps came between two swaps, but not for ever.
constexpr int kSuccesses = 300;
constexpr int kSwaps = 300;
constexpr int kMaxRounds = 200'000;

// Exchanges two names again and again until destroyed.
class Swapper {
 public:
  Swapper(std::string a, std::string b)
      : thread_([this, a = std::move(a), b = std::move(b)] {
          while (!stop_) {
            if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) {
              ++swaps_;
            }
            std::this_thread::yield();
          }
        }) {}
  ~Swapper() {
    stop_ = true;
    thread_.join();
  }
  int swaps() const { return swaps_; }

 private:
  std::atomic<bool> stop_ = false;
  std::atomic<int> swaps_ = 0;
  std::thread thread_;
};

bool Continues(int round, int succeeded, int swaps) {
  return round < kMaxRounds && (succeeded < kSuccesses || swaps < kSwaps);
}

// In this thread, and those that it starts, openat2 fails so until they end: as in a kernel that
// does not have it, or in a container whose filter does not know it. False if that cannot be done.
bool ForbidOpenat2(int error) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {.len = 4, .filter = filter};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    return false;
  }
  open_how how{};
  return ::syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how)) == -1 && errno == error;
}

class TargetAttackTest : public TargetTest {
 protected:
  // Outside is the same user's, so that an attack that succeeds shows.
  void RunAttack(const std::function<void()>& attack) {
    // In a child process in any case: what is forbidden stays so, and is remembered.
    const auto body = [&] {
      if (openat2_error_ != 0) {
        ASSERT_TRUE(ForbidOpenat2(openat2_error_));
        ASSERT_OK(Put(*target_, "without_openat2", "x"));
      }
      MakeOutside();
      attack();
      ExpectOutsideUntouched();
    };
    if (::geteuid() != 0) return InChild(body);
    WithoutRights(body);
  }

  void MakeOutside() {
    ASSERT_EQ(::mkdir(Outside("elsewhere").c_str(), 0751), 0);
    WriteFile(Outside("elsewhere/precious"), "kept");
    ASSERT_EQ(::chmod(Outside("elsewhere/precious").c_str(), 0641), 0);
    before_ = StatOf(Outside("elsewhere"));
    file_before_ = StatOf(Outside("elsewhere/precious"));
  }

  void ExpectOutsideUntouched() {
    EXPECT_THAT(NamesIn(Outside("elsewhere")), ElementsAre("precious"));
    EXPECT_EQ(ReadFile(Outside("elsewhere/precious")), "kept");
    const std::pair<struct stat, struct stat> pairs[] = {
        {before_, StatOf(Outside("elsewhere"))},
        {file_before_, StatOf(Outside("elsewhere/precious"))}};
    for (const auto& [before, now] : pairs) {
      EXPECT_EQ(before.st_mode, now.st_mode);
      EXPECT_EQ(before.st_nlink, now.st_nlink);
      EXPECT_EQ(before.st_mtim.tv_sec, now.st_mtim.tv_sec);
      EXPECT_EQ(before.st_mtim.tv_nsec, now.st_mtim.tv_nsec);
      EXPECT_EQ(before.st_ctim.tv_nsec, now.st_ctim.tv_nsec);
    }
  }

  int openat2_error_ = 0;  // that it fails with during the attack
  struct stat before_ {};
  struct stat file_before_ {};
};

// Attacks that put a symlink in a directory's or a file's place, by the error of openat2.
class TargetSwapTest : public TargetAttackTest, public ::testing::WithParamInterface<int> {
 protected:
  void SetUp() override {
    TargetAttackTest::SetUp();
    openat2_error_ = GetParam();
    if (openat2_error_ == 0) return;
    bool forbidden = false;
    std::thread([&] { forbidden = ForbidOpenat2(openat2_error_); }).join();
    if (!forbidden) GTEST_SKIP() << "system calls cannot be filtered here";
  }
};

INSTANTIATE_TEST_SUITE_P(Openat2, TargetSwapTest, ::testing::Values(0, ENOSYS, EPERM),
                         [](const ::testing::TestParamInfo<int>& error) -> std::string {
                           if (error.param == 0) return "Works";
                           return error.param == ENOSYS ? "IsMissing" : "IsRefused";
                         });

// One restore of a small directory at a place that changes all the time. Errors are expected.
int RestoreInto(TargetDirectory& target, const Attributes& file, const Attributes& directory) {
  int succeeded = 0;
  const StatusOr<std::shared_ptr<TargetDirectory>> opened = target.Directory("d");
  if (!opened.ok()) return 0;
  TargetDirectory& d = **opened;
  const StatusOr<std::unique_ptr<TargetFile>> f = d.CreateFile("f");
  if (f.ok() && (*f)->WriteAt(0, AsBytes("x")).ok() && (*f)->Commit(file).ok()) ++succeeded;
  if (d.Link("precious", d, "f").ok()) ++succeeded;
  if (d.Directory("below").ok()) ++succeeded;
  if (d.SetAttributes("precious", file).ok()) ++succeeded;
  if (d.Remove("below").ok()) ++succeeded;
  if (d.Remove("precious").ok()) ++succeeded;
  if (d.SetAttributes("", directory).ok()) ++succeeded;
  return succeeded;
}

TEST_P(TargetSwapTest, ADirectorySwappedForASymlinkLeadsNowhere) {
  RunAttack([&] {
    ASSERT_EQ(::mkdir(Path("d").c_str(), 0755), 0);
    ASSERT_EQ(::symlink("../elsewhere", Path("link").c_str()), 0);
    int succeeded = 0;
    {
      const Swapper swapper(Path("d"), Path("link"));
      for (int round = 0; Continues(round, succeeded, swapper.swaps()); ++round) {
        succeeded += RestoreInto(*target_, Plain(), Plain(EntryType::kDirectory));
        if (target_->SetAttributes("d", Plain(EntryType::kDirectory)).ok()) ++succeeded;
      }
      EXPECT_GT(swapper.swaps(), 0);
    }
    EXPECT_GT(succeeded, 0);
  });
}

TEST_P(TargetSwapTest, ADirectoryReopenedWhileItIsSwappedLeadsNowhere) {
  RunAttack([&] {
    ASSERT_OK_AND_ASSIGN(auto d, target_->Directory("d"));
    ASSERT_EQ(::symlink("../elsewhere", Path("link").c_str()), 0);
    int succeeded = 0;
    {
      const Swapper swapper(Path("d"), Path("link"));
      for (int round = 0; round < 100; ++round) {
        // So many others that `d` has to be opened again.
        std::vector<std::shared_ptr<TargetDirectory>> others;
        for (int i = 0; i < 70; ++i) {
          ASSERT_OK_AND_ASSIGN(auto other, target_->Directory("other" + std::to_string(i)));
          others.push_back(std::move(other));
        }
        if (Put(*d, "f", "x").ok()) ++succeeded;
      }
      EXPECT_GT(swapper.swaps(), 0);
    }
    EXPECT_GT(succeeded, 0);
  });
}

TEST_P(TargetSwapTest, AFileSwappedForASymlinkIsNeitherReadNorChangedThrough) {
  RunAttack([&] {
    WriteFile(Path("f"), "mine");
    ASSERT_EQ(::symlink("../elsewhere/precious", Path("link").c_str()), 0);
    int succeeded = 0;
    {
      const Swapper swapper(Path("f"), Path("link"));
      Attributes attributes = Plain();
      attributes.mode = 0600;
      attributes.xattrs = {{"user.x", ToBytes("1")}};
      for (int round = 0; Continues(round, succeeded, swapper.swaps()); ++round) {
        if (target_->SetAttributes("f", attributes).ok()) ++succeeded;
        const StatusOr<Descriptor> read = target_->OpenForRead("f");
        if (!read.ok()) continue;
        ++succeeded;
        char content[4] = {};
        ASSERT_EQ(::read(read->get(), content, 4), 4);
        ASSERT_EQ(std::string(content, 4), "mine");
      }
      EXPECT_GT(swapper.swaps(), 0);
    }
    EXPECT_GT(succeeded, 0);
    EXPECT_EQ(XattrOf(Outside("elsewhere/precious"), "user.x"), "(none)");
  });
}

TEST_P(TargetSwapTest, RemovalOfATreeThatIsSwappedStaysInside) {
  RunAttack([&] {
    int removed = 0;
    for (int round = 0; round < 100; ++round) {
      std::filesystem::create_directories(Path("d/e/f"));
      WriteFile(Path("d/e/f/precious"), "");
      std::error_code ignored;
      std::filesystem::create_symlink("../../elsewhere", Path("d/link"), ignored);
      {
        const Swapper swapper(Path("d/e"), Path("d/link"));
        if (target_->Remove("d").ok()) ++removed;
      }
      std::filesystem::remove_all(Path("d"));
    }
    EXPECT_GT(removed, 0);
  });
}

TEST_F(TargetAttackTest, ADirectoryMovedOutWhileItIsEmptiedTakesNobodyAlong) {
  RunAttack([&] {
    // Deeper than the levels that stay open, so that some are opened again on the way up.
    std::string deep = "d";
    for (int depth = 0; depth < 60; ++depth) deep += "/d";
    const std::string middle = Path(deep.substr(0, 2 * 20 - 1));
    ASSERT_EQ(::mkdir(Outside("shelter").c_str(), 0755), 0);
    WriteFile(Outside("shelter/precious"), "kept");
    for (int round = 0; round < 30; ++round) {
      std::filesystem::create_directories(Path(deep));
      std::thread mover([&] {
        for (int attempt = 0; attempt < 20; ++attempt) {
          ::rename(middle.c_str(), Outside("shelter/moved").c_str());
        }
      });
      const Status ignored = target_->Remove("d");
      mover.join();
      ASSERT_EQ(ReadFile(Outside("shelter/precious")), "kept");
      std::filesystem::remove_all(Outside("shelter/moved"));
    }
  });
}

// While a directory at the bottom is emptied, one above it, which is closed meanwhile, makes place
// for another tree with the same names.
TEST_F(TargetAttackTest, ATreeThatTakesTheRemovedOnesPlaceIsLeftAlone) {
  RunAttack([&] {
    constexpr int kDepth = 60;
    constexpr int kSwapped = 20;
    constexpr int kFiles = 1000;
    // So that its last directory is empty where the levels begin that stayed open.
    constexpr int kOtherDepth = kDepth - kSwapped - 31;
    const auto chain = [](int depth) {
      std::string path = "d";
      for (int i = 1; i < depth; ++i) path += "/d";
      return path;
    };
    bool met = false;
    for (int round = 0; round < 50 && !met; ++round) {
      const std::string deepest = Path(chain(kDepth));
      std::filesystem::create_directories(deepest);
      for (int i = 0; i < kFiles; ++i) WriteFile(deepest + "/" + std::to_string(i), "");
      const std::string other = Outside("other");
      const std::string bottom = other + "/" + chain(kOtherDepth);
      std::filesystem::create_directories(bottom);
      const ino_t kept = StatOf(bottom).st_ino;
      const timespec long_ago[2] = {{1, 0}, {1, 0}};
      ASSERT_EQ(::utimensat(AT_FDCWD, deepest.c_str(), long_ago, 0), 0);
      std::thread swapper([&] {
        struct stat seen {};
        // Until it has begun with the deepest.
        while (::lstat(deepest.c_str(), &seen) == 0 && seen.st_mtim.tv_sec == 1) {
        }
        ::renameat2(AT_FDCWD, Path(chain(kSwapped)).c_str(), AT_FDCWD, other.c_str(),
                    RENAME_EXCHANGE);
      });
      const Status removed = target_->Remove("d");
      swapper.join();
      met = std::string(Message(removed)).find("moved meanwhile") != std::string::npos;
      // In its own place, or in the other one's.
      struct stat seen {};
      const std::string exchanged = Path(chain(kSwapped + kOtherDepth));
      ASSERT_TRUE((::lstat(exchanged.c_str(), &seen) == 0 && seen.st_ino == kept) ||
                  (::lstat(bottom.c_str(), &seen) == 0 && seen.st_ino == kept));
      std::filesystem::remove_all(Path("d"));
      std::filesystem::remove_all(other);
    }
    EXPECT_TRUE(met);
  });
}

}  // namespace
}  // namespace cairn::testing
