#include "server/jobs/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "checkpoint/model_config.h"
#include "server/jobs/task_names.h"

namespace tern {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ModelConfig Config(int64_t blocks) {
  ModelConfig config = {};
  config.hidden_size = 64;
  config.intermediate_size = 192;
  config.num_blocks = blocks;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 16;
  config.vocab_size = 1000;
  config.max_positions = 4096;
  return config;
}

v1::QuantizationSpec Spec(int32_t shards, int32_t windows = 0, int32_t length = 1024) {
  v1::QuantizationSpec spec;
  spec.mutable_calibration()->set_samples(8);
  spec.mutable_calibration()->set_sequence_length(128);
  spec.set_shards(shards);
  if (windows > 0) {
    spec.mutable_evaluation()->set_windows(windows);
    spec.mutable_evaluation()->set_window_length(length);
  }
  return spec;
}

v1::QuantizationSpec TwlaSpec(int32_t shards, bool mixed, int32_t windows = 0) {
  v1::QuantizationSpec spec = Spec(shards, windows);
  v1::TwlaMethod& method = *spec.mutable_twla();
  method.set_rotation(v1::TwlaMethod::ROTATION_KOTMS);
  method.set_factorization(v1::TwlaMethod::FACTORIZATION_RELEASED);
  method.set_rotation_steps(100);
  method.set_activation_bits(mixed ? 0 : 16);
  if (mixed) {
    for (const int32_t bits : {2, 4, 6, 8})
      method.mutable_mixed_activations()->add_candidates(bits);
  }
  return spec;
}

std::map<std::string, TaskRecord> Plan(const v1::QuantizationSpec& spec, int64_t blocks) {
  std::map<std::string, TaskRecord> tasks;
  for (TaskRecord& task : PlanTasks(spec, Config(blocks))) {
    const std::string name = task.name;
    tasks[name] = std::move(task);
  }
  return tasks;
}

TEST(PlannerTest, OneShardIsAChain) {
  auto tasks = Plan(Spec(1), 3);
  ASSERT_EQ(tasks.size(), 5U);
  EXPECT_THAT(tasks["scan"].dependents, ElementsAre("quantize/0"));
  EXPECT_THAT(tasks["quantize/0"].dependents, ElementsAre("quantize/1"));
  EXPECT_THAT(tasks["quantize/1"].dependents, ElementsAre("quantize/2"));
  EXPECT_THAT(tasks["quantize/2"].dependents, ElementsAre("assemble"));
  EXPECT_THAT(tasks["assemble"].dependents, IsEmpty());
}

std::vector<int32_t> Sizes(const std::vector<ShardRange>& shards) {
  std::vector<int32_t> sizes;
  for (const ShardRange& shard : shards) sizes.push_back(shard.end - shard.first);
  return sizes;
}

TEST(PlannerTest, ShardsOfEqualCostAreOfEqualSize) {
  EXPECT_THAT(Sizes(CutShards(8, 4, 1, 0)), ElementsAre(2, 2, 2, 2));
  EXPECT_THAT(Sizes(CutShards(5, 5, 1, 10)), ElementsAre(1, 1, 1, 1, 1));
  EXPECT_THAT(Sizes(CutShards(7, 1, 1, 0.2)), ElementsAre(7));
}

TEST(PlannerTest, AShardsPrefixIsCountedIn) {
  // Costs 10, 10.9, 10.61 and 10.94; with 8 blocks each the last would cost 12.56.
  EXPECT_THAT(Sizes(CutShards(32, 4, 1, 0.19)), ElementsAre(10, 9, 7, 6));
}

TEST(PlannerTest, NoCutIsCheaper) {
  constexpr int32_t kBlocks = 9;
  for (const double prefix : {0.0, 0.1, 0.3, 0.9, 1.0}) {
    const auto cost = [&](int32_t first, int32_t end) { return prefix * first + (end - first); };
    double least = 1e9;
    for (int32_t a = 1; a < kBlocks - 1; ++a) {
      for (int32_t b = a + 1; b < kBlocks; ++b) {
        least = std::min(least, std::max({cost(0, a), cost(a, b), cost(b, kBlocks)}));
      }
    }
    double dearest = 0;
    for (const ShardRange& shard : CutShards(kBlocks, 3, 1, prefix)) {
      dearest = std::max(dearest, cost(shard.first, shard.end));
    }
    EXPECT_NEAR(dearest, least, 1e-9) << prefix;
  }
}

TEST(PlannerTest, TasksKnowTheirShard) {
  auto tasks = Plan(Spec(3), 7);
  EXPECT_THAT(tasks["scan"].dependents, ElementsAre("quantize/0", "quantize/3", "quantize/5"));
  const int32_t first[] = {0, 0, 0, 3, 3, 5, 5};
  const int32_t shard[] = {0, 0, 0, 1, 1, 2, 2};
  for (int32_t block = 0; block < 7; ++block) {
    EXPECT_EQ(tasks[QuantizeTask(block)].shard_first_block, first[block]);
    EXPECT_EQ(tasks[QuantizeTask(block)].shard, shard[block]);
    EXPECT_EQ(tasks[QuantizeTask(block)].index, block);
  }
}

TEST(PlannerTest, OneBlockAShardIsAllAtOnce) {
  auto tasks = Plan(Spec(4), 4);
  EXPECT_EQ(tasks["scan"].dependents.size(), 4U);
  for (int32_t block = 0; block < 4; ++block) {
    EXPECT_THAT(tasks[QuantizeTask(block)].dependents, ElementsAre("assemble"));
  }
  EXPECT_EQ(tasks["assemble"].waiting_for, 4);
}

TEST(PlannerTest, EvaluationIsCutIntoWholeWindowsInOrder) {
  // 32 windows of 1024 tokens are 32768.
  auto tasks = Plan(Spec(2, /*windows=*/70), 4);
  EXPECT_EQ(tasks["evaluate/0"].first_window, 0);
  EXPECT_EQ(tasks["evaluate/0"].windows, 32);
  EXPECT_EQ(tasks["evaluate/1"].first_window, 32);
  EXPECT_EQ(tasks["evaluate/1"].windows, 32);
  EXPECT_EQ(tasks["evaluate/2"].first_window, 64);
  EXPECT_EQ(tasks["evaluate/2"].windows, 6);
  EXPECT_FALSE(tasks.contains("evaluate/3"));
  EXPECT_THAT(tasks["quantize/3"].dependents,
              ElementsAre("assemble", "evaluate/0", "evaluate/1", "evaluate/2"));
}

TEST(PlannerTest, AWindowLongerThanAPartIsAPartOfItsOwn) {
  auto tasks = Plan(Spec(1, /*windows=*/2, /*length=*/40000), 2);
  EXPECT_EQ(tasks["evaluate/0"].windows, 1);
  EXPECT_EQ(tasks["evaluate/1"].windows, 1);
}

TEST(PlannerTest, RotationsComeBetweenScanAndBlocks) {
  auto tasks = Plan(TwlaSpec(1, /*mixed=*/false), 3);
  ASSERT_EQ(tasks.size(), 8U);
  EXPECT_THAT(tasks["scan"].dependents, ElementsAre("rotate/0", "rotate/1", "rotate/2"));
  EXPECT_THAT(tasks["rotate/1"].dependents, ElementsAre("quantize/1"));
  EXPECT_THAT(tasks["quantize/0"].dependents, ElementsAre("quantize/1"));
  EXPECT_EQ(tasks["quantize/0"].waiting_for, 1);
  EXPECT_EQ(tasks["quantize/1"].waiting_for, 2);
  EXPECT_THAT(tasks["quantize/2"].dependents, ElementsAre("assemble"));
}

TEST(PlannerTest, WithoutARotationTwlaIsPlannedAsPt2Llm) {
  v1::QuantizationSpec spec = TwlaSpec(2, /*mixed=*/false);
  spec.mutable_twla()->set_rotation(v1::TwlaMethod::ROTATION_NONE);
  EXPECT_THAT(Plan(spec, 4)["scan"].dependents, ElementsAre("quantize/0", "quantize/2"));
}

TEST(PlannerTest, SensitivitiesWaitForEveryBlockAndTheEndForThem) {
  auto tasks = Plan(TwlaSpec(2, /*mixed=*/true, /*windows=*/40), 4);
  const auto sensitivities =
      ElementsAre("sensitivity/0", "sensitivity/1", "sensitivity/2", "sensitivity/3");
  EXPECT_THAT(tasks["quantize/1"].dependents, sensitivities);
  EXPECT_THAT(tasks["quantize/3"].dependents, sensitivities);
  EXPECT_EQ(tasks["sensitivity/0"].waiting_for, 2);
  EXPECT_THAT(tasks["sensitivity/2"].dependents,
              ElementsAre("assemble", "evaluate/0", "evaluate/1"));
  EXPECT_EQ(tasks["evaluate/1"].waiting_for, 4);
}

TEST(PlannerTest, ABlockGoesBeforeRotationsAndTheseInTheOrderShardsNeedThem) {
  std::vector<std::string> names;
  int32_t rank = 0;
  for (const TaskRecord& task : PlanTasks(TwlaSpec(2, /*mixed=*/true), Config(4))) {
    EXPECT_EQ(task.rank, rank++);
    names.push_back(task.name);
  }
  EXPECT_THAT(names, ElementsAre("scan", "quantize/0", "quantize/1", "quantize/2", "quantize/3",
                                 "rotate/0", "rotate/2", "rotate/1", "rotate/3", "sensitivity/0",
                                 "sensitivity/1", "sensitivity/2", "sensitivity/3", "assemble"));
}

TEST(PlannerTest, LearningARotationCostsMoreThanDrawingOne) {
  v1::QuantizationSpec spec = TwlaSpec(1, /*mixed=*/true);
  auto learned = Plan(spec, 4);
  spec.mutable_twla()->set_rotation_steps(200);
  EXPECT_GT(Plan(spec, 4)["rotate/0"].cost, 1.5 * learned["rotate/0"].cost);
  spec.mutable_twla()->set_rotation(v1::TwlaMethod::ROTATION_HADAMARD);
  spec.mutable_twla()->set_rotation_steps(0);
  EXPECT_LT(Plan(spec, 4)["rotate/0"].cost, learned["rotate/0"].cost / 10);
  // The blocks behind the probed ones are run for every probe.
  EXPECT_GT(learned["sensitivity/1"].cost, learned["sensitivity/3"].cost);
  // Without the pairs of candidates a quarter of the probes is left.
  spec.mutable_twla()->mutable_mixed_activations()->set_interactions(
      v1::MixedActivations::INTERACTIONS_NEEDED);
  EXPECT_LT(Plan(spec, 4)["sensitivity/1"].cost, learned["sensitivity/1"].cost / 3);
}

TEST(PlannerTest, WhatATaskWaitsForIsHowManyNameIt) {
  for (const v1::QuantizationSpec& spec :
       {Spec(1, 40), Spec(2, 40), Spec(5, 40), TwlaSpec(1, false), TwlaSpec(2, true, 40),
        TwlaSpec(5, true, 40)}) {
    const auto tasks = Plan(spec, 5);
    std::map<std::string, int> named;
    for (const auto& [name, task] : tasks) {
      for (const std::string& dependent : task.dependents) ++named[dependent];
    }
    for (const auto& [name, task] : tasks) {
      EXPECT_EQ(task.waiting_for, named[name]) << name;
      EXPECT_EQ(task.state, task.waiting_for == 0 ? TaskState::kReady : TaskState::kBlocked);
      EXPECT_GT(task.cost, 0) << name;
    }
  }
}

TEST(PlannerTest, AShardsFirstBlockCostsThePrefixToo) {
  auto tasks = Plan(Spec(2), 4);
  EXPECT_GT(tasks["quantize/2"].cost, tasks["quantize/3"].cost);
  EXPECT_EQ(tasks["quantize/1"].cost, tasks["quantize/3"].cost);
}

TEST(PlannerTest, ThePlanFollowsFromItsArguments) {
  const auto first = PlanTasks(Spec(2, 70), Config(5));
  const auto second = PlanTasks(Spec(2, 70), Config(5));
  ASSERT_EQ(first.size(), second.size());
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].name, second[i].name);
    EXPECT_EQ(first[i].cost, second[i].cost);
    EXPECT_EQ(first[i].dependents, second[i].dependents);
  }
}

}  // namespace
}  // namespace tern
