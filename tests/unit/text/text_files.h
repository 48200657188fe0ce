#ifndef TERN_TESTS_UNIT_TEXT_TEXT_FILES_H_
#define TERN_TESTS_UNIT_TEXT_TEXT_FILES_H_

#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "tests/temp_dir.h"

namespace tern {

// Writes a file into a temporary folder and returns its path.
inline std::string Put(const TempDir& dir, const std::string& name, const std::string& bytes) {
  std::ofstream(dir.File(name), std::ios::binary) << bytes;
  return dir.File(name);
}

// A safetensors file with one tensor.
template <typename T>
std::string PutTensor(const TempDir& dir, const std::string& name, const std::string& tensor,
                      const std::string& dtype, const std::string& shape,
                      const std::vector<T>& values) {
  std::string data(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(data.data(), values.data(), data.size());
  std::string header = "{\"" + tensor + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
                       ",\"data_offsets\":[0," + std::to_string(data.size()) + "]}}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string length(8, '\0');
  const uint64_t size = header.size();
  std::memcpy(length.data(), &size, 8);
  return Put(dir, name, length + header + data);
}

}  // namespace tern

#endif  // TERN_TESTS_UNIT_TEXT_TEXT_FILES_H_
