#include "worker/agent/job_task_runner.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/checkpoint_sizes.h"
#include "checkpoint/manifest.h"
#include "checkpoint/packed_digest.h"
#include "tests/temp_dir.h"
#include "tests/unit/agent/blob_pieces.h"
#include "tests/unit/agent/scripted_server.h"
#include "tests/unit/agent/windows_blob.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/checkpoint/test_model.h"
#include "worker/agent/server_channel.h"
#include "worker/backend/device.h"

namespace tern {
namespace {

using tern::worker::v1::ReadBlobRequest;
using tern::worker::v1::Task;
using tern::worker::v1::WorkerService;
using ::testing::HasSubstr;

constexpr int kBlocks = 3;
constexpr int64_t kWindows = 4;
constexpr int64_t kLength = 16;
constexpr char kConfigOverrides[] =
    R"({"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3})";

// A worker without its lease loop, and a server that only keeps blobs: uploads are readable at
// once, as if committed.
class JobTaskRunnerTest : public testing::Test {
 protected:
  JobTaskRunnerTest()
      : stub_(WorkerService::NewStub(OpenServerChannel(server_.address()))),
        backend_(*CreateBackend("cpu", 2)) {
    WriteModel(model_.path(), SmallConfigJson(kConfigOverrides), DType::kBF16);
    blobs_["inputs/calibration.safetensors"] = WindowsBlob(kWindows, kLength);
    blobs_["inputs/evaluation.safetensors"] = WindowsBlob(kWindows, kLength);
    server_.read_blob = [this](const ReadBlobRequest& request, ScriptedServer::ReadWriter& writer) {
      const std::lock_guard lock(mutex_);
      reads_.insert(request.path());
      const auto blob = blobs_.find(request.path());
      if (blob == blobs_.end()) return grpc::Status(grpc::StatusCode::NOT_FOUND, "no such blob");
      return SendRest(blob->second, request.offset(), writer);
    };
    server_.write_blob = [this](ScriptedServer::WriteReader& reader) {
      const Upload upload = Receive(reader);
      const std::lock_guard lock(mutex_);
      blobs_[upload.header.path()].assign(upload.bytes.begin(), upload.bytes.end());
      return grpc::Status::OK;
    };
    Restart();
  }

  // A fresh worker process, as far as its memory goes.
  void Restart() {
    runner_ = std::make_unique<JobTaskRunner>(*backend_, client_, metrics_, 2, "worker-1");
  }

  Task NewTask(const std::string& name) {
    Task task;
    task.set_job_uid("job");
    task.mutable_lease()->set_task(absl::StrCat("job/", name));
    task.mutable_lease()->set_epoch(1);
    task.mutable_spec()->set_model(model_.path());
    task.mutable_spec()->mutable_pt2llm()->set_group_size(16);
    return task;
  }

  Task QuantizeTask(int block, int shard_first_block = 0) {
    Task task = NewTask(absl::StrCat("quantize/", block));
    task.mutable_quantize()->set_block(block);
    task.mutable_quantize()->set_shard_first_block(shard_first_block);
    task.mutable_quantize()->set_shard_goes_on(block + 1 < kBlocks);
    return task;
  }

  TaskOutcome Run(const Task& task) {
    TaskProgress progress;
    return runner_->Run(task, progress);
  }

  void QuantizeAll() {
    for (int block = 0; block < kBlocks; ++block) {
      ASSERT_THAT(Run(QuantizeTask(block)).status, IsOk());
    }
  }

  std::vector<uint8_t> BlockBytes(int block) { return blobs_.at(BlockFileName(block)); }

  TempDir model_;
  std::mutex mutex_;
  std::map<std::string, std::vector<uint8_t>> blobs_;
  std::set<std::string> reads_;
  ScriptedServer server_;
  std::unique_ptr<WorkerService::Stub> stub_;
  WorkerMetrics metrics_{"test"};
  BlobClient client_{*stub_, metrics_};
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<JobTaskRunner> runner_;
};

TEST_F(JobTaskRunnerTest, AScanReportsTheModelsDigest) {
  Task task = NewTask("scan");
  task.mutable_scan();
  const TaskOutcome outcome = Run(task);
  ASSERT_THAT(outcome.status, IsOk());
  EXPECT_EQ(outcome.result.scan().digest().size(), 64U);
  EXPECT_EQ(outcome.result.device(), "cpu");
  EXPECT_TRUE(outcome.result.seconds().contains("scan"));
}

