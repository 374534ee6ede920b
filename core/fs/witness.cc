// SPDX-License-Identifier: Apache-2.0
#include "core/fs/witness.h"

#include <fcntl.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <limits>

namespace cairn {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;
// Longer than a tick of the coarse clock at the slowest rate of a kernel (100 Hz).
constexpr int64_t kTick = 10'000'000;
constexpr int64_t kCoarseTick = 2 * kNanosecondsPerSecond;  // FAT's
// The bit of a witness that says that it is no tentative one.
constexpr Witness kSettled = 1;
// Longer than a tick of any server's clock, FAT's among them. Whole seconds are compared.
constexpr int64_t kSettlingSeconds = 2;
// Dirty pages are written back after 30 s (vm.dirty_expire_centisecs), and a page that was written
// back is stamped again when it is next written to.
constexpr int64_t kWritebackSeconds = 120;

// The time `nanoseconds` (at most some seconds) before `time`.
Timestamp Before(const Timestamp& time, int64_t nanoseconds) {
  int64_t seconds = time.seconds - nanoseconds / kNanosecondsPerSecond;
  int64_t rest = int64_t{time.nanoseconds} - nanoseconds % kNanosecondsPerSecond;
  if (rest < 0) {
    rest += kNanosecondsPerSecond;
    --seconds;
  }
  return {seconds, static_cast<uint32_t>(rest)};
}

uint8_t* Put64(uint8_t* out, uint64_t value) {
  for (int i = 0; i < 8; ++i) *out++ = static_cast<uint8_t>(value >> (8 * i));
  return out;
}

uint8_t* PutTime(uint8_t* out, const Timestamp& time) {
  out = Put64(out, static_cast<uint64_t>(time.seconds));
  for (int i = 0; i < 4; ++i) *out++ = static_cast<uint8_t>(time.nanoseconds >> (8 * i));
  return out;
}

// The default action of SIGIO ends the process.
bool IgnoreSigio() {
  struct sigaction action {};
  action.sa_handler = SIG_IGN;
  return ::sigaction(SIGIO, &action, nullptr) == 0;
}

}  // namespace

Witness MakeWitness(const FileStatus& status, const FileSystemTraits& traits) {
  std::array<uint8_t, 1 + 8 + 8 + 3 * 12> fields;
  uint8_t* out = fields.data();
  *out++ = static_cast<uint8_t>(status.type);
  out = Put64(out, traits.stable_inodes ? status.inode : 0);
  out = Put64(out, status.size);
  out = PutTime(out, status.mtime);
  out = PutTime(out, status.ctime);
  out = PutTime(out, status.btime);
  return XXH3_64bits(fields.data(), fields.size()) | kSettled;
}

Witness MakeTentative(Witness settled) {
  const Witness tentative = settled & ~kSettled;
  return tentative == 0 ? kSettled << 1 : tentative;
}

bool IsTentative(Witness witness) { return witness != 0 && (witness & kSettled) == 0; }

Witness WitnessToEarn(Witness seen, const FileStatus& status, const Timestamp& before_stat,
                      const FileSystemTraits& traits, const Remembered& remembered) {
  if (IsRacy(status, before_stat, traits)) return 0;
  if (traits.own_clock) return seen;
  const bool second_run = remembered.witness == MakeTentative(seen) && remembered.tentative_at &&
                          *remembered.tentative_at < before_stat.seconds - kSettlingSeconds;
  return second_run ? seen : MakeTentative(seen);
}

Timestamp CoarseNow() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return {now.tv_sec, static_cast<uint32_t>(now.tv_nsec)};
}

bool IsRacy(const FileStatus& status, const Timestamp& before_stat,
            const FileSystemTraits& traits) {
  const bool fine = traits.known_good && status.ctime.nanoseconds != 0;
  return status.ctime >= Before(before_stat, fine ? kTick : kCoarseTick);
}

bool NeedsLease(const FileStatus& status, const Timestamp& now, const FileSystemTraits& traits) {
  if (status.type != EntryType::kFile) return false;
  return traits.tmpfs || status.ctime > Before(now, kWritebackSeconds * kNanosecondsPerSecond);
}

bool NobodyWrites(int descriptor, const FileSystemTraits& traits) {
  static const bool ignored = IgnoreSigio();
  if (!ignored || !traits.leases_tell) return false;
  if (::fcntl(descriptor, F_SETLEASE, F_RDLCK) == 0) {
    return ::fcntl(descriptor, F_SETLEASE, F_UNLCK) == 0;
  }
  // Somebody else's file without CAP_LEASE; a file system without leases.
  return errno == EACCES || errno == EPERM || errno == EINVAL || errno == EOPNOTSUPP;
}

DirectoryHasher::DirectoryHasher() = default;

void DirectoryHasher::Add(std::string_view name, Witness witness) {
  if ((witness & kSettled) == 0) spoiled_ = true;
  if (spoiled_) return;
  // A NUL ends the name: the sequence can be read back, so different ones hash differently.
  std::array<uint8_t, 9> tail{};
  Put64(tail.data() + 1, witness);
  hasher_.Update(AsBytes(name));
  hasher_.Update(tail);
}

std::optional<std::array<uint8_t, 16>> DirectoryHasher::Finish() const {
  if (spoiled_) return std::nullopt;
  const Hash256 hash = hasher_.Finish();
  std::array<uint8_t, 16> cut;
  std::copy_n(hash.begin(), cut.size(), cut.begin());
  return cut;
}

}  // namespace cairn
