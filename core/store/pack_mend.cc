// SPDX-License-Identifier: Apache-2.0
#include "core/store/pack_mend.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/store/frame.h"
#include "core/store/parity.h"
#include "core/store/parity_table.h"

namespace cairn {
namespace {

constexpr size_t kReadBytes = 1 * kMiB;

std::string Describe(const PackInfo& pack) { return "pack " + pack.name.Hex(); }

// Fills `out` as far as the object has bytes and the disk gives them; zeros elsewhere. `on_lost` is
// told the offset of every shard of which something is missing.
Status ReadWhatCanBeRead(ObjectStore& store, const std::string& object, uint64_t offset,
                         MutableByteSpan out, const std::function<void(uint64_t offset)>& on_lost) {
  const StatusOr<size_t> all = store.ReadAt(object, offset, out);
  if (all.status().code() == StatusCode::kNotFound) return all.status();
  if (all.ok() && *all == out.size()) return OkStatus();
  for (size_t at = 0; at < out.size(); at += kShardBytes) {
    const MutableByteSpan shard = out.subspan(at, std::min(kShardBytes, out.size() - at));
    const StatusOr<size_t> got = store.ReadAt(object, offset + at, shard);
    if (got.ok() && *got == shard.size()) continue;
    std::ranges::fill(shard.subspan(got.ok() ? *got : 0), uint8_t{0});
    on_lost(offset + at);
  }
  return OkStatus();
}

// A pack as it is with its patches. Ends where the journal says, whatever the file has.
class PatchedPack : public PackBytes {
 public:
  PatchedPack(ObjectStore& store, const PackInfo& info, const PackMender::Patches& patches)
      : PatchedPack(store, info, patches, info.name) {}
  // The file has the name `at`.
  PatchedPack(ObjectStore& store, const PackInfo& info, const PackMender::Patches& patches,
              const PackName& at)
      : store_(store), object_(PackObjectName(at)), bytes_(info.bytes), patches_(patches) {}

  StatusOr<size_t> ReadAt(uint64_t offset, MutableByteSpan out) override {
    if (offset >= bytes_) return size_t{0};
    out = out.first(static_cast<size_t>(std::min<uint64_t>(out.size(), bytes_ - offset)));
    size_t done = 0;
    while (done < out.size()) {
      const uint64_t at = offset + done;
      const auto patch = patches_.lower_bound(at / kShardBytes);
      if (patch != patches_.end() && patch->first == at / kShardBytes) {
        const ByteSpan rest = ByteSpan(patch->second).subspan(at % kShardBytes);
        const size_t size = std::min(rest.size(), out.size() - done);
        std::copy_n(rest.begin(), size, out.begin() + static_cast<ptrdiff_t>(done));
        done += size;
        continue;
      }
      const uint64_t end = patch == patches_.end() ? bytes_ : patch->first * kShardBytes;
      const auto size = static_cast<size_t>(std::min<uint64_t>(end - at, out.size() - done));
      ASSIGN_OR_RETURN(const size_t got, store_.ReadAt(object_, at, out.subspan(done, size)));
      done += got;
      if (got < size) break;
    }
    return done;
  }

