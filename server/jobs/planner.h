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
//   quantize/b                after the scan, and after quantize/b-1 unless b begins a shard
//   assemble, evaluate/part   after every block; the parts are whole windows in order
// Shards are contiguous and their numbers of blocks differ by at most one, the longer ones first.
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
std::vector<ShardRange> CutShards(int32_t blocks, int32_t shards);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_PLANNER_H_
