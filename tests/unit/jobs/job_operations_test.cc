#include "server/jobs/job_operations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "proto/service/error_details.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/jobs/fake_worker.h"
#include "tests/unit/jobs/job_world.h"

namespace tern {
namespace {

using ::testing::_;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class JobOperationsTest : public ::testing::Test {
 protected:
  std::string Create(const std::string& id, const std::string& name_space = "default") {
    v1::CreateQuantizationJobRequest request = world_.Request();
    request.set_parent("namespaces/" + name_space);
    request.set_quantization_job_id(id);
    (*request.mutable_quantization_job()->mutable_labels())["id"] = id;
    world_.clock().Advance(absl::Seconds(1));
    return world_.Create(request).name();
  }
  std::vector<std::string> Ids(const v1::ListQuantizationJobsResponse& response) {
    std::vector<std::string> ids;
    for (const auto& job : response.quantization_jobs()) ids.push_back(job.labels().at("id"));
    return ids;
  }

  JobWorld world_;
};

TEST_F(JobOperationsTest, AJobIsShownWithWhatWasResolved) {
  const v1::QuantizationJob job = world_.Get(Create("one"));
  EXPECT_EQ(job.name(), "namespaces/default/quantizationJobs/one");
  EXPECT_EQ(job.state(), v1::QuantizationJob::PENDING);
  EXPECT_TRUE(job.has_create_time());
  EXPECT_FALSE(job.has_start_time());
  EXPECT_EQ(job.spec().calibration().samples(), 4);
  EXPECT_EQ(job.model().architecture(), "LlamaForCausalLM");
  EXPECT_EQ(job.model().blocks(), 4);
  EXPECT_EQ(job.progress().tasks_total(), 6);
  EXPECT_EQ(job.progress().blocks_total(), 4);
}

TEST_F(JobOperationsTest, AnUnknownJobIsNotFoundByName) {
  const auto job = world_.operations().Get("namespaces/default/quantizationJobs/none");
  EXPECT_THAT(job, IsError(absl::StatusCode::kNotFound, HasSubstr("quantizationJobs/none")));
  EXPECT_EQ(ReasonOf(job.status()), "JOB_NOT_FOUND");
  EXPECT_THAT(world_.operations().Get("none"), IsError(absl::StatusCode::kInvalidArgument, _));
}

TEST_F(JobOperationsTest, ASnapshotSaysWhichEventsItIncludes) {
  const std::string job = Create("one");
  auto snapshot = world_.operations().GetSnapshot(job);
  ASSERT_THAT(snapshot, IsOk());
  EXPECT_EQ(snapshot->sequence, 1);
  EXPECT_EQ(snapshot->uid, world_.Record(job).uid);
  FakeWorker worker("w");
  ASSERT_THAT(worker.Idle(world_.system()), IsOk());
  snapshot = world_.operations().GetSnapshot(job);
  ASSERT_THAT(snapshot, IsOk());
  EXPECT_EQ(snapshot->sequence, 2);
  EXPECT_EQ(snapshot->job.state(), v1::QuantizationJob::RUNNING);
}

TEST_F(JobOperationsTest, JobsAreListedNewestFirstInPages) {
  for (int i = 1; i <= 5; ++i) Create(absl::StrCat("job", i));
  v1::ListQuantizationJobsRequest request;
  request.set_page_size(2);
  std::vector<std::vector<std::string>> pages;
  do {
    const auto response = world_.operations().List(request);
    ASSERT_THAT(response, IsOk());
    pages.push_back(Ids(*response));
    request.set_page_token(response->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(pages, ElementsAre(ElementsAre("job5", "job4"), ElementsAre("job3", "job2"),
                                 ElementsAre("job1")));
}

TEST_F(JobOperationsTest, ALastPageThatIsFullHasNoToken) {
  Create("job1");
  Create("job2");
  v1::ListQuantizationJobsRequest request;
  request.set_page_size(2);
  const auto response = world_.operations().List(request);
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->next_page_token(), "");
}

TEST_F(JobOperationsTest, ListsAreOfANamespaceOrOfAll) {
  Create("one");
  Create("two", "other");
  v1::ListQuantizationJobsRequest request;
  EXPECT_THAT(Ids(*world_.operations().List(request)), ElementsAre("one"));
  request.set_parent("namespaces/other");
  EXPECT_THAT(Ids(*world_.operations().List(request)), ElementsAre("two"));
  request.set_parent("namespaces/-");
  EXPECT_THAT(Ids(*world_.operations().List(request)), ElementsAre("two", "one"));
}

TEST_F(JobOperationsTest, ListsAreFiltered) {
  Create("one");
  ASSERT_THAT(world_.operations().Cancel(Create("two")), IsOk());
  v1::ListQuantizationJobsRequest request;
  request.set_filter("state = CANCELLED");
  EXPECT_THAT(Ids(*world_.operations().List(request)), ElementsAre("two"));
  request.set_filter("state != CANCELLED");
  EXPECT_THAT(Ids(*world_.operations().List(request)), ElementsAre("one"));
  request.set_filter("labels.id = one AND state = CANCELLED");
  EXPECT_THAT(Ids(*world_.operations().List(request)), ElementsAre());
}

TEST_F(JobOperationsTest, BadPagesAreRefused) {
  v1::ListQuantizationJobsRequest request;
  request.set_page_size(-1);
  EXPECT_THAT(world_.operations().List(request),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("page_size")));
  request.set_page_size(1001);
  EXPECT_FALSE(world_.operations().List(request).ok());
  Create("one");
  Create("two");
  request.set_page_size(1);
  request.set_page_token(world_.operations().List(request)->next_page_token());
  request.set_filter("state = RUNNING");
  EXPECT_THAT(world_.operations().List(request),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("page_token")));
}

TEST_F(JobOperationsTest, CancellingRemovesTheFilesAndOnceMoreChangesNothing) {
  const std::string job = Create("one");
  FakeWorker worker("w");
  ASSERT_THAT(worker.Idle(world_.system()), IsOk());
  ASSERT_THAT(worker.Finish(world_.system()), IsOk());
  ASSERT_THAT(worker.Finish(world_.system()), IsOk());
  ASSERT_THAT(worker.UploadFiles(world_.system()), IsOk());

  auto cancelled = world_.operations().Cancel(job);
  ASSERT_THAT(cancelled, IsOk());
  EXPECT_EQ(cancelled->state(), v1::QuantizationJob::CANCELLED);
  EXPECT_TRUE(world_.Files(job).empty());
  EXPECT_TRUE(world_.BlobKeys().empty());
  EXPECT_EQ(world_.Events(job).back().state_changed().state(), v1::QuantizationJob::CANCELLED);
  const int64_t sequence = world_.Record(job).last_sequence;
  cancelled = world_.operations().Cancel(job);
  ASSERT_THAT(cancelled, IsOk());
  EXPECT_EQ(world_.Record(job).last_sequence, sequence);
}

TEST_F(JobOperationsTest, AJobThatHasEndedIsNotCancelled) {
  const std::string job = Create("one");
  ASSERT_TRUE(RunAll(world_.system()));
  const auto cancelled = world_.operations().Cancel(job);
  EXPECT_THAT(cancelled,
              IsError(absl::StatusCode::kFailedPrecondition, HasSubstr("has succeeded")));
  EXPECT_EQ(ReasonOf(cancelled.status()), "JOB_ENDED");
}

TEST_F(JobOperationsTest, DeletingNeedsAnEndAndLeavesNothing) {
  const std::string job = Create("one");
  const absl::Status active = world_.operations().Delete(job);
  EXPECT_THAT(active, IsError(absl::StatusCode::kFailedPrecondition, HasSubstr("cancel it")));
  EXPECT_EQ(ReasonOf(active), "JOB_ACTIVE");
  ASSERT_TRUE(RunAll(world_.system()));
  EXPECT_FALSE(world_.BlobKeys().empty());
  ASSERT_THAT(world_.operations().Delete(job), IsOk());
  EXPECT_TRUE(world_.BlobKeys().empty());
  EXPECT_THAT(world_.operations().Get(job), IsError(absl::StatusCode::kNotFound, _));
  EXPECT_THAT(world_.operations().Delete(job), IsError(absl::StatusCode::kNotFound, _));
}

TEST_F(JobOperationsTest, EveryStateIsCounted) {
  Create("one");
  const auto counts = world_.operations().CountJobs();
  ASSERT_THAT(counts, IsOk());
  EXPECT_EQ(counts->size(), 5U);
  EXPECT_EQ(counts->at(JobState::kPending), 1);
  EXPECT_EQ(counts->at(JobState::kFailed), 0);
}

// Parses as no message: a field's tag, and nothing after it.
constexpr char kDamaged[] = "\x12";

TEST_F(JobOperationsTest, AJobWhoseDocumentIsDamagedDoesNotHideTheOthers) {
  Create("one");
  const std::string damaged = Create("two");
  Create("three");
  world_.SetDocument(damaged, kDamaged);
  const auto response = world_.operations().List({});
  ASSERT_THAT(response, IsOk());
  ASSERT_EQ(response->quantization_jobs_size(), 3);
  const v1::QuantizationJob& shown = response->quantization_jobs(1);
  EXPECT_EQ(shown.name(), damaged);
  EXPECT_EQ(shown.state(), v1::QuantizationJob::PENDING);
  EXPECT_THAT(shown.error().message(), HasSubstr("does not parse"));
}

TEST_F(JobOperationsTest, AJobWhoseDocumentIsDamagedCanBeCancelledAndDeleted) {
  const std::string job = Create("one");
  world_.SetDocument(job, kDamaged);
  const auto cancelled = world_.operations().Cancel(job);
  ASSERT_THAT(cancelled, IsOk());
  EXPECT_EQ(cancelled->state(), v1::QuantizationJob::CANCELLED);
  EXPECT_THAT(world_.operations().Delete(job), IsOk());
}

TEST_F(JobOperationsTest, APageEndsBeforeItIsTooLargeToSend) {
  std::vector<std::string> expected;
  for (int i = 0; i < 60; ++i) {
    const std::string id = absl::StrCat("job", i);
    v1::QuantizationJob document = world_.Get(Create(id));
    document.mutable_report()->add_unquantized()->set_tensor(std::string(200 << 10, 't'));
    world_.SetDocument(document.name(), document.SerializeAsString());
    expected.insert(expected.begin(), id);
  }
  v1::ListQuantizationJobsRequest request;
  request.set_page_size(1000);
  std::vector<std::string> listed;
  do {
    const auto response = world_.operations().List(request);
    ASSERT_THAT(response, IsOk());
    EXPECT_LT(response->ByteSizeLong(), size_t{4} << 20);
    for (const std::string& id : Ids(*response)) listed.push_back(id);
    request.set_page_token(response->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(listed, expected);
}

}  // namespace
}  // namespace tern
