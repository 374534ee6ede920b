// SPDX-License-Identifier: Apache-2.0
#include "core/store/sessions.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "core/base/blake3.h"
#include "core/base/random.h"

namespace cairn {
namespace {

constexpr char kFolder[] = "sessions";
constexpr char kPruneLock[] = "prune.lock";
constexpr char kKeysLock[] = "keys.lock";
constexpr uint64_t kMaxContentBytes = 64 * kKiB;
// Each one fails only where another process looks for dead sessions at that very moment.
constexpr int kOpenAttempts = 100;

std::string SessionPath(const SessionId& id) { return std::string(kFolder) + "/" + id.Hex(); }

std::string HostName() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0) return "unknown";
  return name;
}

// Text that stays in its line.
std::string OneLine(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  return text;
}

std::string CheckOf(std::string_view text) {
  return HexEncode(ByteSpan(Blake3Hash(AsBytes(text))).first(8));
}

// The file is rewritten in place, so it may be read half written. The last line tells.
std::string EncodeSession(const SessionInfo& info) {
  std::string text;
  if (info.start) text += absl::StrFormat("start %d\n", *info.start);
  text += absl::StrFormat("pid %d\n", info.pid);
  if (!info.host.empty()) text += absl::StrFormat("host %s\n", OneLine(info.host));
  if (!info.command.empty()) text += absl::StrFormat("command %s\n", OneLine(info.command));
  return text + "check " + CheckOf(text) + "\n";
}

// Reads what it can; where the text is not whole, nothing but the id is known.
SessionInfo DecodeSession(const SessionId& id, std::string_view text) {
  SessionInfo info;
  info.id = id;
  const size_t check = text.rfind("check ");
  if (check == std::string_view::npos ||
      text.substr(check) != "check " + CheckOf(text.substr(0, check)) + "\n") {
    return info;
  }
  for (text = text.substr(0, check); !text.empty();) {
    const size_t end = std::min(text.find('\n'), text.size() - 1);
    const std::string line(text.substr(0, end));
    text.remove_prefix(end + 1);
    const size_t space = std::min(line.find(' '), line.size());
    const std::string key = line.substr(0, space);
    const std::string value = line.substr(std::min(space + 1, line.size()));
    uint64_t start = 0;
    if (key == "start" && absl::SimpleAtoi(value, &start)) info.start = start;
    if (key == "pid" && !absl::SimpleAtoi(value, &info.pid)) info.pid = 0;
    if (key == "host") info.host = value;
    if (key == "command") info.command = value;
  }
  return info;
}

// The session of this file, if it is alive; its file is removed if it is dead.
std::optional<SessionInfo> LookAt(FileSystem& fs, const SessionId& id) {
  const std::string path = SessionPath(id);
  const StatusOr<std::unique_ptr<FileLock>> lock = fs.TryLock(path, /*create=*/false);
  if (lock.ok()) {
    // Removed while the lock is held: who has just made the file, and comes too late to lock it,
    // sees that it is gone. One that cannot be removed (read-only) is dead all the same.
    const StatusOr<bool> linked = (*lock)->StillLinked();
    if (linked.ok() && *linked) fs.Unlink(path).IgnoreError();
    return std::nullopt;
  }
  if (lock.status().code() == StatusCode::kNotFound) return std::nullopt;
  // It is locked; or it cannot be told, and then it counts as alive.
  const StatusOr<Bytes> content = ReadWholeFile(fs, path, kMaxContentBytes);
  if (content.status().code() == StatusCode::kNotFound) return std::nullopt;
  return DecodeSession(id, content.ok() ? AsText(*content) : "");
}

}  // namespace

StatusOr<std::unique_ptr<Session>> Session::Open(FileSystem& fs, std::string command, Says says) {
  const Status made = fs.CreateDirectory(kFolder);
  if (made.code() != StatusCode::kAlreadyExists) {
    RETURN_IF_ERROR(Annotate(made, "open a session"));
  }
  for (int attempt = 1;; ++attempt) {
    const auto id = RandomId<SessionId>();
    StatusOr<std::unique_ptr<FileLock>> lock = fs.TryLock(SessionPath(id), /*create=*/true);
    if (lock.ok()) {
      ASSIGN_OR_RETURN(const bool linked, (*lock)->StillLinked());
      if (linked) {
        std::unique_ptr<Session> session(new Session());
        session->fs_ = &fs;
        session->path_ = SessionPath(id);
        session->info_ = {.id = id,
                          .start = std::nullopt,
                          .pid = getpid(),
                          .host = says == Says::kAll ? HostName() : "",
                          .command = says == Says::kAll ? std::move(command) : ""};
        session->lock_ = *std::move(lock);
        // For people only, so that a full disk is no reason to do without a session.
        session->lock_->WriteContent(AsBytes(EncodeSession(session->info_))).IgnoreError();
        return session;
      }
    } else if (lock.status().code() != StatusCode::kAborted) {
      return Annotate(lock.status(), "open a session");
    }
    if (attempt == kOpenAttempts) {
      return Unavailable("open a session: its file is removed or locked each time it is made");
    }
  }
}

Session::~Session() {
  // Before the lock goes, so that nobody finds the file of a dead session. Where it fails, the next
  // who looks removes it.
  fs_->Unlink(path_).IgnoreError();
}

Status Session::SetStart(uint64_t head_number) {
  info_.start = head_number;
  return Annotate(lock_->WriteContent(AsBytes(EncodeSession(info_))), "write session " + path_);
}

StatusOr<std::vector<SessionInfo>> ListLiveSessions(FileSystem& fs) {
  StatusOr<std::vector<std::string>> names = fs.List(kFolder);
  if (names.status().code() == StatusCode::kNotFound) return std::vector<SessionInfo>();
  RETURN_IF_ERROR(names.status());
  std::vector<SessionInfo> sessions;
  for (const std::string& name : *names) {
    const std::optional<SessionId> id = SessionId::FromHex(name);
    if (!id || id->Hex() != name) continue;
    if (std::optional<SessionInfo> session = LookAt(fs, *id)) {
      sessions.push_back(*std::move(session));
    }
  }
  std::ranges::sort(sessions, {}, &SessionInfo::id);
  return sessions;
}

StatusOr<std::unique_ptr<FileLock>> LockForPrune(FileSystem& fs) {
  StatusOr<std::unique_ptr<FileLock>> lock = fs.TryLock(kPruneLock, /*create=*/true);
  if (lock.status().code() == StatusCode::kAborted) {
    return Aborted("another prune is at work on this repository");
  }
  return lock;
}

StatusOr<std::unique_ptr<FileLock>> LockForKeys(FileSystem& fs) {
  StatusOr<std::unique_ptr<FileLock>> lock = fs.TryLock(kKeysLock, /*create=*/true);
  if (lock.status().code() == StatusCode::kAborted) {
    return Aborted("another process changes the keys of this repository");
  }
  return lock;
}

}  // namespace cairn
