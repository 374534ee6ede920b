// SPDX-License-Identifier: Apache-2.0
// What every cell of the matrix of damages (kinds of object, kinds of damage) must hold: the check
// finds the damage and names the object, and the paths that it names are just those that do not
// restore; nothing that restores is wrong, and what does not is said; a repair takes nothing away,
// and mends bit for bit what a second copy or parity covers. Memory is bounded by the system
// meanwhile. What was tried so far is printed after each suite, for docs/reliability.md.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/repo/check.h"
#include "core/repo/repair.h"
#include "core/store/journal_state.h"
#include "core/store/twin.h"
#include "tests/repo/restore_fixture.h"
#include "tests/support/encryption.h"

namespace cairn::testing {

// Beyond what the process has when it begins: absurd lengths that are believed end it.
inline constexpr rlim_t kMostMatrixMemory = 512 * kMiB;

// A place in an object's file that damage is done to.
struct MatrixSection {
  std::string name;
  size_t begin = 0;
  size_t end = 0;
};

struct MatrixCell {
  std::string object;  // what is damaged: a kind, for counting
  std::string damage;
  std::function<void(MemoryFileSystem&)> edit;
  // Each is in a finding; the first is the object's own name.
  std::vector<std::string> named;
  // Whose record is lost: they are not listed any more.
  std::set<SnapshotId> lost = {};
  // A repair gives every byte back.
  bool is_covered = false;
  // Only one who has seen the newer state can see it.
  bool only_seen_by_witness = false;
  bool only_parity_is_missing = false;
  // Nobody can write, so nobody can repair.
  bool stops_writers = false;
};

struct MatrixCount {
  uint64_t tried = 0;
  uint64_t found = 0;
  uint64_t mended = 0;  // bit for bit
  uint64_t bytes_mended = 0;
};

// What there is to be had of a disk.
struct MatrixOutlook {
  bool opened = false;
  CheckResult check;
  std::set<SnapshotId> listed;
  std::set<std::pair<SnapshotId, std::string>> restored;
};

inline std::string DescribeFindings(const CheckResult& result) {
  std::string text;
  for (const Damage& damage : result.damages) text += damage.object + ": " + damage.what + "\n";
  return text;
}

class DamageMatrixTest : public RestoreTest {
 protected:
  using Files = std::map<std::string, Bytes>;

  static void SetUpTestSuite() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_DATA, &limit), 0);
    former_memory_ = limit.rlim_cur;
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
      uint64_t kib = 0;
      if (word == "VmData:" && status >> kib) limit.rlim_cur = kib * kKiB + kMostMatrixMemory;
    }
    ASSERT_EQ(::setrlimit(RLIMIT_DATA, &limit), 0);
#endif
  }
  static void TearDownTestSuite() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_DATA, &limit), 0);
    limit.rlim_cur = former_memory_;
    ASSERT_EQ(::setrlimit(RLIMIT_DATA, &limit), 0);
