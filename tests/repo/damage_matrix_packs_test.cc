// SPDX-License-Identifier: Apache-2.0
// Each kind of damage to each kind of pack, in each of its parts, and to parity.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "core/store/pack.h"
#include "core/store/parity.h"
#include "tests/repo/damage_matrix.h"

namespace cairn::testing {
namespace {

class DamageMatrixPackTest : public DamageMatrixTest {
 protected:
  struct Pack {
    std::string kind;
    std::string path;
    PackFooter footer;
    PackInfo info;
    std::string parity() const { return path + ".par"; }
    std::string hex() const { return info.name.Hex(); }
  };

  void MakePacks() {
    MakeHistory();
    ASSERT_OK_AND_ASSIGN(const JournalState state, repository_->journal().ReadState());
    for (const auto& [name, entry] : state.packs()) {
      Pack pack;
      pack.info = entry.info;
      pack.path = PackObjectName(name);
      ASSERT_OK_AND_ASSIGN(pack.footer,
                           ReadPackFooter(repository_->store(), repository_->keys(), entry.info));
      switch (entry.info.content & ~kPackHasParity) {
        case kPackHasChunks:
          pack.kind = "a pack of chunks";
          break;
        case kPackHasNodes:
          pack.kind = "a pack of nodes";
          break;
        case kPackHasChunks | kPackHasNodes:
          pack.kind = "a mixed pack";
          break;
        default:
          pack.kind = "a pack with deltas";
      }
      packs_[pack.kind].push_back(pack);
    }
    KeepImage();
  }
  // The first of each kind.
  std::vector<Pack> OneOfEachKind() const {
    std::vector<Pack> packs;
    for (const auto& [kind, of_kind] : packs_) packs.push_back(of_kind.front());
    return packs;
  }
  std::vector<MatrixSection> SectionsOf(const Pack& pack) const {
    const size_t size = image_.at(pack.path).size();
    const size_t sealed = TestsAreEncrypted() ? kAeadTagBytes : 0;
    const auto frame = [&](const FrameInfo& info) {
      const auto begin = static_cast<size_t>(info.offset);
      return MatrixSection{"frame", begin, begin + info.stored_bytes + sealed};
    };
    const MatrixSection last = frame(pack.footer.frames.back());
    return {{"header", 0, kPackHeaderBytes},
            frame(pack.footer.frames.front()),
            last,
            {"footer", last.end, size - kPackTrailerBytes},
            {"trailer", size - kPackTrailerBytes, size}};
  }
  void TryPack(const Pack& pack, const std::string& damage,
               const std::function<void(MemoryFileSystem&)>& edit, bool is_covered) {
    Try({.object = pack.kind,
         .damage = pack.path + " " + damage,
         .edit = edit,
         .named = {pack.hex()},
         .is_covered = is_covered});
  }