TEST_F(JobTaskRunnerTest, AQuantizedBlockIsUploadedAndMeasured) {
  const TaskOutcome outcome = Run(QuantizeTask(0));
  ASSERT_THAT(outcome.status, IsOk());
  ASSERT_EQ(outcome.result.files_size(), 1);
  EXPECT_EQ(outcome.result.files(0), "tern-block-00000.safetensors");
  EXPECT_TRUE(blobs_.contains("tern-block-00000.safetensors"));

  const tern::v1::BlockMetrics& block = outcome.result.block();
  ASSERT_EQ(block.layers_size(), 7);
  EXPECT_EQ(block.layers(0).layer(), "model.layers.0.self_attn.q_proj");
  EXPECT_EQ(block.layers(0).rows(), 32);
  EXPECT_EQ(block.layers(0).cols(), 32);
  double sum = 0;
  for (const auto& layer : block.layers()) sum += layer.reconstruction_error();
  EXPECT_NEAR(block.reconstruction_error(), sum / 7, 1e-12);
  EXPECT_GT(block.reconstruction_error(), 0);
  EXPECT_EQ(block.tokens(), kWindows * kLength);
  for (const char* stage : {"load", "rebuild", "forward", "moments", "fit", "upload"}) {
    EXPECT_TRUE(block.seconds().contains(stage)) << stage;
  }
}

TEST_F(JobTaskRunnerTest, TheStateIsKeptForTheNextBlockOfTheShard) {
  ASSERT_THAT(Run(QuantizeTask(0)).status, IsOk());
  ASSERT_EQ(runner_->Warm().size(), 1U);
  EXPECT_EQ(runner_->Warm()[0].next_block(), 1);
  reads_.clear();
  const TaskOutcome outcome = Run(QuantizeTask(1));
  ASSERT_THAT(outcome.status, IsOk());
  EXPECT_TRUE(reads_.empty()) << "a warm worker reads nothing back";
  EXPECT_FALSE(outcome.result.block().seconds().contains("rebuild"));
}

TEST_F(JobTaskRunnerTest, ABlocksBitsAreTheSameWarmAndCold) {
  QuantizeAll();
  for (int block = 1; block < kBlocks; ++block) {
    const std::vector<uint8_t> warm = BlockBytes(block);
    Restart();
    ASSERT_THAT(Run(QuantizeTask(block)).status, IsOk());
    EXPECT_EQ(BlockBytes(block), warm) << "block " << block;
  }
}

TEST_F(JobTaskRunnerTest, ABlockOutOfTurnIsComputedAllTheSame) {
  QuantizeAll();
  const std::vector<uint8_t> first = BlockBytes(0);
  const std::vector<uint8_t> second = BlockBytes(1);
  ASSERT_THAT(Run(QuantizeTask(0)).status, IsOk());  // and block 1 goes ahead
  ASSERT_THAT(Run(QuantizeTask(0)).status, IsOk());
  EXPECT_EQ(BlockBytes(0), first);
  ASSERT_THAT(Run(QuantizeTask(1)).status, IsOk());
  EXPECT_EQ(BlockBytes(1), second);
}

TEST_F(JobTaskRunnerTest, NothingGoesAheadPastTheEndOfAShard) {
  QuantizeAll();
  EXPECT_TRUE(runner_->Warm().empty());
}

TEST_F(JobTaskRunnerTest, AShardsFirstBlockSeesTheFullPrecisionPrefix) {
  QuantizeAll();
  const std::vector<uint8_t> in_one_shard = BlockBytes(1);
  Restart();
  reads_.clear();
  ASSERT_THAT(Run(QuantizeTask(1, /*shard_first_block=*/1)).status, IsOk());
  EXPECT_NE(BlockBytes(1), in_one_shard);
  EXPECT_EQ(reads_, std::set<std::string>{"inputs/calibration.safetensors"});
}

TEST_F(JobTaskRunnerTest, ATaskOfAnotherKindLetsGoOfTheState) {
  QuantizeAll();
  Task task = NewTask("assemble");
  task.mutable_assemble();
  ASSERT_THAT(Run(task).status, IsOk());
  EXPECT_TRUE(runner_->Warm().empty());
}

TEST_F(JobTaskRunnerTest, RestingLetsGoOfTheState) {
  ASSERT_THAT(Run(QuantizeTask(0)).status, IsOk());
  runner_->Rest();
  EXPECT_TRUE(runner_->Warm().empty());
  EXPECT_THAT(Run(QuantizeTask(1)).status, IsOk());
}

