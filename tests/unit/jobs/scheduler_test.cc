#include "server/jobs/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "proto/service/error_details.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/jobs/fake_worker.h"
#include "tests/unit/jobs/job_world.h"

namespace tern {
namespace {

using ::testing::_;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SchedulerTest : public ::testing::Test {
 protected:
  v1::QuantizationJob CreateWithShards(int shards) {
    v1::CreateQuantizationJobRequest request = world_.Request();
    request.mutable_quantization_job()->mutable_spec()->set_shards(shards);
    return world_.Create(request);
  }
  // `worker` gets a task, which must be `task`.
  void Take(FakeWorker& worker, const std::string& task) {
    ASSERT_THAT(worker.Idle(system()), IsOk());
    ASSERT_EQ(worker.task_name(), task);
  }
  JobSystem& system() { return world_.system(); }

  JobWorld world_;
  FakeWorker a_{"worker-a", "supervisor-a"};
  FakeWorker b_{"worker-b"};
};

TEST_F(SchedulerTest, AnIdleWorkerWithNothingToDoMayWait) {
  const auto answer = a_.Idle(system());
  ASSERT_THAT(answer, IsOk());
  EXPECT_TRUE(answer->response.has_idle());
  EXPECT_TRUE(answer->may_wait);
  EXPECT_EQ(answer->retry_at, absl::InfiniteFuture());
}

TEST_F(SchedulerTest, AJobBeginsWithTheScanAndIsRunningOnceThatIsLeased) {
  const v1::QuantizationJob job = world_.Create();
  EXPECT_EQ(job.state(), v1::QuantizationJob::PENDING);
  world_.clock().Advance(absl::Seconds(5));
  Take(a_, "scan");
  EXPECT_EQ(a_.task().lease().epoch(), 1);
  EXPECT_EQ(a_.task().lease().task(), absl::StrCat(a_.task().job_uid(), "/scan"));
  EXPECT_EQ(a_.task().spec().pt2llm().group_size(), 128);
  EXPECT_EQ(world_.Get(job.name()).state(), v1::QuantizationJob::RUNNING);
  EXPECT_EQ(world_.Record(job.name()).start_time, world_.clock().Now());

  const auto other = b_.Idle(system());
  ASSERT_THAT(other, IsOk());
  EXPECT_TRUE(other->response.has_idle());
}

TEST_F(SchedulerTest, BlocksOfAShardFollowOneAnotherOnTheSameWorker) {
  world_.Create();
  Take(a_, "scan");
  for (const char* const next :
       {"quantize/0", "quantize/1", "quantize/2", "quantize/3", "assemble"}) {
    ASSERT_THAT(a_.Finish(system()), IsOk());
    EXPECT_EQ(a_.task_name(), next);
    ASSERT_THAT(b_.Idle(system()), IsOk());
    EXPECT_EQ(b_.task_name(), "");
  }
}

TEST_F(SchedulerTest, ShardsRunAtTheSameTime) {
  CreateWithShards(2);
  Take(a_, "scan");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  EXPECT_EQ(a_.task_name(), "quantize/0");
  Take(b_, "quantize/2");
  EXPECT_EQ(b_.task().quantize().shard(), 1);
  EXPECT_EQ(b_.task().quantize().shard_first_block(), 2);
  ASSERT_THAT(b_.Finish(system()), IsOk());
  EXPECT_EQ(b_.task_name(), "quantize/3");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  EXPECT_EQ(a_.task_name(), "quantize/1");
}

TEST_F(SchedulerTest, WhatFollowsTheBlocksWaitsForAllOfThem) {
  CreateWithShards(2);
  Take(a_, "scan");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  Take(b_, "quantize/2");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  ASSERT_THAT(a_.Finish(system()), IsOk());
  EXPECT_EQ(a_.task_name(), "");
  ASSERT_THAT(b_.Finish(system()), IsOk());
  EXPECT_EQ(b_.task_name(), "quantize/3");
  ASSERT_THAT(b_.Finish(system()), IsOk());
  EXPECT_EQ(b_.task_name(), "assemble");
}

TEST_F(SchedulerTest, OlderJobsComeFirst) {
  const std::string first = world_.Create().name();
  world_.Create();
  ASSERT_THAT(a_.Idle(system()), IsOk());
  EXPECT_EQ(a_.task().job_uid(), world_.Record(first).uid);
}

TEST_F(SchedulerTest, ABlockIsKeptForTheWorkerThatHoldsItsState) {
  world_.Create();
  Take(a_, "scan");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  ASSERT_THAT(a_.Finish(system()), IsOk());
  ASSERT_EQ(a_.task_name(), "quantize/1");
  ASSERT_THAT(a_.Fail(system(), "disk hiccup"), IsOk());
  world_.clock().Advance(absl::Seconds(1));

  const auto other = b_.Idle(system());
  ASSERT_THAT(other, IsOk());
  EXPECT_TRUE(other->may_wait);
  EXPECT_EQ(other->retry_at, world_.clock().Now() + absl::Seconds(2));
  Take(a_, "quantize/1");
}

TEST_F(SchedulerTest, ABlockIsKeptForASecondOrTwoOnly) {
  world_.Create();
  Take(a_, "scan");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  ASSERT_THAT(a_.Finish(system()), IsOk());
  ASSERT_THAT(a_.Fail(system(), "disk hiccup"), IsOk());
  world_.clock().Advance(absl::Seconds(3));
  Take(b_, "quantize/1");
}

TEST_F(SchedulerTest, ABlockWhoseWorkerIsGoneIsAnyones) {
  world_.Create();
  Take(a_, "scan");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  ASSERT_THAT(a_.Finish(system()), IsOk());
  ASSERT_THAT(system().scheduler().ExpireSupervised("supervisor-a"), IsOk());
  Take(b_, "quantize/1");
}

TEST_F(SchedulerTest, OtherWorkComesBeforeABlockThatAnotherHoldsTheStateOf) {
  world_.Create();
  Take(a_, "scan");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  ASSERT_THAT(a_.Finish(system()), IsOk());
  ASSERT_THAT(a_.Fail(system(), "disk hiccup"), IsOk());
  const std::string second = world_.Create().name();
  world_.clock().Advance(absl::Seconds(10));
  Take(b_, "scan");
  EXPECT_EQ(b_.task().job_uid(), world_.Record(second).uid);
}

TEST_F(SchedulerTest, ATaskGoesOnlyToAWorkerWithTheMemoryForIt) {
  const v1::QuantizationJob job = world_.Create();
  const TaskRecord first = world_.Task(job.name(), "quantize/0");
  a_.set_memory(first.memory_bytes - 1);
  Take(a_, "scan");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  EXPECT_EQ(a_.task_name(), "");
  Take(a_, "");
  a_.set_memory(first.memory_bytes);
  Take(a_, "quantize/0");
}

TEST_F(SchedulerTest, AGpusMemoryIsComparedWithWhatAGpuNeeds) {
  const v1::QuantizationJob job = world_.Create();
  a_.set_memory(1);
  Take(a_, "scan");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  const int64_t needed = world_.Task(job.name(), "quantize/0").gpu_memory_bytes;
  b_.set_device("cuda:0");
  b_.set_memory(needed - 1);
  Take(b_, "");
  b_.set_memory(needed);
  Take(b_, "quantize/0");
}

TEST_F(SchedulerTest, AWorkerThatDoesNotReportItsMemoryGetsEveryTask) {
  world_.Create();
  a_.set_memory(0);
  Take(a_, "scan");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  EXPECT_EQ(a_.task_name(), "quantize/0");
}

TEST_F(SchedulerTest, AJobWithoutWorkersSaysSoUntilOneIsConnected) {
  const v1::QuantizationJob job = world_.Create();
  // As after a restart: workers may be about to call again.
  EXPECT_FALSE(world_.Get(job.name()).progress().has_shortage());
  world_.clock().Advance(absl::Seconds(5));
  const v1::Progress alone = world_.Get(job.name()).progress();
  ASSERT_TRUE(alone.has_shortage());
  EXPECT_EQ(alone.shortage().workers(), 0);
  EXPECT_EQ(alone.shortage().task(), "");
  Take(a_, "scan");
  EXPECT_FALSE(world_.Get(job.name()).progress().has_shortage());
  // Another job waits for its turn, and a worker that drains takes nothing.
  const v1::QuantizationJob next = world_.Create();
  EXPECT_FALSE(world_.Get(next.name()).progress().has_shortage());
  a_.set_draining(true);
  ASSERT_THAT(a_.Report(system()), IsOk());
  EXPECT_TRUE(world_.Get(next.name()).progress().has_shortage());
}

TEST_F(SchedulerTest, AJobThatIsTooBigForTheWorkersSaysWhatItNeeds) {
  const v1::QuantizationJob job = world_.Create();
  world_.clock().Advance(absl::Seconds(5));
  a_.set_memory(1000);
  b_.set_memory(2000);
  Take(a_, "scan");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  Take(b_, "");
  const TaskRecord next = world_.Task(job.name(), "quantize/0");
  const v1::Progress progress = world_.Get(job.name()).progress();
  ASSERT_TRUE(progress.has_shortage());
  EXPECT_FALSE(progress.has_eta());
  const v1::WorkerShortage& shortage = progress.shortage();
  EXPECT_EQ(shortage.workers(), 2);
  EXPECT_EQ(shortage.task(), "quantize/0");
  EXPECT_EQ(shortage.memory_bytes(), next.memory_bytes);
  EXPECT_EQ(shortage.gpu_memory_bytes(), next.gpu_memory_bytes);
  EXPECT_EQ(shortage.largest_memory_bytes(), 2000);
  EXPECT_EQ(shortage.largest_gpu_memory_bytes(), 0);
  FakeWorker gpu("gpu");
  gpu.set_device("cuda:0");
  gpu.set_memory(next.gpu_memory_bytes);
  Take(gpu, "quantize/0");
  EXPECT_FALSE(world_.Get(job.name()).progress().has_shortage());
}

TEST_F(SchedulerTest, AJobThatHasEndedWaitsForNoWorker) {
  const v1::QuantizationJob job = world_.Create();
  world_.clock().Advance(absl::Seconds(5));
  ASSERT_THAT(world_.operations().Cancel(job.name()), IsOk());
  EXPECT_FALSE(world_.Get(job.name()).progress().has_shortage());
}

TEST_F(SchedulerTest, AReportRenewsTheLeaseOnceHalfOfItHasPassed) {
  const std::string job = world_.Create().name();
  Take(a_, "scan");
  const absl::Time deadline = world_.Task(job, "scan").lease_deadline;
  EXPECT_EQ(deadline, world_.clock().Now() + absl::Seconds(30));

  world_.clock().Advance(absl::Seconds(10));
  auto answer = a_.Report(system());
  ASSERT_THAT(answer, IsOk());
  EXPECT_TRUE(answer->response.has_continue_());
  EXPECT_EQ(world_.Task(job, "scan").lease_deadline, deadline);

  world_.clock().Advance(absl::Seconds(10));
  ASSERT_THAT(a_.Report(system()), IsOk());
  EXPECT_EQ(world_.Task(job, "scan").lease_deadline, world_.clock().Now() + absl::Seconds(30));
}

TEST_F(SchedulerTest, ASilentWorkerLosesItsTask) {
  const std::string job = world_.Create().name();
  Take(a_, "scan");
  world_.clock().Advance(absl::Seconds(29));
  system().Maintain();
  EXPECT_EQ(world_.Task(job, "scan").state, TaskState::kLeased);
  world_.clock().Advance(absl::Seconds(2));
  system().Maintain();
  EXPECT_EQ(world_.Task(job, "scan").state, TaskState::kReady);
  EXPECT_EQ(world_.observer().Counted("lease expired"), 1);
  EXPECT_EQ(world_.observer().Counted("scan lost"), 1);

  Take(b_, "scan");
  EXPECT_EQ(b_.task().lease().epoch(), 2);
  const v1::JobEvent retried = world_.Events(job).at(2);
  ASSERT_TRUE(retried.has_task_retried());
  EXPECT_EQ(retried.task_retried().task(), "scan");
  EXPECT_EQ(retried.task_retried().worker(), "worker-a");
  EXPECT_EQ(retried.task_retried().worker_deaths(), 1);
  EXPECT_EQ(retried.task_retried().attempts(), 0);
}

TEST_F(SchedulerTest, AWorkerWhoseLeaseRanOutIsLostAndAnotherIsNot) {
  world_.Create();
  Take(a_, "scan");
  world_.clock().Advance(absl::Seconds(31));
  Take(b_, "");
  ASSERT_THAT(world_.scheduler().ExpireLeases(), IsOk());
  const std::vector<WorkerInfo> workers = system().workers().List();
  ASSERT_EQ(workers.size(), 2U);
  EXPECT_TRUE(workers[0].lost);
  EXPECT_FALSE(workers[0].activity.has_value());
  EXPECT_FALSE(workers[1].lost);
  // It was only late.
  ASSERT_THAT(a_.Report(system()), IsOk());
  EXPECT_FALSE(system().workers().List()[0].lost);
}

TEST_F(SchedulerTest, AnIdleWorkerThatLeavesIsLostAndWhatWasKeptForItIsAnyones) {
  world_.Create();
  Take(a_, "scan");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  ASSERT_THAT(a_.Finish(system()), IsOk());
  const auto last = a_.Fail(system(), "disk hiccup");
  ASSERT_THAT(last, IsOk());
  world_.clock().Advance(absl::Seconds(1));
  Take(b_, "");
  bool woken = false;
  const auto registration = system().work_signal().Once(kWorkKey, [&] { woken = true; });
  world_.scheduler().WorkerLeft(a_.id(), last->seen);
  EXPECT_TRUE(woken);
  EXPECT_TRUE(system().workers().List()[0].lost);
  Take(b_, "quantize/1");
}

TEST_F(SchedulerTest, WhatHappensToALeaseIsObservedWithItsJob) {
  const std::string job = world_.Create().name();
  Take(a_, "scan");
  ASSERT_THAT(a_.Fail(system(), "no"), IsOk());
  world_.clock().Advance(absl::Seconds(1));
  Take(a_, "scan");
  world_.clock().Advance(absl::Seconds(31));
  ASSERT_THAT(world_.scheduler().ExpireLeases(), IsOk());
  ASSERT_THAT(a_.Report(system()), IsOk());
  Take(b_, "scan");
  ASSERT_THAT(b_.Finish(system()), IsOk());
  ASSERT_THAT(b_.Finish(system()), IsOk());
  for (const char* const what :
       {" scan 1 worker-a failed", " scan 2 worker-a expired", " scan 2 worker-a lost",
        " scan 2  stale report", " scan 3 worker-b succeeded",
        " quantize/0 1 worker-b succeeded"}) {
    EXPECT_EQ(world_.observer().Counted(job + what), 1) << what;
  }
  EXPECT_EQ(world_.observer().Counted("block finished of " + job), 1);
}

TEST_F(SchedulerTest, AWorkerThatComesBackLateChangesNothing) {
  const std::string job = world_.Create().name();
  Take(a_, "scan");
  world_.clock().Advance(absl::Seconds(60));
  system().Maintain();
  Take(b_, "scan");

  FakeWorker late = a_;
  const auto report = late.Report(system());
  ASSERT_THAT(report, IsOk());
  EXPECT_TRUE(report->response.has_stop());
  EXPECT_EQ(world_.observer().Counted("stale report"), 1);

  late = a_;
  const auto completion = late.Complete(system());
  EXPECT_THAT(completion, IsError(absl::StatusCode::kAborted, HasSubstr("drop the task")));
  EXPECT_EQ(ReasonOf(completion.status()), "STALE_LEASE");
  EXPECT_EQ(world_.observer().Counted("stale completion"), 1);

  late = a_;
  EXPECT_THAT(late.Fail(system(), "late"), IsError(absl::StatusCode::kAborted, _));
  late = a_;
  EXPECT_THAT(late.Release(system()), IsError(absl::StatusCode::kAborted, _));
  EXPECT_EQ(world_.observer().Counted("stale failure"), 2);
  EXPECT_EQ(world_.Task(job, "scan").worker, "worker-b");
  EXPECT_EQ(world_.Task(job, "scan").epoch, 2);
}

TEST_F(SchedulerTest, AnotherWorkerCannotUseALease) {
  world_.Create();
  Take(a_, "scan");
  b_.Hold(a_.task());
  EXPECT_THAT(b_.Complete(system()), IsError(absl::StatusCode::kAborted, _));
}

TEST_F(SchedulerTest, TheSameCompletionTwiceCountsOnce) {
  const std::string job = world_.Create().name();
  Take(a_, "scan");
  FakeWorker again = a_;
  ASSERT_THAT(a_.Finish(system()), IsOk());
  ASSERT_THAT(again.Finish(system()), IsOk());
  EXPECT_EQ(again.task_name(), a_.task_name());
  EXPECT_EQ(again.task().lease().epoch(), a_.task().lease().epoch());
  EXPECT_EQ(world_.Record(job).tasks_done, 1);
  EXPECT_EQ(world_.observer().Counted("scan succeeded"), 1);
  EXPECT_EQ(world_.observer().Counted("stale completion"), 0);
}

TEST_F(SchedulerTest, ATaskWhoseAnswerWasLostIsGivenAgainUnderTheSameLease) {
  world_.Create();
  Take(a_, "scan");
  a_.ForgetTask();
  Take(a_, "scan");
  EXPECT_EQ(a_.task().lease().epoch(), 1);
}

TEST_F(SchedulerTest, AFailedAttemptRestsAndIsTriedAgain) {
  const std::string job = world_.Create().name();
  Take(a_, "scan");
  const auto answer = a_.Fail(system(), "cannot read");
  ASSERT_THAT(answer, IsOk());
  EXPECT_TRUE(answer->response.has_idle());
  EXPECT_FALSE(answer->may_wait);
  EXPECT_EQ(world_.observer().Counted("scan failed"), 1);
  const auto idle = a_.Idle(system());
  ASSERT_THAT(idle, IsOk());
  EXPECT_TRUE(idle->may_wait);
  EXPECT_EQ(idle->retry_at, world_.clock().Now() + absl::Seconds(1));
  world_.clock().Advance(absl::Seconds(1));
  Take(a_, "scan");
  EXPECT_EQ(world_.Record(job).failed_attempts, 1);
}

TEST_F(SchedulerTest, ATaskThatFailsThreeTimesFailsItsJobWithAllItsErrors) {
  const std::string job = world_.Create().name();
  for (const char* const message : {"first reason", "second reason", "third reason"}) {
    Take(a_, "scan");
    ASSERT_THAT(a_.Fail(system(), message), IsOk());
    world_.clock().Advance(absl::Seconds(10));
  }
  const v1::QuantizationJob failed = world_.Get(job);
  EXPECT_EQ(failed.state(), v1::QuantizationJob::FAILED);
  EXPECT_EQ(failed.error().code(), static_cast<int>(absl::StatusCode::kInternal));
  EXPECT_THAT(failed.error().message(),
              AllOf(HasSubstr("task scan failed 3 times"), HasSubstr("first reason"),
                    HasSubstr("second reason"), HasSubstr("third reason")));
  EXPECT_TRUE(failed.has_end_time());
  EXPECT_EQ(world_.observer().Counted("job ended 4"), 1);
  EXPECT_EQ(world_.observer().Counted("job ended: " + failed.error().message()), 1);
  EXPECT_THAT(world_.BlobKeys(), ElementsAre());
  const auto idle = a_.Idle(system());
  ASSERT_THAT(idle, IsOk());
  EXPECT_TRUE(idle->response.has_idle());
}

TEST_F(SchedulerTest, APermanentFailureIsNotTriedAgain) {
  const std::string job = world_.Create().name();
  Take(a_, "scan");
  ASSERT_THAT(a_.Fail(system(), "NaN in model.norm.weight", /*permanent=*/true), IsOk());
  const v1::QuantizationJob failed = world_.Get(job);
  EXPECT_EQ(failed.state(), v1::QuantizationJob::FAILED);
  EXPECT_EQ(failed.error().message(), "task scan failed: NaN in model.norm.weight");
}

TEST_F(SchedulerTest, LostWorkersAndFailuresAreCountedApart) {
  const std::string job = world_.Create().name();
  for (int i = 0; i < 19; ++i) {
    Take(a_, "scan");
    ASSERT_THAT(system().scheduler().ExpireSupervised("supervisor-a"), IsOk());
  }
  EXPECT_EQ(world_.Get(job).state(), v1::QuantizationJob::RUNNING);
  Take(a_, "scan");
  ASSERT_THAT(system().scheduler().ExpireSupervised("supervisor-a"), IsOk());
  EXPECT_EQ(world_.Get(job).state(), v1::QuantizationJob::FAILED);
  EXPECT_EQ(world_.Record(job).worker_deaths, 20);
  EXPECT_EQ(world_.Record(job).failed_attempts, 0);
}

TEST_F(SchedulerTest, AResultWithoutItsFilesIsAFailedAttempt) {
  const std::string job = world_.Create().name();
  Take(a_, "scan");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  ASSERT_EQ(a_.task_name(), "quantize/0");
  ASSERT_THAT(a_.Complete(system()), IsOk());
  EXPECT_EQ(world_.Task(job, "quantize/0").state, TaskState::kReady);
  EXPECT_EQ(world_.Task(job, "quantize/0").attempts, 1);
  EXPECT_THAT(world_.Events(job).back().task_retried().reason(),
              HasSubstr("tern-block-00000.safetensors"));
}

TEST_F(SchedulerTest, AResultOfAnotherKindIsAFailedAttempt) {
  const std::string job = world_.Create().name();
  Take(a_, "scan");
  worker::v1::SynchronizeRequest request = a_.BaseRequest();
  *request.mutable_completed()->mutable_lease() = a_.task().lease();
  request.mutable_completed()->mutable_result()->mutable_evaluate()->set_tokens(1);
  ASSERT_THAT(a_.Call(system(), request), IsOk());
  EXPECT_EQ(world_.Task(job, "scan").attempts, 1);
}

TEST_F(SchedulerTest, ACompletedBlockIsReadableAtOnceAndTold) {
  const std::string job = world_.Create().name();
  Take(a_, "scan");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  ASSERT_THAT(a_.UploadFiles(system()), IsOk());
  EXPECT_TRUE(world_.Files(job).empty());
  ASSERT_THAT(a_.Complete(system()), IsOk());

  const std::vector<FileRecord> files = world_.Files(job);
  ASSERT_EQ(files.size(), 1U);
  EXPECT_EQ(files[0].index, 1);
  EXPECT_EQ(files[0].path, "tern-block-00000.safetensors");
  EXPECT_EQ(world_.BlobContent(files[0].blob_key),
            "tern-block-00000.safetensors of a model in groups of 128");
  const std::vector<v1::JobEvent> events = world_.Events(job);
  ASSERT_EQ(events.size(), 5U);
  EXPECT_EQ(events[2].task_finished().task(), "scan");
  EXPECT_EQ(events[3].file_committed().file().path(), "tern-block-00000.safetensors");
  const auto& finished = events[4].block_finished();
  EXPECT_EQ(finished.metrics().block(), 0);
  EXPECT_EQ(finished.metrics().worker(), "worker-a");
  EXPECT_EQ(finished.metrics().attempt(), 1);
  EXPECT_EQ(finished.progress().blocks_done(), 1);
  EXPECT_EQ(finished.progress().blocks_total(), 4);
  EXPECT_EQ(world_.observer().Counted("block finished"), 1);
}

TEST_F(SchedulerTest, FilesNotNamedByTheResultAreDropped) {
  const std::string job = world_.Create().name();
  Take(a_, "scan");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  ASSERT_THAT(UploadFile(system().context(), a_.task().lease(), "scratch.bin", "x"), IsOk());
  ASSERT_THAT(a_.Finish(system()), IsOk());
  EXPECT_EQ(world_.Files(job).size(), 1U);
  EXPECT_EQ(world_.BlobKeys().size(), 2U);  // the block and the calibration windows
}

TEST_F(SchedulerTest, ACancelledJobsTaskIsStopped) {
  const std::string job = world_.Create().name();
  Take(a_, "scan");
  ASSERT_THAT(world_.operations().Cancel(job), IsOk());
  FakeWorker late = a_;
  const auto report = a_.Report(system());
  ASSERT_THAT(report, IsOk());
  ASSERT_TRUE(report->response.has_stop());
  EXPECT_EQ(report->response.stop().reason(), "the job was cancelled");
  EXPECT_THAT(late.Complete(system()), IsError(absl::StatusCode::kAborted, _));
  EXPECT_EQ(world_.Get(job).state(), v1::QuantizationJob::CANCELLED);
}

TEST_F(SchedulerTest, ADrainingWorkerFinishesWhatItHoldsAndGetsNothingNew) {
  const std::string job = world_.Create().name();
  Take(a_, "scan");
  a_.set_draining(true);
  auto answer = a_.Finish(system());
  ASSERT_THAT(answer, IsOk());
  EXPECT_TRUE(answer->response.has_idle());
  EXPECT_EQ(world_.Task(job, "scan").state, TaskState::kDone);
  answer = a_.Idle(system());
  ASSERT_THAT(answer, IsOk());
  EXPECT_TRUE(answer->response.has_idle());
  EXPECT_FALSE(answer->may_wait);
  EXPECT_TRUE(system().workers().List().empty());
}

TEST_F(SchedulerTest, AReleasedTaskIsOfferedAtOnceAndNothingIsCounted) {
  const std::string job = world_.Create().name();
  Take(a_, "scan");
  a_.set_draining(true);
  ASSERT_THAT(a_.Release(system()), IsOk());
  Take(b_, "scan");
  EXPECT_EQ(b_.task().lease().epoch(), 2);
  EXPECT_EQ(world_.Task(job, "scan").attempts, 0);
  EXPECT_EQ(world_.Task(job, "scan").worker_deaths, 0);
}

TEST_F(SchedulerTest, ALeaseThatADrainingIdleWorkerDoesNotKnowOfIsTakenBack) {
  world_.Create();
  Take(a_, "scan");
  a_.ForgetTask();
  a_.set_draining(true);
  ASSERT_THAT(a_.Idle(system()), IsOk());
  Take(b_, "scan");
}

TEST_F(SchedulerTest, WorkersOfASupervisorAreExpiredTogether) {
  CreateWithShards(2);
  FakeWorker c("worker-c", "supervisor-1");
  Take(c, "scan");
  ASSERT_THAT(c.Finish(system()), IsOk());
  Take(b_, "quantize/2");
  ASSERT_THAT(system().scheduler().ExpireSupervised("supervisor-1"), IsOk());
  Take(a_, "quantize/0");
  ASSERT_THAT(b_.Report(system()), IsOk());
  EXPECT_EQ(b_.task_name(), "quantize/2");
}

TEST_F(SchedulerTest, WaitingWorkersAreWokenByASubmissionAndByALostLease) {
  int woken = 0;
  const auto wait = [&] { return system().work_signal().Once(kWorkKey, [&] { ++woken; }); };
  ChangeSignal::Registration registration = wait();
  world_.Create();
  EXPECT_EQ(woken, 1);
  Take(a_, "scan");
  registration = wait();
  ASSERT_THAT(system().scheduler().ExpireSupervised("supervisor-a"), IsOk());
  EXPECT_EQ(woken, 2);
}

TEST_F(SchedulerTest, ProgressIsShownWhileATaskRuns) {
  const std::string job = world_.Create().name();
  Take(a_, "scan");
  int told = 0;
  const ChangeSignal::Registration registration =
      system().job_signal().Once(ProgressKey(a_.task().job_uid()), [&] { ++told; });
  ASSERT_THAT(a_.Report(system(), 0.25), IsOk());
  EXPECT_EQ(told, 1);
  const auto progress = world_.operations().GetProgress(job);
  ASSERT_THAT(progress, IsOk());
  ASSERT_EQ(progress->active_size(), 1);
  EXPECT_EQ(progress->active(0).task(), "scan");
  EXPECT_EQ(progress->active(0).worker(), "worker-a");
  EXPECT_EQ(progress->active(0).stage(), "fit");
  EXPECT_EQ(progress->active(0).fraction(), 0.25);
  EXPECT_GT(progress->fraction(), 0);
  ASSERT_THAT(a_.Report(system(), std::nan("")), IsOk());
  EXPECT_EQ(world_.operations().GetProgress(job)->active(0).fraction(), 0);
}

TEST_F(SchedulerTest, MalformedReportsNameTheField) {
  worker::v1::SynchronizeRequest request;
  EXPECT_THAT(system().scheduler().Synchronize(request),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("worker.id")));
  request = a_.BaseRequest();
  EXPECT_THAT(system().scheduler().Synchronize(request),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("state")));
  request.mutable_executing()->mutable_lease()->set_task("nonsense");
  EXPECT_THAT(system().scheduler().Synchronize(request),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("executing.lease")));
}

