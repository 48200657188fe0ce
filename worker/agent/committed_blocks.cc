#include "worker/agent/committed_blocks.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "checkpoint/block_file.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/packed_digest.h"
#include "checkpoint/status_macros.h"
#include "worker/agent/job_inputs.h"

namespace tern {
namespace {

// Each holds a block's file in memory.
constexpr int kMostReaders = 8;

absl::StatusOr<CommittedBlock> MeasureBlock(BlobClient& blobs, const std::string& job_uid,
                                            const ModelConfig& config, const PackedFormat& format,
                                            int64_t block, const std::stop_token& stop) {
  TERN_ASSIGN_OR_RETURN(const CommittedFile file,
                        ReadCommittedFile(blobs, job_uid, BlockFileName(block), stop));
  TERN_ASSIGN_OR_RETURN(const BlockLayers layers,
                        ReadBlockLayers(*file.reader, config, format, block));
  CommittedBlock measured;
  measured.digest = BlockDigest(*file.reader);
  for (const auto& [kind, layer] : layers) {
    measured.quantized_bytes += layer.stored_bytes();
    measured.quantized_weights += layer.rows * layer.cols;
  }
  for (const ExpectedTensor& expected : UnquantizedBlockTensors(config, block)) {
    TERN_ASSIGN_OR_RETURN(const TensorView tensor, file.reader->Get(expected.name));
    measured.unquantized.push_back(
        {tensor.name, static_cast<int64_t>(tensor.bytes.size()), tensor.elements()});
  }
  return measured;
}

}  // namespace

absl::StatusOr<std::vector<CommittedBlock>> MeasureCommittedBlocks(
    BlobClient& blobs, const std::string& job_uid, const ModelConfig& config,
    const PackedFormat& format, int threads, const std::function<void(double)>& show,
    const std::stop_token& stop) {
  const int64_t blocks = config.num_blocks;
  std::vector<CommittedBlock> measured(blocks);
  std::vector<absl::Status> statuses(blocks);
  std::atomic<int64_t> next{0};
  std::atomic<bool> failed{false};
  const auto work = [&] {
    for (int64_t block = next++; block < blocks && !failed; block = next++) {
      absl::StatusOr<CommittedBlock> one =
          MeasureBlock(blobs, job_uid, config, format, block, stop);
      show(static_cast<double>(block) / static_cast<double>(blocks));
      if (one.ok()) {
        measured[block] = *std::move(one);
      } else {
        statuses[block] = one.status();
        failed = true;
      }
    }
  };
  {
    std::vector<std::jthread> others;
    const int64_t readers = std::min<int64_t>({threads, kMostReaders, blocks});
    for (int64_t i = 1; i < readers; ++i) others.emplace_back(work);
    work();
  }
  for (const absl::Status& status : statuses) TERN_RETURN_IF_ERROR(status);
  return measured;
}

}  // namespace tern
