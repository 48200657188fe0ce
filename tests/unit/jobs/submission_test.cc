#include "server/jobs/submission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "checkpoint/atomic_file.h"
#include "checkpoint/safetensors_reader.h"
#include "checkpoint/text/token_windows.h"
#include "proto/service/error_details.h"
#include "proto/service/job_inputs.h"
#include "server/jobs/blob_keys.h"
#include "tests/shared_data.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/jobs/failing_blob_store.h"
#include "tests/unit/jobs/fake_worker.h"
#include "tests/unit/jobs/job_world.h"

namespace tern {
namespace {

namespace fs = std::filesystem;
using ::testing::_;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Request = v1::CreateQuantizationJobRequest;

v1::QuantizationSpec& SpecOf(Request& request) {
  return *request.mutable_quantization_job()->mutable_spec();
}

class SubmissionTest : public ::testing::Test {
 protected:
  absl::StatusOr<v1::QuantizationJob> Create(const Request& request) {
    return Create(world_, request);
  }
  static absl::StatusOr<v1::QuantizationJob> Create(JobWorld& world, const Request& request) {
    return world.system().submission().Create(request);
  }
  // The request is refused so, and leaves neither rows nor blobs.
  void ExpectRefused(const Request& request, absl::StatusCode code, const std::string& reason,
                     const std::vector<std::string>& parts) {
    ExpectRefused(world_, request, code, reason, parts);
  }
  static void ExpectRefused(JobWorld& world, const Request& request, absl::StatusCode code,
                            const std::string& reason, const std::vector<std::string>& parts) {
    const auto job = Create(world, request);
    EXPECT_THAT(job, IsError(code, _));
    EXPECT_EQ(ReasonOf(job.status()), reason);
    for (const std::string& part : parts) {
      EXPECT_THAT(std::string(job.status().message()), HasSubstr(part));
    }
    EXPECT_THAT(world.BlobKeys(), IsEmpty());
    v1::ListQuantizationJobsRequest list;
    list.set_parent("namespaces/-");
    EXPECT_EQ(world.operations().List(list)->quantization_jobs_size(), 0);
  }
  // A copy of the demo model that may be spoilt.
  std::string CopyModel() const {
    const std::string path = world_.folder() + "/model";
    fs::copy(DataPath("demo-llama"), path, fs::copy_options::recursive);
    return path;
  }
  std::string WriteText(const std::string& name, const std::string& text) const {
    const std::string path = world_.folder() + "/" + name;
    EXPECT_THAT(WriteFileAtomically(path, text), IsOk());
    return path;
  }
  Request TextRequest(const std::string& text_file) const {
    Request request = world_.Request();
    SpecOf(request).mutable_calibration()->set_files(0, text_file);
    SpecOf(request).mutable_calibration()->set_samples(2);
    SpecOf(request).mutable_calibration()->set_sequence_length(32);
    return request;
  }

