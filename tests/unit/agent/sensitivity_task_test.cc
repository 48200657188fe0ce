#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/block_file.h"
#include "tests/temp_dir.h"
#include "tests/unit/agent/blob_pieces.h"
#include "tests/unit/agent/scripted_server.h"
#include "tests/unit/agent/windows_blob.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/checkpoint/test_model.h"
#include "worker/agent/job_task_runner.h"
#include "worker/agent/method_options.h"
#include "worker/agent/server_channel.h"
#include "worker/backend/device.h"

namespace tern {
namespace {

using tern::worker::v1::MeasureSensitivity;
using tern::worker::v1::ReadBlobRequest;
using tern::worker::v1::SensitivityResult;
using tern::worker::v1::Task;
using tern::worker::v1::WorkerService;
using ::testing::HasSubstr;

constexpr int kBlocks = 4;
constexpr int64_t kWindows = 3;
constexpr int64_t kLength = 16;

void SetActivations(int block, int bits, tern::worker::v1::BlockActivations& message) {
  message.set_bits(bits);
  for (const LinearKind kind : LinearKinds()) {
    (*message.mutable_clip())[LinearModule(kind)] = 0.7 + 0.02 * bits + 0.01 * block;
  }
}

// A worker without its lease loop, and a server that has the blocks of a job.
class SensitivityTaskTest : public testing::Test {
 protected:
  SensitivityTaskTest()
      : stub_(WorkerService::NewStub(OpenServerChannel(server_.address()))),
        backend_(*CreateBackend("cpu", 2)) {
    WriteModel(folder_.path(),
               SmallConfigJson(absl::StrCat(R"({"hidden_size": 32, "intermediate_size": 48,
                                                "num_hidden_layers": )",
                                            kBlocks, "}")),
               DType::kBF16);
    const auto model = ModelFolder::Open(folder_.path());
    EXPECT_THAT(model, IsOk());
    const auto format = FormatOf(NewTask(0).spec());
    EXPECT_THAT(format, IsOk());
    for (int block = 0; block < kBlocks; ++block) {
      std::vector<uint8_t>& file = blobs_[BlockFileName(block)];
      const BlockLayers layers = RandomLayers((*model)->config(), *format, block);
      EXPECT_THAT(WriteBlockFile(**model, block, layers,
                                 [&](std::span<const uint8_t> piece) {
                                   file.insert(file.end(), piece.begin(), piece.end());
                                   return absl::OkStatus();
                                 }),
                  IsOk());
    }
    blobs_["inputs/calibration.safetensors"] = WindowsBlob(kWindows, kLength);
    server_.read_blob = [this](const ReadBlobRequest& request, ScriptedServer::ReadWriter& writer) {
      const std::lock_guard lock(mutex_);
      reads_.insert(request.path());
      const auto blob = blobs_.find(request.path());
      if (blob == blobs_.end()) return grpc::Status(grpc::StatusCode::NOT_FOUND, "no such blob");
      return SendRest(blob->second, request.offset(), writer);
    };
    Restart();
  }

  // A fresh worker process, as far as its memory goes.
  void Restart() {
    runner_ = std::make_unique<JobTaskRunner>(*backend_, client_, metrics_, 2, "worker-1");
  }

  Task NewTask(int block, const std::string& job = "job") {
    Task task;
    task.set_job_uid(job);
    task.mutable_lease()->set_task(absl::StrCat(job, "/sensitivity/", block));
    task.mutable_lease()->set_epoch(1);
    task.mutable_spec()->set_model(folder_.path());
    task.mutable_spec()->mutable_twla()->set_group_size(16);
    MeasureSensitivity& message = *task.mutable_sensitivity();
    message.set_block(block);
    message.set_measure_baseline(block == 0);
    for (int each = 0; each < kBlocks; ++each) SetActivations(each, 8, *message.add_baseline());
    for (const int previous : {0, 2, 4}) {
      if (block == 0 && previous != 0) break;
      for (const int bits : {2, 4}) {
        MeasureSensitivity::Probe& probe = *message.add_probes();
        SetActivations(block, bits, *probe.mutable_own());
        if (previous != 0) SetActivations(block - 1, previous, *probe.mutable_previous());
      }
    }
    return task;
  }

  TaskOutcome Run(const Task& task) {
    TaskProgress progress;
    return runner_->Run(task, progress);
  }

