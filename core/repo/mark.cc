// SPDX-License-Identifier: Apache-2.0
#include "core/repo/mark.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "core/base/mutex.h"
#include "core/base/worker_pool.h"
#include "core/store/pack.h"
#include "core/tree/node.h"

namespace cairn {
namespace {

constexpr uint32_t kWordBits = 64;
// Prune may have moved a blob since the index was brought up to date.
constexpr int kFindAttempts = 3;

struct MarkedPack {
  MarkedPack(const IndexPack& pack, bool is_avoided)
      : avoided(is_avoided),
        name(pack.info.name),
        number(pack.number),
        state(pack.state),
        has_deltas((pack.info.content & kPackHasDeltas) != 0),
        blobs(pack.blobs),
        words((pack.blobs + kWordBits - 1) / kWordBits),
        bits(std::make_unique<std::atomic<uint64_t>[]>(words)) {}

  // False if it was marked before.
  bool Mark(uint32_t ordinal) {
    const uint64_t bit = uint64_t{1} << (ordinal % kWordBits);
    const uint64_t before = bits[ordinal / kWordBits].fetch_or(bit, std::memory_order_relaxed);
    if ((before & bit) != 0) return false;
    marked.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  bool IsMarked(uint32_t ordinal) const {
    if (ordinal >= blobs) return false;
    const uint64_t word = bits[ordinal / kWordBits].load(std::memory_order_relaxed);
    return (word >> (ordinal % kWordBits) & 1) != 0;
  }

  const bool avoided;
  const PackName name;
  const PackNumber number;
  const PackState state;
  const bool has_deltas;
  const uint32_t blobs;
  const uint32_t words;
  const std::unique_ptr<std::atomic<uint64_t>[]> bits;
  std::atomic<uint32_t> marked{0};
  bool bases_marked = false;
  // Nodes that are marked and still to be read, as there were too many at a time. Null if none.
  std::unique_ptr<uint64_t[]> waiting;
};

// The packs of the index, and those that it got since.
struct MarkTable {
  MarkTable(Repository& r, const std::set<PackName>& avoid_packs)
      : repository(r), index(r.index()), avoid(avoid_packs) {}

  // The pack of this number, as the index knows it now; null if it knows none.
  StatusOr<MarkedPack*> FindPack(IndexReader& reader, PackNumber number);
  MarkedPack* FindByName(const PackName& name) const;
  std::vector<MarkedPack*> AllPacks() const;

  Repository& repository;
  // The repository may take another one, whose numbers mean other packs; this one stays.
  Index& index;
  const std::set<PackName> avoid;
  // Constant after Create.
  std::vector<std::unique_ptr<MarkedPack>> packs;
  absl::flat_hash_map<PackName, MarkedPack*> by_name;
  absl::flat_hash_map<PackNumber, MarkedPack*> by_number;

