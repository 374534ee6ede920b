// SPDX-License-Identifier: Apache-2.0
#include "core/repo/mark.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>

#include "core/base/mutex.h"
#include "core/base/worker_pool.h"
#include "core/repo/mark_bases.h"
#include "core/repo/mark_table.h"
#include "core/tree/node.h"

namespace cairn {
namespace {

// A worker looks chunks up so many at a time, in the order of the index: neighbours lie in the same
// page of it, and one that several nodes name is looked up once. Some 4 MiB of memory.
constexpr size_t kChunksAtOnce = 128 * 1024;
// For one view of the index.
constexpr size_t kLookUpsAtOnce = 4096;
// Prune may have moved a blob since the index was brought up to date.
constexpr int kFindAttempts = 3;

// The walk of one call of Mark. Workers take nodes from one stack, the newest first, so that what
// waits stays small; termination is when the stack is empty and nobody reads.
class Marker {
 public:
  Marker(MarkTable& table, const ReachableBlobs::Options& options)
      : table_(table), options_(options) {}

  Status Run(const std::vector<BlobRef>& roots);

 private:
  // A chosen place; `pack` is null if there is none.
  struct Choice {
    MarkedPack* pack = nullptr;
    uint32_t ordinal = 0;
    bool is_delta = false;
  };

  void Work();
  // Nothing when all nodes are read, or after an error. ++reading_ goes with a node.
  std::optional<BlobRef> TakeNode();
  // Adds the chunks that it names to `chunks`, and marks the nodes.
  Status Expand(const BlobRef& node, std::vector<BlobRef>& chunks);
  // Leaves none of them.
  Status MarkChunks(std::vector<BlobRef>& chunks);
  Status MarkAll(std::span<const BlobRef> refs);
  Status MarkMissing(const std::vector<BlobRef>& refs);
  StatusOr<Choice> Choose(MarkView& view, const BlobRef& ref);
  // Returns whether the blob has a place.
  StatusOr<bool> MarkOne(MarkView& view, const BlobRef& ref);
  Status Report(const BlobRef& ref, const Status& status);
  void Push(const BlobRef& node, const Choice& place);
  StatusOr<bool> CollectWaiting();

  MarkTable& table_;
  const ReachableBlobs::Options& options_;

  Mutex report_mutex_;

