// SPDX-License-Identifier: Apache-2.0
// A directory of the live file system to restore into, and steps that need root or its absence.
#pragma once

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "core/fs/target.h"
#include "tests/support/in_child.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {

inline constexpr uid_t kOrdinaryUser = 65534;

// As a user without rights, who is in the groups `groups` beside his own.
inline void AsOrdinaryUser(const std::vector<gid_t>& groups, const std::function<void()>& body) {
  InChild([&] {
    ASSERT_EQ(::setgroups(groups.size(), groups.data()), 0);
    ASSERT_EQ(::setresgid(kOrdinaryUser, kOrdinaryUser, kOrdinaryUser), 0);
    ASSERT_EQ(::setresuid(kOrdinaryUser, kOrdinaryUser, kOrdinaryUser), 0);
    body();
  });
}

inline Entry SpecialEntry(const std::string& name, EntryType type) {
  Entry entry;
  entry.name = name;
  entry.type = type;
  if (type == EntryType::kSymlink) entry.target = "some/where";
  return entry;
}

class TargetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "cairn_fs_test.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    base_ = name;
    ASSERT_EQ(::mkdir(Path("").c_str(), 0755), 0);
    ASSERT_OK_AND_ASSIGN(target_, OpenTarget(base_ + "/target"));
  }
  void TearDown() override {
    target_.reset();
    std::filesystem::remove_all(base_);
  }

  // The child process's own way to the directory, which now belongs to the ordinary user.
  void GiveToOrdinaryUser() {
    ASSERT_EQ(::chown(base_.c_str(), kOrdinaryUser, kOrdinaryUser), 0);
    ASSERT_EQ(::chown(Path("").c_str(), kOrdinaryUser, kOrdinaryUser), 0);
  }

  // From here on mounts are seen by nobody else. False if that is not permitted here.
  bool EnterOwnMounts() {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      return false;
    }
    // What was opened before sees the mounts of before.
    StatusOr<std::shared_ptr<TargetDirectory>> target = OpenTarget(Path(""));
    EXPECT_OK(target);
    if (target.ok()) target_ = *std::move(target);
    return true;
  }

  // Tests that provoke writes or removals in the wrong place must not have the rights to do harm
  // if they succeed: never as root.
  void WithoutRights(const std::function<void()>& body) {
    if (::geteuid() != 0) return body();
    GiveToOrdinaryUser();
    AsOrdinaryUser({}, body);
  }

  std::string Path(const std::string& name) const {
    return base_ + "/target" + (name.empty() ? "" : "/" + name);
  }
  std::string Outside(const std::string& name) const { return base_ + "/" + name; }

  static void WriteFile(const std::string& path, const std::string& content) {
    std::ofstream(path) << content;
  }
  static std::string ReadFile(const std::string& path) {
    std::stringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
  }
  static struct stat StatOf(const std::string& path) {
    struct stat st {};
    EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
    return st;
  }
  static std::string XattrOf(const std::string& path, const std::string& name) {
    std::string value(256, '\0');
    const ssize_t size = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (size < 0) return "(none)";
    value.resize(static_cast<size_t>(size));
    return value;
  }

  // What an ordinary entry of the present user has.
  static Attributes Plain(EntryType type = EntryType::kFile) {
    Attributes attributes;
    attributes.type = type;
    attributes.mode = type == EntryType::kDirectory ? 0755 : 0644;
    if (type == EntryType::kSymlink) attributes.mode = 0;
    attributes.uid = ::geteuid();
    attributes.gid = ::getegid();
    attributes.mtime = {1'500'000'000, 123'456'789};
    return attributes;
  }

  static Status Put(TargetDirectory& directory, const std::string& name, const std::string& content,
                    const Attributes& attributes = Plain()) {
    ASSIGN_OR_RETURN(auto file, directory.CreateFile(name));
    RETURN_IF_ERROR(file->SetSize(content.size(), false));
    RETURN_IF_ERROR(file->WriteAt(0, AsBytes(content)));
    return file->Commit(attributes).status();
  }

  static std::vector<std::string> NamesIn(const std::string& path) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  std::string base_;
  std::shared_ptr<TargetDirectory> target_;
};

}  // namespace cairn::testing

// Owners, devices and mounts are for root.
#define CAIRN_ROOT_ONLY() \
  if (::geteuid() != 0) GTEST_SKIP() << "needs root"
