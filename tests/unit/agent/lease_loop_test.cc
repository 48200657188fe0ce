#include "worker/agent/lease_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/agent/scripted_synchronizer.h"

namespace tern {
namespace {

using tern::worker::v1::SynchronizeRequest;
using tern::worker::v1::SynchronizeResponse;
using tern::worker::v1::Task;
using tern::worker::v1::WarmShard;
using tern::worker::v1::WorkerIdentity;
using ::testing::HasSubstr;

// Tasks are whatever the test says.
class FakeRunner : public TaskRunner {
 public:
  std::function<TaskOutcome(const Task&, TaskProgress&)> run = [](const Task&, TaskProgress&) {
    return TaskOutcome{};
  };
  std::vector<WarmShard> warm;
  std::atomic<int> rests{0};
  absl::Status health;

  TaskOutcome Run(const Task& task, TaskProgress& progress) override { return run(task, progress); }
  void Rest() override { ++rests; }
  absl::Status Health() override { return health; }
  std::vector<WarmShard> Warm() const override { return warm; }
};

absl::Status EndOf(const TaskProgress& progress) {
  return progress.stopped() ? absl::CancelledError("the task was stopped") : absl::OkStatus();
}

// Computes until it is stopped.
TaskOutcome RunUntilStopped(const Task&, TaskProgress& progress) {
  while (!progress.stopped()) std::this_thread::yield();
  return TaskOutcome{.status = EndOf(progress)};
}

void Continue(SynchronizeResponse& response) {
  response.mutable_continue_();
  response.mutable_next_call_after()->set_nanos(2'000'000);
}

void Idle(SynchronizeResponse& response) {
  response.mutable_idle();
  response.mutable_next_call_after()->set_nanos(2'000'000);
}

void Execute(SynchronizeResponse& response, int64_t epoch) {
  Task& task = *response.mutable_execute()->mutable_task();
  task.mutable_lease()->set_task("job/quantize/0");
  task.mutable_lease()->set_epoch(epoch);
  task.set_job("namespaces/default/quantizationJobs/demo");
  task.mutable_quantize();
  response.mutable_next_call_after()->set_nanos(2'000'000);
}

class LeaseLoopTest : public testing::Test {
 protected:
  LeaseLoopTest() { identity_.set_id("worker-1"); }

  ~LeaseLoopTest() override {
    loop_->Abandon();
    if (thread_.joinable()) thread_.join();
  }

  // A server that offers one task (epoch 1) once, goes on with it, and answers its end by Idle.
  absl::Status OfferOneTask(const SynchronizeRequest& request, SynchronizeResponse& response) {
    if (request.has_executing()) {
      Continue(response);
    } else if (request.has_idle() && !request.draining() && !offered_.exchange(true)) {
      Execute(response, 1);
    } else {
      Idle(response);
    }
    return absl::OkStatus();
  }

  auto OfferingOneTask() {
    return [this](const SynchronizeRequest& request, const std::stop_token&,
                  SynchronizeResponse& response) { return OfferOneTask(request, response); };
  }

  void Start() {
    loop_.emplace(server_, identity_, runner_, metrics_,
                  LeaseLoop::Timing{.first_retry = absl::Milliseconds(1),
                                    .longest_retry = absl::Milliseconds(20)});
    thread_ = std::thread([this] { ended_with_ = loop_->Run(); });
  }

  // Waits for Run to return.
  void Join() { thread_.join(); }

  int Count(const std::function<bool(const SynchronizeRequest&)>& wanted) const {
    int count = 0;
    for (const auto& request : server_.requests()) count += wanted(request) ? 1 : 0;
    return count;
  }

