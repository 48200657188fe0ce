#include "client/text_table.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace tern {

TextTable::TextTable(std::vector<std::string> columns) {
  for (std::string& column : columns) {
    right_.push_back(!column.empty() && column.front() == '>');
    if (right_.back()) column.erase(0, 1);
  }
  rows_.push_back(std::move(columns));
}

void TextTable::Add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

std::string TextTable::Text() const {
  std::vector<size_t> widths(right_.size(), 0);
  for (const auto& row : rows_) {
    for (size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < widths.size(); ++i) {
      const std::string padding(widths[i] - row[i].size(), ' ');
      if (i > 0) line += "  ";
      line += right_[i] ? padding + row[i] : row[i] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace tern
