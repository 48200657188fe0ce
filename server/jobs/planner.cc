#include "server/jobs/planner.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "checkpoint/model_layout.h"
#include "server/jobs/block_shapes.h"
#include "server/jobs/task_names.h"

namespace tern {
namespace {

// Floating-point operations, roughly. What is not arithmetic (reading, hashing, fitting) is counted
// as the number of operations that take as long.
constexpr double kOperationsPerWeightScanned = 20;
constexpr double kOperationsPerWeightFitted = 2000;

constexpr double kRounding = 1e-6;  // of a number of blocks

double EmbeddingWeights(const ModelConfig& config) {
  return static_cast<double>(config.vocab_size) * static_cast<double>(config.hidden_size);
}

// One forward pass of `tokens` tokens in windows of `length` through one block.
double ForwardCost(const ModelConfig& config, double tokens, double length) {
  const double attention_width = static_cast<double>(config.num_heads * config.head_dim);
  return tokens * (2 * static_cast<double>(BlockWeights(config)) + 2 * length * attention_width);
}

double QuantizeCost(const v1::QuantizationSpec& spec, const ModelConfig& config,
                    int32_t shard_first_block, bool begins_shard) {
  const double length = spec.calibration().sequence_length();
  const double tokens = spec.calibration().samples() * length;
  double moments = 0;
  double factorizations = 0;
  for (const auto& set : CalibrationSets()) {
    const auto cols = static_cast<double>(ShapeOf(config, set.front()).cols);
    moments += 2 * cols * cols * tokens;
    factorizations += 2 * cols * cols * cols;
  }
  const double forward = ForwardCost(config, tokens, length);
  // Both streams pass through the block; a shard's first block sees the full-precision prefix.
  const double prefix = begins_shard ? forward * shard_first_block : 0;
  return prefix + 2 * forward + 2 * moments + factorizations +
         kOperationsPerWeightFitted * static_cast<double>(BlockWeights(config));
}

double EvaluateCost(const ModelConfig& config, double tokens, double length) {
  const auto blocks = static_cast<double>(config.num_blocks);
  return 2 * (blocks * ForwardCost(config, tokens, length) + 2 * tokens * EmbeddingWeights(config));
}

TaskRecord NewTask(TaskKind kind, int32_t index, std::string name) {
  TaskRecord task;
  task.kind = kind;
  task.index = index;
  task.name = std::move(name);
  return task;
}

std::vector<TaskRecord> EvaluateTasks(const v1::QuantizationSpec& spec, const ModelConfig& config) {
  std::vector<TaskRecord> tasks;
  if (!spec.has_evaluation()) return tasks;
  const int64_t length = spec.evaluation().window_length();
  const auto part = static_cast<int32_t>(std::max<int64_t>(1, kEvaluationPartTokens / length));
  for (int32_t first = 0; first < spec.evaluation().windows(); first += part) {
    const auto index = static_cast<int32_t>(tasks.size());
    TaskRecord task = NewTask(TaskKind::kEvaluate, index, EvaluateTask(index));
    task.first_window = first;
    task.windows = std::min(part, spec.evaluation().windows() - first);
    task.cost = EvaluateCost(config, static_cast<double>(task.windows * length),
                             static_cast<double>(length));
    tasks.push_back(std::move(task));
  }
  return tasks;
}

}  // namespace

std::vector<ShardRange> CutShards(int32_t blocks, int32_t shards, double block_cost,
                                  double prefix_cost) {
  // The shards when each takes as many blocks as cost no more than `limit`; none when that leaves
  // blocks over, or a shard without any.
  const auto cut = [&](double limit) {
    std::vector<ShardRange> ranges;
    int32_t first = 0;
    for (int32_t shard = 0; shard < shards; ++shard) {
      const int32_t most = blocks - first - (shards - 1 - shard);
      const double fit = std::floor((limit - prefix_cost * first) / block_cost + kRounding);
      const auto size = static_cast<int32_t>(std::min<double>(most, fit));
      if (size < 1) return std::vector<ShardRange>();
      ranges.push_back({first, first + size});
      first += size;
    }
    return first == blocks ? ranges : std::vector<ShardRange>();
  };
  std::vector<double> limits;  // what a shard can cost
  limits.reserve(static_cast<size_t>(blocks) * blocks);
  for (int32_t first = 0; first < blocks; ++first) {
    for (int32_t size = 1; size <= blocks - first; ++size) {
      limits.push_back(prefix_cost * first + block_cost * size);
    }
  }
  std::sort(limits.begin(), limits.end());
  return cut(*std::partition_point(limits.begin(), limits.end(),
                                   [&](double limit) { return cut(limit).empty(); }));
}

std::vector<TaskRecord> PlanTasks(const v1::QuantizationSpec& spec, const ModelConfig& config) {
  const auto blocks = static_cast<int32_t>(config.num_blocks);
  const double one_block = QuantizeCost(spec, config, 0, /*begins_shard=*/false);
  const double prefix_block = QuantizeCost(spec, config, 1, /*begins_shard=*/true) - one_block;
  const std::vector<ShardRange> shards = CutShards(blocks, spec.shards(), one_block, prefix_block);

  TaskRecord scan = NewTask(TaskKind::kScan, 0, kScanTask);
  scan.state = TaskState::kReady;
  scan.cost = kOperationsPerWeightScanned *
              (static_cast<double>(BlockWeights(config) * blocks) + EmbeddingWeights(config));
  for (const ShardRange& shard : shards) scan.dependents.push_back(QuantizeTask(shard.first));

  // What follows the blocks waits for the last block of every shard, and so for all of them.
  std::vector<TaskRecord> last = EvaluateTasks(spec, config);
  TaskRecord assemble = NewTask(TaskKind::kAssemble, 0, kAssembleTask);
  assemble.cost = kOperationsPerWeightScanned * EmbeddingWeights(config);
  last.insert(last.begin(), std::move(assemble));
  std::vector<std::string> last_names;
  for (TaskRecord& task : last) {
    task.waiting_for = static_cast<int32_t>(shards.size());
    last_names.push_back(task.name);
  }

  std::vector<TaskRecord> tasks = {std::move(scan)};
  for (int32_t shard = 0; shard < static_cast<int32_t>(shards.size()); ++shard) {
    const ShardRange range = shards[shard];
    for (int32_t block = range.first; block < range.end; ++block) {
      TaskRecord task = NewTask(TaskKind::kQuantize, block, QuantizeTask(block));
      task.shard = shard;
      task.shard_first_block = range.first;
      task.waiting_for = 1;
      task.cost = QuantizeCost(spec, config, range.first, block == range.first);
      task.dependents = block + 1 < range.end ? std::vector{QuantizeTask(block + 1)} : last_names;
      tasks.push_back(std::move(task));
    }
  }
  std::move(last.begin(), last.end(), std::back_inserter(tasks));
  return tasks;
}

}  // namespace tern
