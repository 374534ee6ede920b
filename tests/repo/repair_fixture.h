// SPDX-License-Identifier: Apache-2.0
// A repository that is damaged and mended, with the source that its snapshots were made of.
#pragma once

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/repo/check.h"
#include "core/repo/repair.h"
#include "core/store/pack.h"
#include "tests/repo/restore_fixture.h"
#include "tests/support/encryption.h"

namespace cairn::testing {

class RepairTest : public RestoreTest {
 protected:
  void TakeFiles() {
    Write(Source("a"), Noise(300'000, 1));
    Write(Source("folder/b"), Noise(100'000, 2));
    Write(Source("folder/c"), "text");
    id_ = Take();
  }

  static bool IsPack(const std::string& path) {
    return path.starts_with("packs/") && path.size() > sizeof("packs/xx/") &&
           !path.ends_with(".par");
  }
  std::vector<std::string> Packs() const {
    std::vector<std::string> packs;
    for (const std::string& path : repository_files_.AllPaths()) {
      if (IsPack(path)) packs.push_back(path);
    }
    return packs;
  }
  Bytes ContentOf(const std::string& path) {
    const StatusOr<Bytes> bytes = ReadWholeFile(repository_files_, path, kGiB);
    EXPECT_OK(bytes);
    return bytes.ok() ? *bytes : Bytes{};
  }
  void Damage(const std::string& path, const std::function<void(Bytes&)>& edit) {
    ASSERT_OK(repository_files_.Damage(path, edit));
  }
  // More than parity mends, in the middle, where the content of files is.
  void Ruin(const std::string& path) {
    Damage(path, [](Bytes& bytes) {
      std::fill(bytes.begin() + static_cast<ptrdiff_t>(bytes.size() / 8),
                bytes.begin() + static_cast<ptrdiff_t>(bytes.size() / 2), uint8_t{0xaa});
    });
  }

  // The pack that a snapshot of one more file makes; nothing else has what is in the file.
  std::string TakeInPackOfItsOwn(const std::string& file, size_t bytes, uint64_t seed) {
    const std::vector<std::string> before = Packs();
    Write(Source(file), Noise(bytes, seed));
    SnapshotOptions options;
    options.deltas = false;
    id_ = Take(options);
    for (const std::string& pack : Packs()) {
      if (!std::ranges::count(before, pack)) return pack;
    }
    ADD_FAILURE() << "no pack was made";
    return "";
  }
  static PackName NameOf(const std::string& pack) {
    return PackName::FromHex(pack.substr(sizeof("packs/xx"))).value_or(PackName{});
  }
  void Put(const std::string& path, const Bytes& content) {
    ASSERT_OK_AND_ASSIGN(const auto file, repository_files_.CreateNew(path));
    ASSERT_OK(file->Append(content));
  }
  // Each file gets the name of the next one, the last that of the first.
  void Rotate(const std::vector<std::string>& paths) {
    ASSERT_OK(repository_files_.RenameNoReplace(paths.back(), "aside"));
    for (size_t i = paths.size() - 1; i > 0; --i) {
      ASSERT_OK(repository_files_.RenameNoReplace(paths[i - 1], paths[i]));
    }
    ASSERT_OK(repository_files_.RenameNoReplace("aside", paths.front()));
    Reopen();  // it has read them
  }

  void Reopen() {
    ASSERT_OK_AND_ASSIGN(repository_, Repository::Open(repository_files_, TestRepositoryOptions()));
  }
  RepairResult Mend(RepairOptions options = {}) {
    options.threads = 1;
    StatusOr<RepairResult> result = Repair(*repository_, options);
    EXPECT_OK(result);
    return result.ok() ? *std::move(result) : RepairResult{};
  }
  CheckResult CheckAll(Repository& repository) {
    CheckOptions options;
    options.threads = 1;
    options.read_data.kind = ReadSubset::Kind::kAll;
    StatusOr<CheckResult> result = Check(repository, options);
    EXPECT_OK(result);
    return result.ok() ? *std::move(result) : CheckResult{};
  }
  // Every frame that holds nodes; in the packs that there are now, which have no parity.
  void RuinNodes() {
    ASSERT_OK_AND_ASSIGN(const JournalState state, repository_->journal().ReadState());
    for (const auto& [name, entry] : state.packs()) {
      if (entry.state != PackState::kLive) continue;
      ASSERT_OK_AND_ASSIGN(const PackFooter footer,
                           ReadPackFooter(repository_->store(), repository_->keys(), entry.info));
      const std::string hex = name.Hex();
      for (const BlobInfo& blob : footer.blobs) {
        if (!IsNode(blob.ref.kind)) continue;
        const FrameInfo& frame = footer.frames[blob.frame];
        Damage("packs/" + hex.substr(0, 2) + "/" + hex, [&](Bytes& bytes) {
          std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(frame.offset), frame.stored_bytes,
                      uint8_t{0x55});
        });
      }
    }
    Reopen();  // it has read them
  }
  // Nor by deltas, so that what it stores stands for itself.
  SnapshotId TakeWithoutParity(SnapshotOptions options = {}) {
    options.parity = false;
    options.deltas = false;
    return Take(options);
  }
  // By a process that has just come.
  void ExpectSound() {
    Reopen();
    const CheckResult result = CheckAll(*repository_);
    for (const struct Damage& damage : result.damages) {
      ADD_FAILURE() << damage.object << ": " << damage.what;
    }
    EXPECT_EQ(result.packs_without_parity, 0U);
  }
  void ExpectRestores() {
    std::filesystem::remove_all(Target());
    RestoreAll(Place(id_));
    EXPECT_EQ(Read(Target("a")), Noise(300'000, 1));
    EXPECT_EQ(Read(Target("folder/b")), Noise(100'000, 2));
    EXPECT_EQ(Read(Target("folder/c")), "text");
  }

  SnapshotId id_;
};

}  // namespace cairn::testing
