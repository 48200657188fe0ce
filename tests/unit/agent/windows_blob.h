#ifndef TERN_TESTS_UNIT_AGENT_WINDOWS_BLOB_H_
#define TERN_TESTS_UNIT_AGENT_WINDOWS_BLOB_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "checkpoint/safetensors_writer.h"
#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {

// input_ids [windows, length], tokens below 16, as the server keeps them.
inline std::vector<uint8_t> WindowsBlob(int64_t windows, int64_t length) {
  std::vector<int32_t> ids(windows * length);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>((i * 7 + i / 5) % 16);
  std::vector<uint8_t> bytes(ids.size() * 4);
  std::memcpy(bytes.data(), ids.data(), bytes.size());
  std::vector<uint8_t> file;
  const absl::Status written =
      WriteSafetensors({{"input_ids", DType::kI32, {windows, length}, bytes}}, {},
                       [&](std::span<const uint8_t> piece) {
                         file.insert(file.end(), piece.begin(), piece.end());
                         return absl::OkStatus();
                       });
  EXPECT_THAT(written, IsOk());
  return file;
}

}  // namespace tern

#endif  // TERN_TESTS_UNIT_AGENT_WINDOWS_BLOB_H_