 private:
  ObjectStore& store_;
  const std::string object_;
  const uint64_t bytes_;
  const PackMender::Patches& patches_;
};

// Hands every byte of the pack to `sink`, in order; OK if all of them are right. What the sink was
// given is to be thrown away if not.
Status StreamVerified(PackBytes& pack, const PackInfo& info, const RepositoryKeys& keys,
                      const StopFlag* stop, const std::function<Status(ByteSpan)>& sink) {
  ASSIGN_OR_RETURN(const PackFooter footer, ReadPackFooter(pack, keys, info));
  Bytes bytes;
  const auto copy = [&](uint64_t offset, uint64_t size) -> Status {
    bytes.resize(static_cast<size_t>(size));
    ASSIGN_OR_RETURN(const size_t got, pack.ReadAt(offset, bytes));
    if (got != size) return DataLoss(Describe(info) + ": it is cut short");
    return OkStatus();
  };
  uint64_t offset = kPackHeaderBytes;
  RETURN_IF_ERROR(copy(0, kPackHeaderBytes));
  RETURN_IF_ERROR(sink(bytes));
  for (size_t number = 0; number < footer.frames.size(); ++number) {
    RETURN_IF_ERROR(CheckStop(stop));
    const FrameInfo& frame = footer.frames[number];
    RETURN_IF_ERROR(copy(offset, frame.stored_bytes + keys.seal_bytes()));
    Bytes opened;
    if (keys.sealed()) {
      ASSIGN_OR_RETURN(opened,
                       OpenFrame(keys, info.name, static_cast<uint32_t>(number), frame, bytes));
    }
    if (ChecksumFrame(keys.sealed() ? opened : bytes) != frame.checksum) {
      return DataLoss(absl::StrFormat("%s: the bytes of frame %d do not have its checksum",
                                      Describe(info), number));
    }
    RETURN_IF_ERROR(sink(bytes));
    offset += bytes.size();
  }
  RETURN_IF_ERROR(copy(offset, info.bytes - offset));
  return sink(bytes);
}

// One damaged pack and its parity.
class Solver {
 public:
  Solver(ObjectStore& store, const PackInfo& info, const RepositoryId& repository,
         const StopFlag* stop)
      : store_(store), info_(info), repository_(repository), stop_(stop), layout_(info.bytes) {}

  StatusOr<PackMender::Patches> Run() {
    RETURN_IF_ERROR(ReadTable());
    RETURN_IF_ERROR(FindLost());
    for (const ParityWindow& window : layout_.windows) RETURN_IF_ERROR(SolveWindow(window));
    return std::move(patches_);
  }

 private:
  Status ReadTable();
  Status FindLost();
  Status SolveWindow(const ParityWindow& window);
  Status SolveGroup(const ParityWindow& window, uint32_t group, const std::vector<uint32_t>& lost);
  StatusOr<std::vector<ParityRemainder>> ReadRows(const ParityWindow& window, uint32_t group,
                                                  size_t wanted);
  // The last shard of a pack is filled up with zeros.
  StatusOr<Bytes> ReadShard(uint64_t number);

