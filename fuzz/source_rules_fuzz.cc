// SPDX-License-Identifier: Apache-2.0
// A snapshot's rules, as its object keeps them: what is read is what its own text says again.
#include "core/base/check.h"
#include "core/repo/source_rules.h"

namespace cairn {
namespace {

void ReadRules(std::string_view text) {
  const StatusOr<SourceRules> rules = ParseRules(text);
  if (!rules.ok()) return;
  const std::string again = RulesText(*rules);
  const StatusOr<SourceRules> same = ParseRules(again);
  CHECK(same.ok() && RulesText(*same) == again);
  CHECK(same->excludes.patterns() == rules->excludes.patterns());
  CHECK(same->exclude_if_present == rules->exclude_if_present);
  CHECK(same->exclude_larger_than == rules->exclude_larger_than);
  CHECK(same->exclude_caches == rules->exclude_caches);
  CHECK(same->one_file_system == rules->one_file_system);
}

}  // namespace
}  // namespace cairn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cairn::ReadRules({reinterpret_cast<const char*>(data), size});
  return 0;
}