TEST_F(JobTaskRunnerTest, AnAssembledCheckpointOpensAndVerifies) {
  QuantizeAll();
  Task task = NewTask("assemble");
  task.mutable_assemble();
  const TaskOutcome outcome = Run(task);
  ASSERT_THAT(outcome.status, IsOk());

  TempDir out;
  std::map<std::string, FileDigest> manifest;
  for (const auto& [name, bytes] : blobs_) {
    if (name.starts_with("inputs/")) continue;
    WriteText(out.File(name), std::string(bytes.begin(), bytes.end()));
    manifest[name] = {static_cast<int64_t>(bytes.size()), Sha256Hex(bytes)};
  }
  WriteText(out.File(kManifestFile), ManifestJson(manifest));
  const auto checkpoint = PackedCheckpoint::Open(out.path());
  ASSERT_THAT(checkpoint, IsOk());
  EXPECT_THAT((*checkpoint)->Verify(), IsOk());

  const auto& result = outcome.result.assemble();
  EXPECT_EQ(result.digest(), *PackedDigest(**checkpoint));
  const auto sizes = MeasureSizes(**checkpoint);
  ASSERT_THAT(sizes, IsOk());
  EXPECT_EQ(result.bits_per_weight().quantized_layers(), sizes->quantized_bits_per_weight);
  EXPECT_EQ(result.bits_per_weight().model(), sizes->model_bits_per_weight);
  std::map<std::string, int64_t> unquantized;
  for (const auto& entry : result.unquantized()) unquantized[entry.tensor()] = entry.bytes();
  EXPECT_EQ(unquantized, sizes->unquantized);
}

TEST_F(JobTaskRunnerTest, PartsOfAnEvaluationAddUpToTheWhole) {
  QuantizeAll();
  const auto evaluate = [&](int first, int windows) {
    Task task = NewTask("evaluate/0");
    task.mutable_evaluate()->set_first_window(first);
    task.mutable_evaluate()->set_windows(windows);
    const TaskOutcome outcome = Run(task);
    EXPECT_THAT(outcome.status, IsOk());
    return outcome.result.evaluate();
  };
  const auto whole = evaluate(0, 4), first = evaluate(0, 1), rest = evaluate(1, 3);
  EXPECT_EQ(whole.tokens(), 4 * (kLength - 1));
  EXPECT_EQ(first.tokens() + rest.tokens(), whole.tokens());
  // The same doubles, summed in another order.
  const double tolerance = 1e-12 * whole.loss_full_precision();
  EXPECT_NEAR(first.loss_full_precision() + rest.loss_full_precision(), whole.loss_full_precision(),
              tolerance);
  EXPECT_NEAR(first.loss_quantized() + rest.loss_quantized(), whole.loss_quantized(), tolerance);
  EXPECT_NEAR(first.kl_divergence() + rest.kl_divergence(), whole.kl_divergence(), tolerance);
  EXPECT_GT(whole.kl_divergence(), 0);
}

TEST_F(JobTaskRunnerTest, WindowsPastTheEndAreAPermanentFailure) {
  Task task = NewTask("evaluate/0");
  task.mutable_evaluate()->set_first_window(3);
  task.mutable_evaluate()->set_windows(2);
  const TaskOutcome outcome = Run(task);
  EXPECT_THAT(outcome.status, IsError(absl::StatusCode::kInvalidArgument, HasSubstr("of 4")));
  EXPECT_TRUE(outcome.permanent);
}

TEST_F(JobTaskRunnerTest, NanInTheModelIsAPermanentFailureThatNamesTheTensor) {
  OwnedTensors weights = RandomWeights(*ParseModelConfig(SmallConfigJson(kConfigOverrides)));
  const uint16_t nan = 0x7fc0;
  std::memcpy(weights.at("model.layers.2.mlp.down_proj.weight").bytes.data() + 22, &nan, 2);
  WriteTensors(model_.File("model.safetensors"), weights);
  Task task = NewTask("scan");
  task.mutable_scan();
  const TaskOutcome outcome = Run(task);
  EXPECT_THAT(outcome.status, IsError(absl::StatusCode::kInvalidArgument,
                                      HasSubstr("model.layers.2.mlp.down_proj.weight")));
  EXPECT_TRUE(outcome.permanent);
}

TEST_F(JobTaskRunnerTest, AModelThatCannotBeSeenHereMayBeSeenElsewhere) {
  Task task = NewTask("scan");
  task.mutable_scan();
  task.mutable_spec()->set_model(model_.File("missing"));
  const TaskOutcome outcome = Run(task);
  EXPECT_THAT(outcome.status, IsError(absl::StatusCode::kNotFound, HasSubstr("missing")));
  EXPECT_FALSE(outcome.permanent);
}

