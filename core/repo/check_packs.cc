// SPDX-License-Identifier: Apache-2.0
#include "core/repo/check_packs.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "core/base/worker_pool.h"
#include "core/index/memory_index.h"
#include "core/store/pack_mend.h"
#include "core/store/parity.h"

namespace cairn {
namespace {

// Blobs in one transaction of an index in memory.
constexpr size_t kBlobsPerTransaction = 500'000;

bool SamePlace(const Place& place, const IndexPack& pack, const BlobInfo& blob, uint32_t ordinal) {
  return place == Place{pack.number, ordinal, blob.frame, blob.offset, blob.bytes};
}

}  // namespace

PackCheck::PackCheck(Repository& repository, const JournalState& state, const CheckOptions& options,
                     CheckFindings& findings, KnownDamage& damage)
    : repository_(repository),
      state_(state),
      options_(options),
      findings_(findings),
      damage_(damage) {
  ChoosePacks();
}

void PackCheck::ChoosePacks() {
  for (const auto& [name, entry] : state_.packs()) {
    if (entry.state != PackState::kPurged) packs_.push_back({&entry, false});
  }
  const ReadSubset& subset = options_.read_data;
  switch (subset.kind) {
    case ReadSubset::Kind::kNone:
      return;
    case ReadSubset::Kind::kAll:
      for (Pack& pack : packs_) pack.read = true;
      return;
    case ReadSubset::Kind::kPacks:
      for (Pack& pack : packs_) pack.read = subset.packs.contains(pack.entry->info.name);
      return;
    case ReadSubset::Kind::kPart:
      for (size_t i = 0; i < packs_.size(); ++i)
        packs_[i].read = i % subset.parts + 1 == subset.part;
      return;
    case ReadSubset::Kind::kShare: {
      std::vector<Pack*> all;
      for (Pack& pack : packs_) all.push_back(&pack);
      std::ranges::shuffle(all, std::mt19937_64(std::random_device()()));
      const double wanted = std::ceil(subset.share * static_cast<double>(all.size()));
      const auto count =
          static_cast<size_t>(std::clamp(wanted, 1.0, 1.0 + static_cast<double>(all.size())));
      for (size_t i = 0; i < std::min(count, all.size()); ++i) all[i]->read = true;
      return;
    }
  }
}

Status PackCheck::Run() {
  if (options_.progress != nullptr) {
    options_.progress->total_packs = packs_.size();
    uint64_t bytes = 0;
    for (const Pack& pack : packs_) bytes += pack.read ? pack.entry->info.bytes : 0;
    options_.progress->total_bytes = bytes;
  }
  const int threads = WorkerCount(options_.threads);
  std::vector<FrameCodecContext> codecs;
  for (int i = 0; i < threads; ++i) codecs.emplace_back(/*compression_level=*/1);
  {
    WorkerPool pool(threads);
    for (const Pack& pack : packs_) {
      pool.Submit([this, &pack, &codecs](int worker) {
        Status status = CheckStop(options_.stop);
        if (status.ok()) status = CheckPack(pack, codecs[worker]);
        if (options_.progress != nullptr) ++options_.progress->packs;
        MutexLock lock(failure_mutex_);
        if (failure_.ok()) failure_ = std::move(status);
      });
    }
    pool.Wait();
  }
  {
    MutexLock lock(failure_mutex_);
    if (!failure_.ok()) return std::move(failure_);
  }
  if (!index_is_wrong_) {
    const StatusOr<std::string> difference = CompareWholeIndex();
    if (!difference.ok()) IndexIsWrong(std::string(Message(difference.status())));
    if (difference.ok() && !difference->empty()) IndexIsWrong(*difference);
  }
  return OkStatus();
}

Status PackCheck::CheckPack(const Pack& pack, FrameCodecContext& codec) {
  const PackInfo& info = pack.entry->info;
  // The store may still have a file open that has lost its name.
  const StatusOr<uint64_t> size = repository_.store().Size(PackObjectName(info.name));
  StatusOr<PackFooter> footer = PackFooter();
  if (size.ok()) {
    footer = ReadPackFooter(repository_.store(), info, repository_.config().id);
  } else {
    footer = size.status();
  }
  if (!footer.ok()) {
    a_footer_is_missing_ = true;
    damage_.AddPack(info.name,
                    findings_.Add({PackObject(info.name), std::string(Message(footer.status()))}));
    return OkStatus();
  }
  CheckParity(pack);
  places_ += footer->blobs.size();
  if (!index_is_wrong_) {
    const StatusOr<std::string> difference = CompareWithIndex(*pack.entry, *footer);
    if (!difference.ok()) IndexIsWrong(std::string(Message(difference.status())));
    if (difference.ok() && !difference->empty()) {
      IndexIsWrong(PackObject(info.name) + ": " + *difference);
    }
  }
  return pack.read ? ReadFrames(info, *footer, codec, nullptr) : OkStatus();
}

void PackCheck::CheckParity(const Pack& pack) {
  const PackInfo& info = pack.entry->info;
  if ((info.content & kPackHasParity) == 0) return;
  PackMender mender(repository_.store(), repository_.config().id, SessionId{}, options_.stop);
  const Status status = pack.read ? mender.VerifyParity(info) : mender.VerifyParitySize(info);
  if (status.code() == StatusCode::kNotFound) {
    ++packs_without_parity_;
  } else if (!status.ok() && status.code() != StatusCode::kCancelled) {
    findings_.Add({ParityObjectName(info.name), std::string(Message(status)), /*harmless=*/true,
                   /*mendable=*/true});
  }
}

void PackCheck::Report(CheckResult& result) {
  PackMender mender(repository_.store(), repository_.config().id, SessionId{}, options_.stop);
  for (const auto& [name, findings] : damage_.Packs()) {
    result.damaged_packs.insert(name);
    const PackEntry* const entry = state_.FindPack(name);
    if (entry == nullptr || mender.Verify(entry->info).ok()) continue;
    if (!mender.Solve(entry->info).ok()) continue;
    for (const size_t finding : findings) findings_.SetMendable(finding);
  }
  result.packs = packs_.size();
  result.packs_without_parity = packs_without_parity_;
  result.bytes_read += bytes_read_;
}

Status PackCheck::ReadFrames(const PackInfo& info, const PackFooter& footer,
                             FrameCodecContext& codec, CheckedBlobs* bases) {
  Bytes raw;
  size_t next_blob = 0;
  for (uint32_t number = 0; number < footer.frames.size(); ++number) {
    RETURN_IF_ERROR(CheckStop(options_.stop));
    const FrameInfo& frame = footer.frames[number];
    const size_t first_blob = next_blob;
    while (next_blob < footer.blobs.size() && footer.blobs[next_blob].frame == number) ++next_blob;

    // One that lacks a base was found already.
    if (frame.bases.empty() != (bases == nullptr) || damage_.HasFrame(info.name, number)) continue;
    const StatusOr<Bytes> stored = ReadFrame(repository_.store(), info.name, frame);
    const StatusOr<Bytes> prefix = bases == nullptr ? Bytes() : bases->ReadPrefix(frame.bases);
    Status status = stored.ok() ? prefix.status() : stored.status();
    if (status.ok()) status = codec.Decode(frame, *stored, *prefix, raw);
    bytes_read_ += frame.stored_bytes;
    if (options_.progress != nullptr) options_.progress->bytes_read += frame.stored_bytes;
    if (!status.ok()) {
      const size_t finding =
          findings_.Add({FrameObject(info.name, number), std::string(Message(status))});
      damage_.AddFrame(info.name, number, finding);
      continue;
    }
    const auto blobs = std::span(footer.blobs).subspan(first_blob, next_blob - first_blob);
    VerifyBlobs(info.name, number, blobs, first_blob, raw);
  }
  return OkStatus();
}

void PackCheck::VerifyBlobs(const PackName& pack, uint32_t frame, std::span<const BlobInfo> blobs,
                            size_t first_ordinal, ByteSpan raw) {
  for (size_t i = 0; i < blobs.size(); ++i) {
    const BlobInfo& blob = blobs[i];
    // The footer was checked: its blobs fill the frame.
    if (repository_.VerifyBlob(blob.ref, raw.subspan(blob.offset, blob.bytes)).ok()) continue;
    const size_t finding = findings_.Add(
        {BlobObject(blob.ref), "its bytes in " + FrameObject(pack, frame) + " do not have its id"});
    damage_.AddBlob(pack, static_cast<uint32_t>(first_ordinal + i), finding);
  }
}

StatusOr<std::string> PackCheck::CompareWithIndex(const PackEntry& entry,
                                                  const PackFooter& footer) {
  ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  ASSIGN_OR_RETURN(const std::optional<IndexPack> pack, reader->FindPackByName(entry.info.name));
  if (!pack) return "it is not in the index";
  if (pack->info != entry.info || pack->frames != footer.frames.size() ||
      pack->blobs != footer.blobs.size()) {
    return "the index says something else of it";
  }
  for (uint32_t number = 0; number < footer.frames.size(); ++number) {
    ASSIGN_OR_RETURN(const std::optional<FrameInfo> frame, reader->FindFrame(pack->number, number));
    if (!frame || *frame != footer.frames[number]) {
      return "the index does not have its frame " + std::to_string(number);
    }
  }
  for (uint32_t ordinal = 0; ordinal < footer.blobs.size(); ++ordinal) {
    const BlobInfo& blob = footer.blobs[ordinal];
    ASSIGN_OR_RETURN(const PlaceList places, reader->FindBlob(blob.ref));
    const bool found = std::ranges::any_of(
        places, [&](const Place& place) { return SamePlace(place, *pack, blob, ordinal); });
    if (!found) return "the index does not find " + BlobObject(blob.ref) + " in it";
  }
  return "";
}

// That it has nothing beside what was found in it.
StatusOr<std::string> PackCheck::CompareWholeIndex() {
  ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  ASSIGN_OR_RETURN(const IndexHead head, reader->Head());
  // Another process may have brought it further; and of a pack without a footer the index alone
  // tells what was in it.
  if (head != IndexHead{state_.head().number, state_.head().hash} || a_footer_is_missing_)
    return "";
  std::string difference;
  RETURN_IF_ERROR(reader->ForEachPack([&](const IndexPack& pack) {
    const PackEntry* const entry = state_.FindPack(pack.info.name);
    if (pack.state == PackState::kPurged) return true;
    if (entry == nullptr || entry->state != pack.state) {
      difference = PackObject(pack.info.name) + ": the journal says something else of it";
    }
    return difference.empty();
  }));
  if (!difference.empty()) return difference;
  uint64_t places = 0;
  RETURN_IF_ERROR(reader->ForEachBlob([&](const BlobRef&, const Place&) {
    ++places;
    return true;
  }));
  if (places != places_) return "it has places of blobs that no pack has";
  size_t snapshots = 0;
  RETURN_IF_ERROR(reader->ForEachSnapshot([&](const IndexSnapshot& snapshot) {
    ++snapshots;
    const auto found = state_.snapshots().find(snapshot.id);
    const bool same = found != state_.snapshots().end() &&
                      found->second.snapshot.object == snapshot.object &&
                      found->second.record == snapshot.record &&
                      found->second.held == snapshot.held && found->second.tags == snapshot.tags;
    if (!same) difference = "snapshot " + snapshot.id.Hex() + ": the journal says something else";
    return same;
  }));
  if (difference.empty() && snapshots != state_.snapshots().size()) {
    difference = "it lacks a snapshot";
  }
  return difference;
}

void PackCheck::LeaveIndexOut() { index_is_wrong_ = true; }

void PackCheck::IndexIsWrong(const std::string& what) {
  if (index_is_wrong_.exchange(true)) return;
  findings_.Add({"index", what + "; `cairn index rebuild` makes it anew", /*harmless=*/true,
                 /*mendable=*/true});
}

StatusOr<Index*> PackCheck::RightIndex() {
  if (!index_is_wrong_) return &repository_.index();
  made_index_ = NewMemoryIndex();
  size_t next = 0;
  while (next < packs_.size()) {
    RETURN_IF_ERROR(CheckStop(options_.stop));
    std::vector<PackFooter> footers;
    std::vector<PackContents> contents;
    for (size_t blobs = 0; next < packs_.size() && blobs < kBlobsPerTransaction; ++next) {
      const PackEntry& entry = *packs_[next].entry;
      StatusOr<PackFooter> footer =
          ReadPackFooter(repository_.store(), entry.info, repository_.config().id);
      if (!footer.ok()) continue;  // it was found before
      blobs += footer->blobs.size();
      footers.push_back(*std::move(footer));
      contents.push_back({entry.info, entry.state, {}, {}});
    }
    for (size_t i = 0; i < footers.size(); ++i) {
      contents[i].frames = footers[i].frames;
      contents[i].blobs = footers[i].blobs;
    }
    ASSIGN_OR_RETURN(const auto writer, made_index_->Write());
    RETURN_IF_ERROR(writer->AddPacks(contents));
    RETURN_IF_ERROR(writer->Commit());
  }
  return made_index_.get();
}

Status PackCheck::MarkHarmless(CheckedBlobs& blobs) {
  PackName footer_of;
  PackFooter footer;
  for (const KnownDamage::Piece& piece : damage_.Pieces()) {
    RETURN_IF_ERROR(CheckStop(options_.stop));
    if (piece.pack != footer_of) {
      const PackEntry* const entry = state_.FindPack(piece.pack);
      if (entry == nullptr) continue;
      StatusOr<PackFooter> read =
          ReadPackFooter(repository_.store(), entry->info, repository_.config().id);
      if (!read.ok()) continue;
      footer = *std::move(read);
      footer_of = piece.pack;
    }
    bool all_elsewhere = true;
    for (uint32_t ordinal = 0; ordinal < footer.blobs.size() && all_elsewhere; ++ordinal) {
      const BlobInfo& blob = footer.blobs[ordinal];
      if ((piece.is_frame ? blob.frame : ordinal) != piece.number) continue;
      ASSIGN_OR_RETURN(const CheckedBlobs::Places places, blobs.Find(blob.ref));
      all_elsewhere = !places.sound.empty();
    }
    if (all_elsewhere) findings_.SetHarmless(piece.finding);
  }
  return OkStatus();
}

}  // namespace cairn
