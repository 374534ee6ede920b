// SPDX-License-Identifier: Apache-2.0
#include "core/repo/verified_times.h"

#include <string>

#include "core/base/blake3.h"
#include "core/base/coding.h"

namespace cairn {
namespace {

// A kill loses what these have taken to read.
constexpr size_t kPacksAtOnce = 32;
// Enough to tell the copies of one repository apart.
constexpr size_t kLocationBytes = 8;

Bytes VerifiedTimeKey(const Repository& repository, const PackName& pack) {
  Bytes key = VerifiedTimePrefix(pack);
  const Hash256 location = Blake3Hash(AsBytes(repository.options().location));
  Append(key, ByteSpan(location).first(kLocationBytes));
  return key;
}

Bytes EncodeVerifiedTime(const Timestamp& time) {
  Bytes value;
  Encoder out(value);
  out.Fixed64(static_cast<uint64_t>(time.seconds));
  out.Fixed32(time.nanoseconds);
  return value;
}

}  // namespace

Bytes VerifiedTimePrefix(const PackName& pack) {
  Bytes key = ToBytes("verified/");
  Append(key, pack.span());
  return key;
}

std::optional<Timestamp> FindVerifiedTime(IndexReader& reader, const Repository& repository,
                                          const PackName& pack, const Timestamp& now) {
  const StatusOr<std::optional<Bytes>> note = reader.FindNote(VerifiedTimeKey(repository, pack));
  if (!note.ok() || !*note) return std::nullopt;
  Decoder in(**note);
  Timestamp time;
  time.seconds = static_cast<int64_t>(in.Fixed64());
  time.nanoseconds = in.Fixed32();
  if (!in.Finish("note").ok() || time > now) return std::nullopt;
  return time;
}

void VerifiedLog::Add(const PackName& pack, std::optional<Timestamp> time) {
  {
    MutexLock lock(mutex_);
    waiting_.emplace_back(pack, time);
    if (waiting_.size() < kPacksAtOnce) return;
  }
  Write();
}

void VerifiedLog::Write() {
  std::vector<Verified> batch;
  {
    MutexLock lock(mutex_);
    batch.swap(waiting_);
    if (failed_ || batch.empty()) return;
  }
  const Status status = WriteBatch(batch);
  if (status.ok()) return;
  {
    MutexLock lock(mutex_);
    if (std::exchange(failed_, true)) return;
  }
  if (!repository_.options().warn) return;
  repository_.options().warn("it is not remembered which packs were read: " +
                             std::string(Message(status)));
}

Status VerifiedLog::WriteBatch(const std::vector<Verified>& batch) {
  std::vector<Verified> known;
  {
    // A note about a pack that was purged meanwhile would stay for ever.
    ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
    for (const Verified& each : batch) {
      ASSIGN_OR_RETURN(const std::optional<IndexPack> pack, reader->FindPackByName(each.first));
      if (pack) known.push_back(each);
    }
  }
  ASSIGN_OR_RETURN(const auto writer, repository_.index().Write());
  for (const auto& [pack, time] : known) {
    const Bytes key = VerifiedTimeKey(repository_, pack);
    RETURN_IF_ERROR(time ? writer->PutNote(key, EncodeVerifiedTime(*time))
                         : writer->RemoveNote(key));
  }
  return writer->Commit();
}

}  // namespace cairn
