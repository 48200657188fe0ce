#ifndef TERN_SERVER_JOBS_PREFLIGHT_H_
#define TERN_SERVER_JOBS_PREFLIGHT_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "checkpoint/block_memory.h"
#include "checkpoint/model_folder.h"
#include "server/store/records.h"
#include "tern/v1/quantization_job.pb.h"

namespace tern {

// Bytes of one worker's memory at the peak of a task of this kind, without the weights it maps from
// disk: the process itself on CPUs, the device's own on GPUs.
//   quantizing a block: see checkpoint/block_memory.h
//   measuring a sensitivity: as evaluating, with the hidden states of all calibration tokens twice
//   evaluating a part: a block's weights twice, the output projection, hidden states of both models
//     (512 MiB at most), logits (256 MiB at most), activations of a batch
//   the other kinds take less than quantizing, and are not estimated: 0
// `states_on_host`: the hidden states of the calibration tokens are not counted. `spec` is
// complete. Pure.
int64_t EstimateTaskMemory(TaskKind kind, const v1::QuantizationSpec& spec,
                           const ModelConfig& config, const ComputeLayout& layout,
                           bool states_on_host = false);

// The same at the peak of the job: the greatest of its tasks.
int64_t EstimateWorkerMemory(const v1::QuantizationSpec& spec, const ModelConfig& config,
                             const ComputeLayout& layout, bool states_on_host = false);

// Bytes of the job's files on the server's disk: packed layers, rotations, what stays as it is, the
// tokenizer, the inputs, and room for reports. `spec` is complete.
absl::StatusOr<int64_t> EstimateBlobBytes(const v1::QuantizationSpec& spec,
                                          const ModelFolder& model);

// Weights of the linear layers inside the blocks.
int64_t QuantizedParameters(const ModelConfig& config);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_PREFLIGHT_H_