  JobWorld world_;
};

TEST_F(SubmissionTest, AJobIsMadeFromText) {
  Request request = TextRequest(DataPath("sampled.txt"));
  SpecOf(request).set_seed(3);
  SpecOf(request).mutable_evaluation()->add_files(DataPath("sampled.txt"));
  SpecOf(request).mutable_evaluation()->set_window_length(64);
  SpecOf(request).mutable_evaluation()->set_windows(5);
  const auto job = Create(request);
  ASSERT_THAT(job, IsOk());
  EXPECT_EQ(job->state(), v1::QuantizationJob::PENDING);
  EXPECT_EQ(job->spec().calibration().samples(), 2);
  EXPECT_EQ(job->spec().evaluation().windows(), 5);
  EXPECT_EQ(job->model().calibration_digest().size(), 64U);
  EXPECT_EQ(job->model().evaluation_digest().size(), 64U);
  EXPECT_EQ(job->model().quantized_parameters(),
            4 * (2 * 192 * 192 + 2 * 96 * 192 + 3 * 512 * 192));
  EXPECT_GT(job->preflight().worker_memory_bytes(), 0);
  EXPECT_GT(job->preflight().blob_bytes(), 0);
  EXPECT_EQ(job->preflight().tasks(), 7);
  EXPECT_EQ(world_.observer().Counted("job created"), 1);

  // The windows are what the worker reads.
  const std::string uid = world_.Record(job->name()).uid;
  const std::string content = world_.BlobContent(InputKey(uid, kCalibrationInput));
  const auto file = SafetensorsReader::Parse(
      {reinterpret_cast<const uint8_t*>(content.data()), content.size()}, "calibration");
  ASSERT_THAT(file, IsOk());
  const auto ids = (*file)->Get("input_ids");
  ASSERT_THAT(ids, IsOk());
  EXPECT_EQ(ids->dtype, DType::kI32);
  EXPECT_THAT(ids->shape, ElementsAre(2, 32));
  TokenWindows windows;
  windows.windows = 2;
  windows.length = 32;
  windows.ids.resize(64);
  std::copy(ids->bytes.begin(), ids->bytes.end(), reinterpret_cast<uint8_t*>(windows.ids.data()));
  EXPECT_EQ(WindowsDigest(windows), job->model().calibration_digest());
}

TEST_F(SubmissionTest, ReadyMadeWindowsAreTakenAsTheyAre) {
  const auto job = Create(world_.Request());
  ASSERT_THAT(job, IsOk());
  EXPECT_EQ(job->spec().calibration().samples(), 4);
  EXPECT_EQ(job->spec().calibration().sequence_length(), 16);
}

TEST_F(SubmissionTest, ANameIsChosenOrGiven) {
  const auto chosen = Create(world_.Request());
  ASSERT_THAT(chosen, IsOk());
  EXPECT_THAT(chosen->name(),
              testing::MatchesRegex("namespaces/default/quantizationJobs/job-[0-9a-f]+"));
  Request request = world_.Request();
  request.set_parent("namespaces/team");
  request.set_quantization_job_id("mine");
  const auto given = Create(request);
  ASSERT_THAT(given, IsOk());
  EXPECT_EQ(given->name(), "namespaces/team/quantizationJobs/mine");
}

TEST_F(SubmissionTest, ValidateOnlyTellsAndLeavesNothing) {
  Request request = world_.Request();
  request.set_validate_only(true);
  request.set_request_id("r");
  const auto job = Create(request);
  ASSERT_THAT(job, IsOk());
  EXPECT_EQ(job->name(), "");
  EXPECT_EQ(job->model().blocks(), 4);
  EXPECT_GT(job->preflight().worker_memory_bytes(), 0);
  EXPECT_THAT(world_.BlobKeys(), IsEmpty());
  EXPECT_EQ(world_.operations().List({})->quantization_jobs_size(), 0);
}

TEST_F(SubmissionTest, TheSameRequestTwiceMakesOneJob) {
  Request request = world_.Request();
  request.set_request_id("nightly");
  (*request.mutable_quantization_job()->mutable_labels())["a"] = "1";
  (*request.mutable_quantization_job()->mutable_labels())["b"] = "2";
  const auto first = Create(request);
  ASSERT_THAT(first, IsOk());
  ASSERT_TRUE(RunAll(world_.system()));
  world_.Restart();
  const auto second = Create(request);
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(second->name(), first->name());
  EXPECT_EQ(second->state(), v1::QuantizationJob::SUCCEEDED);
  EXPECT_EQ(world_.operations().List({})->quantization_jobs_size(), 1);
}

TEST_F(SubmissionTest, ARequestIdWithAnotherBodyIsRefused) {
  Request request = world_.Request();
  request.set_request_id("nightly");
  ASSERT_THAT(Create(request), IsOk());
  const auto blobs = world_.BlobKeys();
  SpecOf(request).set_seed(1);
  const auto other = Create(request);
  EXPECT_THAT(other, IsError(absl::StatusCode::kAlreadyExists,
                             AllOf(HasSubstr("request_id"), HasSubstr("nightly"))));
  EXPECT_EQ(ReasonOf(other.status()), "REQUEST_ID_REUSED");
  EXPECT_EQ(world_.BlobKeys(), blobs);
}

TEST_F(SubmissionTest, RequestIdsAreForgottenAfterTwoDaysAndPerNamespace) {
  Request request = world_.Request();
  request.set_request_id("nightly");
  const auto first = Create(request);
  ASSERT_THAT(first, IsOk());
  world_.clock().Advance(absl::Hours(25));
  world_.system().Maintain();
  EXPECT_EQ(Create(request)->name(), first->name());
  request.set_parent("namespaces/other");
  EXPECT_NE(Create(request)->name(), first->name());
  request.clear_parent();
  world_.clock().Advance(absl::Hours(25));
  world_.system().Maintain();
  EXPECT_NE(Create(request)->name(), first->name());
}

TEST_F(SubmissionTest, AnIdInUseIsRefused) {
  Request request = world_.Request();
  request.set_quantization_job_id("mine");
  ASSERT_THAT(Create(request), IsOk());
  const auto blobs = world_.BlobKeys();
  const auto other = Create(request);
  EXPECT_THAT(other, IsError(absl::StatusCode::kAlreadyExists, HasSubstr("mine exists already")));
  EXPECT_EQ(ReasonOf(other.status()), "JOB_ID_IN_USE");
  EXPECT_EQ(world_.BlobKeys(), blobs);
}

TEST_F(SubmissionTest, MalformedRequestsNameTheField) {
  Request request = world_.Request();
  request.set_quantization_job_id("Not Valid");
  ExpectRefused(request, absl::StatusCode::kInvalidArgument, "INVALID_FIELD",
                {"quantization_job_id"});
  request = world_.Request();
  request.set_parent("somewhere");
  ExpectRefused(request, absl::StatusCode::kInvalidArgument, "INVALID_FIELD", {"parent"});
  request = world_.Request();
  request.set_request_id(std::string(65, 'r'));
  ExpectRefused(request, absl::StatusCode::kInvalidArgument, "INVALID_FIELD", {"request_id"});
  request = world_.Request();
  SpecOf(request).mutable_pt2llm()->set_group_size(-128);
  ExpectRefused(request, absl::StatusCode::kInvalidArgument, "INVALID_FIELD",
                {"quantization_job.spec.pt2llm.group_size", "-128"});
  request = world_.Request();
  SpecOf(request).set_shards(5);
  ExpectRefused(request, absl::StatusCode::kInvalidArgument, "INVALID_FIELD",
                {"quantization_job.spec.shards", "4 blocks"});
}

TEST_F(SubmissionTest, MissingFilesAreNamed) {
  Request request = world_.Request();
  SpecOf(request).set_model("/nonexistent/model");
  ExpectRefused(request, absl::StatusCode::kNotFound, "INPUT_NOT_FOUND",
                {"quantization_job.spec.model", "/nonexistent/model"});
  request = world_.Request();
  SpecOf(request).mutable_calibration()->set_files(0, "/nonexistent/text.txt");
  ExpectRefused(request, absl::StatusCode::kNotFound, "INPUT_NOT_FOUND",
                {"quantization_job.spec.calibration.files[0]", "/nonexistent/text.txt"});
  request = world_.Request();
  SpecOf(request).mutable_evaluation()->add_files("/nonexistent/eval.txt");
  ExpectRefused(request, absl::StatusCode::kNotFound, "INPUT_NOT_FOUND",
                {"quantization_job.spec.evaluation.files[0]", "/nonexistent/eval.txt"});
}

TEST_F(SubmissionTest, AMissingWeightFileIsNamed) {
  const std::string model = CopyModel();
  fs::remove(model + "/model.safetensors");
  Request request = world_.Request();
  SpecOf(request).set_model(model);
  ExpectRefused(request, absl::StatusCode::kNotFound, "INPUT_NOT_FOUND",
                {"quantization_job.spec.model", "model.safetensors"});
}

TEST_F(SubmissionTest, DamagedWeightsAreRefused) {
  const std::string model = CopyModel();
  fs::resize_file(model + "/model.safetensors", 100000);
  Request request = world_.Request();
  SpecOf(request).set_model(model);
  ExpectRefused(request, absl::StatusCode::kInvalidArgument, "MODEL_UNSUPPORTED",
                {"quantization_job.spec.model", "model.safetensors"});
}

TEST_F(SubmissionTest, AnUnknownArchitectureIsRefusedWithThoseKnown) {
  const std::string model = CopyModel();
  auto config = ReadFile(model + "/config.json", 1 << 20);
  ASSERT_THAT(config, IsOk());
  config->replace(config->find("LlamaForCausalLM"), 16, "MambaForCausalLM");
  ASSERT_THAT(WriteFileAtomically(model + "/config.json", *config), IsOk());
  Request request = world_.Request();
  SpecOf(request).set_model(model);
  ExpectRefused(request, absl::StatusCode::kInvalidArgument, "MODEL_UNSUPPORTED",
                {"quantization_job.spec.model", "MambaForCausalLM", "Qwen3ForCausalLM"});
}

TEST_F(SubmissionTest, TextNeedsATokenizerAndIdsDoNot) {
  const std::string model = CopyModel();
  fs::remove(model + "/tokenizer.json");
  Request request = TextRequest(DataPath("sampled.txt"));
  SpecOf(request).set_model(model);
  ExpectRefused(request, absl::StatusCode::kNotFound, "INPUT_NOT_FOUND",
                {"quantization_job.spec.model", "tokenizer"});
  request = world_.Request();
  SpecOf(request).set_model(model);
  EXPECT_THAT(Create(request), IsOk());
}

TEST_F(SubmissionTest, EmptyTextIsRefused) {
  ExpectRefused(TextRequest(WriteText("empty.txt", "")), absl::StatusCode::kInvalidArgument,
                "INPUT_INVALID", {"quantization_job.spec.calibration", "empty.txt"});
}

TEST_F(SubmissionTest, TooLittleTextIsRefused) {
  ExpectRefused(TextRequest(WriteText("short.txt", "It was a dark night.")),
                absl::StatusCode::kInvalidArgument, "INPUT_INVALID",
                {"quantization_job.spec.calibration"});
  Request request = world_.Request();
  SpecOf(request).mutable_evaluation()->add_files(WriteText("eval.txt", "It was a dark night."));
  SpecOf(request).mutable_evaluation()->set_window_length(512);
  ExpectRefused(request, absl::StatusCode::kInvalidArgument, "INPUT_INVALID",
                {"quantization_job.spec.evaluation"});
}

TEST_F(SubmissionTest, TextThatIsNotUtf8IsRefused) {
  ExpectRefused(TextRequest(WriteText("latin1.txt", "caf\xe9 au lait")),
                absl::StatusCode::kInvalidArgument, "INPUT_INVALID",
                {"quantization_job.spec.calibration", "latin1.txt"});
}

TEST_F(SubmissionTest, WindowsLongerThanTheModelsContextAreRefused) {
  Request request = world_.Request();
  SpecOf(request).mutable_calibration()->set_files(0, world_.WriteIds("long.safetensors", 1, 513));
  ExpectRefused(request, absl::StatusCode::kInvalidArgument, "INPUT_INVALID",
                {"quantization_job.spec.calibration", "513", "512"});
}

TEST_F(SubmissionTest, APathOutsideTheRootsIsRefused) {
  JobsOptions options;
  options.input_roots = {world_.folder()};
  JobWorld world(options);
  Request request = world_.Request();
  ExpectRefused(world, request, absl::StatusCode::kPermissionDenied, "PATH_NOT_ALLOWED",
                {"quantization_job.spec.model", "--input-roots"});
  const std::string model = CopyModel();
  SpecOf(request).set_model(model);
  SpecOf(request).mutable_calibration()->set_files(0, "/etc/passwd");
  ExpectRefused(world, request, absl::StatusCode::kPermissionDenied, "PATH_NOT_ALLOWED",
                {"quantization_job.spec.calibration.files[0]"});
  SpecOf(request).mutable_calibration()->set_files(0, world_.folder() + "/../../etc/passwd");
  ExpectRefused(world, request, absl::StatusCode::kPermissionDenied, "PATH_NOT_ALLOWED", {});

  request = world_.Request();
  SpecOf(request).set_model(model);
  EXPECT_THAT(Create(world, request), IsOk());
}

TEST_F(SubmissionTest, AModelThatLinksOutOfTheRootsIsRefused) {
  const std::string model = CopyModel();
  fs::remove(model + "/tokenizer.json");
  fs::create_symlink(DataPath("demo-llama/tokenizer.json"), model + "/tokenizer.json");
  JobsOptions options;
  options.input_roots = {world_.folder()};
  JobWorld world(options);
  Request request = world_.Request();
  SpecOf(request).set_model(model);
  ExpectRefused(world, request, absl::StatusCode::kPermissionDenied, "PATH_NOT_ALLOWED",
                {"quantization_job.spec.model", "tokenizer.json"});
}

TEST_F(SubmissionTest, AJobTooBigForEveryWorkerIsRefused) {
  FakeWorker worker("small");
  worker.set_memory(1 << 20);
  ASSERT_THAT(worker.Idle(world_.system()), IsOk());
  ExpectRefused(world_.Request(), absl::StatusCode::kResourceExhausted, "WORKER_MEMORY",
                {"memory", "1048576"});
  FakeWorker gpu("gpu");
  gpu.set_device("cuda:0");
  gpu.set_memory(1 << 20);
  ASSERT_THAT(gpu.Idle(world_.system()), IsOk());
  ExpectRefused(world_.Request(), absl::StatusCode::kResourceExhausted, "WORKER_MEMORY",
                {"on a GPU"});
  FakeWorker large("large");
  ASSERT_THAT(large.Idle(world_.system()), IsOk());
  EXPECT_THAT(Create(world_.Request()), IsOk());
}

TEST_F(SubmissionTest, AWorkerThatDoesNotReportItsMemoryMayBeLargeEnough) {
  FakeWorker small("small");
  small.set_memory(1 << 20);
  FakeWorker unknown("unknown");
  unknown.set_memory(0);
  ASSERT_THAT(small.Idle(world_.system()), IsOk());
  ASSERT_THAT(unknown.Idle(world_.system()), IsOk());
  EXPECT_THAT(Create(world_.Request()), IsOk());
}

TEST_F(SubmissionTest, AJobThatDoesNotFitOnTheDiskIsRefused) {
  JobsOptions options;
  options.reserved_free_bytes = int64_t{1} << 50;
  JobWorld world(options);
  ExpectRefused(world, world.Request(), absl::StatusCode::kResourceExhausted, "DISK_FULL",
                {"disk"});
}

TEST_F(SubmissionTest, ADiskThatFillsUpMeanwhileLeavesNothing) {
  JobWorld world(JobsOptions(), {.store = nullptr, .blobs = [](BlobStore& blobs) {
                                   return std::make_unique<FailingBlobStore>(
                                       blobs, [](absl::string_view key) {
                                         return absl::StrContains(key, "evaluation")
                                                    ? absl::ResourceExhaustedError("no space left")
                                                    : absl::OkStatus();
                                       });
                                 }});
  Request request = world.Request();
  SpecOf(request).mutable_evaluation()->add_files(world.folder() + "/evaluation.safetensors");
  ExpectRefused(world, request, absl::StatusCode::kResourceExhausted, "DISK_FULL",
                {"no space left"});
}

TEST_F(SubmissionTest, APathThatLeadsToANameThatIsNotUtf8IsRefused) {
  const std::string folder = world_.folder() + "/mod\xE8le";
  fs::copy(DataPath("demo-llama"), folder, fs::copy_options::recursive);
  fs::create_symlink(folder, world_.folder() + "/link");
  Request request = world_.Request();
  SpecOf(request).set_model(world_.folder() + "/link");
  ExpectRefused(request, absl::StatusCode::kInvalidArgument, "INPUT_INVALID",
                {"quantization_job.spec.model", "mod\xEF\xBF\xBDle", "not UTF-8"});
  fs::copy_file(world_.folder() + "/calibration.safetensors", folder + "/ids.safetensors");
  fs::create_symlink(folder + "/ids.safetensors", world_.folder() + "/ids.safetensors");
  request = world_.Request();
  SpecOf(request).mutable_calibration()->set_files(0, world_.folder() + "/ids.safetensors");
  ExpectRefused(request, absl::StatusCode::kInvalidArgument, "INPUT_INVALID",
                {"quantization_job.spec.calibration.files[0]", "not UTF-8"});
}

TEST_F(SubmissionTest, NobodyWaitingEndsItBetweenDocumentsAndLeavesNothing) {
  std::string lines;
  for (int i = 0; i < 100; ++i) lines += "{\"text\": \"The quick brown fox jumps.\"}\n";
  const Request request = TextRequest(WriteText("text.jsonl", lines));
  int asked = 0;
  const auto wanted_until = [&asked](int last) {
    asked = 0;
    return [&asked, last]() -> absl::Status {
      return ++asked > last ? absl::CancelledError("the client has gone") : absl::OkStatus();
    };
  };
  for (const int last : {0, 50}) {
    EXPECT_EQ(world_.system().submission().Create(request, wanted_until(last)).status(),
              absl::CancelledError("the client has gone"));
    EXPECT_LT(asked, 100);
    EXPECT_THAT(world_.BlobKeys(), IsEmpty());
  }
  // The last question comes before the job is made.
  ASSERT_THAT(world_.system().submission().Create(request, wanted_until(1000)), IsOk());
  const int questions = asked;
  EXPECT_GT(questions, 100);
  const auto blobs = world_.BlobKeys();
  EXPECT_THAT(world_.system().submission().Create(request, wanted_until(questions - 1)),
              IsError(absl::StatusCode::kCancelled, _));
  EXPECT_EQ(world_.BlobKeys(), blobs);
}

TEST_F(SubmissionTest, ARequestIdStandsForWhatIsAskedForHoweverItIsSpelt) {
  Request request = world_.Request();
  request.set_request_id("r");
  const auto first = Create(request);
  ASSERT_THAT(first, IsOk());
  request.set_parent("namespaces/default");
  request.mutable_quantization_job()->set_name("ignored, as it is output only");
  request.mutable_quantization_job()->set_state(v1::QuantizationJob::FAILED);
  const auto again = Create(request);
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->name(), first->name());
  (*request.mutable_quantization_job()->mutable_labels())["a"] = "b";
  EXPECT_EQ(ReasonOf(Create(request).status()), "REQUEST_ID_REUSED");
}

}  // namespace
}  // namespace tern
