// SPDX-License-Identifier: Apache-2.0
#include "core/repo/check_blobs.h"

#include <algorithm>
#include <memory>
#include <tuple>

#include "core/repo/place_finder.h"
#include "core/store/pack.h"

namespace cairn {

size_t CheckFindings::Add(Damage damage) {
  if (options_.on_finding) options_.on_finding(damage.object + ": " + damage.what);
  MutexLock lock(mutex_);
  damages_.push_back(std::move(damage));
  return damages_.size() - 1;
}

void CheckFindings::SetHarmless(size_t number) {
  MutexLock lock(mutex_);
  damages_[number].harmless = true;
}

void CheckFindings::SetMendable(size_t number) {
  MutexLock lock(mutex_);
  damages_[number].mendable = true;
}

bool CheckFindings::empty() const {
  MutexLock lock(mutex_);
  return damages_.empty();
}

std::vector<Damage> CheckFindings::Take() {
  MutexLock lock(mutex_);
  return std::move(damages_);
}

void KnownDamage::AddPack(const PackName& pack, const std::string& what) {
  MutexLock lock(mutex_);
  if (packs_.contains(pack)) return;
  packs_[pack] = findings_.Add({PackObject(pack), what});
}

void KnownDamage::AddFrame(const PackName& pack, uint32_t frame, const std::string& what) {
  MutexLock lock(mutex_);
  if (frames_.contains(Key(pack, frame))) return;
  frames_[Key(pack, frame)] = findings_.Add({FrameObject(pack, frame), what});
}

void KnownDamage::AddBlob(const PackName& pack, uint32_t ordinal, const BlobRef& ref,
                          const std::string& what) {
  MutexLock lock(mutex_);
  if (blobs_.contains(Key(pack, ordinal))) return;
  blobs_[Key(pack, ordinal)] = findings_.Add({BlobObject(ref), what});
}

bool KnownDamage::HasPlace(const PackName& pack, const Place& place) const {
  MutexLock lock(mutex_);
  return packs_.contains(pack) || frames_.contains(Key(pack, place.frame)) ||
         blobs_.contains(Key(pack, place.ordinal));
}

bool KnownDamage::empty() const {
  MutexLock lock(mutex_);
  return packs_.empty() && frames_.empty() && blobs_.empty();
}

std::vector<KnownDamage::Piece> KnownDamage::Pieces() const {
  std::vector<Piece> pieces;
  {
    MutexLock lock(mutex_);
    for (const auto& [key, finding] : frames_) {
      pieces.push_back({key.first, true, key.second, finding});
    }
    for (const auto& [key, finding] : blobs_) {
      pieces.push_back({key.first, false, key.second, finding});
    }
  }
  std::ranges::sort(pieces, {}, [](const Piece& piece) {
    return std::tuple(piece.pack, piece.is_frame, piece.number);
  });
  return pieces;
}

std::map<PackName, std::vector<size_t>> KnownDamage::Packs() const {
  std::map<PackName, std::vector<size_t>> packs;
  MutexLock lock(mutex_);
  for (const auto& [pack, finding] : packs_) packs[pack].push_back(finding);
  for (const auto* const pieces : {&frames_, &blobs_}) {
    for (const auto& [key, finding] : *pieces) packs[key.first].push_back(finding);
  }
  return packs;
}

StatusOr<PackName> CheckedBlobs::NameOf(IndexReader& reader, PackNumber number) {
  if (const auto known = names_.find(number); known != names_.end()) return known->second;
  ASSIGN_OR_RETURN(const std::optional<IndexPack> pack, reader.FindPack(number));
  if (!pack) return DataLoss("index: a place without its pack");
  names_[number] = pack->info.name;
  return pack->info.name;
}

StatusOr<CheckedBlobs::Places> CheckedBlobs::Find(const BlobRef& ref) {
  ASSIGN_OR_RETURN(const auto reader, index_.Read());
  return Find(*reader, ref);
}

StatusOr<CheckedBlobs::Places> CheckedBlobs::Find(IndexReader& reader, const BlobRef& ref) {
  Places places;
  ASSIGN_OR_RETURN(places.all, reader.FindBlob(ref));
  for (const Place& place : places.all) {
    ASSIGN_OR_RETURN(const PackName pack, NameOf(reader, place.pack));
    if (!damage_.HasPlace(pack, place)) places.sound.push_back(place);
  }
  return places;
}

StatusOr<Bytes> CheckedBlobs::ReadBlob(const BlobRef& ref) {
  ASSIGN_OR_RETURN(const Places places, Find(ref));
  for (const Place& place : places.sound) {
    StatusOr<Bytes> bytes = ReadAt(ref, place);
    if (bytes.ok()) return bytes;
  }
  if (places.all.empty()) return NotFound(BlobObject(ref) + " is in no pack");
  return DataLoss(BlobObject(ref) + " is damaged");
}

StatusOr<Bytes> CheckedBlobs::ReadPrefix(std::span<const BaseId> bases) {
  Bytes prefix;
  for (const BaseId& base : bases) {
    ASSIGN_OR_RETURN(const Bytes bytes, ReadBase(base));
    if (prefix.size() + bytes.size() > kMaxPrefixBytes) {
      return DataLoss("its bases are longer than they may be");
    }
    Append(prefix, bytes);
  }
  return prefix;
}

StatusOr<Bytes> CheckedBlobs::ReadBase(const BaseId& base) {
  std::vector<FramedPlace> places;
  {
    ASSIGN_OR_RETURN(const auto reader, index_.Read());
    ASSIGN_OR_RETURN(places, PlaceFinder(*reader).FindBase(base));
  }
  for (const FramedPlace& at : places) {
    names_[at.place.pack] = at.pack.info.name;
    if (damage_.HasPlace(at.pack.info.name, at.place)) continue;
    StatusOr<Bytes> bytes = ReadAt(at.ref, at.place);
    if (bytes.ok()) return bytes;
  }
  return DataLoss("its base " + HexEncode(base) +
                  (places.empty() ? " is in no plain frame" : " is damaged"));
}

StatusOr<Bytes> CheckedBlobs::ReadAt(const BlobRef& ref, const Place& place) {
  const PackName pack = names_.at(place.pack);  // a copy: reading the frame's bases adds names
  ASSIGN_OR_RETURN(const FrameCache::Frame frame, ReadFrameAt(pack, place));
  if (uint64_t{place.offset} + place.bytes > frame->size()) {
    return DataLoss("index: a place outside of its frame");
  }
  const ByteSpan bytes = ByteSpan(*frame).subspan(place.offset, place.bytes);
  if (hasher_.Hash(ref.kind, bytes) != ref.id) {
    damage_.AddBlob(pack, place.ordinal, ref,
                    "its bytes in " + FrameObject(pack, place.frame) + " do not have its id");
    return DataLoss(BlobObject(ref) + " is damaged");
  }
  return Bytes(bytes.begin(), bytes.end());
}

StatusOr<FrameCache::Frame> CheckedBlobs::ReadFrameAt(const PackName& pack, const Place& place) {
  if (FrameCache::Frame cached = frames_.Find(pack, place.frame)) return cached;
  std::optional<FrameInfo> info;
  {
    ASSIGN_OR_RETURN(const auto reader, index_.Read());
    ASSIGN_OR_RETURN(info, reader->FindFrame(place.pack, place.frame));
  }
  if (!info) return DataLoss("index: a place without its frame");
  const StatusOr<Bytes> stored = ReadFrame(store_, keys_, pack, place.frame, *info);
  const StatusOr<Bytes> prefix = ReadPrefix(info->bases);
  std::shared_ptr<Bytes> raw = frames_.NewFrame();
  Status status = stored.ok() ? prefix.status() : stored.status();
  if (status.ok()) status = codec_.Decode(*info, *stored, *prefix, *raw);
  if (!status.ok()) {
    damage_.AddFrame(pack, place.frame, std::string(Message(status)));
    return status;
  }
  bytes_read_ += stored->size();
  frames_.Insert(pack, place.frame, raw);
  return FrameCache::Frame(std::move(raw));
}

std::string PackObject(const PackName& pack) { return "pack " + pack.Hex(); }

std::string FrameObject(const PackName& pack, uint32_t frame) {
  return PackObject(pack) + " frame " + std::to_string(frame);
}

std::string BlobObject(const BlobRef& ref) {
  return std::string(BlobKindName(ref.kind)) + " " + ref.id.Hex();
}

}  // namespace cairn
