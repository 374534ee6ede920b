// SPDX-License-Identifier: Apache-2.0
#include "core/repo/lookup_filter.h"

#include <algorithm>

namespace cairn {
namespace {

// To read the rows of the index in its order then costs less than those misses did (`index_bench`:
// Walk and Find), and who has missed so often will miss as often again.
constexpr uint64_t kRowsPerMiss = 8;
constexpr uint64_t kMinCapacity = 1 << 20;  // 1.5 MiB
constexpr uint64_t kMaxCapacity = 1 << 25;  // 48 MiB

}  // namespace

Status LookupFilter::Follow(Index& index, const Repository::KnownFooters& named) {
  Status status = Update(index, named);
  if (!status.ok()) filter_.store(nullptr, std::memory_order_release);
  return status;
}

Status LookupFilter::Update(Index& index, const Repository::KnownFooters& named) {
  ASSIGN_OR_RETURN(const auto reader, index.Read());
  ASSIGN_OR_RETURN(const uint64_t places, reader->CountPlaces());
  uint64_t own = 0;
  for (const auto& [name, footer] : named) own += footer.blobs.size();
  BlobFilter* const filter = filter_;
  // Otherwise others have added or removed some.
  const bool alone = places == places_ + own;
  places_ = places;
  if (filter != nullptr && alone && places <= filter->capacity()) {
    for (const auto& [name, footer] : named) {
      for (const BlobInfo& blob : footer.blobs) filter->Add(blob.ref.id);
    }
    return OkStatus();
  }
  filter_.store(nullptr, std::memory_order_release);
  if (places > kMaxCapacity || misses_ * kRowsPerMiss < places) return OkStatus();
  return Fill(*reader);
}

Status LookupFilter::Fill(IndexReader& reader) {
  misses_ = 0;
  if (filters_.empty() || filters_.back()->capacity() < places_) {
    const uint64_t capacity = std::clamp(places_ * 4, kMinCapacity, kMaxCapacity);
    filters_.push_back(std::make_unique<BlobFilter>(capacity));
  }
  BlobFilter& filter = *filters_.back();
  RETURN_IF_ERROR(reader.ForEachBlob([&](const BlobRef& ref, const Place&) {
    filter.Add(ref.id);
    return true;
  }));
  filter_.store(&filter, std::memory_order_release);
  return OkStatus();
}

}  // namespace cairn
