// SPDX-License-Identifier: Apache-2.0
// The file of a live session: as it is, and with a last line that makes it whole. Whatever it says,
// the session is listed under the id that the file is named by.
#include <string>

#include "core/base/blake3.h"
#include "core/base/check.h"
#include "core/base/hex.h"
#include "core/base/memory_file_system.h"
#include "core/store/sessions.h"

namespace cairn {
namespace {

void ListWith(ByteSpan content) {
  MemoryFileSystem fs;
  CHECK(fs.CreateDirectory("sessions").ok());
  const SessionId id = {.bytes = {1, 2, 3}};
  const auto lock = fs.TryLock("sessions/" + id.Hex(), /*create=*/true);
  CHECK(lock.ok() && (*lock)->WriteContent(content).ok());
  const auto sessions = ListLiveSessions(fs);
  CHECK(sessions.ok() && sessions->size() == 1 && sessions->front().id == id);
}

}  // namespace
}  // namespace cairn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cairn;  // NOLINT(google-build-using-namespace)
  const ByteSpan content(data, size);
  ListWith(content);
  Bytes whole(content.begin(), content.end());
  Append(whole, AsBytes("check " + HexEncode(ByteSpan(Blake3Hash(content)).first(8)) + "\n"));
  ListWith(whole);
  return 0;
}
