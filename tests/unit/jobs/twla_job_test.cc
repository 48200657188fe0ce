// A job with rotations and mixed activations from its scan to its report.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "checkpoint/manifest.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/jobs/fake_worker.h"
#include "tests/unit/jobs/job_world.h"

namespace tern {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TwlaJobTest : public ::testing::Test {
 protected:
  v1::CreateQuantizationJobRequest Request(int32_t shards = 1) {
    v1::CreateQuantizationJobRequest request = world_.Request();
    v1::QuantizationSpec& spec = *request.mutable_quantization_job()->mutable_spec();
    spec.set_shards(shards);
    spec.mutable_twla();
    return request;
  }
  v1::CreateQuantizationJobRequest Mixed(double average_bits,
                                         v1::MixedActivations::Interactions interactions =
                                             v1::MixedActivations::INTERACTIONS_UNSPECIFIED) {
    v1::CreateQuantizationJobRequest request = Request();
    v1::MixedActivations& mixed = *request.mutable_quantization_job()
                                       ->mutable_spec()
                                       ->mutable_twla()
                                       ->mutable_mixed_activations();
    mixed.set_average_bits(average_bits);
    mixed.set_interactions(interactions);
    return request;
  }
  // `a_` alone works until it is given `task`.
  void WorkUntil(const std::string& task) {
    ASSERT_THAT(a_.Idle(system()), IsOk());
    while (a_.busy() && a_.task_name() != task) ASSERT_THAT(a_.Finish(system()), IsOk());
    ASSERT_EQ(a_.task_name(), task);
  }
  // What is kept of `a_`'s task after a result that was changed.
  std::string ErrorsWhen(const std::string& job,
                         const std::function<void(worker::v1::TaskResult&)>& change) {
    EXPECT_THAT(a_.UploadFiles(system()), IsOk());
    worker::v1::SynchronizeRequest request = a_.BaseRequest();
    *request.mutable_completed()->mutable_lease() = a_.task().lease();
    *request.mutable_completed()->mutable_result() = ResultOf(a_.task());
    change(*request.mutable_completed()->mutable_result());
    const std::string task = a_.task_name();
    EXPECT_THAT(a_.Call(system(), request), IsOk());
    return world_.Task(job, task).errors;
  }
  std::vector<int32_t> Bits(const v1::ActivationBits& activations) {
    std::vector<int32_t> bits;
    for (const auto& block : activations.blocks()) bits.push_back(block.bits());
    return bits;
  }
  JobSystem& system() { return world_.system(); }