  Mutex mutex_;
  CondVar changed_;
  std::vector<BlobRef> stack_ ABSL_GUARDED_BY(mutex_);
  uint64_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;  // nodes for which there was no room on the stack
  int reading_ ABSL_GUARDED_BY(mutex_) = 0;
  Status failure_ ABSL_GUARDED_BY(mutex_);
};

Status Marker::Run(const std::vector<BlobRef>& roots) {
  RETURN_IF_ERROR(MarkAll(roots));
  WorkerPool pool(std::max(1, options_.threads));
  for (;;) {
    for (int worker = 0; worker < pool.workers(); ++worker) {
      pool.Submit([this](int) { Work(); });
    }
    pool.Wait();
    {
      MutexLock lock(mutex_);
      if (!failure_.ok()) return std::move(failure_);
    }
    ASSIGN_OR_RETURN(const bool more, CollectWaiting());
    if (!more) return OkStatus();
  }
}

void Marker::Work() {
  std::vector<BlobRef> chunks;
  while (const std::optional<BlobRef> node = TakeNode()) {
    Status status = CheckStop(options_.stop);
    if (status.ok()) status = Expand(*node, chunks);
    if (status.ok() && chunks.size() >= kChunksAtOnce) status = MarkChunks(chunks);
    MutexLock lock(mutex_);
    --reading_;
    if (!status.ok() && failure_.ok()) failure_ = std::move(status);
    if (reading_ == 0 || !failure_.ok()) changed_.NotifyAll();
  }
  Status status = MarkChunks(chunks);
  MutexLock lock(mutex_);
  if (!status.ok() && failure_.ok()) failure_ = std::move(status);
}

std::optional<BlobRef> Marker::TakeNode() {
  MutexLock lock(mutex_);
  while (stack_.empty() && reading_ > 0 && failure_.ok()) changed_.Wait(mutex_);
  if (stack_.empty() || !failure_.ok()) return std::nullopt;
  const BlobRef node = stack_.back();
  stack_.pop_back();
  ++reading_;
  return node;
}

Status Marker::Expand(const BlobRef& node, std::vector<BlobRef>& chunks) {
  const StatusOr<Bytes> bytes = table_.repository.ReadBlob(node);
  if (!bytes.ok()) return Report(node, bytes.status());
  StatusOr<std::vector<BlobRef>> refs = NodeReferences(node.kind, *bytes);
  if (!refs.ok()) return Report(node, refs.status());
  // Not std::ranges::partition, whose result clang 14 cannot take (nor that of unique).
  const auto nodes = std::partition(refs->begin(), refs->end(),
                                    [](const BlobRef& ref) { return !IsNode(ref.kind); });
  chunks.insert(chunks.end(), refs->begin(), nodes);
  return nodes == refs->end() ? OkStatus() : MarkAll({nodes, refs->end()});
}

Status Marker::MarkChunks(std::vector<BlobRef>& chunks) {
  std::ranges::sort(chunks, {}, &BlobRef::id);
  chunks.erase(std::unique(chunks.begin(), chunks.end()), chunks.end());
  for (size_t i = 0; i < chunks.size(); i += kLookUpsAtOnce) {
    RETURN_IF_ERROR(CheckStop(options_.stop));
    const size_t count = std::min(kLookUpsAtOnce, chunks.size() - i);
    RETURN_IF_ERROR(MarkAll(std::span(chunks).subspan(i, count)));
  }
  chunks.clear();
  return OkStatus();
}

Status Marker::Report(const BlobRef& ref, const Status& status) {
  const Status named = Annotate(status, std::string(BlobKindName(ref.kind)) + " " + ref.id.Hex());
  if (!options_.missing) return named;
  MutexLock lock(report_mutex_);
  return options_.missing(ref, named);
}

Status Marker::MarkAll(std::span<const BlobRef> refs) {
  std::vector<BlobRef> missing;
  {
    MarkView view;
    ASSIGN_OR_RETURN(view.reader, table_.index.Read());
    for (const BlobRef& ref : refs) {
      ASSIGN_OR_RETURN(const bool found, MarkOne(view, ref));
      if (!found) missing.push_back(ref);
    }
  }
  return missing.empty() ? OkStatus() : MarkMissing(missing);
}

Status Marker::MarkMissing(const std::vector<BlobRef>& refs) {
  std::vector<BlobRef> missing = refs;
  for (int attempt = 1; attempt < kFindAttempts && !missing.empty(); ++attempt) {
    RETURN_IF_ERROR(table_.repository.Refresh().status());
    MarkView view;
    ASSIGN_OR_RETURN(view.reader, table_.index.Read());
    std::vector<BlobRef> still;
    for (const BlobRef& ref : missing) {
      ASSIGN_OR_RETURN(const bool found, MarkOne(view, ref));
      if (!found) still.push_back(ref);
    }
    missing = std::move(still);
  }
  for (const BlobRef& ref : missing) {
    RETURN_IF_ERROR(Report(ref, NotFound("it is in no pack of this repository")));
  }
  return OkStatus();
}

StatusOr<Marker::Choice> Marker::Choose(MarkView& view, const BlobRef& ref) {
  ASSIGN_OR_RETURN(const PlaceList places, view.reader->FindBlob(ref));
  Choice best;
  const auto rank = [](const Choice& choice) {
    const MarkedPack& pack = *choice.pack;
    return std::tuple(pack.avoided, pack.state, choice.is_delta, pack.number, choice.ordinal);
  };
  for (const Place& place : places) {
    ASSIGN_OR_RETURN(MarkedPack* const pack, FindPack(table_, view, place));
    ASSIGN_OR_RETURN(const bool is_delta, IsInDelta(view, *pack, place));
    const Choice choice{pack, place.ordinal, is_delta};
    if (best.pack == nullptr || rank(choice) < rank(best)) best = choice;
  }
  return best;
}

StatusOr<bool> Marker::MarkOne(MarkView& view, const BlobRef& ref) {
  ASSIGN_OR_RETURN(const Choice choice, Choose(view, ref));
  if (choice.pack == nullptr) return false;
  if (choice.pack->Mark(choice.ordinal) && IsNode(ref.kind)) Push(ref, choice);
  return true;
}

void Marker::Push(const BlobRef& node, const Choice& place) {
  MutexLock lock(mutex_);
  if (stack_.size() < options_.max_waiting) {
    stack_.push_back(node);
    changed_.NotifyOne();
    return;
  }
  ++waiting_;
  std::unique_ptr<uint64_t[]>& waiting = place.pack->waiting;
  if (waiting == nullptr) waiting = std::make_unique<uint64_t[]>(place.pack->words);
  waiting[place.ordinal / MarkedPack::kWordBits] |= uint64_t{1}
                                                    << (place.ordinal % MarkedPack::kWordBits);
}

// Fills the stack, which is empty, with nodes that found no room on it. False if there were none.
StatusOr<bool> Marker::CollectWaiting() {
  uint64_t waiting = 0;
  {
    MutexLock lock(mutex_);
    waiting = waiting_;
  }
  if (waiting == 0) return false;
  // No worker runs.
  std::vector<BlobRef> found;
  MarkView view;
  ASSIGN_OR_RETURN(view.reader, table_.index.Read());
  Status failure;
  RETURN_IF_ERROR(view.reader->ForEachBlob([&](const BlobRef& ref, const Place& place) {
    const StatusOr<MarkedPack*> pack = FindPack(table_, view, place);
    if (!pack.ok()) {
      failure = pack.status();
      return false;
    }
    if ((*pack)->waiting == nullptr) return true;
    uint64_t& word = (*pack)->waiting[place.ordinal / MarkedPack::kWordBits];
    const uint64_t bit = uint64_t{1} << (place.ordinal % MarkedPack::kWordBits);
    if ((word & bit) == 0) return true;
    word &= ~bit;
    found.push_back(ref);
    return found.size() < std::min<uint64_t>(waiting, options_.max_waiting);
  }));
  RETURN_IF_ERROR(failure);
  if (found.empty()) return Aborted("packs went out of the index while it was walked: try again");
  MutexLock lock(mutex_);
  waiting_ -= found.size();
  stack_ = std::move(found);
  return true;
}

}  // namespace

struct ReachableBlobs::State {
  State(Repository& repository, const std::set<PackName>& avoid) : table(repository, avoid) {}
  MarkTable table;
};

ReachableBlobs::ReachableBlobs() = default;
ReachableBlobs::ReachableBlobs(ReachableBlobs&&) noexcept = default;
ReachableBlobs& ReachableBlobs::operator=(ReachableBlobs&&) noexcept = default;
ReachableBlobs::~ReachableBlobs() = default;

StatusOr<ReachableBlobs> ReachableBlobs::Create(Repository& repository,
                                                const std::set<PackName>& avoid) {
  ReachableBlobs blobs;
  blobs.state_ = std::make_unique<State>(repository, avoid);
  MarkTable& table = blobs.state_->table;
  ASSIGN_OR_RETURN(const auto reader, table.index.Read());
  RETURN_IF_ERROR(reader->ForEachPack([&](const IndexPack& pack) {
    if (pack.state == PackState::kPurged) return true;
    table.packs.push_back(std::make_unique<MarkedPack>(pack, table.avoid.contains(pack.info.name)));
    MarkedPack* const marked = table.packs.back().get();
    table.by_name[marked->name] = marked;
    table.by_number[marked->number] = marked;
    return true;
  }));
  return blobs;
}

Status ReachableBlobs::Mark(const std::vector<BlobRef>& roots, const Options& options) {
  return Marker(state_->table, options).Run(roots);
}

Status ReachableBlobs::MarkBases(const std::vector<PackName>& packs, const StopFlag* stop) {
  return MarkBasesIn(state_->table, packs, stop);
}

bool ReachableBlobs::IsMarked(PackNumber pack, uint32_t ordinal) const {
  const auto found = state_->table.by_number.find(pack);
  return found != state_->table.by_number.end() && found->second->IsMarked(ordinal);
}

bool ReachableBlobs::IsMarked(const PackName& pack, uint32_t ordinal) const {
  const MarkedPack* const found = state_->table.FindByName(pack);
  return found != nullptr && found->IsMarked(ordinal);
}

uint64_t ReachableBlobs::count() const {
  uint64_t count = 0;
  for (const PackMarks& pack : MarkedPacks()) count += pack.marked;
  return count;
}

std::vector<ReachableBlobs::PackMarks> ReachableBlobs::MarkedPacks() const {
  std::vector<PackMarks> packs;
  for (const MarkedPack* const pack : state_->table.AllPacks()) {
    if (pack->marked == 0) continue;
    packs.push_back({pack->name, pack->blobs, pack->marked, pack->pinned_bytes});
  }
  std::ranges::sort(packs, {}, &PackMarks::name);
  return packs;
}

StatusOr<std::set<PackName>> PacksOfTree(Repository& repository, const BlobRef& root) {
  ASSIGN_OR_RETURN(ReachableBlobs blobs, ReachableBlobs::Create(repository));
  RETURN_IF_ERROR(blobs.Mark({root}, {}));
  std::set<PackName> names;
  for (const ReachableBlobs::PackMarks& pack : blobs.MarkedPacks()) names.insert(pack.name);
  return names;
}

}  // namespace cairn
