// SPDX-License-Identifier: Apache-2.0
// A JSON document that ends in a long array, written element by element: memory does not grow with
// the list.
#pragma once

#include <string>

#include "cli/output.h"

namespace cairn {

// Thread-compatible.
class JsonList {
 public:
  // Begins {HEAD..., "KEY": [ ... `head` is an object.
  JsonList(Output& output, const Json& head, const std::string& key);
  void Add(const Json& element);
  // Ends it: ], TAIL...}. Without it the document stays open, which shows that it is not whole.
  void End(const Json& tail = Json::object());

 private:
  Output& output_;
  bool empty_ = true;
};

}  // namespace cairn
