// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <algorithm>

#include "absl/strings/str_split.h"
#include "cli/text.h"

namespace cairn {
namespace {

using Lines = std::vector<std::string>;

Lines LinesOf(const std::string& cell) { return absl::StrSplit(cell, '\n'); }

std::string Padded(const std::string& text, size_t width, bool right) {
  const size_t own = DisplayWidth(text);
  const std::string blanks(width > own ? width - own : 0, ' ');
  return right ? blanks + text : text + blanks;
}

std::string WithoutTrailingBlanks(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace

void Table::Print(Output& output) const {
  std::vector<size_t> widths(columns_.size(), 0);
  for (const std::vector<std::string>& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      for (const std::string& line : LinesOf(row[i])) {
        widths[i] = std::max(widths[i], DisplayWidth(line));
      }
    }
  }
  std::string titles;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (widths[i] == 0) continue;
    widths[i] = std::max(widths[i], DisplayWidth(columns_[i].title));
    titles += Padded(columns_[i].title, widths[i], columns_[i].right) + "  ";
  }
  output.PrintLine(output.Paint(Color::kBold, WithoutTrailingBlanks(titles)));
  for (const std::vector<std::string>& row : rows_) {
    std::vector<Lines> cells;
    size_t height = 1;
    for (const std::string& cell : row) {
      cells.push_back(LinesOf(cell));
      height = std::max(height, cells.back().size());
    }
    for (size_t line = 0; line < height; ++line) {
      std::string text;
      for (size_t i = 0; i < cells.size(); ++i) {
        if (widths[i] == 0) continue;
        text += Padded(line < cells[i].size() ? cells[i][line] : "", widths[i], columns_[i].right);
        text += "  ";
      }
      output.PrintLine(WithoutTrailingBlanks(std::move(text)));
    }
  }
}

void Facts::Print(Output& output) const {
  size_t width = 0;
  for (const auto& [label, text] : facts_) width = std::max(width, DisplayWidth(label));
  for (const auto& [label, text] : facts_) {
    output.PrintLine(Padded(label + ":", width + 3, /*right=*/false) + text);
  }
}

}  // namespace cairn
