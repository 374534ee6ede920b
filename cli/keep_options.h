// SPDX-License-Identifier: Apache-2.0
// The --keep options of forget.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "cli/cli11_fwd.h"
#include "core/base/status.h"
#include "core/repo/retention.h"

namespace cairn {

class KeepOptions {
 public:
  void Declare(CLI::App& command);
  // Empty if no rule was given. The errors are UsageErrors.
  StatusOr<RetentionPolicy> Policy() const;

 private:
  static constexpr size_t kRules = 6;
  std::array<std::optional<std::string>, kRules> counts_;
  std::array<std::optional<std::string>, kRules> windows_;
  std::vector<std::string> tags_;
};

}  // namespace cairn