  std::map<std::string, std::vector<Pack>> packs_;  // by kind
};

TEST_F(DamageMatrixPackTest, EachSectionOfEachKind) {
  MakePacks();
  HideSources();
  ASSERT_EQ(packs_.size(), 4U);
  for (const Pack& pack : OneOfEachKind()) {
    for (const MatrixSection& section : SectionsOf(pack)) {
      for (const SectionDamage& damage : DamagesOf(section)) {
        // A sector is what parity gives back; a cut may take more.
        const bool is_covered = !damage.cuts || section.name == "trailer";
        TryPack(pack, section.name + ", " + damage.name, Edit(pack.path, damage.edit), is_covered);
        if (damage.cuts) continue;
        // Without parity beside it.
        TryPack(
            pack, section.name + ", " + damage.name + ", without parity",
            [&](MemoryFileSystem& disk) {
              Edit(pack.path, damage.edit)(disk);
              Remove(pack.parity())(disk);
            },
            /*is_covered=*/false);
      }
    }
  }
}

TEST_F(DamageMatrixPackTest, WholeFilesOfEachKind) {
  MakePacks();
  HideSources();
  for (const auto& [kind, packs] : packs_) {
    const Pack& pack = packs.front();
    for (const auto& [name, edit] : Extensions()) {
      TryPack(pack, name, Edit(pack.path, edit), /*is_covered=*/true);
    }
    TryPack(pack, "empty", Edit(pack.path, [](Bytes& bytes) { bytes.clear(); }), false);
    TryPack(pack, "of zeros",
            Edit(pack.path, [](Bytes& bytes) { std::ranges::fill(bytes, uint8_t{0}); }), false);
    TryPack(pack, "missing", Remove(pack.path), false);
    TryPack(
        pack, "missing with its parity",
        [&](MemoryFileSystem& disk) {
          Remove(pack.path)(disk);
          Remove(pack.parity())(disk);
        },
        false);
    TryPack(
        pack, "a record in its place",
        [&](MemoryFileSystem& disk) { Put(disk, pack.path, image_.at(Named("journal/0")[0])); },
        false);
    if (kind == "a pack of chunks" || kind == "a pack with deltas") {
      TryPack(pack, "a burst of 64 KiB",
              Edit(pack.path,
                   [](Bytes& bytes) {
                     const size_t begin = bytes.size() / 3;
                     for (size_t i = begin; i < std::min(bytes.size(), begin + 64 * kKiB); ++i)
                       bytes[i] ^= 0xff;
                   }),
              /*is_covered=*/image_.at(pack.path).size() > 544 * kKiB);
    }
  }
}

TEST_F(DamageMatrixPackTest, ExchangedWithAnother) {
  MakePacks();
  HideSources();
  for (const auto& [kind, packs] : packs_) {
    for (const auto& [other_kind, others] : packs_) {
      const Pack& pack = packs.front();
      const Pack& other = others.back();
      if (pack.path == other.path) continue;
      MatrixCell cell{.object = kind,
                      .damage = pack.path + " exchanged with " + other_kind + " " + other.path,
                      .edit = Exchange(pack.path, other.path),
                      .named = {pack.hex(), other.hex()}};
      Try(cell);
    }
  }
}

TEST_F(DamageMatrixPackTest, Parity) {
  MakePacks();
  HideSources();
  const std::string object = "parity";
  for (const Pack& pack : OneOfEachKind()) {
    const ParityLayout layout(pack.info.bytes);
    const auto table = static_cast<size_t>(layout.table_bytes());
    const size_t size = image_.at(pack.parity()).size();
    ASSERT_EQ(size, layout.file_bytes());
    const std::vector<MatrixSection> sections = {{"shards", 0, size - 2 * table},
                                                 {"first table", size - 2 * table, size - table},
                                                 {"second table", size - table, size}};
    MatrixCell cell;
    cell.object = object;
    cell.named = {pack.hex()};
    cell.is_covered = true;
    const auto attempt = [&](const std::string& damage,
                             const std::function<void(MemoryFileSystem&)>& edit) {
      cell.damage = pack.parity() + " " + damage;
      cell.edit = edit;
      Try(cell);
    };
    for (const MatrixSection& section : sections) {
      for (const SectionDamage& damage : DamagesOf(section)) {
        attempt(section.name + ", " + damage.name, Edit(pack.parity(), damage.edit));
      }
    }
    for (const auto& [name, edit] : Extensions()) attempt(name, Edit(pack.parity(), edit));
    attempt("empty", Edit(pack.parity(), [](Bytes& bytes) { bytes.clear(); }));
    for (const auto& [kind, others] : packs_) {
      const Pack& other = others.back();
      if (other.path == pack.path) continue;
      attempt("exchanged with that of " + kind, Exchange(pack.parity(), other.parity()));
    }
    cell.only_parity_is_missing = true;
    attempt("missing", Remove(pack.parity()));
  }
}

}  // namespace
}  // namespace cairn::testing