  mutable Mutex late_mutex;
  absl::flat_hash_map<PackName, std::unique_ptr<MarkedPack>> late_packs ABSL_GUARDED_BY(late_mutex);
};

MarkedPack* MarkTable::FindByName(const PackName& name) const {
  if (const auto found = by_name.find(name); found != by_name.end()) return found->second;
  MutexLock lock(late_mutex);
  const auto late = late_packs.find(name);
  return late == late_packs.end() ? nullptr : late->second.get();
}

std::vector<MarkedPack*> MarkTable::AllPacks() const {
  std::vector<MarkedPack*> all;
  for (const auto& pack : packs) all.push_back(pack.get());
  MutexLock lock(late_mutex);
  for (const auto& [name, pack] : late_packs) all.push_back(pack.get());
  return all;
}

StatusOr<MarkedPack*> MarkTable::FindPack(IndexReader& reader, PackNumber number) {
  ASSIGN_OR_RETURN(const std::optional<IndexPack> pack, reader.FindPack(number));
  if (!pack) return nullptr;
  // By name, as another process may have built the index anew, with other numbers.
  if (MarkedPack* const known = FindByName(pack->info.name)) {
    if (known->blobs != pack->blobs) {
      return DataLoss("index: pack " + pack->info.name.Hex() + " has another number of blobs");
    }
    return known;
  }
  MutexLock lock(late_mutex);
  std::unique_ptr<MarkedPack>& late = late_packs[pack->info.name];
  if (late == nullptr) {
    late = std::make_unique<MarkedPack>(*pack, avoid.contains(pack->info.name));
  }
  return late.get();
}

// One view of the index, and what was looked up in it.
struct View {
  std::unique_ptr<IndexReader> reader;
  absl::flat_hash_map<PackNumber, MarkedPack*> packs;
};

// The pack of a place; never null.
StatusOr<MarkedPack*> FindPack(MarkTable& table, View& view, const Place& place) {
  auto found = view.packs.find(place.pack);
  if (found == view.packs.end()) {
    ASSIGN_OR_RETURN(MarkedPack* const pack, table.FindPack(*view.reader, place.pack));
    found = view.packs.emplace(place.pack, pack).first;
  }
  if (found->second == nullptr || place.ordinal >= found->second->blobs) {
    return DataLoss("index: a blob's place is in no pack");
  }
  return found->second;
}

StatusOr<bool> IsInDelta(View& view, const MarkedPack& pack, const Place& place) {
  if (!pack.has_deltas) return false;
  ASSIGN_OR_RETURN(const std::optional<FrameInfo> frame,
                   view.reader->FindFrame(place.pack, place.frame));
  if (!frame) return DataLoss("index: a place without its frame");
  return !frame->bases.empty();
}

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
  Status Expand(const BlobRef& node);
  Status MarkAll(const std::vector<BlobRef>& refs);
  Status MarkMissing(const std::vector<BlobRef>& refs);
  StatusOr<Choice> Choose(View& view, const BlobRef& ref);
  // Returns whether the blob has a place.
  StatusOr<bool> MarkOne(View& view, const BlobRef& ref);
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
  for (;;) {
    BlobRef node;
    {
      MutexLock lock(mutex_);
      while (stack_.empty() && reading_ > 0 && failure_.ok()) changed_.Wait(mutex_);
      if (stack_.empty() || !failure_.ok()) return;
      node = stack_.back();
      stack_.pop_back();
      ++reading_;
    }
    Status status = CheckStop(options_.stop);
    if (status.ok()) status = Expand(node);
    MutexLock lock(mutex_);
    --reading_;
    if (!status.ok() && failure_.ok()) failure_ = std::move(status);
    if (reading_ == 0 || !failure_.ok()) changed_.NotifyAll();
  }
}

Status Marker::Expand(const BlobRef& node) {
  const StatusOr<Bytes> bytes = table_.repository.ReadBlob(node);
  if (!bytes.ok()) return Report(node, bytes.status());
  const StatusOr<std::vector<BlobRef>> refs = NodeReferences(node.kind, *bytes);
  if (!refs.ok()) return Report(node, refs.status());
  return MarkAll(*refs);
}

Status Marker::Report(const BlobRef& ref, const Status& status) {
  const Status named = Annotate(status, std::string(BlobKindName(ref.kind)) + " " + ref.id.Hex());
  if (!options_.missing) return named;
  MutexLock lock(report_mutex_);
  return options_.missing(ref, named);
}

Status Marker::MarkAll(const std::vector<BlobRef>& refs) {
  std::vector<BlobRef> missing;
  {
    View view;
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
    View view;
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

StatusOr<Marker::Choice> Marker::Choose(View& view, const BlobRef& ref) {
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

StatusOr<bool> Marker::MarkOne(View& view, const BlobRef& ref) {
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
  waiting[place.ordinal / kWordBits] |= uint64_t{1} << (place.ordinal % kWordBits);
}

// Fills the stack with nodes that found no room on it. False if there were none.
StatusOr<bool> Marker::CollectWaiting() {
  MutexLock lock(mutex_);
  if (waiting_ == 0) return false;
  // The lock is held over the callback too, which the compiler's analysis does not see.
  auto& stack = stack_;
  auto& waiting = waiting_;
  View view;
  ASSIGN_OR_RETURN(view.reader, table_.index.Read());
  Status failure;
  RETURN_IF_ERROR(view.reader->ForEachBlob([&](const BlobRef& ref, const Place& place) {
    const StatusOr<MarkedPack*> pack = FindPack(table_, view, place);
    if (!pack.ok()) {
      failure = pack.status();
      return false;
    }
    if ((*pack)->waiting == nullptr) return true;
    uint64_t& word = (*pack)->waiting[place.ordinal / kWordBits];
    const uint64_t bit = uint64_t{1} << (place.ordinal % kWordBits);
    if ((word & bit) == 0) return true;
    word &= ~bit;
    stack.push_back(ref);
    --waiting;
    return waiting > 0 && stack.size() < options_.max_waiting;
  }));
  RETURN_IF_ERROR(failure);
  if (stack_.empty()) return Aborted("packs went out of the index while it was walked: try again");
  return true;
}

// Marks what delta frames are based on, pack by pack: a base lies in a plain frame, but in a pack
// that may have delta frames too.
class BaseMarker {
 public:
  BaseMarker(MarkTable& table, const StopFlag* stop) : table_(table), stop_(stop) {}

  Status Run(const std::vector<PackName>& packs);

 private:
  Status AddPack(const PackName& name);
  Status MarkPack(MarkedPack& pack);
  // False if it is in no plain frame.
  StatusOr<bool> MarkBase(View& view, const BaseId& base);
  StatusOr<bool> IsFrameMarked(const MarkedPack& pack, uint32_t frame);

  MarkTable& table_;
  const StopFlag* const stop_;
};

Status BaseMarker::Run(const std::vector<PackName>& packs) {
  for (const PackName& name : packs) RETURN_IF_ERROR(AddPack(name));
  const std::set<PackName> named(packs.begin(), packs.end());
  for (bool found = true; found;) {
    found = false;
    for (MarkedPack* const pack : table_.AllPacks()) {
      if (!pack->has_deltas || pack->bases_marked) continue;
      if (pack->marked == 0 && !named.contains(pack->name)) continue;
      RETURN_IF_ERROR(CheckStop(stop_));
      RETURN_IF_ERROR(MarkPack(*pack));
      pack->bases_marked = found = true;
    }
  }
  return OkStatus();
}

// So that the table has it.
Status BaseMarker::AddPack(const PackName& name) {
  if (table_.FindByName(name) != nullptr) return OkStatus();
  ASSIGN_OR_RETURN(const auto reader, table_.index.Read());
  ASSIGN_OR_RETURN(const std::optional<IndexPack> pack, reader->FindPackByName(name));
  return pack ? table_.FindPack(*reader, pack->number).status() : OkStatus();
}

Status BaseMarker::MarkPack(MarkedPack& pack) {
  std::vector<uint32_t> lacking;
  {
    View view;
    ASSIGN_OR_RETURN(view.reader, table_.index.Read());
    ASSIGN_OR_RETURN(const std::optional<IndexPack> known, view.reader->FindPackByName(pack.name));
    if (!known) return OkStatus();
    for (uint32_t number = 0; number < known->frames; ++number) {
      ASSIGN_OR_RETURN(const std::optional<FrameInfo> frame,
                       view.reader->FindFrame(known->number, number));
      if (!frame) return DataLoss("index: a pack without its frame");
      bool whole = true;
      for (const BaseId& base : frame->bases) {
        ASSIGN_OR_RETURN(const bool marked, MarkBase(view, base));
        whole = whole && marked;
      }
      if (!whole) lacking.push_back(number);
    }
  }
  for (const uint32_t number : lacking) {
    ASSIGN_OR_RETURN(const bool needed, IsFrameMarked(pack, number));
    if (!needed) continue;
    return NotFound("a base of frame " + std::to_string(number) + " of pack " + pack.name.Hex() +
                    " is in no plain frame of this repository");
  }
  return OkStatus();
}

StatusOr<bool> BaseMarker::MarkBase(View& view, const BaseId& base) {
  MarkedPack* best = nullptr;
  uint32_t ordinal = 0;
  const auto rank = [](const MarkedPack& pack) {
    return std::tuple(pack.avoided, pack.state, pack.number);
  };
  ASSIGN_OR_RETURN(const std::vector<PlacedBlob> places, view.reader->FindBase(base));
  for (const auto& [ref, place] : places) {
    ASSIGN_OR_RETURN(MarkedPack* const pack, FindPack(table_, view, place));
    if (best != nullptr && rank(*best) <= rank(*pack)) continue;
    ASSIGN_OR_RETURN(const bool is_delta, IsInDelta(view, *pack, place));
    if (is_delta) continue;
    best = pack;
    ordinal = place.ordinal;
  }
  if (best != nullptr) best->Mark(ordinal);
  return best != nullptr;
}

StatusOr<bool> BaseMarker::IsFrameMarked(const MarkedPack& pack, uint32_t frame) {
  PackInfo info;
  {
    ASSIGN_OR_RETURN(const auto reader, table_.index.Read());
    ASSIGN_OR_RETURN(const std::optional<IndexPack> known, reader->FindPackByName(pack.name));
    if (!known) return false;
    info = known->info;
  }
  Repository& repository = table_.repository;
  ASSIGN_OR_RETURN(const PackFooter footer,
                   ReadPackFooter(repository.store(), repository.keys(), info));
  for (uint32_t ordinal = 0; ordinal < footer.blobs.size(); ++ordinal) {
    if (footer.blobs[ordinal].frame == frame && pack.IsMarked(ordinal)) return true;
  }
  return false;
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
  return BaseMarker(state_->table, stop).Run(packs);
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
    if (pack->marked > 0) packs.push_back({pack->name, pack->blobs, pack->marked});
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
