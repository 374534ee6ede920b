// SPDX-License-Identifier: Apache-2.0
// Who is at work on the repository. A session is a file in "sessions/" that its process holds a
// lock on; it ends with the process, whatever happens. Sessions make conflicts rare and let prune
// know what to wait for; no rule of safety rests on them (docs/design.md, "Sessions").
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/file_system.h"
#include "core/base/ids.h"
#include "core/base/status.h"

namespace cairn {

struct SessionInfo {
  SessionId id;
  // The journal's head when the session began; nothing while it is not written yet (it then counts
  // as the oldest).
  std::optional<uint64_t> start;
  int64_t pid = 0;
  std::string host;     // empty if it is not said
  std::string command;  // "snapshot", "restore", ...; empty if it is not said
};

// Held until destroyed; the file is removed then. Thread-compatible.
class Session {
 public:
  // What others may read in the file: of an encrypted repository neither host nor command.
  enum class Says { kAll, kLittle };
  // Creates and locks the file. PERMISSION_DENIED on a read-only repository: readers then work
  // without one.
  static StatusOr<std::unique_ptr<Session>> Open(FileSystem& fs, std::string command,
                                                 Says says = Says::kAll);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const SessionId& id() const { return info_.id; }
  // Writes the start; to be called with the head that was read after Open.
  Status SetStart(uint64_t head_number);

 private:
  Session() = default;
  FileSystem* fs_ = nullptr;
  std::string path_;
  SessionInfo info_;
  std::unique_ptr<FileLock> lock_;
};

// The sessions that are alive. Files of dead ones are removed on the way.
StatusOr<std::vector<SessionInfo>> ListLiveSessions(FileSystem& fs);

// Only one prune at a time: ABORTED if another process holds it.
StatusOr<std::unique_ptr<FileLock>> LockForPrune(FileSystem& fs);
// The same for changes of the keys.
StatusOr<std::unique_ptr<FileLock>> LockForKeys(FileSystem& fs);

}  // namespace cairn
