// SPDX-License-Identifier: Apache-2.0
#include "core/chunker/chunker.h"

#include <bit>

#include "absl/strings/str_format.h"

namespace cairn {
namespace {

// kSharedMaskBits and as many of the highest as make `bits` in all.
uint64_t CutMask(int bits) {
  const int high = bits - std::popcount(kSharedMaskBits);
  return high == 0 ? kSharedMaskBits : kSharedMaskBits | ~uint64_t{0} << (64 - high);
}

ChunkerPath FastestPath() {
  if (VbmiSupported()) return ChunkerPath::kVbmi;
  return Avx512Supported() ? ChunkerPath::kAvx512 : ChunkerPath::kScalar;
}

auto CodeOf(ChunkerPath path) {
  switch (path) {
    case ChunkerPath::kVbmi:
      return NextCutVbmi;
    case ChunkerPath::kAvx512:
      return NextCutAvx512;
    default:
      return NextCutScalar;
  }
}

}  // namespace

Status ChunkerOptions::Validate() const {
  if (min_size < kSmallestMin) {
    return InvalidArgument(
        absl::StrFormat("chunker: a minimum of %d bytes is less than %d", min_size, kSmallestMin));
  }
  if (avg_size < kSmallestAvg || !std::has_single_bit(avg_size)) {
    return InvalidArgument(
        absl::StrFormat("chunker: an average of %d bytes is not a power of two of at least %d",
                        avg_size, kSmallestAvg));
  }
  if (min_size > avg_size || avg_size > max_size) {
    return InvalidArgument(
        absl::StrFormat("chunker: sizes %d, %d, %d do not ascend", min_size, avg_size, max_size));
  }
  if (max_size > kLargestMax) {
    return InvalidArgument(
        absl::StrFormat("chunker: a maximum of %d bytes is more than %d", max_size, kLargestMax));
  }
  return OkStatus();
}

bool Chunker::Supports(ChunkerPath path) {
  switch (path) {
    case ChunkerPath::kVbmi:
      return VbmiSupported();
    case ChunkerPath::kAvx512:
      return Avx512Supported();
    default:
      return true;
  }
}

StatusOr<Chunker> Chunker::Create(const ChunkerOptions& options, const GearTable& table,
                                  ChunkerPath path) {
  RETURN_IF_ERROR(options.Validate());
  if (!Supports(path))
    return Unimplemented("chunker: this processor lacks instructions of the path");
  return Chunker(options, table, path == ChunkerPath::kAuto ? FastestPath() : path);
}

Chunker::Chunker(const ChunkerOptions& options, const GearTable& table, ChunkerPath path)
    : options_(options),
      path_(path),
      rule_{.gear = table,
            .min_size = options.min_size,
            .normal_size = options.avg_size,
            .max_size = options.max_size,
            .strict_mask = CutMask(std::countr_zero(options.avg_size) + 2),
            .loose_mask = CutMask(std::countr_zero(options.avg_size) - 2)},
      next_cut_(CodeOf(path)) {}

}  // namespace cairn