  JobWorld world_;
  FakeWorker a_{"worker-a"};
  FakeWorker b_{"worker-b"};
};

TEST_F(TwlaJobTest, TheFirstBlocksAreQuantizedWhileOthersRotate) {
  world_.Create(Request());
  ASSERT_THAT(a_.Idle(system()), IsOk());
  ASSERT_THAT(a_.Finish(system()), IsOk());
  EXPECT_EQ(a_.task_name(), "rotate/0");
  ASSERT_THAT(b_.Idle(system()), IsOk());
  EXPECT_EQ(b_.task_name(), "rotate/1");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  EXPECT_EQ(a_.task_name(), "quantize/0");
  ASSERT_THAT(b_.Finish(system()), IsOk());
  EXPECT_EQ(b_.task_name(), "rotate/2");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  EXPECT_EQ(a_.task_name(), "quantize/1");
  // Block 2 waits for its rotation, so the worker that is warm for it helps with another.
  ASSERT_THAT(a_.Finish(system()), IsOk());
  EXPECT_EQ(a_.task_name(), "rotate/3");
  ASSERT_THAT(b_.Finish(system()), IsOk());
  EXPECT_EQ(b_.task_name(), "");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  EXPECT_EQ(a_.task_name(), "quantize/2");
}

TEST_F(TwlaJobTest, EveryShardsFirstBlockIsRotatedFirst) {
  world_.Create(Request(/*shards=*/2));
  ASSERT_THAT(a_.Idle(system()), IsOk());
  ASSERT_THAT(a_.Finish(system()), IsOk());
  EXPECT_EQ(a_.task_name(), "rotate/0");
  ASSERT_THAT(b_.Idle(system()), IsOk());
  EXPECT_EQ(b_.task_name(), "rotate/2");
}

TEST_F(TwlaJobTest, ABlocksMetricsTellOfItsRotations) {
  const std::string job = world_.Create(Request()).name();
  ASSERT_TRUE(RunAll(system()));
  const v1::JobReport report = world_.Get(job).report();
  ASSERT_EQ(report.blocks_size(), 4);
  const v1::LayerMetrics& layer = report.blocks(3).layers(0);
  EXPECT_EQ(layer.rotation().layer(), "model.layers.3.self_attn.q_proj");
  EXPECT_EQ(layer.rotation().n1(), 16);
  EXPECT_EQ(layer.rotation().loss_after(), 1.5);
  EXPECT_EQ(report.seconds().at("rotate"), 4);
  EXPECT_FALSE(report.has_activation_bits());
}

TEST_F(TwlaJobTest, RotationsGoWithSuccess) {
  const std::string job = world_.Create(Request()).name();
  WorkUntil("assemble");
  const std::vector<std::string> keys = world_.BlobKeys();
  EXPECT_TRUE(std::any_of(keys.begin(), keys.end(), [](const std::string& key) {
    return absl::StrContains(key, "rotations/00003");
  }));
  ASSERT_THAT(a_.Finish(system()), IsOk());
  EXPECT_EQ(world_.Get(job).state(), v1::QuantizationJob::SUCCEEDED);
  EXPECT_EQ(world_.BlobKeys().size(), world_.Files(job).size());
}

TEST_F(TwlaJobTest, FixedBitsReachAssembleAndEvaluateWithTheirClipRatios) {
  v1::CreateQuantizationJobRequest request = Request();
  v1::QuantizationSpec& spec = *request.mutable_quantization_job()->mutable_spec();
  spec.mutable_twla()->set_activation_bits(6);
  spec.mutable_evaluation()->add_files(world_.folder() + "/evaluation.safetensors");
  const std::string job = world_.Create(request).name();
  WorkUntil("assemble");
  ASSERT_EQ(a_.task().assemble().activations_size(), 4);
  EXPECT_EQ(a_.task().assemble().activations(2).bits(), 6);
  EXPECT_EQ(a_.task().assemble().activations(2).clip_size(), 7);
  EXPECT_DOUBLE_EQ(a_.task().assemble().activations(2).clip().at("mlp.down_proj"), 0.8);
  ASSERT_THAT(a_.Finish(system()), IsOk());
  ASSERT_EQ(a_.task_name(), "evaluate/0");
  EXPECT_EQ(a_.task().evaluate().activations_size(), 4);
  ASSERT_THAT(a_.Finish(system()), IsOk());
  const v1::JobReport report = world_.Get(job).report();
  EXPECT_THAT(Bits(report.activation_bits()), ElementsAre(6, 6, 6, 6));
  EXPECT_FALSE(report.activation_bits().has_beta());
}

TEST_F(TwlaJobTest, SixteenBitsCarryNoActivations) {
  world_.Create(Request());
  WorkUntil("assemble");
  EXPECT_EQ(a_.task().assemble().activations_size(), 0);
}

TEST_F(TwlaJobTest, SensitivitiesAreMeasuredFromTheBaseline) {
  world_.Create(Mixed(4));
  WorkUntil("sensitivity/0");
  EXPECT_TRUE(a_.task().sensitivity().measure_baseline());
  ASSERT_THAT(b_.Idle(system()), IsOk());
  ASSERT_EQ(b_.task_name(), "sensitivity/1");
  const worker::v1::MeasureSensitivity& work = b_.task().sensitivity();
  EXPECT_FALSE(work.measure_baseline());
  ASSERT_EQ(work.baseline_size(), 4);
  EXPECT_EQ(work.baseline(3).bits(), 8);
  EXPECT_DOUBLE_EQ(work.baseline(3).clip().at("self_attn.o_proj"), 0.9);
  ASSERT_EQ(work.probes_size(), 3);
  EXPECT_EQ(work.probes(0).own().bits(), 2);
  EXPECT_EQ(work.probes(2).own().bits(), 6);
  EXPECT_DOUBLE_EQ(work.probes(2).own().clip().at("self_attn.o_proj"), 0.8);
  EXPECT_FALSE(work.probes(2).has_previous());
}

TEST_F(TwlaJobTest, WhereAllInteractionsAreWantedASensitivityMeasuresThemToo) {
  const std::string job = world_.Create(Mixed(5, v1::MixedActivations::INTERACTIONS_ALL)).name();
  WorkUntil("sensitivity/1");
  const worker::v1::MeasureSensitivity& work = a_.task().sensitivity();
  ASSERT_EQ(work.probes_size(), 3 + 9);
  EXPECT_EQ(work.probes(6).own().bits(), 2);
  EXPECT_EQ(work.probes(6).previous().bits(), 4);
  EXPECT_DOUBLE_EQ(work.probes(6).previous().clip().at("self_attn.o_proj"), 0.7);
  WorkUntil("sensitivity/3");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  EXPECT_EQ(a_.task_name(), "assemble");
  EXPECT_THAT(Bits(world_.Get(job).activation_bits()), ElementsAre(2, 2, 8, 8));
  EXPECT_EQ(world_.Get(job).activation_bits().blocks(3).interactions_size(), 9);
}

TEST_F(TwlaJobTest, TheInteractionsThatTheChoiceNeedsAreMeasuredAfterTheSensitivities) {
  const std::string job = world_.Create(Mixed(4)).name();
  WorkUntil("sensitivity/3");
  const int32_t planned = world_.Get(job).progress().tasks_total();
  ASSERT_THAT(a_.Finish(system()), IsOk());
  // By single blocks' rises alone 2, 2, 4 and 8 bits are best.
  ASSERT_EQ(a_.task_name(), "interaction/1/1");
  const worker::v1::MeasureSensitivity& work = a_.task().sensitivity();
  EXPECT_FALSE(work.measure_baseline());
  ASSERT_EQ(work.probes_size(), 1);
  EXPECT_EQ(work.probes(0).own().bits(), 2);
  EXPECT_EQ(work.probes(0).previous().bits(), 2);
  ASSERT_THAT(b_.Idle(system()), IsOk());
  ASSERT_EQ(b_.task_name(), "interaction/2/1");
  EXPECT_EQ(world_.Get(job).progress().tasks_total(), planned + 2);
  EXPECT_FALSE(world_.Get(job).has_activation_bits());

  // They are the job's tasks as all others are.
  world_.Restart();
  ASSERT_THAT(b_.Finish(system()), IsOk());
  EXPECT_EQ(b_.task_name(), "") << "what comes next waits for all of them";
  EXPECT_EQ(world_.Task(job, "assemble").waiting_for, 1);
  ASSERT_THAT(a_.Finish(system()), IsOk());
  EXPECT_EQ(a_.task_name(), "interaction/1/2");
}

TEST_F(TwlaJobTest, AnInteractionThatFailsIsMeasuredAgain) {
  const std::string job = world_.Create(Mixed(4)).name();
  WorkUntil("interaction/1/1");
  ASSERT_THAT(b_.Idle(system()), IsOk());
  ASSERT_EQ(b_.task_name(), "interaction/2/1");
  ASSERT_THAT(b_.Fail(system(), "out of memory", /*permanent=*/false), IsOk());
  ASSERT_THAT(a_.Finish(system()), IsOk());
  EXPECT_FALSE(world_.Get(job).has_activation_bits());
  ASSERT_TRUE(RunAll(system()));
  while (a_.busy()) ASSERT_THAT(a_.Finish(system()), IsOk());
  world_.clock().Advance(absl::Minutes(5));
  ASSERT_TRUE(RunAll(system()));
  const v1::QuantizationJob done = world_.Get(job);
  EXPECT_EQ(done.state(), v1::QuantizationJob::SUCCEEDED);
  EXPECT_EQ(done.progress().tasks_done(), done.progress().tasks_total());
  EXPECT_EQ(world_.Task(job, "interaction/2/1").attempts, 1);
}

TEST_F(TwlaJobTest, InteractionsAreReckonedWithBeforeTheyAreKnownAndCountedOnceTheyAre) {
  const std::string job = world_.Create(Mixed(4)).name();
  const auto cost_of_tasks = [&] {
    double cost = 0;
    for (const TaskRecord& task : world_.Tasks(job)) cost += task.cost;
    return cost;
  };
  EXPECT_GT(world_.Record(job).cost_total, cost_of_tasks());
  WorkUntil("interaction/1/1");
  EXPECT_DOUBLE_EQ(world_.Record(job).cost_total, cost_of_tasks());
  EXPECT_GT(world_.Task(job, "interaction/1/1").cost, 0);
}

TEST_F(TwlaJobTest, AnInteractionWhoseResultIsDamagedIsNotMeasuredForEver) {
  const std::string job = world_.Create(Mixed(4)).name();
  WorkUntil("interaction/1/1");
  ASSERT_THAT(b_.Idle(system()), IsOk());
  ASSERT_EQ(b_.task_name(), "interaction/2/1");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  TaskRecord damaged = world_.Task(job, "interaction/1/1");
  worker::v1::TaskResult result;
  ASSERT_TRUE(result.ParseFromString(damaged.result));
  result.mutable_sensitivity()->clear_probes();
  damaged.result = result.SerializeAsString();
  ASSERT_THAT(world_.store().Transact(
                  [&](Transaction& transaction) { return transaction.UpdateTask(damaged); }),
              IsOk());
  EXPECT_THAT(b_.Finish(system()),
              IsError(absl::StatusCode::kDataLoss, HasSubstr("interaction/1/1 lacks what it was")));
}

TEST_F(TwlaJobTest, CancelledBetweenRoundsNothingOfTheJobIsHandedOut) {
  const std::string job = world_.Create(Mixed(4)).name();
  WorkUntil("interaction/1/1");
  ASSERT_THAT(world_.operations().Cancel(job), IsOk());
  ASSERT_THAT(b_.Idle(system()), IsOk());
  EXPECT_FALSE(b_.busy());
  EXPECT_EQ(world_.Get(job).state(), v1::QuantizationJob::CANCELLED);
}

TEST_F(TwlaJobTest, AJobFromBeforeThereWasAChoiceMeasuresAllInteractions) {
  v1::QuantizationJob job = world_.Create(Mixed(5));
  v1::TwlaMethod& method = *job.mutable_spec()->mutable_twla();
  method.mutable_mixed_activations()->clear_interactions();
  world_.SetDocument(job.name(), job.SerializeAsString());
  WorkUntil("sensitivity/2");
  EXPECT_EQ(a_.task().sensitivity().probes_size(), 3 + 9);
  WorkUntil("sensitivity/3");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  EXPECT_EQ(a_.task_name(), "assemble");
}

TEST_F(TwlaJobTest, TheLastMeasurementChoosesTheBits) {
  const std::string job = world_.Create(Mixed(5)).name();
  WorkUntil("sensitivity/3");
  int interactions = -1;
  for (; a_.task_name() != "assemble"; ++interactions) {
    EXPECT_FALSE(world_.Get(job).has_activation_bits());
    ASSERT_THAT(a_.Finish(system()), IsOk());
  }
  EXPECT_GT(interactions, 0);
  EXPECT_LT(interactions, 3 * 9);
  const v1::ActivationBits choice = world_.Get(job).activation_bits();
  int measured = 0;
  for (const auto& block : choice.blocks()) measured += block.interactions_size();
  EXPECT_EQ(measured, interactions) << "one each, here";
  // Later blocks mind fewer bits more (fake_worker.cc), so they get what there is.
  EXPECT_THAT(Bits(choice), ElementsAre(2, 2, 8, 8));
  EXPECT_EQ(a_.task().assemble().activations(1).bits(), 2);
  EXPECT_EQ(a_.task().assemble().activations(3).bits(), 8);

  int chosen = 0;
  for (const v1::JobEvent& event : world_.Events(job)) {
    if (event.has_activation_bits_chosen()) ++chosen;
  }
  EXPECT_EQ(chosen, 1);

  // It is the job's, whatever becomes of the server.
  const std::string before = world_.Get(job).activation_bits().SerializeAsString();
  world_.Restart();
  EXPECT_EQ(world_.Get(job).activation_bits().SerializeAsString(), before);
  ASSERT_THAT(a_.Finish(system()), IsOk());
  const v1::QuantizationJob done = world_.Get(job);
  EXPECT_EQ(done.state(), v1::QuantizationJob::SUCCEEDED);
  EXPECT_FALSE(done.has_activation_bits());
  EXPECT_EQ(done.report().activation_bits().SerializeAsString(), before);
  EXPECT_EQ(done.report().activation_bits().average_bits(), 5);
}

TEST_F(TwlaJobTest, TheChoiceDoesNotDependOnWhoFinishesFirst) {
  const std::string first = world_.Create(Mixed(5)).name();
  ASSERT_TRUE(RunAll(system()));
  const std::string second = world_.Create(Mixed(5)).name();
  WorkUntil("sensitivity/0");
  std::vector<FakeWorker> others = {FakeWorker("c"), FakeWorker("d"), FakeWorker("e")};
  for (FakeWorker& other : others) ASSERT_THAT(other.Idle(system()), IsOk());
  for (int i = 2; i >= 0; --i) ASSERT_THAT(others[i].Finish(system()), IsOk());
  ASSERT_THAT(a_.Finish(system()), IsOk());
  ASSERT_TRUE(RunAll(system()));
  for (FakeWorker* const worker : {&a_, &others[0], &others[1], &others[2]}) {
    while (worker->busy()) ASSERT_THAT(worker->Finish(system()), IsOk());
  }
  EXPECT_EQ(world_.Get(first).report().activation_bits().SerializeAsString(),
            world_.Get(second).report().activation_bits().SerializeAsString());
}

TEST_F(TwlaJobTest, MixedBitsComeWithAPictureThatTheManifestNames) {
  const std::string job = world_.Create(Mixed(5)).name();
  ASSERT_TRUE(RunAll(system()));
  std::map<std::string, std::string> contents;
  for (const FileRecord& file : world_.Files(job)) {
    contents[file.path] = world_.BlobContent(file.blob_key);
  }
  EXPECT_THAT(contents["tern-activation-bits.svg"], HasSubstr("<title>block 3: 8 bits</title>"));
  const auto manifest = ParseManifest(contents["tern-manifest.json"]);
  ASSERT_THAT(manifest, IsOk());
  EXPECT_TRUE(manifest->contains("tern-activation-bits.svg"));
  const std::string& card = contents["README.md"];
  EXPECT_THAT(card, HasSubstr("TWLA (arXiv 2606.13054)"));
  EXPECT_THAT(card, HasSubstr("learned by KOTMS (released objective, released factors, 100 steps"));
  EXPECT_THAT(card, HasSubstr("(tern-activation-bits.svg)"));
  EXPECT_THAT(card, HasSubstr("| activation bits, quantized layers' inputs | 16 | 5.00 |"));
}

TEST_F(TwlaJobTest, OtherJobsHaveNoPicture) {
  const std::string job = world_.Create(Request()).name();
  ASSERT_TRUE(RunAll(system()));
  for (const FileRecord& file : world_.Files(job)) EXPECT_NE(file.path, "tern-activation-bits.svg");
}

TEST_F(TwlaJobTest, ARotationOfEveryLayerIsAskedFor) {
  const std::string job = world_.Create(Request()).name();
  WorkUntil("rotate/0");
  EXPECT_THAT(
      ErrorsWhen(job,
                 [](auto& result) { result.mutable_rotate()->mutable_layers()->RemoveLast(); }),
      HasSubstr("lacks the rotation of model.layers.0.mlp.down_proj"));
}

TEST_F(TwlaJobTest, AClipRatioOfEveryWidthIsAskedFor) {
  const std::string job = world_.Create(Mixed(4)).name();
  WorkUntil("quantize/0");
  EXPECT_THAT(
      ErrorsWhen(job,
                 [](auto& result) {
                   result.mutable_block()->mutable_layers(2)->mutable_clip_ratios()->erase(6);
                 }),
      HasSubstr("no clip ratio of model.layers.0.self_attn.v_proj for 6 bits"));
}

TEST_F(TwlaJobTest, EveryProbeIsAskedFor) {
  const std::string job = world_.Create(Mixed(4)).name();
  WorkUntil("sensitivity/2");
  EXPECT_THAT(
      ErrorsWhen(
          job, [](auto& result) { result.mutable_sensitivity()->mutable_probes()->RemoveLast(); }),
      HasSubstr("lacks the probe"));
}

}  // namespace
}  // namespace tern
