#include "server/jobs/planner.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "server/jobs/method_recipe.h"
#include "server/jobs/preflight.h"
#include "server/jobs/task_costs.h"
#include "server/jobs/task_names.h"

namespace tern {
namespace {

constexpr double kRounding = 1e-6;  // of a number of blocks

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
    task.cost = EvaluateCost(spec, config, task.windows);
    tasks.push_back(std::move(task));
  }
  return tasks;
}

std::vector<std::string> NamesOf(const std::vector<TaskRecord>& tasks) {
  std::vector<std::string> names;
  names.reserve(tasks.size());
  for (const TaskRecord& task : tasks) names.push_back(task.name);
  return names;
}

// Assemble and evaluate.
std::vector<TaskRecord> FinalTasks(const v1::QuantizationSpec& spec, const ModelConfig& config) {
  std::vector<TaskRecord> tasks = EvaluateTasks(spec, config);
  TaskRecord assemble = NewTask(TaskKind::kAssemble, 0, kAssembleTask);
  assemble.cost = AssembleCost(config);
  tasks.insert(tasks.begin(), std::move(assemble));
  return tasks;
}

std::vector<TaskRecord> SensitivityTasks(const v1::QuantizationSpec& spec,
                                         const ModelConfig& config) {
  std::vector<TaskRecord> tasks;
  if (!RecipeOf(spec).mixed) return tasks;
  for (int32_t block = 0; block < static_cast<int32_t>(config.num_blocks); ++block) {
    tasks.push_back(NewTask(TaskKind::kSensitivity, block, SensitivityTask(block)));
    tasks.back().cost = SensitivityCost(spec, config, block);
  }
  return tasks;
}

// The first blocks of all shards, then the second ones: what the shards will need, in that order.
std::vector<TaskRecord> RotateTasks(const v1::QuantizationSpec& spec, const ModelConfig& config,
                                    const std::vector<ShardRange>& shards) {
  std::vector<TaskRecord> tasks;
  if (!RecipeOf(spec).rotated()) return tasks;
  const double cost = RotateCost(spec, config);
  for (int32_t place = 0; static_cast<int64_t>(tasks.size()) < config.num_blocks; ++place) {
    for (const ShardRange& shard : shards) {
      const int32_t block = shard.first + place;
      if (block >= shard.end) continue;
      TaskRecord task = NewTask(TaskKind::kRotate, block, RotateTask(block));
      task.cost = cost;
      task.waiting_for = 1;
      task.dependents = {QuantizeTask(block)};
      tasks.push_back(std::move(task));
    }
  }
  return tasks;
}

std::vector<TaskRecord> QuantizeTasks(const v1::QuantizationSpec& spec, const ModelConfig& config,
                                      const std::vector<ShardRange>& shards,
                                      const std::vector<std::string>& after_blocks) {
  const bool rotated = RecipeOf(spec).rotated();
  std::vector<TaskRecord> tasks;
  for (int32_t shard = 0; shard < static_cast<int32_t>(shards.size()); ++shard) {
    const ShardRange range = shards[shard];
    for (int32_t block = range.first; block < range.end; ++block) {
      TaskRecord task = NewTask(TaskKind::kQuantize, block, QuantizeTask(block));
      task.shard = shard;
      task.shard_first_block = range.first;
      // The block before; a shard's first one the scan, which rotations wait for themselves.
      task.waiting_for = rotated && block > range.first ? 2 : 1;
      task.cost = QuantizeCost(spec, config, range.first, block == range.first);
      task.dependents = block + 1 < range.end ? std::vector{QuantizeTask(block + 1)} : after_blocks;
      tasks.push_back(std::move(task));
    }
  }
  return tasks;
}

void WaitFor(size_t count, std::vector<TaskRecord>& tasks) {
  for (TaskRecord& task : tasks) task.waiting_for = static_cast<int32_t>(count);
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

  // What follows the blocks waits for the last block of every shard, and so for all of them.
  std::vector<TaskRecord> final_tasks = FinalTasks(spec, config);
  std::vector<TaskRecord> sensitivities = SensitivityTasks(spec, config);
  const std::vector<std::string> final_names = NamesOf(final_tasks);
  if (sensitivities.empty()) {
    WaitFor(shards.size(), final_tasks);
  } else {
    WaitFor(shards.size(), sensitivities);
    for (TaskRecord& task : sensitivities) task.dependents = final_names;
    WaitFor(sensitivities.size(), final_tasks);
  }
  std::vector<TaskRecord> quantizations = QuantizeTasks(
      spec, config, shards, sensitivities.empty() ? final_names : NamesOf(sensitivities));
  std::vector<TaskRecord> rotations = RotateTasks(spec, config, shards);

  TaskRecord scan = NewTask(TaskKind::kScan, 0, kScanTask);
  scan.state = TaskState::kReady;
  scan.cost = ScanCost(config);
  scan.dependents = NamesOf(rotations);
  if (rotations.empty()) {
    for (const ShardRange& shard : shards) scan.dependents.push_back(QuantizeTask(shard.first));
  }

  // In the order of rank. A block that can be quantized goes before rotations, which all can be
  // made at once and few of which are needed soon.
  std::vector<TaskRecord> tasks = {std::move(scan)};
  for (std::vector<TaskRecord>* const stage :
       {&quantizations, &rotations, &sensitivities, &final_tasks}) {
    std::move(stage->begin(), stage->end(), std::back_inserter(tasks));
  }
  for (size_t i = 0; i < tasks.size(); ++i) {
    TaskRecord& task = tasks[i];
    task.rank = static_cast<int32_t>(i);
    task.memory_bytes = EstimateTaskMemory(task.kind, spec, config, kCpuLayout);
    task.gpu_memory_bytes =
        EstimateTaskMemory(task.kind, spec, config, kCudaLayout, /*states_on_host=*/true);
  }
  return tasks;
}

}  // namespace tern
