// SPDX-License-Identifier: Apache-2.0
#include "core/repo/check_packs.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <utility>

#include "core/base/worker_pool.h"
#include "core/index/memory_index.h"
#include "core/repo/verified_times.h"
#include "core/store/misplaced_packs.h"
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

void ReadBudget::Start() {
  if (end_ || !options_.read_seconds) return;
  end_ = options_.steady_clock->Now();
  end_->seconds += *options_.read_seconds;
}

bool ReadBudget::IsUsedUp() const { return end_ && options_.steady_clock->Now() >= *end_; }

PackCheck::PackCheck(Repository& repository, const JournalState& state, const CheckOptions& options,
                     ReadBudget& budget, CheckFindings& findings, KnownDamage& damage)
    : repository_(repository),
      state_(state),
      options_(options),
      budget_(budget),
      findings_(findings),
      damage_(damage) {
  ChoosePacks();
  for (Pack& pack : packs_) {
    if (pack.read) to_read_.push_back(&pack);
  }
  if (options_.read_before || options_.read_seconds) ChooseByTime();
}

void PackCheck::ChoosePacks() {
  for (const auto& [name, entry] : state_.packs()) {
    if (entry.state != PackState::kPurged) packs_.emplace_back().entry = &entry;
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

void PackCheck::ChooseByTime() {
  const Timestamp now = repository_.options().clock->Now();
  if (const auto reader = repository_.index().Read(); reader.ok()) {
    for (Pack* const pack : to_read_) {
      pack->last_read = FindVerifiedTime(**reader, repository_, pack->entry->info.name, now);
    }
  }
  std::ranges::stable_sort(to_read_, {}, [](const Pack* pack) { return pack->last_read; });
  if (!options_.read_before) return;
  const auto recent = std::ranges::find_if(to_read_, [this](const Pack* pack) {
    return pack->last_read && *pack->last_read >= *options_.read_before;
  });
  recent_.assign(recent, to_read_.end());
  for (auto pack = recent; pack != to_read_.end(); ++pack) (*pack)->read = false;
  to_read_.erase(recent, to_read_.end());
}

Status PackCheck::Run() {
  if (options_.progress != nullptr) {
    options_.progress->total_packs = packs_.size();
    uint64_t bytes = 0;
    for (const Pack* const pack : to_read_) bytes += pack->entry->info.bytes;
    options_.progress->total_bytes = bytes;
  }
  {
    WorkerPool pool(WorkerCount(options_.threads));
    for (Pack& pack : packs_) {
      pool.Submit([this, &pack](int) {
        Status status = CheckStop(options_.stop);
        if (status.ok()) CheckPack(pack);
        if (options_.progress != nullptr && !pack.read) ++options_.progress->packs;
        Keep(std::move(status));
      });
    }
    pool.Wait();
  }
  RETURN_IF_ERROR(TakeFailure());
  if (!index_is_wrong_) {
    const StatusOr<std::string> difference = CompareWholeIndex();
    if (!difference.ok()) IndexIsWrong(std::string(Message(difference.status())));
    if (difference.ok() && !difference->empty()) IndexIsWrong(*difference);
  }
  return OkStatus();
}

void PackCheck::Keep(Status failure) {
  MutexLock lock(failure_mutex_);
  if (failure_.ok()) failure_ = std::move(failure);
}

Status PackCheck::TakeFailure() {
  MutexLock lock(failure_mutex_);
  return std::exchange(failure_, OkStatus());
}

void PackCheck::CheckPack(Pack& pack) {
  const PackInfo& info = pack.entry->info;
  // The store may still have a file open that has lost its name.
  const StatusOr<uint64_t> size = repository_.store().Size(PackObjectName(info.name));
  StatusOr<PackFooter> footer = PackFooter();
  if (size.ok()) {
    footer = ReadPackFooter(repository_.store(), repository_.keys(), info);
  } else {
    footer = size.status();
  }
  if (!footer.ok()) {
    a_footer_is_missing_ = true;
    damage_.AddPack(info.name, std::string(Message(footer.status())));
    return;
  }
  CheckParity(pack);
  places_ += footer->blobs.size();
  if (index_is_wrong_) return;
  const StatusOr<std::string> difference = CompareWithIndex(*pack.entry, *footer);
  if (!difference.ok()) IndexIsWrong(std::string(Message(difference.status())));
  if (difference.ok() && !difference->empty()) {
    IndexIsWrong(PackObject(info.name) + ": " + *difference);
  }
}

void PackCheck::CheckParity(Pack& pack) {
  const PackInfo& info = pack.entry->info;
  if ((info.content & kPackHasParity) == 0) return;
  PackMender mender(repository_.store(), repository_.keys(), SessionId{}, options_.stop);
  const Status status = mender.VerifyParitySize(info);
  pack.has_parity = status.ok();
  if (status.code() == StatusCode::kNotFound) {
    ++packs_without_parity_;
  } else if (!status.ok() && status.code() != StatusCode::kCancelled) {
    findings_.Add({ParityObjectName(info.name), std::string(Message(status)), /*harmless=*/true,
                   /*mendable=*/true});
  }
}

void PackCheck::Report(CheckResult& result) {
  PackMender mender(repository_.store(), repository_.keys(), SessionId{}, options_.stop);
  for (const auto& [name, findings] : damage_.Packs()) result.damaged_packs.insert(name);
  std::set<PackName> elsewhere;  // whole, under the name of another
  for (const MisplacedPack& each : FindMisplacedPacks(
           repository_.store(), repository_.keys(), state_, result.damaged_packs, options_.stop)) {
    if (each.whole) elsewhere.insert(each.pack.name);
  }
  for (const auto& [name, findings] : damage_.Packs()) {
    const PackEntry* const entry = state_.FindPack(name);
    if (entry == nullptr || mender.Verify(entry->info).ok()) continue;
    if (!elsewhere.contains(name) && !mender.Solve(entry->info).ok()) continue;
    for (const size_t finding : findings) findings_.SetMendable(finding);
  }
  result.packs = packs_.size();
  result.packs_without_parity = packs_without_parity_;
  result.bytes_read += bytes_read_;
  {
    MutexLock lock(open_mutex_);
    result.packs_read = next_to_read_;
  }
  for (size_t i = result.packs_read; i < to_read_.size(); ++i) {
    ++result.packs_left;
    result.bytes_left += to_read_[i]->entry->info.bytes;
  }
  for (const Pack* const pack : recent_) {
    ++result.packs_recent;
    result.bytes_recent += pack->entry->info.bytes;
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
                      TimeOfSnapshot(snapshot.object) == snapshot.time &&
                      found->second.held == snapshot.held && found->second.tags == snapshot.tags;
    if (!same) difference = "snapshot " + snapshot.id.Hex() + ": the journal says something else";
    return same;
  }));
  if (!difference.empty()) return difference;
  // Whoever looks for one comes by its time or its id, and reads the row that was compared.
  size_t by_time = 0;
  size_t by_id = 0;
  RETURN_IF_ERROR(reader->ForEachSnapshotBefore(kEndOfTime, [&](const IndexSnapshot&) {
    ++by_time;
    return true;
  }));
  RETURN_IF_ERROR(reader->ForEachSnapshotFrom(SnapshotId{}, [&](const IndexSnapshot&) {
    ++by_id;
    return true;
  }));
  const size_t wanted = state_.snapshots().size();
  return snapshots == wanted && by_time == wanted && by_id == wanted ? "" : "it lacks a snapshot";
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
          ReadPackFooter(repository_.store(), repository_.keys(), entry.info);
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
          ReadPackFooter(repository_.store(), repository_.keys(), entry->info);
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
