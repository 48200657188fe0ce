#ifndef TERN_WORKER_AGENT_JOB_INPUTS_H_
#define TERN_WORKER_AGENT_JOB_INPUTS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/block_file.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/packed_format.h"
#include "checkpoint/safetensors_reader.h"
#include "checkpoint/text/token_windows.h"
#include "tern/worker/v1/worker_service.pb.h"
#include "worker/agent/blob_client.h"
#include "worker/agent/task_progress.h"

namespace tern {

// What a job's tasks read: the model, the windows of tokens, blocks committed before. The model
// opened last and the windows read last are kept for the tasks that follow. Thread-compatible.
//
// What goes wrong between worker and server is UNAVAILABLE, as it may not go wrong again, but for
// CANCELLED (stopped), ABORTED (stale lease) and RESOURCE_EXHAUSTED (the server's disk).
class JobInputs {
 public:
  // `blobs` must outlive the inputs.
  explicit JobInputs(BlobClient& blobs) : blobs_(blobs) {}

  // The model of a task's job, which must still be the one that the job's scan found: it is read
  // through when this process has not done so since a file in its folder last changed, for which
  // the files' sizes and times are looked at. Errors as ModelFolder::Open and ScanWeights, and
  // FAILED_PRECONDITION when it is another model.
  absl::StatusOr<std::shared_ptr<const ModelFolder>> Model(const tern::worker::v1::Task& task,
                                                           int threads, TaskProgress& progress);

  // The digest of the model at `path`, as ScanWeights makes it. `show` gets the fraction done.
  absl::StatusOr<std::string> ScanModel(const std::string& path, int threads,
                                        const std::function<void(double)>& show,
                                        const TaskProgress& progress);

  // `path` is one of those in proto/service/job_inputs.h. INVALID_ARGUMENT when it does not hold
  // windows.
  absl::StatusOr<std::shared_ptr<const TokenWindows>> Windows(const std::string& job_uid,
                                                              const std::string& path,
                                                              const std::stop_token& stop);

  // Lets go of what is kept.
  void Clear();

 private:
  // Opened again when a file in the folder has changed.
  absl::StatusOr<std::shared_ptr<const ModelFolder>> Open(const std::string& path);

  BlobClient& blobs_;
  std::shared_ptr<const ModelFolder> model_;
  std::string model_fingerprint_;
  std::string model_digest_;  // of the model with that fingerprint; empty: not read through
  std::shared_ptr<const TokenWindows> windows_;
  std::string windows_key_;
};

// A committed file of the job's checkpoint in memory, its bytes verified.
struct CommittedFile {
  std::vector<uint8_t> bytes;
  std::unique_ptr<SafetensorsReader> reader;  // of `bytes`
};
absl::StatusOr<CommittedFile> ReadCommittedFile(BlobClient& blobs, const std::string& job_uid,
                                                const std::string& path,
                                                const std::stop_token& stop);

// The layers of a committed block.
absl::StatusOr<BlockLayers> ReadCommittedLayers(BlobClient& blobs, const std::string& job_uid,
                                                const ModelConfig& config,
                                                const PackedFormat& format, int64_t block,
                                                const std::stop_token& stop);

// How an error of the transfer of `path` is reported for the task, see above.
absl::Status TransferError(const absl::Status& status, absl::string_view path);

}  // namespace tern

#endif  // TERN_WORKER_AGENT_JOB_INPUTS_H_
