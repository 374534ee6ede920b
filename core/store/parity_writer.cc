// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <utility>

#include "core/store/pack.h"
#include "core/store/parity.h"

namespace cairn {
namespace {

// Of a window that is not small.
constexpr uint32_t kSummedRows = 2;

uint8_t* RowOf(Bytes& parity, uint32_t groups, uint32_t row, uint32_t group) {
  return parity.data() + (size_t{row} * groups + group) * kShardBytes;
}

void AddBytes(uint8_t* to, const uint8_t* from, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) to[i] ^= from[i];
}

}  // namespace

std::string ParityObjectName(const PackName& pack) { return PackObjectName(pack) + ".par"; }

StatusOr<std::unique_ptr<ParityWriter>> ParityWriter::Create(ObjectStore& store,
                                                             const RepositoryId& repository,
                                                             const SessionId& session,
                                                             const PackName& pack, bool replace) {
  std::unique_ptr<ParityWriter> writer(new ParityWriter());
  writer->table_.repository = repository;
  writer->table_.name = pack;
  const std::string name = ParityObjectName(pack);
  ASSIGN_OR_RETURN(writer->writer_, replace ? store.CreateReplacement(name, session.Hex())
                                            : store.Create(name, session.Hex()));
  return writer;
}

Status ParityWriter::Append(ByteSpan bytes) {
  if (broken_ || finished_) return Internal("parity: added to after an error or its end");
  broken_ = true;
  while (!bytes.empty()) {
    if (pending_.empty() && bytes.size() >= kShardBytes) {
      RETURN_IF_ERROR(AddShard(bytes.first(kShardBytes)));
      bytes = bytes.subspan(kShardBytes);
      continue;
    }
    const size_t size = std::min(bytes.size(), kShardBytes - pending_.size());
    cairn::Append(pending_, bytes.first(size));
    bytes = bytes.subspan(size);
    if (pending_.size() == kShardBytes) {
      RETURN_IF_ERROR(AddShard(pending_));
      pending_.clear();
    }
  }
  broken_ = false;
  return OkStatus();
}

Status ParityWriter::AddShard(ByteSpan shard) {
  table_.shards.push_back(ShardChecksum(shard));
  if (sums_.empty() && window_shards_ == kSmallWindowShards) {
    sums_.resize(size_t{kSummedRows} * kMaxParityGroups * kShardBytes);
    for (uint32_t i = 0; i < kSmallWindowShards; ++i) {
      Accumulate(i, ByteSpan(held_).subspan(i * kShardBytes, kShardBytes));
    }
    held_ = Bytes();
  }
  if (sums_.empty()) {
    if (held_.empty()) held_.reserve(size_t{kSmallWindowShards} * kShardBytes);
    cairn::Append(held_, shard);
  } else {
    Accumulate(window_shards_, shard);
  }
  return ++window_shards_ == kWindowShards ? FinishWindow() : OkStatus();
}

void ParityWriter::Accumulate(uint32_t number, ByteSpan shard) {
  std::array<uint8_t*, kSummedRows> rows{};
  for (uint32_t row = 0; row < kSummedRows; ++row) {
    rows[row] = RowOf(sums_, kMaxParityGroups, row, number % kMaxParityGroups);
  }
  AddToParity(ParityColumn(number), shard, rows);
}

void ParityWriter::EncodeHeld(const ParityWindow& window, Bytes& parity) const {
  for (uint32_t group = 0; group < window.groups; ++group) {
    std::vector<uint32_t> columns;
    std::vector<const uint8_t*> shards;
    for (uint32_t i = group; i < window.shards; i += window.groups) {
      columns.push_back(ParityColumn(i));
      shards.push_back(held_.data() + size_t{i} * kShardBytes);
    }
    std::vector<uint8_t*> rows;
    for (uint32_t row = 0; row < window.rows; ++row) {
      rows.push_back(RowOf(parity, window.groups, row, group));
    }
    EncodeParity(columns, shards, rows);
  }
}

// Columns are such that the sums of two groups add up to that of the group that both make.
void ParityWriter::MergeGroups(const ParityWindow& window, Bytes& parity) const {
  for (uint32_t row = 0; row < window.rows; ++row) {
    for (uint32_t group = 0; group < kMaxParityGroups; ++group) {
      AddBytes(RowOf(parity, window.groups, row, group % window.groups),
               sums_.data() + (size_t{row} * kMaxParityGroups + group) * kShardBytes, kShardBytes);
    }
  }
}

Status ParityWriter::FinishWindow() {
  const ParityWindow window = MakeParityWindow(window_shards_, std::exchange(first_window_, false));
  Bytes parity(size_t{window.parity_shards()} * kShardBytes);
  if (sums_.empty()) {
    EncodeHeld(window, parity);
  } else {
    MergeGroups(window, parity);
  }
  for (size_t offset = 0; offset < parity.size(); offset += kShardBytes) {
    table_.parity.push_back(ShardChecksum(ByteSpan(parity).subspan(offset, kShardBytes)));
  }
  // Set to `{}` they would keep their memory.
  held_ = Bytes();
  sums_ = Bytes();
  window_shards_ = 0;
  return writer_->Append(parity);
}

Status ParityWriter::Finish(const PackInfo& pack) {
  if (broken_ || finished_) return Internal("parity: finished after an error or its end");
  broken_ = true;
  if (!pending_.empty()) {
    pending_.resize(kShardBytes);
    RETURN_IF_ERROR(AddShard(pending_));
  }
  pending_ = Bytes();
  if (window_shards_ > 0) RETURN_IF_ERROR(FinishWindow());
  table_.pack_bytes = pack.bytes;
  table_.hash = pack.hash;
  const ParityLayout layout(pack.bytes);
  if (pack.name != table_.name || layout.shards != table_.shards.size() ||
      layout.parity_shards != table_.parity.size()) {
    return Internal("parity: it was computed of another pack");
  }
  const Bytes table = EncodeParityTable(table_);
  table_ = {};
  RETURN_IF_ERROR(writer_->Append(table));
  RETURN_IF_ERROR(writer_->Append(table));
  RETURN_IF_ERROR(writer_->Drain());
  finished_ = true;
  broken_ = false;
  return OkStatus();
}

Status ParityWriter::Place() {
  if (broken_ || !finished_) return Internal("parity: placed after an error, or before its end");
  broken_ = true;
  const Status placed = writer_->Commit();
  // A repair may have made it meanwhile.
  return placed.code() == StatusCode::kAlreadyExists ? OkStatus() : placed;
}

}  // namespace cairn
