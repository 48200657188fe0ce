#ifndef TERN_CHECKPOINT_PACKED_DIGEST_H_
#define TERN_CHECKPOINT_PACKED_DIGEST_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/packed_checkpoint.h"
#include "checkpoint/safetensors_reader.h"

namespace tern {

// SHA-256 (hex) over one block file's tensors in name order: name, dtype, shape and bytes of each,
// every length before its content. Equal for equal tensors, whatever wrote the file.
std::string BlockDigest(const SafetensorsReader& block_file);

// The digest of a checkpoint: SHA-256 (hex) over its blocks' digests in block order, each followed
// by a line feed.
std::string CombineBlockDigests(const std::vector<std::string>& digests);

// CombineBlockDigests of every block's BlockDigest.
absl::StatusOr<std::string> PackedDigest(const PackedCheckpoint& checkpoint);

}  // namespace tern

#endif  // TERN_CHECKPOINT_PACKED_DIGEST_H_
