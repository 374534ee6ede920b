// SPDX-License-Identifier: Apache-2.0
// Input: four bytes of options, one of repetitions, then a pattern. The pattern is repeated so that
// small inputs make chunks too. Every path must cut alike, within the limits, and lose nothing.
#include <algorithm>
#include <vector>

#include "core/base/check.h"
#include "core/chunker/chunker.h"

namespace cairn {
namespace {

constexpr size_t kHeaderBytes = 5;
constexpr size_t kLargestInput = 256 * kKiB;

ChunkerOptions OptionsFrom(ByteSpan header) {
  const uint32_t avg = ChunkerOptions::kSmallestAvg << (header[0] % 3);
  return {.min_size = std::min(avg, ChunkerOptions::kSmallestMin + header[1] * (header[0] / 16u)),
          .avg_size = avg,
          .max_size = avg + header[2] * 256u + header[3]};
}

std::vector<size_t> Cuts(const ChunkerOptions& options, ChunkerPath path, ByteSpan data) {
  static const GearTable table(HashKey{});
  const StatusOr<Chunker> chunker = Chunker::Create(options, table, path);
  CHECK(chunker.ok());
  std::vector<size_t> cuts;
  size_t end = 0;
  chunker->ForEachChunk(data, [&](ByteSpan chunk) {
    CHECK(chunk.data() == data.data() + end);
    end += chunk.size();
    CHECK(chunk.size() <= options.max_size);
    CHECK(chunk.size() >= options.min_size || end == data.size());
    cuts.push_back(end);
  });
  CHECK(end == data.size());
  return cuts;
}

}  // namespace
}  // namespace cairn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace cairn;
  if (size <= kHeaderBytes) return 0;
  const ByteSpan input(bytes, size);
  const ByteSpan pattern = input.subspan(kHeaderBytes);
  Bytes data;
  for (int i = 0; i <= input[4] && data.size() < kLargestInput; ++i) Append(data, pattern);

  const ChunkerOptions options = OptionsFrom(input.first(kHeaderBytes));
  const std::vector<size_t> cuts = Cuts(options, ChunkerPath::kScalar, data);
  for (const ChunkerPath path : {ChunkerPath::kAvx512, ChunkerPath::kVbmi}) {
    if (Chunker::Supports(path)) CHECK(Cuts(options, path, data) == cuts);
  }
  return 0;
}