  ScriptedSynchronizer server_;
  WorkerIdentity identity_;
  FakeRunner runner_;
  WorkerMetrics metrics_{"test"};
  std::atomic<bool> offered_{false};
  std::optional<LeaseLoop> loop_;
  std::thread thread_;
  absl::Status ended_with_;
};

bool IsIdle(const SynchronizeRequest& request) { return request.has_idle(); }
bool IsExecuting(const SynchronizeRequest& request) { return request.has_executing(); }
bool IsCompleted(const SynchronizeRequest& request) { return request.has_completed(); }
bool IsFailed(const SynchronizeRequest& request) { return request.has_failed(); }
bool IsReleased(const SynchronizeRequest& request) { return request.has_released(); }
bool IsFarewell(const SynchronizeRequest& request) {
  return request.has_idle() && request.draining();
}

TEST_F(LeaseLoopTest, AWorkerWhoseDeviceIsLostReportsTheFailureTakesNothingNewAndEnds) {
  server_.answer = OfferingOneTask();
  runner_.run = [](const Task&, TaskProgress&) {
    return TaskOutcome{.status = absl::InternalError("cuda: fit: illegal memory access")};
  };
  runner_.health = absl::InternalError("cuda: health: illegal memory access");
  Start();
  Join();
  EXPECT_EQ(ended_with_, runner_.health);
  EXPECT_EQ(Count(IsFailed), 1);
  EXPECT_EQ(Count(IsFarewell), 1) << "the server knows that it is gone";
  EXPECT_FALSE(server_.WaitFor(IsFailed).failed().permanent()) << "another worker may do it";
}

TEST_F(LeaseLoopTest, AFailureThatLeavesTheDeviceAsItWasDoesNotEndTheWorker) {
  server_.answer = OfferingOneTask();
  runner_.run = [](const Task&, TaskProgress&) {
    return TaskOutcome{.status = absl::ResourceExhaustedError("out of memory")};
  };
  Start();
  server_.WaitFor(IsFailed);
  EXPECT_TRUE(server_
                  .WaitFor([seen = false](const SynchronizeRequest& request) mutable {
                    seen = seen || request.has_failed();
                    return seen && request.has_idle() && !request.draining();
                  })
                  .has_idle());
}

TEST_F(LeaseLoopTest, RunsTheOfferedTaskAndDeliversItsResultUnderItsLease) {
  server_.answer = OfferingOneTask();
  runner_.run = [](const Task& task, TaskProgress&) {
    EXPECT_EQ(task.lease().task(), "job/quantize/0");
    TaskOutcome outcome;
    outcome.result.add_files("tern-block-00000.safetensors");
    return outcome;
  };
  Start();
  const auto report = server_.WaitFor(IsCompleted);
  EXPECT_EQ(report.worker().id(), "worker-1");
  EXPECT_EQ(report.completed().lease().task(), "job/quantize/0");
  EXPECT_EQ(report.completed().lease().epoch(), 1);
  ASSERT_EQ(report.completed().result().files_size(), 1);
  EXPECT_EQ(report.completed().result().files(0), "tern-block-00000.safetensors");
  EXPECT_GT(report.resident_bytes(), 0);
}

TEST_F(LeaseLoopTest, HeartbeatsCarryStageAndFraction) {
  server_.answer = OfferingOneTask();
  runner_.run = [](const Task& task, TaskProgress& progress) {
    progress.EnterStage("forward");
    progress.Show(0.25);
    return RunUntilStopped(task, progress);
  };
  Start();
  const auto report =
      server_.WaitFor([](const auto& request) { return request.executing().stage() == "forward"; });
  EXPECT_EQ(report.executing().lease().epoch(), 1);
  EXPECT_EQ(report.executing().fraction(), 0.25);
}

TEST_F(LeaseLoopTest, EveryCallNamesTheWarmShards) {
  WarmShard warm;
  warm.set_job_uid("job");
  warm.set_shard(1);
  warm.set_next_block(4);
  runner_.warm = {warm};
  server_.answer = OfferingOneTask();
  Start();
  for (const auto& request : {server_.WaitFor(IsIdle), server_.WaitFor(IsCompleted)}) {
    ASSERT_EQ(request.warm_size(), 1);
    EXPECT_EQ(request.warm(0).next_block(), 4);
  }
}

TEST_F(LeaseLoopTest, StopCancelsTheTaskAndNothingMoreIsSentForIt) {
  server_.answer = [&](const SynchronizeRequest& request, const std::stop_token&,
                       SynchronizeResponse& response) {
    if (!request.has_executing()) return OfferOneTask(request, response);
    response.mutable_stop()->set_reason("the job was cancelled");
    return absl::OkStatus();
  };
  std::atomic<bool> stopped{false};
  runner_.run = [&](const Task& task, TaskProgress& progress) {
    TaskOutcome outcome = RunUntilStopped(task, progress);
    stopped = true;
    return outcome;
  };
  Start();
  int idle = 0;
  server_.WaitFor([&](const auto& request) { return request.has_idle() && ++idle == 2; });
  EXPECT_TRUE(stopped);
  EXPECT_EQ(Count(IsCompleted) + Count(IsFailed) + Count(IsReleased), 0);
}

TEST_F(LeaseLoopTest, LinesAboutATaskNameItsJob) {
  std::atomic<bool> dropped{false};
  server_.answer = [&](const SynchronizeRequest& request, const std::stop_token&,
                       SynchronizeResponse& response) {
    if (!request.has_failed()) return OfferOneTask(request, response);
    response.mutable_stop()->set_reason("the job was cancelled");
    dropped = true;
    return absl::OkStatus();
  };
  runner_.run = [](const Task&, TaskProgress&) {
    return TaskOutcome{.status = absl::InternalError("no")};
  };
  testing::internal::CaptureStderr();
  Start();
  server_.WaitFor([&](const auto& request) { return dropped && request.has_idle(); });
  const std::string lines = testing::internal::GetCapturedStderr();
  for (const char* const message : {"task failed", "the server dropped a report"}) {
    EXPECT_THAT(lines,
                HasSubstr(absl::StrCat("\"message\":\"", message,
                                       "\",\"job\":\"namespaces/default/quantizationJobs/demo\","
                                       "\"task\":\"job/quantize/0\",\"epoch\":1")));
  }
}

TEST_F(LeaseLoopTest, AnAbortedHeartbeatStopsTheTaskToo) {
  server_.answer = [&](const SynchronizeRequest& request, const std::stop_token&,
                       SynchronizeResponse& response) {
    if (!request.has_executing()) return OfferOneTask(request, response);
    return absl::AbortedError("stale lease");
  };
  runner_.run = RunUntilStopped;
  Start();
  int idle = 0;
  server_.WaitFor([&](const auto& request) { return request.has_idle() && ++idle == 2; });
  EXPECT_EQ(Count(IsCompleted) + Count(IsFailed) + Count(IsReleased), 0);
}

TEST_F(LeaseLoopTest, ATaskOutlivesARestartOfTheServer) {
  server_.answer = OfferingOneTask();
  std::atomic<bool> finish{false};
  runner_.run = [&](const Task&, TaskProgress& progress) {
    while (!finish && !progress.stopped()) std::this_thread::yield();
    return TaskOutcome{.status = EndOf(progress)};
  };
  Start();
  server_.WaitFor(IsExecuting);
  server_.GoAway();
  server_.WaitForUnansweredCall();
  const int before = Count(IsExecuting);
  server_.ComeBack();
  int heartbeats = 0;
  server_.WaitFor(
      [&](const auto& request) { return request.has_executing() && ++heartbeats > before; });
  finish = true;
  EXPECT_EQ(server_.WaitFor(IsCompleted).completed().lease().epoch(), 1);
}

TEST_F(LeaseLoopTest, AFinishedTaskIsDeliveredToTheServerThatComesBack) {
  server_.answer = OfferingOneTask();
  std::atomic<bool> away{false}, finished{false};
  runner_.run = [&](const Task&, TaskProgress&) {
    while (!away) std::this_thread::yield();
    finished = true;
    return TaskOutcome{};
  };
  Start();
  server_.WaitFor(IsExecuting);
  server_.GoAway();
  away = true;
  while (!finished) std::this_thread::yield();
  server_.WaitForUnansweredCall();
  ASSERT_EQ(Count(IsCompleted), 0);
  server_.ComeBack();
  EXPECT_EQ(server_.WaitFor(IsCompleted).completed().lease().epoch(), 1);
}

TEST_F(LeaseLoopTest, ACompletionIsRetriedUntilTheServerCanTakeIt) {
  std::atomic<int> refusals{0};
  server_.answer = [&](const SynchronizeRequest& request, const std::stop_token&,
                       SynchronizeResponse& response) {
    if (request.has_completed() && ++refusals <= 3) {
      return absl::ResourceExhaustedError("disk full");
    }
    return OfferOneTask(request, response);
  };
  Start();
  int completions = 0;
  server_.WaitFor(
      [&](const auto& request) { return request.has_completed() && ++completions == 4; });
  loop_->Drain();
  Join();
  EXPECT_EQ(Count(IsCompleted), 4);
}

TEST_F(LeaseLoopTest, AStaleCompletionIsDropped) {
  server_.answer = [&](const SynchronizeRequest& request, const std::stop_token&,
                       SynchronizeResponse& response) {
    if (!request.has_completed()) return OfferOneTask(request, response);
    return absl::AbortedError("stale lease");
  };
  Start();
  int idle = 0;
  server_.WaitFor([&](const auto& request) { return request.has_idle() && ++idle == 2; });
  EXPECT_EQ(Count(IsCompleted), 1);
  EXPECT_EQ(Count(IsFailed), 0);
}

TEST_F(LeaseLoopTest, AResultTheServerWillNotHaveBecomesAFailure) {
  server_.answer = [&](const SynchronizeRequest& request, const std::stop_token&,
                       SynchronizeResponse& response) {
    if (!request.has_completed()) return OfferOneTask(request, response);
    return absl::InvalidArgumentError("result: no files");
  };
  Start();
  const auto report = server_.WaitFor(IsFailed);
  EXPECT_EQ(report.failed().lease().epoch(), 1);
  EXPECT_EQ(report.failed().error().message(), "result: no files");
  EXPECT_FALSE(report.failed().permanent());
}

TEST_F(LeaseLoopTest, AFailureCarriesItsErrorAndWhetherToRetry) {
  server_.answer = OfferingOneTask();
  runner_.run = [](const Task&, TaskProgress&) {
    return TaskOutcome{.status = absl::InvalidArgumentError("lm_head.weight: NaN at 7"),
                       .permanent = true};
  };
  Start();
  const auto report = server_.WaitFor(IsFailed);
  EXPECT_EQ(report.failed().error().code(), static_cast<int>(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(report.failed().error().message(), "lm_head.weight: NaN at 7");
  EXPECT_TRUE(report.failed().permanent());
}

TEST_F(LeaseLoopTest, WhateverAnErrorSaysTheServerCanReadIt) {
  server_.answer = OfferingOneTask();
  runner_.run = [](const Task&, TaskProgress&) {
    return TaskOutcome{.status = absl::InternalError("mod\xE8le: " + std::string(10'000, 'x'))};
  };
  Start();
  const auto report = server_.WaitFor(IsFailed);
  const std::string& message = report.failed().error().message();
  EXPECT_EQ(message.substr(0, 8), "mod\xEF\xBF\xBDle");
  EXPECT_LE(message.size(), 2048u);
  EXPECT_TRUE(SynchronizeRequest().ParseFromString(report.SerializeAsString()));
}

TEST_F(LeaseLoopTest, RunningOutOfMemoryIsAFailureOfTheTaskNotOfTheWorker) {
  server_.answer = OfferingOneTask();
  runner_.run = [](const Task&, TaskProgress& progress) -> TaskOutcome {
    progress.EnterStage("moments");
    throw std::bad_alloc();
  };
  Start();
  const auto report = server_.WaitFor(IsFailed);
  EXPECT_EQ(report.failed().error().code(), static_cast<int>(absl::StatusCode::kResourceExhausted));
  EXPECT_NE(report.failed().error().message().find("moments"), std::string::npos);
}

TEST_F(LeaseLoopTest, ATaskOfferedInAnswerToACompletionIsRun) {
  server_.answer = [&](const SynchronizeRequest& request, const std::stop_token&,
                       SynchronizeResponse& response) {
    if (request.has_completed() && request.completed().lease().epoch() == 1) {
      Execute(response, 2);
      return absl::OkStatus();
    }
    return OfferOneTask(request, response);
  };
  Start();
  server_.WaitFor([](const auto& request) { return request.completed().lease().epoch() == 2; });
}

TEST_F(LeaseLoopTest, DrainCutsALongPollShortAndSaysGoodbye) {
  server_.answer = [](const SynchronizeRequest& request, const std::stop_token& cancel,
                      SynchronizeResponse& response) {
    Idle(response);
    if (request.draining()) return absl::OkStatus();
    while (!cancel.stop_requested()) std::this_thread::yield();
    return absl::CancelledError("cancelled by the caller");
  };
  Start();
  server_.WaitFor(IsIdle);
  loop_->Drain();
  Join();
  EXPECT_EQ(Count(IsFarewell), 1);
}

TEST_F(LeaseLoopTest, DrainDeliversTheTaskInWorkFirst) {
  server_.answer = OfferingOneTask();
  std::atomic<bool> finish{false};
  runner_.run = [&](const Task&, TaskProgress& progress) {
    while (!finish && !progress.stopped()) std::this_thread::yield();
    return TaskOutcome{.status = EndOf(progress)};
  };
  Start();
  server_.WaitFor(IsExecuting);
  loop_->Drain();
  server_.WaitFor(
      [](const auto& request) { return request.has_executing() && request.draining(); });
  finish = true;
  Join();
  EXPECT_EQ(Count(IsCompleted), 1);
  EXPECT_EQ(Count(IsFarewell), 1);
}

TEST_F(LeaseLoopTest, AbandonGivesTheTaskInWorkBack) {
  server_.answer = OfferingOneTask();
  runner_.run = RunUntilStopped;
  Start();
  server_.WaitFor(IsExecuting);
  loop_->Abandon();
  Join();
  EXPECT_EQ(server_.WaitFor(IsReleased).released().lease().epoch(), 1);
  EXPECT_EQ(Count(IsFailed), 0);
}

TEST_F(LeaseLoopTest, AbandonEndsEvenWhenTheServerIsAway) {
  server_.answer = OfferingOneTask();
  runner_.run = RunUntilStopped;
  Start();
  server_.WaitFor(IsExecuting);
  server_.GoAway();
  loop_->Abandon();
  Join();
  EXPECT_EQ(Count(IsReleased), 0);
}

TEST_F(LeaseLoopTest, ATaskOfferedToADrainingWorkerIsGivenBack) {
  server_.answer = [&](const SynchronizeRequest& request, const std::stop_token&,
                       SynchronizeResponse& response) {
    if (request.has_completed()) {
      loop_->Drain();
      Execute(response, 2);
      return absl::OkStatus();
    }
    return OfferOneTask(request, response);
  };
  Start();
  EXPECT_EQ(server_.WaitFor(IsReleased).released().lease().epoch(), 2);
  Join();
}

TEST_F(LeaseLoopTest, RestsWhenThereIsNothingToDoButNotBetweenTasks) {
  server_.answer = [&](const SynchronizeRequest& request, const std::stop_token&,
                       SynchronizeResponse& response) {
    if (request.has_completed()) {
      EXPECT_EQ(runner_.rests, 0);
      if (request.completed().lease().epoch() < 3) {
        Execute(response, request.completed().lease().epoch() + 1);
        return absl::OkStatus();
      }
    }
    return OfferOneTask(request, response);
  };
  Start();
  server_.WaitFor([](const auto& request) { return request.completed().lease().epoch() == 3; });
  while (runner_.rests == 0) std::this_thread::yield();
}

TEST_F(LeaseLoopTest, IsReadyWhileTheServerAnswers) {
  server_.answer = [](const SynchronizeRequest&, const std::stop_token&,
                      SynchronizeResponse& response) {
    Idle(response);
    return absl::OkStatus();
  };
  Start();
  int idle = 0;
  server_.WaitFor([&](const auto& request) { return request.has_idle() && ++idle == 2; });
  EXPECT_TRUE(loop_->Ready().ok()) << loop_->Ready();
  server_.GoAway();
  while (loop_->Ready().ok()) std::this_thread::yield();
  EXPECT_EQ(loop_->Ready().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace tern
