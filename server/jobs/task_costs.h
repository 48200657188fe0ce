#ifndef TERN_SERVER_JOBS_TASK_COSTS_H_
#define TERN_SERVER_JOBS_TASK_COSTS_H_

#include <cstdint>

#include "checkpoint/model_config.h"
#include "tern/v1/quantization_job.pb.h"

namespace tern {

// What a job's tasks are expected to take, in floating-point operations, roughly. What is not
// arithmetic (reading, hashing, fitting) is counted as the number of operations that take as long.
// `spec` is complete. All pure.

double ScanCost(const ModelConfig& config);

// Of the rotations of one block's layers.
double RotateCost(const v1::QuantizationSpec& spec, const ModelConfig& config);

// Of one block. One that begins a shard sees the full-precision prefix, which is run for it.
double QuantizeCost(const v1::QuantizationSpec& spec, const ModelConfig& config,
                    int32_t shard_first_block, bool begins_shard);

// Of `block`'s activation bits, by a worker that holds the hidden states before block - 1.
double SensitivityCost(const v1::QuantizationSpec& spec, const ModelConfig& config, int32_t block);

double AssembleCost(const ModelConfig& config);

double EvaluateCost(const v1::QuantizationSpec& spec, const ModelConfig& config, int64_t windows);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_TASK_COSTS_H_
