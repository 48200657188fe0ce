#ifndef TERN_WORKER_AGENT_COMMITTED_BLOCKS_H_
#define TERN_WORKER_AGENT_COMMITTED_BLOCKS_H_

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/model_config.h"
#include "checkpoint/packed_format.h"
#include "worker/agent/blob_client.h"

namespace tern {

struct UnquantizedTensor {
  std::string name;
  int64_t bytes = 0;
  int64_t elements = 0;
};

// What the file of a committed block holds.
struct CommittedBlock {
  std::string digest;  // BlockDigest
  int64_t quantized_bytes = 0;
  int64_t quantized_weights = 0;
  std::vector<UnquantizedTensor> unquantized;
};

// Reads every block of a job again, `threads` at a time, and verifies it: the sizes and digests are
// those of the bytes that the server has. `show` gets the fraction done, from any thread. Errors
// are those of ReadCommittedFile and ReadBlockLayers, of the first block that has any.
absl::StatusOr<std::vector<CommittedBlock>> MeasureCommittedBlocks(
    BlobClient& blobs, const std::string& job_uid, const ModelConfig& config,
    const PackedFormat& format, int threads, const std::function<void(double)>& show,
    const std::stop_token& stop);

}  // namespace tern

#endif  // TERN_WORKER_AGENT_COMMITTED_BLOCKS_H_