  ObjectStore& store_;
  const PackInfo& info_;
  const RepositoryId& repository_;
  const StopFlag* const stop_;
  const ParityLayout layout_;
  ParityTable table_;
  std::set<uint64_t> lost_;
  PackMender::Patches patches_;
};

Status Solver::ReadTable() {
  Bytes copies(2 * layout_.table_bytes());
  RETURN_IF_ERROR(ReadWhatCanBeRead(store_, ParityObjectName(info_.name), layout_.parity_bytes(),
                                    copies, [](uint64_t) {}));
  ASSIGN_OR_RETURN(DecodedParityTable decoded, DecodeParityTable(copies, info_, repository_));
  table_ = std::move(decoded.table);
  return OkStatus();
}

Status Solver::FindLost() {
  const std::string object = PackObjectName(info_.name);
  Bytes bytes;
  for (uint64_t offset = 0; offset < info_.bytes; offset += bytes.size()) {
    RETURN_IF_ERROR(CheckStop(stop_));
    bytes.assign(static_cast<size_t>(std::min<uint64_t>(kReadBytes, info_.bytes - offset)), 0);
    RETURN_IF_ERROR(ReadWhatCanBeRead(store_, object, offset, bytes,
                                      [this](uint64_t at) { lost_.insert(at / kShardBytes); }));
    bytes.resize((bytes.size() + kShardBytes - 1) / kShardBytes * kShardBytes);
    for (size_t at = 0; at < bytes.size(); at += kShardBytes) {
      const uint64_t number = (offset + at) / kShardBytes;
      const std::optional<uint32_t>& checksum = table_.shards[number];
      if (checksum && ShardChecksum(ByteSpan(bytes).subspan(at, kShardBytes)) != *checksum) {
        lost_.insert(number);
      }
    }
    if (lost_.size() > layout_.parity_shards) return DataLoss("more of it is lost than parity has");
  }
  return OkStatus();
}

Status Solver::SolveWindow(const ParityWindow& window) {
  std::map<uint32_t, std::vector<uint32_t>> groups;
  for (auto lost = lost_.lower_bound(window.first_shard);
       lost != lost_.end() && *lost < window.first_shard + window.shards; ++lost) {
    const auto number = static_cast<uint32_t>(*lost - window.first_shard);
    groups[number % window.groups].push_back(number);
  }
  for (const auto& [group, lost] : groups) {
    RETURN_IF_ERROR(CheckStop(stop_));
    RETURN_IF_ERROR(SolveGroup(window, group, lost));
  }
  return OkStatus();
}

StatusOr<Bytes> Solver::ReadShard(uint64_t number) {
  Bytes shard(kShardBytes);
  const uint64_t offset = number * kShardBytes;
  const auto size = static_cast<size_t>(std::min<uint64_t>(kShardBytes, info_.bytes - offset));
  ASSIGN_OR_RETURN(const size_t got, store_.ReadAt(PackObjectName(info_.name), offset,
                                                   MutableByteSpan(shard).first(size)));
  const std::optional<uint32_t>& checksum = table_.shards[number];
  if (got != size || (checksum && ShardChecksum(shard) != *checksum)) {
    return DataLoss("it reads otherwise than a moment ago");
  }
  return shard;
}

// Fewer than `wanted` if the others are damaged.
StatusOr<std::vector<ParityRemainder>> Solver::ReadRows(const ParityWindow& window, uint32_t group,
                                                        size_t wanted) {
  std::vector<ParityRemainder> rows;
  for (uint32_t row = 0; row < window.rows && rows.size() < wanted; ++row) {
    const uint64_t number = window.first_parity + uint64_t{row} * window.groups + group;
    ParityRemainder remainder{row, Bytes(kShardBytes)};
    const StatusOr<size_t> got = store_.ReadAt(ParityObjectName(info_.name), number * kShardBytes,
                                               MutableByteSpan(remainder.bytes));
    const std::optional<uint32_t>& checksum = table_.parity[number];
    if (!got.ok() || *got != kShardBytes) continue;
    if (checksum && ShardChecksum(remainder.bytes) != *checksum) continue;
    rows.push_back(std::move(remainder));
  }
  return rows;
}

Status Solver::SolveGroup(const ParityWindow& window, uint32_t group,
                          const std::vector<uint32_t>& lost) {
  ASSIGN_OR_RETURN(std::vector<ParityRemainder> rows, ReadRows(window, group, lost.size()));
  if (rows.size() < lost.size()) {
    return DataLoss(absl::StrFormat("%d shards of 4 KiB are lost that have %d of parity",
                                    lost.size(), rows.size()));
  }
  std::vector<uint32_t> columns;
  for (uint32_t number = group; number < window.shards; number += window.groups) {
    if (std::ranges::binary_search(lost, number)) {
      columns.push_back(ParityColumn(number));
      continue;
    }
    ASSIGN_OR_RETURN(const Bytes shard, ReadShard(window.first_shard + number));
    for (ParityRemainder& row : rows) {
      AddToParityRow(row.number, ParityColumn(number), shard, row.bytes);
    }
  }
  std::vector<Bytes> solved = SolveLostShards(columns, rows);
  for (size_t i = 0; i < lost.size(); ++i) {
    patches_[window.first_shard + lost[i]] = std::move(solved[i]);
  }
  return OkStatus();
}

}  // namespace

Status PackMender::Verify(const PackInfo& pack, const PackName& at) {
  ASSIGN_OR_RETURN(const uint64_t bytes, store_.Size(PackObjectName(at)));
  if (bytes != pack.bytes) {
    return DataLoss(
        absl::StrFormat("%s: it has %d bytes and not %d", Describe(pack), bytes, pack.bytes));
  }
  const Patches none;
  PatchedPack whole(store_, pack, none, at);
  return StreamVerified(whole, pack, keys_, stop_, [](ByteSpan) { return OkStatus(); });
}

StatusOr<PackMender::Patches> PackMender::Solve(const PackInfo& pack) {
  if (pack.bytes < kPackHeaderBytes + kPackTrailerBytes || pack.bytes > kMaxPackBytes) {
    return DataLoss(Describe(pack) + ": its size is out of bounds");
  }
  StatusOr<Patches> patches = Solver(store_, pack, keys_.id(), stop_).Run();
  if (!patches.ok()) return Annotate(patches.status(), "parity of " + Describe(pack));
  PatchedPack patched(store_, pack, *patches);
  RETURN_IF_ERROR(StreamVerified(patched, pack, keys_, stop_, [](ByteSpan) { return OkStatus(); }));
  return patches;
}

Status PackMender::Mend(const PackInfo& pack, const Patches& patches) {
  ASSIGN_OR_RETURN(const std::unique_ptr<ObjectWriter> writer,
                   store_.CreateReplacement(PackObjectName(pack.name), session_.Hex()));
  PatchedPack patched(store_, pack, patches);
  RETURN_IF_ERROR(StreamVerified(patched, pack, keys_, stop_,
                                 [&](ByteSpan bytes) { return writer->Append(bytes); }));
  return writer->Commit();
}

Status PackMender::VerifyParitySize(const PackInfo& pack) {
  ASSIGN_OR_RETURN(const uint64_t bytes, store_.Size(ParityObjectName(pack.name)));
  if (bytes == ParityLayout(pack.bytes).file_bytes()) return OkStatus();
  return DataLoss(ParityObjectName(pack.name) + ": its size is wrong");
}

Status PackMender::VerifyParity(const PackInfo& pack) {
  RETURN_IF_ERROR(VerifyParitySize(pack));
  const ParityLayout layout(pack.bytes);
  const std::string object = ParityObjectName(pack.name);
  Bytes copies(2 * layout.table_bytes());
  // Where it is cut short since, zeros remain, which do not have their checksums.
  RETURN_IF_ERROR(store_.ReadAt(object, layout.parity_bytes(), copies).status());
  const StatusOr<DecodedParityTable> decoded = DecodeParityTable(copies, pack, keys_.id());
  if (!decoded.ok()) return Annotate(decoded.status(), object);
  if (!decoded->whole) return DataLoss(object + ": a copy of its table is damaged");
  Bytes shard(kShardBytes);
  for (uint64_t number = 0; number < layout.parity_shards; ++number) {
    RETURN_IF_ERROR(CheckStop(stop_));
    ASSIGN_OR_RETURN(const size_t read, store_.ReadAt(object, number * kShardBytes, shard));
    if (read != kShardBytes || ShardChecksum(shard) != *decoded->table.parity[number]) {
      return DataLoss(absl::StrFormat("%s: 4 KiB from %d on do not have their checksum", object,
                                      number * kShardBytes));
    }
  }
  return OkStatus();
}

Status PackMender::MakeParity(const PackInfo& pack) {
  ASSIGN_OR_RETURN(const std::unique_ptr<ParityWriter> parity,
                   ParityWriter::Create(store_, keys_.id(), session_, pack.name, /*replace=*/true));
  const Patches none;
  PatchedPack whole(store_, pack, none);
  RETURN_IF_ERROR(StreamVerified(whole, pack, keys_, stop_,
                                 [&](ByteSpan bytes) { return parity->Append(bytes); }));
  RETURN_IF_ERROR(parity->Finish(pack));
  return parity->Place();
}

}  // namespace cairn
