#ifndef TERN_CLIENT_TEXT_TABLE_H_
#define TERN_CLIENT_TEXT_TABLE_H_

#include <string>
#include <vector>

namespace tern {

// Rows of text in columns as wide as their widest cell. Thread-compatible.
class TextTable {
 public:
  // A column whose name starts with '>' is aligned to the right.
  explicit TextTable(std::vector<std::string> columns);

  // `cells` has one entry per column.
  void Add(std::vector<std::string> cells);

  // The header and the rows, each line with a line feed and no blanks at its end.
  std::string Text() const;

 private:
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace tern

#endif  // TERN_CLIENT_TEXT_TABLE_H_