#endif
    MatrixCount all;
    for (const auto& [object, count] : counts_) {
      std::printf("damage to %s: %llu tried, %llu found, %llu mended bit for bit (%llu bytes)\n",
                  object.c_str(), static_cast<unsigned long long>(count.tried),
                  static_cast<unsigned long long>(count.found),
                  static_cast<unsigned long long>(count.mended),
                  static_cast<unsigned long long>(count.bytes_mended));
      all.tried += count.tried;
      all.found += count.found;
      all.mended += count.mended;
      all.bytes_mended += count.bytes_mended;
    }
    std::printf("damaged objects: %llu tried, %llu found, %llu mended bit for bit (%llu bytes)\n",
                static_cast<unsigned long long>(all.tried),
                static_cast<unsigned long long>(all.found),
                static_cast<unsigned long long>(all.mended),
                static_cast<unsigned long long>(all.bytes_mended));
    RecordProperty("damaged_objects_tried", std::to_string(all.tried));
    RecordProperty("damaged_objects_found", std::to_string(all.found));
    RecordProperty("damaged_objects_mended", std::to_string(all.mended));
    RecordProperty("bytes_mended", std::to_string(all.bytes_mended));
  }

  // Two commits with packs of chunks, of deltas and of nodes, then small ones with a mixed pack.
  void MakeHistory() {
    Write(Source("dir/stays"), Noise(5000, 11));
    Write(Source("big"), Noise(1'150'000, 12));
    TakeNoted();
    std::string changed = Noise(1'150'000, 12);
    for (size_t i = 1000; i < changed.size(); i += 100'000) ++changed[i];
    Write(Source("big"), changed);
    Write(Source("other"), Noise(1'150'000, 13));
    TakeNoted();
    std::filesystem::remove(Source("big"));
    std::filesystem::remove(Source("other"));
    for (uint64_t i = 0; i < 3; ++i) {
      Write(Source("changing"), Noise(3000, 100 + i));
      Write(Source("own" + std::to_string(i)), Noise(2000, i));
      TakeNoted();
    }
  }
  void TakeNoted() {
    const SnapshotId id = Take();
    order_.push_back(id);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(Source())) {
      if (!entry.is_regular_file()) continue;
      const std::string path = entry.path().string();
      content_[id][path.substr(Source().size() + 1)] = Read(path);
    }
  }
  // Nothing that is lost can be had from what the snapshots were made of.
  void HideSources() { std::filesystem::rename(Source(), Path("hidden")); }
  // What the cells are made from, and compared with.
  void KeepImage() {
    repository_.reset();
    image_ = FilesOf(repository_files_);
  }
  void Fold(uint64_t keep_single) {
    ASSERT_OK_AND_ASSIGN(const JournalState state, repository_->journal().ReadState());
    const Journal::FoldPolicy policy{.min_records = 0, .ratio = 1, .keep_single = keep_single};
    ASSERT_OK(repository_->journal().FoldIfDue(state, policy));
  }

  static Files FilesOf(MemoryFileSystem& disk) {
    Files files;
    for (const std::string& path : disk.AllPaths()) {
      if (StatusOr<Bytes> bytes = ReadWholeFile(disk, path, kGiB); bytes.ok()) {
        files[path] = *std::move(bytes);
      }
    }
    return files;
  }
  std::vector<std::string> Named(const std::string& prefix) const {
    std::vector<std::string> names;
    for (const auto& [path, content] : image_) {
      if (path.starts_with(prefix)) names.push_back(path);
    }
    return names;
  }
  static void Put(MemoryFileSystem& disk, const std::string& path, const Bytes& content) {
    ASSERT_OK(disk.Damage(path, [&](Bytes& bytes) { bytes = content; }));
  }

  // --- damages

  static std::function<void(MemoryFileSystem&)> Edit(const std::string& path,
                                                     const std::function<void(Bytes&)>& edit) {
    return [=](MemoryFileSystem& disk) { ASSERT_OK(disk.Damage(path, edit)); };
  }
  static std::function<void(MemoryFileSystem&)> Remove(const std::string& path) {
    return [=](MemoryFileSystem& disk) { ASSERT_OK(disk.Unlink(path)); };
  }
  std::function<void(MemoryFileSystem&)> Exchange(const std::string& a,
                                                  const std::string& b) const {
    return [this, a, b](MemoryFileSystem& disk) {
      Put(disk, a, image_.at(b));
      Put(disk, b, image_.at(a));
    };
  }
  // Of a section: a bit, at both ends and between; a byte; all of it in its first sector; what
  // follows its middle is gone.
  struct SectionDamage {
    std::string name;
    std::function<void(Bytes&)> edit;
    bool cuts = false;
  };
  static std::vector<SectionDamage> DamagesOf(const MatrixSection& section) {
    const size_t middle = (section.begin + section.end) / 2;
    std::vector<SectionDamage> damages;
    for (const size_t at : {section.begin, middle, section.end - 1}) {
      damages.push_back({"bit " + std::to_string(at),
                         [at](Bytes& bytes) { bytes[at] ^= uint8_t{1} << (at % 8); }});
    }
    damages.push_back({"byte " + std::to_string(middle), [middle](Bytes& bytes) {
                         bytes[middle] = static_cast<uint8_t>(~bytes[middle]);
                       }});
    const size_t end =
        std::min(section.end, (section.begin / kTwinSectorBytes + 1) * kTwinSectorBytes);
    damages.push_back({"overwritten", [begin = section.begin, end](Bytes& bytes) {
                         for (size_t i = begin; i < end; ++i) bytes[i] ^= 0x5a;
                       }});
    damages.push_back({"cut at " + std::to_string(middle),
                       [middle](Bytes& bytes) { bytes.resize(middle); }, /*cuts=*/true});
    return damages;
  }
  static const std::vector<std::pair<std::string, std::function<void(Bytes&)>>>& Extensions() {
    static const std::vector<std::pair<std::string, std::function<void(Bytes&)>>> extensions = {
        {"a byte more", [](Bytes& bytes) { bytes.push_back(7); }},
        {"5000 bytes more", [](Bytes& bytes) { bytes.resize(bytes.size() + 5000, 7); }}};
    return extensions;
  }

  // --- what a disk still gives

  // All of a snapshot, by one who writes where nothing is yet.
  void RestoreOne(Repository& repository, const SnapshotId& id, MatrixOutlook& outlook) {
    std::filesystem::remove_all(Target());
    RestoreOptions options;
    options.threads = 1;
    Mutex mutex;
    std::set<std::string> problems;
    options.on_problem = [&](const std::string& path, const std::string&) {
      MutexLock lock(mutex);
      problems.insert(path);
    };
    const StatusOr<RestoreResult> result = Restore(repository, Place(id), options);
    EXPECT_TRUE(!result.ok() || (result->errors == 0) == problems.empty());
    if (!result.ok()) {
      EXPECT_THAT(outlook.check.affected_snapshots, ::testing::Contains(id)) << result.status();
    }
    std::set<std::string> affected;
    std::set<std::string> unknown;
    for (const AffectedPath& path : outlook.check.affected) {
      if (path.snapshot == id) (path.unknown_below ? unknown : affected).insert(path.path);
    }
    const auto is_below = [](const std::string& path, const std::set<std::string>& paths) {
      for (std::string up = path; !up.empty(); up.resize(up.rfind('/'))) {
        if (paths.contains(up)) return true;
      }
      return false;
    };
    for (const auto& [name, content] : content_.at(id)) {
      SCOPED_TRACE(name + " of " + id.ShortHex());
      const std::string path = Source(name);
      if (Exists(Target(name))) {
        EXPECT_TRUE(Read(Target(name)) == content);
        EXPECT_FALSE(affected.contains(path));
        outlook.restored.emplace(id, name);
      } else {
        EXPECT_TRUE(!result.ok() || is_below(path, problems));
        EXPECT_TRUE(affected.contains(path) || is_below(path, unknown));
      }
    }
  }

  static CheckResult CheckAll(Repository& repository) {
    CheckOptions options;
    options.threads = 1;
    options.read_data.kind = ReadSubset::Kind::kAll;
    StatusOr<CheckResult> result = Check(repository, options);
    EXPECT_OK(result);
    return result.ok() ? *std::move(result) : CheckResult();
  }

  virtual RepositoryOptions Options() const { return TestRepositoryOptions(); }

  MatrixOutlook LookAt(MemoryFileSystem& disk) {
    MatrixOutlook outlook;
    RepositoryOptions options = Options();
    options.beside_damage = true;
    const StatusOr<std::unique_ptr<Repository>> repository = Repository::Open(disk, options);
    outlook.opened = repository.ok();
    EXPECT_OK(repository.status());
    if (!repository.ok()) return outlook;
    outlook.check = CheckAll(**repository);
    const StatusOr<std::vector<SnapshotView>> snapshots = (*repository)->Snapshots();
    EXPECT_OK(snapshots.status());
    if (!snapshots.ok()) return outlook;
    for (const SnapshotView& view : *snapshots) {
      outlook.listed.insert(view.info.id);
      if (content_.contains(view.info.id)) RestoreOne(**repository, view.info.id, outlook);
    }
    return outlook;
  }

  // --- one cell

  void Try(const MatrixCell& cell) {
    SCOPED_TRACE(cell.object + ": " + cell.damage);
    const std::unique_ptr<MemoryFileSystem> disk = repository_files_.CrashedAt(
        repository_files_.operation_count(), {.policy = CrashPolicy::kKeepAll});
    std::unique_ptr<Repository> witness;
    if (cell.only_seen_by_witness) {
      ASSERT_OK_AND_ASSIGN(witness, Repository::Open(*disk, Options()));
    }
    cell.edit(*disk);
    MatrixCount& count = counts_[cell.object];
    ++count.tried;

    const MatrixOutlook before = LookAt(*disk);
    const bool found = ExpectFound(cell, before, witness.get());
    if (found) ++count.found;
    ExpectListed(cell, before);

    const uint64_t damaged_bytes = DifferentBytes(*disk);
    RepairDisk(*disk, cell);
    ExpectNothingWorse(before, LookAt(*disk));
    const bool is_whole = DifferentBytes(*disk) == 0;
    EXPECT_TRUE(is_whole || !cell.is_covered);
    if (is_whole && !cell.only_seen_by_witness) {
      ++count.mended;
      count.bytes_mended += damaged_bytes;
    }
  }

  static bool ExpectFound(const MatrixCell& cell, const MatrixOutlook& before,
                          Repository* witness) {
    if (cell.only_parity_is_missing) {
      EXPECT_TRUE(before.check.clean()) << DescribeFindings(before.check);
      EXPECT_EQ(before.check.packs_without_parity, 1U);
      return before.check.packs_without_parity == 1;
    }
    CheckResult seen = before.check;
    if (cell.only_seen_by_witness) {
      EXPECT_TRUE(seen.clean()) << DescribeFindings(seen);
      seen = CheckAll(*witness);
    }
    EXPECT_FALSE(seen.clean());
    const std::string findings = DescribeFindings(seen);
    for (const std::string& name : cell.named) {
      EXPECT_NE(findings.find(name), std::string::npos) << name << " is not in\n" << findings;
    }
    // Not so of a delta elsewhere whose base is damaged here: its own pack is whole.
    for (const Damage& damage : seen.damages) {
      const bool is_named = damage.object.find(cell.named.front()) != std::string::npos;
      EXPECT_TRUE(damage.mendable || !cell.is_covered || !is_named) << damage.object;
    }
    return !seen.clean();
  }

  void ExpectListed(const MatrixCell& cell, const MatrixOutlook& before) const {
    for (const SnapshotId& id : order_) {
      EXPECT_EQ(before.listed.contains(id), !cell.lost.contains(id)) << id.ShortHex();
    }
  }

  // Bytes that are not as they were in files that were there.
  uint64_t DifferentBytes(MemoryFileSystem& disk) const {
    uint64_t different = 0;
    const Files files = FilesOf(disk);
    for (const auto& [path, whole] : image_) {
      if (path.starts_with("sessions/") || path.ends_with(".lock")) continue;
      const auto found = files.find(path);
      if (found == files.end()) {
        different += whole.size();
        continue;
      }
      const Bytes& now = found->second;
      if (now == whole) continue;
      const size_t common = std::min(now.size(), whole.size());
      for (size_t i = 0; i < common; ++i) different += now[i] != whole[i] ? 1 : 0;
      different += std::max(now.size(), whole.size()) - common;
    }
    return different;
  }

  void RepairDisk(MemoryFileSystem& disk, const MatrixCell& cell) {
    const Files before = FilesOf(disk);
    const StatusOr<std::unique_ptr<Repository>> repository = Repository::Open(disk, Options());
    EXPECT_EQ(repository.ok(), !cell.stops_writers) << repository.status();
    if (!repository.ok()) {
      EXPECT_TRUE(repository.status().code() == StatusCode::kDataLoss ||
                  repository.status().code() == StatusCode::kNotFound)
          << repository.status();
      EXPECT_TRUE(FilesOf(disk) == before);
      return;
    }
    RepairOptions options;
    options.threads = 1;
    EXPECT_OK(Repair(**repository, options).status());
  }

  static void ExpectNothingWorse(const MatrixOutlook& before, const MatrixOutlook& after) {
    EXPECT_TRUE(std::ranges::includes(after.listed, before.listed));
    for (const auto& [id, name] : before.restored) {
      EXPECT_TRUE(after.restored.contains({id, name}))
          << name << " of " << id.ShortHex() << " restored before the repair";
    }
  }

  std::vector<SnapshotId> order_;
  std::map<SnapshotId, std::map<std::string, std::string>> content_;
  Files image_;

 private:
  inline static std::map<std::string, MatrixCount> counts_;
  inline static rlim_t former_memory_ = RLIM_INFINITY;
};

}  // namespace cairn::testing