TEST_F(SchedulerTest, TasksAreCountedForMetrics) {
  CreateWithShards(2);
  world_.Create();
  Take(a_, "scan");
  ASSERT_THAT(a_.Finish(system()), IsOk());
  const auto counts = world_.operations().CountTasks();
  ASSERT_THAT(counts, IsOk());
  EXPECT_EQ(counts->leased, 1);
  EXPECT_EQ(counts->ready, 2);
  EXPECT_EQ(counts->oldest_ready_time, world_.clock().Now());
}

TEST_F(SchedulerTest, AJobWhoseDocumentIsDamagedEndsAndTheNextOneRuns) {
  const std::string damaged = world_.Create().name();
  const std::string good = world_.Create().name();
  world_.SetDocument(damaged, "\x12");
  Take(a_, "scan");
  EXPECT_EQ(a_.task().job_uid(), world_.Record(good).uid);
  const v1::QuantizationJob failed = world_.Get(damaged);
  EXPECT_EQ(failed.state(), v1::QuantizationJob::FAILED);
  EXPECT_THAT(failed.error().message(), HasSubstr("does not parse"));
}

TEST_F(SchedulerTest, AJobWhoseDocumentIsDamagedEndsWhileAWorkerHoldsATaskOfIt) {
  const std::string damaged = world_.Create().name();
  Take(a_, "scan");
  world_.SetDocument(damaged, "\x12");
  a_.ForgetTask();  // its answer was lost: the task would be given to it again
  const std::string good = world_.Create().name();
  Take(a_, "scan");
  EXPECT_EQ(a_.task().job_uid(), world_.Record(good).uid);
  EXPECT_EQ(world_.Get(damaged).state(), v1::QuantizationJob::FAILED);
}

TEST_F(SchedulerTest, AWorkerThatLostItsLeaseIsNotShownAtWork) {
  world_.Create();
  Take(a_, "scan");
  ASSERT_THAT(a_.Report(system()), IsOk());
  ASSERT_TRUE(system().workers().List().front().activity.has_value());
  world_.clock().Advance(absl::Seconds(31));
  ASSERT_THAT(system().scheduler().ExpireLeases(), IsOk());
  EXPECT_FALSE(system().workers().List().front().activity.has_value());
}

TEST_F(SchedulerTest, ALongErrorIsCutBetweenCharacters) {
  const std::string job = world_.Create().name();
  Take(a_, "scan");
  std::string message = "x";
  for (int i = 0; i < 2000; ++i) message += "\u00E8";
  ASSERT_THAT(a_.Fail(system(), message, /*permanent=*/true), IsOk());
  const v1::QuantizationJob failed = world_.Get(job);
  EXPECT_EQ(failed.state(), v1::QuantizationJob::FAILED);
  EXPECT_LE(failed.error().message().size(), kMaxMessageBytes);
  EXPECT_THAT(failed.error().message(), HasSubstr("task scan failed: x\u00E8\u00E8"));
}

}  // namespace
}  // namespace tern
