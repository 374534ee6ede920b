// SPDX-License-Identifier: Apache-2.0
// The part of PackCheck that reads packs whole, and looks at the bases of delta frames: it comes
// once the index is known to be right, since that is what finds bases.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/worker_pool.h"
#include "core/repo/base_places.h"
#include "core/repo/check_packs.h"
#include "core/repo/verified_times.h"
#include "core/store/pack_mend.h"
#include "core/store/parity.h"

namespace cairn {

// What a thread reads with.
struct PackCheck::Reader {
  FrameCodecContext codec{/*compression_level=*/1};  // decoding needs no level
  CheckedBlobs bases;
  VerifiedLog& verified;
};

Status PackCheck::CheckContent(Index& index) {
  RETURN_IF_ERROR(ReadPacks(index));
  // After it, so that damaged bases are known.
  return CheckBases(index);
}

Status PackCheck::ReadPacks(Index& index) {
  if (to_read_.empty()) return OkStatus();
  budget_.Start();
  VerifiedLog verified(repository_);
  WorkerPool pool(WorkerCount(options_.threads));
  // Each worker takes the next pack in turn: the pool itself would begin with the last.
  for (int i = 0; i < pool.workers(); ++i) {
    pool.Submit([&](int) {
      Reader reader{.bases = CheckedBlobs(index, repository_.store(), repository_.keys(),
                                          repository_.hasher(), damage_),
                    .verified = verified};
      Status status;
      while (status.ok() && !budget_.IsUsedUp()) {
        const size_t next = next_to_read_++;
        if (next >= to_read_.size()) break;
        status = CheckStop(options_.stop);
        if (status.ok()) status = ReadPack(*to_read_[next], reader);
        if (options_.progress != nullptr) ++options_.progress->packs;
      }
      Keep(std::move(status));
    });
  }
  pool.Wait();
  verified.Write();
  return TakeFailure();
}

Status PackCheck::ReadPack(const Pack& pack, Reader& reader) {
  const PackInfo& info = pack.entry->info;
  const Timestamp begin = repository_.options().clock->Now();
  const StatusOr<PackFooter> footer = ReadPackFooter(repository_.store(), repository_.keys(), info);
  bool is_right = footer.ok();  // if not, that was found before
  if (footer.ok()) {
    ASSIGN_OR_RETURN(is_right, ReadFrames(info, *footer, reader));
  }
  if (pack.has_parity) {
    PackMender mender(repository_.store(), repository_.keys(), SessionId{}, options_.stop);
    const Status status = mender.VerifyParity(info);
    RETURN_IF_ERROR(CheckStop(options_.stop));
    if (!status.ok()) {
      findings_.Add({ParityObjectName(info.name), std::string(Message(status)), /*harmless=*/true,
                     /*mendable=*/true});
      is_right = false;
    }
  }
  if (is_right) {
    reader.verified.Passed(info.name, begin);
  } else {
    reader.verified.Failed(info.name);
  }
  return OkStatus();
}

StatusOr<bool> PackCheck::ReadFrames(const PackInfo& info, const PackFooter& footer,
                                     Reader& reader) {
  Bytes raw;
  size_t next_blob = 0;
  bool all_right = true;
  for (uint32_t number = 0; number < footer.frames.size(); ++number) {
    RETURN_IF_ERROR(CheckStop(options_.stop));
    const FrameInfo& frame = footer.frames[number];
    const size_t first_blob = next_blob;
    while (next_blob < footer.blobs.size() && footer.blobs[next_blob].frame == number) ++next_blob;

    const StatusOr<Bytes> stored =
        ReadFrame(repository_.store(), repository_.keys(), info.name, number, frame);
    const StatusOr<Bytes> prefix = reader.bases.ReadPrefix(frame.bases);
    Status status = stored.ok() ? prefix.status() : stored.status();
    if (status.ok()) status = reader.codec.Decode(frame, *stored, *prefix, raw);
    bytes_read_ += frame.stored_bytes;
    if (options_.progress != nullptr) options_.progress->bytes_read += frame.stored_bytes;
    if (!status.ok()) {
      damage_.AddFrame(info.name, number, std::string(Message(status)));
      all_right = false;
      continue;
    }
    const auto blobs = std::span(footer.blobs).subspan(first_blob, next_blob - first_blob);
    if (!VerifyBlobs(info.name, number, blobs, first_blob, raw)) all_right = false;
  }
  return all_right;
}

bool PackCheck::VerifyBlobs(const PackName& pack, uint32_t frame, std::span<const BlobInfo> blobs,
                            size_t first_ordinal, ByteSpan raw) {
  bool all_right = true;
  for (size_t i = 0; i < blobs.size(); ++i) {
    const BlobInfo& blob = blobs[i];
    // The footer was checked: its blobs fill the frame.
    if (repository_.VerifyBlob(blob.ref, raw.subspan(blob.offset, blob.bytes)).ok()) continue;
    damage_.AddBlob(pack, static_cast<uint32_t>(first_ordinal + i), blob.ref,
                    "its bytes in " + FrameObject(pack, frame) + " do not have its id");
    all_right = false;
  }
  return all_right;
}

// Every base has a place in a plain frame that is not known to be damaged; of a frame in a live
// pack, in a live pack.
Status PackCheck::CheckBases(Index& index) {
  std::vector<IndexPack> packs;
  {
    ASSIGN_OR_RETURN(const auto reader, index.Read());
    RETURN_IF_ERROR(reader->ForEachPack([&](const IndexPack& pack) {
      if ((pack.info.content & kPackHasDeltas) != 0 && pack.state != PackState::kPurged) {
        packs.push_back(pack);
      }
      return true;
    }));
  }
  for (const IndexPack& pack : packs) {
    RETURN_IF_ERROR(CheckStop(options_.stop));
    ASSIGN_OR_RETURN(const auto reader, index.Read());
    for (uint32_t number = 0; number < pack.frames; ++number) {
      ASSIGN_OR_RETURN(const std::optional<FrameInfo> frame,
                       reader->FindFrame(pack.number, number));
      // Another process has taken the pack out of the index.
      if (!frame) break;
      for (const BaseId& base : frame->bases) {
        ASSIGN_OR_RETURN(const std::vector<FramedPlace> places, FindBasePlaces(*reader, base));
        const bool found = std::ranges::any_of(places, [&](const FramedPlace& at) {
          return at.pack.state <= pack.state && !damage_.HasPlace(at.pack.info.name, at.place);
        });
        if (found) continue;
        damage_.AddFrame(
            pack.info.name, number,
            "its base " + HexEncode(base) +
                (places.empty() ? " is in no plain frame" : " is damaged, or will be removed"));
        break;
      }
    }
  }
  return OkStatus();
}

}  // namespace cairn
