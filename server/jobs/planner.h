#ifndef TERN_SERVER_JOBS_PLANNER_H_
#define TERN_SERVER_JOBS_PLANNER_H_

#include <cstdint>
#include <vector>

#include "checkpoint/model_config.h"
#include "server/store/records.h"
#include "tern/v1/quantization_job.pb.h"

namespace tern {

// Tokens of one evaluation task, at most (and at least one window).
inline constexpr int64_t kEvaluationPartTokens = 32768;

// Cuts a job into tasks:
//   scan                      first
//   rotate/b                  after the scan; for methods that rotate
//   quantize/b                after rotate/b or, without one, the scan, and after quantize/b-1
//                             unless b begins a shard
//   sensitivity/b             after every block; for mixed activations
//   assemble, evaluate/part   after every sensitivity or, without them, every block; the parts are
//                             whole windows in order
// Ranks are as listed, but for rotations, which come after quantize: the first block of every
// shard, then the second ones.
// Shards are contiguous, cut so that the dearest is as cheap as can be: a later one has fewer
// blocks, as it begins with a forward pass through all blocks before it.
// `cost` is proportional to the expected work. The tasks depend on the spec and the model alone,
// never on what workers there are; job_uid and job_number are left to the caller. Pure.
//
// `spec` is complete: every default filled in, and the numbers of windows.
std::vector<TaskRecord> PlanTasks(const v1::QuantizationSpec& spec, const ModelConfig& config);

// Blocks [first, end) of a shard.
struct ShardRange {
  int32_t first = 0;
  int32_t end = 0;
};
// blocks ≥ shards ≥ 1. A shard of n blocks from `first` on costs prefix_cost·first + block_cost·n,
// prefix_cost ≤ block_cost: quantizing a block takes more than a forward pass through it.
std::vector<ShardRange> CutShards(int32_t blocks, int32_t shards, double block_cost,
                                  double prefix_cost);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_PLANNER_H_
