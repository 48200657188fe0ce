#include "checkpoint/packed_digest.h"

#include <cstdint>
#include <memory>
#include <utility>

#include "checkpoint/digest.h"
#include "checkpoint/status_macros.h"

namespace tern {
namespace {

void UpdateNumber(uint64_t number, Sha256& sha) {
  uint8_t bytes[8];  // little endian
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<uint8_t>(number >> (8 * i));
  sha.Update(std::span<const uint8_t>(bytes));
}

void UpdateText(absl::string_view text, Sha256& sha) {
  UpdateNumber(text.size(), sha);
  sha.Update(text);
}

}  // namespace

std::string BlockDigest(const SafetensorsReader& block_file) {
  Sha256 sha;
  for (const auto& [name, tensor] : block_file.tensors()) {
    UpdateText(name, sha);
    UpdateText(DTypeName(tensor.dtype), sha);
    UpdateNumber(tensor.shape.size(), sha);
    for (const int64_t dimension : tensor.shape) {
      UpdateNumber(static_cast<uint64_t>(dimension), sha);
    }
    UpdateNumber(tensor.bytes.size(), sha);
    sha.Update(tensor.bytes);
  }
  return sha.HexDigest();
}

std::string CombineBlockDigests(const std::vector<std::string>& digests) {
  Sha256 sha;
  for (const std::string& digest : digests) {
    sha.Update(absl::string_view(digest));
    sha.Update(absl::string_view("\n"));
  }
  return sha.HexDigest();
}

absl::StatusOr<std::string> PackedDigest(const PackedCheckpoint& checkpoint) {
  std::vector<std::string> digests;
  for (int64_t block = 0; block < checkpoint.config().num_blocks; ++block) {
    TERN_ASSIGN_OR_RETURN(const std::unique_ptr<SafetensorsReader> file,
                          checkpoint.OpenBlock(block));
    digests.push_back(BlockDigest(*file));
  }
  return CombineBlockDigests(digests);
}

}  // namespace tern
