// SPDX-License-Identifier: Apache-2.0
// A directory of the real file system to build things in, and what it takes to build them.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/unique_fd.h"

namespace cairn::testing {

// Removed with all that is in it, however deep. A failure to build it ends the test program: no
// claim could be tested then.
class TempTree {
 public:
  explicit TempTree(const std::string& base = "/tmp") : path_(base + "/cairn_fs_test.XXXXXX") {
    Must(::mkdtemp(path_.data()) != nullptr, "mkdtemp");
    fd_.Reset(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    Must(fd_.valid(), "open");
  }
  ~TempTree() {
    if (std::system(("rm -rf -- " + path_).c_str()) != 0) ADD_FAILURE() << "rm -rf " << path_;
  }
  TempTree(const TempTree&) = delete;
  TempTree& operator=(const TempTree&) = delete;

  int fd() const { return fd_.get(); }
  std::string Path(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

  void Write(const std::string& name, std::string_view content) const {
    const UniqueFd file = Create(name);
    const ssize_t written = ::write(file.get(), content.data(), content.size());
    Must(written == static_cast<ssize_t>(content.size()), "write");
  }
  UniqueFd Create(const std::string& name) const {
    UniqueFd file(::openat(fd(), name.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    Must(file.valid(), "create");
    return file;
  }
  void MakeDirectory(const std::string& name) const {
    Must(::mkdirat(fd(), name.c_str(), 0755) == 0, "mkdir");
  }
  void MakeSymlink(const std::string& target, const std::string& name) const {
    Must(::symlinkat(target.c_str(), fd(), name.c_str()) == 0, "symlink");
  }
  // Directories of this name in each other; returns a descriptor of the last.
  UniqueFd MakeChain(const std::string& name, int depth) const {
    UniqueFd at(::dup(fd()));
    for (int i = 0; i < depth; ++i) {
      Must(::mkdirat(at.get(), name.c_str(), 0755) == 0, "mkdir");
      at.Reset(::openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      Must(at.valid(), "open");
    }
    return at;
  }

  static void Must(bool done, const char* what) {
    if (done) return;
    std::fprintf(stderr, "cannot prepare a test: %s: %s\n", what, std::strerror(errno));
    std::abort();
  }

 private:
  std::string path_;
  UniqueFd fd_;
};

inline bool IsRoot() { return ::geteuid() == 0; }

}  // namespace cairn::testing
