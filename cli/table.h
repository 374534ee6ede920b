// SPDX-License-Identifier: Apache-2.0
// Columns of text.
#pragma once

#include <string>
#include <vector>

#include "cli/output.h"

namespace cairn {

// Cells are printed as they are given: names are escaped by the caller. A cell of several lines
// makes the row as high.
class Table {
 public:
  struct Column {
    std::string title;
    bool right = false;  // aligned to the right
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // REQUIRES: as many cells as columns.
  void Add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.empty(); }
  // Columns whose cells are all empty are left out.
  void Print(Output& output) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "label:   text" lines below each other.
class Facts {
 public:
  void Add(std::string label, std::string text) {
    facts_.emplace_back(std::move(label), std::move(text));
  }
  void Print(Output& output) const;

 private:
  std::vector<std::pair<std::string, std::string>> facts_;
};

}  // namespace cairn