TEST_F(JobTaskRunnerTest, AMissingBlobMayBeThereLater) {
  blobs_.erase("inputs/calibration.safetensors");
  const TaskOutcome outcome = Run(QuantizeTask(0));
  EXPECT_THAT(outcome.status,
              IsError(absl::StatusCode::kUnavailable, HasSubstr("inputs/calibration.safetensors")));
  EXPECT_FALSE(outcome.permanent);
}

TEST_F(JobTaskRunnerTest, AModelThatChangedIsReadAgain) {
  Task task = NewTask("scan");
  task.mutable_scan();
  const std::string before = Run(task).result.scan().digest();
  OwnedTensors weights = RandomWeights(*ParseModelConfig(SmallConfigJson(kConfigOverrides)));
  weights.at("model.norm.weight").bytes[0] ^= 1;
  WriteTensors(model_.File("model.safetensors"), weights);
  EXPECT_NE(Run(task).result.scan().digest(), before);
}

class ChangingModelTest : public JobTaskRunnerTest {
 protected:
  ChangingModelTest() {
    Task scan = NewTask("scan");
    scan.mutable_scan();
    digest_ = Run(scan).result.scan().digest();
  }

  TaskOutcome RunOfThatModel(Task task) {
    task.set_model_digest(digest_);
    return Run(task);
  }

  Task AssembleTask() {
    Task task = NewTask("assemble");
    task.mutable_assemble();
    return task;
  }

  void WriteWeights(bool changed) {
    OwnedTensors weights = RandomWeights(*ParseModelConfig(SmallConfigJson(kConfigOverrides)));
    weights.at("lm_head.weight").bytes[0] ^= changed ? 1 : 0;
    WriteTensors(model_.File("model.safetensors"), weights);
  }

  void ExpectChanged(const TaskOutcome& outcome) {
    EXPECT_THAT(outcome.status, IsError(absl::StatusCode::kFailedPrecondition,
                                        HasSubstr("the model changed while the job ran")));
    EXPECT_TRUE(outcome.permanent);
  }

  std::string digest_;
};

TEST_F(ChangingModelTest, TheModelThatWasScannedIsTaken) {
  EXPECT_THAT(RunOfThatModel(QuantizeTask(0)).status, IsOk());
  Restart();
  EXPECT_THAT(RunOfThatModel(QuantizeTask(0)).status, IsOk());
}

TEST_F(ChangingModelTest, OtherWeightsFailTheJob) {
  QuantizeAll();
  WriteWeights(/*changed=*/true);
  ExpectChanged(RunOfThatModel(AssembleTask()));
}

TEST_F(ChangingModelTest, OtherWeightsAreSeenByAWorkerThatKnowsNothingOfTheFirst) {
  WriteWeights(/*changed=*/true);
  Restart();
  ExpectChanged(RunOfThatModel(QuantizeTask(0)));
}

TEST_F(ChangingModelTest, AnotherConfigFailsTheJob) {
  WriteText(model_.File("config.json"),
            SmallConfigJson(R"({"hidden_size": 32, "intermediate_size": 48,
                                "num_hidden_layers": 3, "rope_theta": 20000.0})"));
  ExpectChanged(RunOfThatModel(QuantizeTask(0)));
}

TEST_F(ChangingModelTest, AChangeWhileATaskRunsFailsIt) {
  const auto read_blob = server_.read_blob;
  server_.read_blob = [&](const ReadBlobRequest& request, ScriptedServer::ReadWriter& writer) {
    WriteWeights(/*changed=*/true);
    return read_blob(request, writer);
  };
  ExpectChanged(RunOfThatModel(QuantizeTask(0)));
}

TEST_F(ChangingModelTest, TheSameWeightsWrittenAgainAreTheSameModel) {
  WriteWeights(/*changed=*/false);
  EXPECT_THAT(RunOfThatModel(QuantizeTask(0)).status, IsOk());
}

TEST_F(JobTaskRunnerTest, AStoppedTaskIsCancelledAndLeavesNoState) {
  TaskProgress progress;
  progress.Stop();
  const TaskOutcome outcome = runner_->Run(QuantizeTask(0), progress);
  EXPECT_EQ(outcome.status.code(), absl::StatusCode::kCancelled);
  EXPECT_FALSE(outcome.permanent);
  EXPECT_TRUE(runner_->Warm().empty());
}

}  // namespace
}  // namespace tern
