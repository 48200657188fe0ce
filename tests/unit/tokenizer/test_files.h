#ifndef TERN_TESTS_UNIT_TOKENIZER_TEST_FILES_H_
#define TERN_TESTS_UNIT_TOKENIZER_TEST_FILES_H_

#include <fstream>
#include <iterator>
#include <string>

#include "tests/shared_data.h"

namespace tern {

inline std::string ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void WriteWhole(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace tern

#endif  // TERN_TESTS_UNIT_TOKENIZER_TEST_FILES_H_
