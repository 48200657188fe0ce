#include "server/jobs/finalizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "checkpoint/digest.h"
#include "checkpoint/manifest.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/jobs/failing_blob_store.h"
#include "tests/unit/jobs/fake_worker.h"
#include "tests/unit/jobs/job_world.h"

namespace tern {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

v1::CreateQuantizationJobRequest EvaluatedRequest(const JobWorld& world) {
  v1::CreateQuantizationJobRequest request = world.Request();
  v1::QuantizationSpec& spec = *request.mutable_quantization_job()->mutable_spec();
  spec.mutable_evaluation()->add_files(world.folder() + "/evaluation.safetensors");
  return request;
}

std::string Content(JobWorld& world, const std::string& job, const std::string& path) {
  for (const FileRecord& file : world.Files(job)) {
    if (file.path == path) return world.BlobContent(file.blob_key);
  }
  ADD_FAILURE() << job << " has no " << path;
  return "";
}

TEST(FinalizerTest, AFinishedJobHasEveryFileTheReportLast) {
  JobWorld world;
  const std::string job = world.Create().name();
  ASSERT_TRUE(RunAll(world.system()));
  std::vector<std::string> paths;
  int64_t index = 0;
  for (const FileRecord& file : world.Files(job)) {
    EXPECT_EQ(file.index, ++index);
    const std::string content = world.BlobContent(file.blob_key);
    EXPECT_EQ(file.size, static_cast<int64_t>(content.size()));
    EXPECT_EQ(file.sha256, Sha256Hex(content));
    paths.push_back(file.path);
  }
  EXPECT_THAT(paths, ElementsAre("tern-block-00000.safetensors", "tern-block-00001.safetensors",
                                 "tern-block-00002.safetensors", "tern-block-00003.safetensors",
                                 "config.json", "model.safetensors.index.json",
                                 "tern-unquantized.safetensors", "tokenizer.json", "README.md",
                                 "tern-manifest.json", "tern-report.json"));
  EXPECT_EQ(world.Get(job).state(), v1::QuantizationJob::SUCCEEDED);
  EXPECT_EQ(world.Get(job).progress().fraction(), 1);
  EXPECT_EQ(world.observer().Counted("job ended 3"), 1);
}

TEST(FinalizerTest, TheInputsGoWithSuccess) {
  JobWorld world;
  const std::string job = world.Create(EvaluatedRequest(world)).name();
  EXPECT_THAT(world.BlobKeys(), SizeIs(2));
  ASSERT_TRUE(RunAll(world.system()));
  EXPECT_EQ(world.BlobKeys().size(), world.Files(job).size());
}

TEST(FinalizerTest, TheReportHasTheNamesScriptsRelyOn) {
  JobWorld world;
  const std::string job = world.Create(EvaluatedRequest(world)).name();
  world.clock().Advance(absl::Seconds(90));
  ASSERT_TRUE(RunAll(world.system()));
  const auto report = nlohmann::json::parse(Content(world, job, "tern-report.json"));
  EXPECT_DOUBLE_EQ(report["perplexity"]["full_precision"], std::exp(2.0));
  EXPECT_DOUBLE_EQ(report["perplexity"]["quantized"], std::exp(3.0));
  EXPECT_DOUBLE_EQ(report["kl_divergence"], 0.5);
  EXPECT_DOUBLE_EQ(report["bits_per_weight"]["quantized_layers"], 1.85);
  EXPECT_DOUBLE_EQ(report["bits_per_weight"]["model"], 3.5);
  EXPECT_DOUBLE_EQ(report["seconds"]["total"], 90);
  EXPECT_DOUBLE_EQ(report["seconds"]["fit"], 4 * 2);
  EXPECT_DOUBLE_EQ(report["seconds"]["evaluate"], 4);
  EXPECT_EQ(report["digest"], std::string(64, 'e'));
  EXPECT_NE(report["version"], "");
  EXPECT_EQ(report["job"], job);
  EXPECT_EQ(report["devices"], nlohmann::json::array({"cpu"}));
  EXPECT_EQ(report["spec"]["pt2llm"]["group_size"], 128);
  EXPECT_EQ(report["model"]["digest"], std::string(64, 'd'));
  EXPECT_EQ(report["blocks"].size(), 4U);

  const v1::JobReport shown = world.Get(job).report();
  EXPECT_EQ(shown.blocks_size(), 4);
  EXPECT_EQ(shown.perplexity().tokens(), 3 * 31);
}

TEST(FinalizerTest, AJobWithoutEvaluationReportsNone) {
  JobWorld world;
  const std::string job = world.Create().name();
  ASSERT_TRUE(RunAll(world.system()));
  const auto report = nlohmann::json::parse(Content(world, job, "tern-report.json"));
  EXPECT_FALSE(report.contains("perplexity"));
  EXPECT_FALSE(report.contains("kl_divergence"));
  EXPECT_THAT(Content(world, job, "README.md"), HasSubstr("not evaluated"));
}

TEST(FinalizerTest, TheManifestNamesAllButItselfAndTheReport) {
  JobWorld world;
  const std::string job = world.Create().name();
  ASSERT_TRUE(RunAll(world.system()));
  auto manifest = ParseManifest(Content(world, job, "tern-manifest.json"));
  ASSERT_THAT(manifest, IsOk());
  for (const FileRecord& file : world.Files(job)) {
    if (file.path == "tern-manifest.json" || file.path == "tern-report.json") continue;
    EXPECT_EQ((*manifest)[file.path], (FileDigest{file.size, file.sha256})) << file.path;
    manifest->erase(file.path);
  }
  EXPECT_TRUE(manifest->empty());
}

TEST(FinalizerTest, EqualSpecsGiveEqualBytesButForTheReport) {
  JobWorld world;
  const std::string first = world.Create(EvaluatedRequest(world)).name();
  ASSERT_TRUE(RunAll(world.system(), "one-worker"));
  world.clock().Advance(absl::Hours(1));
  const std::string second = world.Create(EvaluatedRequest(world)).name();
  ASSERT_TRUE(RunAll(world.system(), "another-worker"));
  EXPECT_EQ(Content(world, first, "README.md"), Content(world, second, "README.md"));
  EXPECT_EQ(Content(world, first, "tern-manifest.json"),
            Content(world, second, "tern-manifest.json"));
  EXPECT_THAT(Content(world, first, "README.md"), Not(HasSubstr(world.folder())));
}

TEST(FinalizerTest, AFullDiskDelaysTheEndAndNoMore) {
  bool full = false;
  JobWorld world(JobsOptions(), {.store = nullptr, .blobs = [&full](BlobStore& blobs) {
                                   return std::make_unique<FailingBlobStore>(
                                       blobs, [&full](absl::string_view) {
                                         return full ? absl::ResourceExhaustedError("no space left")
                                                     : absl::OkStatus();
                                       });
                                 }});
  const std::string job = world.Create().name();
  FakeWorker worker("w");
  ASSERT_THAT(worker.Idle(world.system()), IsOk());
  while (worker.task_name() != "assemble") ASSERT_THAT(worker.Finish(world.system()), IsOk());
  ASSERT_THAT(worker.UploadFiles(world.system()), IsOk());
  full = true;
  ASSERT_THAT(worker.Complete(world.system()), IsOk());
  EXPECT_EQ(world.Get(job).state(), v1::QuantizationJob::RUNNING);
  EXPECT_THAT(world.observer().problems(), ElementsAre(HasSubstr("no space left")));
  world.system().Maintain();
  EXPECT_EQ(world.Get(job).state(), v1::QuantizationJob::RUNNING);
  full = false;
  world.system().Maintain();
  EXPECT_EQ(world.Get(job).state(), v1::QuantizationJob::SUCCEEDED);
  EXPECT_EQ(world.BlobKeys().size(), world.Files(job).size());
}

}  // namespace
}  // namespace tern
