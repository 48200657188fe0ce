// What goes wrong once a job runs: it ends with an error that says what to do, and leaves nothing.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/model_folder.h"
#include "tests/end-to-end/running_service.h"
#include "tests/shared_data.h"
#include "tests/temp_dir.h"
#include "tests/unit/blobs/small_disk.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

// Writes the bf16 bits into one element of a tensor of the model in `folder`.
void SetWeight(const std::string& folder, const std::string& tensor, int64_t index, uint16_t bits) {
  const std::string path = folder + "/model.safetensors";
  int64_t position = 0;
  {
    const auto file = SafetensorsReader::Open(path);
    ASSERT_TRUE(file.ok()) << file.status();
    // Data follow the header in the order of their addresses.
    const uint8_t* first = nullptr;
    for (const auto& [name, view] : (*file)->tensors()) {
      if (first == nullptr || view.bytes.data() < first) first = view.bytes.data();
    }
    const int64_t header = static_cast<int64_t>(fs::file_size(path)) - (*file)->data_bytes();
    position = header + ((*file)->Get(tensor)->bytes.data() - first) + 2 * index;
  }
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(position);
  file.write(reinterpret_cast<const char*>(&bits), sizeof bits);
}

TEST(BadInputTest, ANanInTheWeightsFailsTheJobAndIsNamed) {
  TempDir folder;
  const std::string model = folder.File("model");
  fs::copy(DataPath("demo-llama"), model);
  SetWeight(model, "model.layers.2.mlp.down_proj.weight", 17, 0x7fc0);

  RunningService service({.local_workers = 1});
  v1::CreateQuantizationJobRequest request = SmallJob(/*shards=*/1);
  request.mutable_quantization_job()->mutable_spec()->set_model(model);
  const v1::QuantizationJob job = service.AwaitEnd(service.Submit(request));
  EXPECT_EQ(job.state(), v1::QuantizationJob::FAILED);
  EXPECT_EQ(job.error().code(), static_cast<int>(absl::StatusCode::kInvalidArgument));
  EXPECT_TRUE(absl::StrContains(job.error().message(),
                                "model.layers.2.mlp.down_proj.weight: nan at index 17"))
      << job.error().message();
  service.AwaitNoBlobs();
}

TEST(BadInputTest, AModelThatChangesWhileTheJobRunsFailsIt) {
  TempDir folder;
  const std::string model = folder.File("model");
  fs::copy(DataPath("demo-llama"), model);
  RunningService service({.local_workers = 1});
  v1::CreateQuantizationJobRequest request = SmallJob(/*shards=*/1);
  v1::QuantizationSpec& spec = *request.mutable_quantization_job()->mutable_spec();
  spec.set_model(model);
  spec.mutable_calibration()->set_samples(256);  // long enough that it cannot end meanwhile
  const std::string name = service.Submit(request);
  service.AwaitBlockInWork(name);
  SetWeight(model, "model.layers.3.mlp.down_proj.weight", 17, 0x3f80);
  const v1::QuantizationJob job = service.AwaitEnd(name);
  EXPECT_EQ(job.state(), v1::QuantizationJob::FAILED);
  EXPECT_EQ(job.error().code(), static_cast<int>(absl::StatusCode::kFailedPrecondition));
  EXPECT_TRUE(absl::StrContains(job.error().message(), "the model changed while the job ran"))
      << job.error().message();
}

TEST(BadInputTest, ADiskThatFillsUpFailsTheJobAndTheNextFindsRoom) {
  // The server keeps 64 MiB of its disk free for itself.
  SmallDisk disk(int64_t{96} << 20);
  if (!disk.mounted()) GTEST_SKIP() << "needs the right to mount a file system";
  RunningService service({.local_workers = 1, .data = disk.File("data")});
  const std::string name = service.Submit(SmallJob(/*shards=*/1));
  const std::string ballast = disk.File("ballast");
  std::ofstream(ballast) << std::string(size_t{60} << 20, 'x');

  const v1::QuantizationJob job = service.AwaitEnd(name);
  EXPECT_EQ(job.state(), v1::QuantizationJob::FAILED);
  EXPECT_EQ(job.error().code(), static_cast<int>(absl::StatusCode::kResourceExhausted))
      << job.error().message();
  service.AwaitNoBlobs();

  fs::remove(ballast);
  const v1::QuantizationJob next = service.AwaitEnd(service.Submit(SmallJob(/*shards=*/1)));
  EXPECT_EQ(next.state(), v1::QuantizationJob::SUCCEEDED) << next.error().message();
}

}  // namespace
}  // namespace tern
