// SPDX-License-Identifier: Apache-2.0
#include "cli/json_list.h"

namespace cairn {

JsonList::JsonList(Output& output, const Json& head, const std::string& key) : output_(output) {
  std::string text = DumpJson(head);
  text.pop_back();
  output_.Print(text + (head.empty() ? "" : ",") + DumpJson(key) + ":[");
}

void JsonList::Add(const Json& element) {
  output_.Print((empty_ ? "\n" : ",\n") + DumpJson(element));
  empty_ = false;
}

void JsonList::End(const Json& tail) {
  std::string text = DumpJson(tail);
  text.front() = ',';
  if (tail.empty()) text = "}";
  output_.Print("]" + text + "\n");
}

}  // namespace cairn
