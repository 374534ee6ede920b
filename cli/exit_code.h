// SPDX-License-Identifier: Apache-2.0
// What the program's exit status says. Part of the contract with scripts: never renumbered; more
// may be added, and whoever does not know one takes it for a failure.
#pragma once

namespace cairn {

enum class ExitCode : int {
  kDone = 0,
  kFailed = 1,         // also: check found damage
  kUsage = 2,          // nothing was done
  kSourcesUnread = 3,  // the snapshot was made, but some sources could not be read
  kNoRepository = 10,
  kNotLocked = 11,      // another prune runs
  kWrongPassword = 12,  // or key file; or none was given, or one for what is not encrypted
  kInterrupted = 130,   // by SIGINT or SIGTERM, cleanly
};

}  // namespace cairn
