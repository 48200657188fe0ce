#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/time/clock.h"
#include "tests/end-to-end/running_service.h"

namespace tern {
namespace {

void Cancel(RunningService& service, const std::string& name) {
  grpc::ClientContext context;
  v1::CancelQuantizationJobRequest request;
  request.set_name(name);
  v1::QuantizationJob job;
  const grpc::Status status = service.stub().CancelQuantizationJob(&context, request, &job);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(job.state(), v1::QuantizationJob::CANCELLED);
}

// Whether every worker says that it has nothing to do.
bool AllIdle(RunningService& service) {
  grpc::ClientContext context;
  v1::ListWorkersResponse response;
  if (!service.stub().ListWorkers(&context, v1::ListWorkersRequest(), &response).ok()) return false;
  for (const v1::Worker& worker : response.workers()) {
    if (worker.state() != v1::Worker::IDLE) return false;
  }
  return response.workers_size() > 0;
}

TEST(CancelTest, ACancelledJobStopsItsWorkersAndLeavesNoFiles) {
  RunningService service({.local_workers = 2});
  v1::CreateQuantizationJobRequest request = SmallJob(/*shards=*/2);
  // Long enough that it cannot end meanwhile.
  request.mutable_quantization_job()->mutable_spec()->mutable_calibration()->set_samples(256);
  const std::string name = service.Submit(request);
  service.AwaitBlockInWork(name);
  Cancel(service, name);
  EXPECT_EQ(service.Get(name).state(), v1::QuantizationJob::CANCELLED);
  while (!AllIdle(service)) absl::SleepFor(absl::Milliseconds(10));
  service.AwaitNoBlobs();

  const v1::QuantizationJob next = service.AwaitEnd(service.Submit(SmallJob(/*shards=*/2)));
  EXPECT_EQ(next.state(), v1::QuantizationJob::SUCCEEDED) << next.error().message();
}

}  // namespace
}  // namespace tern