  SensitivityResult Measure(int block, const std::string& job = "job") {
    reads_.clear();
    const TaskOutcome outcome = Run(NewTask(block, job));
    EXPECT_THAT(outcome.status, IsOk());
    return outcome.result.sensitivity();
  }

  bool HasRead(int block) const { return reads_.contains(BlockFileName(block)); }

  TempDir folder_;
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

TEST_F(SensitivityTaskTest, EveryProbeIsMeasured) {
  const double baseline = Measure(0).baseline_loss();
  for (const int block : {0, 2}) {
    const SensitivityResult result = Measure(block);
    EXPECT_EQ(result.block(), block);
    EXPECT_EQ(result.tokens(), kWindows * (kLength - 1));
    std::set<std::pair<int, int>> probes;
    for (const auto& probe : result.probes()) {
      EXPECT_NE(probe.loss(), baseline);
      probes.emplace(probe.previous_bits(), probe.bits());
    }
    std::set<std::pair<int, int>> expected = {{0, 2}, {0, 4}};
    if (block > 0) expected.merge(std::set<std::pair<int, int>>{{2, 2}, {2, 4}, {4, 2}, {4, 4}});
    EXPECT_EQ(probes, expected);
    EXPECT_EQ(result.probes_size(), static_cast<int>(expected.size()));
  }
}

TEST_F(SensitivityTaskTest, TheBaselineIsToldOnlyWhereItWasAskedFor) {
  EXPECT_TRUE(Measure(0).has_baseline_loss());
  EXPECT_FALSE(Measure(1).has_baseline_loss());
}

TEST_F(SensitivityTaskTest, TheNextBlockGoesOnFromThePrefixWithTheSameLosses) {
  Measure(2);
  const SensitivityResult kept = Measure(3);
  EXPECT_FALSE(HasRead(0)) << "the prefix has passed it";
  EXPECT_TRUE(HasRead(1));
  Restart();
  const SensitivityResult anew = Measure(3);
  EXPECT_TRUE(HasRead(0));
  EXPECT_EQ(kept.SerializeAsString(), anew.SerializeAsString());
}

TEST_F(SensitivityTaskTest, AnEarlierBlockAnotherJobAndAnotherBaselineStartAnew) {
  Measure(3);
  Measure(2);
  EXPECT_TRUE(HasRead(0)) << "an earlier block";
  Measure(3, "another");
  EXPECT_TRUE(HasRead(0)) << "another job";
  Task task = NewTask(3, "another");
  SetActivations(0, 6, *task.mutable_sensitivity()->mutable_baseline(0));
  reads_.clear();
  ASSERT_THAT(Run(task).status, IsOk());
  EXPECT_TRUE(HasRead(0)) << "another baseline";
}

TEST_F(SensitivityTaskTest, RestingAndTasksOfAnotherKindLetGoOfThePrefix) {
  Measure(3);
  runner_->Rest();
  Measure(3);
  EXPECT_TRUE(HasRead(0)) << "resting";
  Task scan = NewTask(0);
  scan.mutable_scan();
  ASSERT_THAT(Run(scan).status, IsOk());
  Measure(3);
  EXPECT_TRUE(HasRead(0)) << "a scan";
}

TEST_F(SensitivityTaskTest, ABaselineOfTooFewBlocksIsAPermanentFailure) {
  Task task = NewTask(1);
  task.mutable_sensitivity()->mutable_baseline()->RemoveLast();
  const TaskOutcome outcome = Run(task);
  EXPECT_THAT(outcome.status,
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("3 blocks, not of 4")));
  EXPECT_TRUE(outcome.permanent);
}

TEST_F(SensitivityTaskTest, ABlockThatIsNotCommittedMayBeThereLater) {
  blobs_.erase(BlockFileName(3));
  const TaskOutcome outcome = Run(NewTask(1));
  EXPECT_THAT(outcome.status, IsError(absl::StatusCode::kUnavailable, HasSubstr(BlockFileName(3))));
  EXPECT_FALSE(outcome.permanent);
}

TEST_F(SensitivityTaskTest, AStoppedTaskIsCancelled) {
  TaskProgress progress;
  progress.Stop();
  const TaskOutcome outcome = runner_->Run(NewTask(2), progress);
  EXPECT_EQ(outcome.status.code(), absl::StatusCode::kCancelled);
  EXPECT_FALSE(outcome.permanent);
}

}  // namespace
}  // namespace tern
