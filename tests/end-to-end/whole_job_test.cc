// A job from submission to a verified checkpoint on disk, through the programs as they are shipped.

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "checkpoint/digest.h"
#include "checkpoint/packed_checkpoint.h"
#include "checkpoint/packed_digest.h"
#include "tests/end-to-end/running_service.h"
#include "tests/shared_data.h"
#include "tests/temp_dir.h"

namespace tern {
namespace {

using nlohmann::json;

// Runs a command line of `tern`; its exit code.
int Tern(const std::string& arguments, const std::string& output) {
  const std::string command = absl::StrCat(Program("tern"), " ", arguments, " >", output);
  return WEXITSTATUS(std::system(command.c_str()));
}

json ReadJson(const std::string& path) {
  std::ifstream file(path);
  return json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
}

// Submits with the flags of SmallJob, follows, downloads to `out`; the report.
json SubmitAndFollow(RunningService& service, const std::string& out, const std::string& extra) {
  TempDir folder;
  const std::string text = DataPath("sampled.txt");
  const int exit_code =
      Tern(absl::StrCat("submit ", DataPath("demo-llama"), " --server ", service.address(),
                        " --method pt2llm --shards 2 --calibration ", text,
                        " --samples 8 --seq-len 128 --seed 1 --eval ", text,
                        " --eval-window 128 --eval-windows 8 --follow --output json --out ", out,
                        " ", extra),
           folder.File("output"));
  EXPECT_EQ(exit_code, 0);
  return ReadJson(folder.File("output"));
}

TEST(WholeJobTest, TwoWorkersAndOneWriteTheSameBytes) {
  std::map<std::string, FileDigest> first;
  for (const int workers : {2, 1}) {
    RunningService service({.local_workers = workers});
    TempDir folder;
    const std::string out = folder.File("packed");
    const json report = SubmitAndFollow(service, out, "");
    EXPECT_EQ(ReadJson(out + "/tern-report.json").at("digest"), report.at("digest"));

    TempDir output;
    EXPECT_EQ(Tern("verify " + out, output.File("verify")), 0);
    const auto checkpoint = PackedCheckpoint::Open(out);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    EXPECT_EQ(PackedDigest(**checkpoint).value(), report.at("digest"));
    if (first.empty()) first = (*checkpoint)->manifest();
    EXPECT_EQ((*checkpoint)->manifest(), first);
    EXPECT_TRUE(first.contains("README.md"));
    EXPECT_TRUE(first.contains("tern-block-00003.safetensors"));
    EXPECT_TRUE(first.contains("tokenizer.json"));
  }
}

TEST(WholeJobTest, TheReportSaysWhatEvalMeasuresAgain) {
  RunningService service({.local_workers = 1});
  TempDir folder;
  const std::string out = folder.File("packed");
  const json report = SubmitAndFollow(service, out, "");
  EXPECT_LT(report.at("perplexity").at("full_precision").get<double>(),
            report.at("perplexity").at("quantized").get<double>());
  EXPECT_GT(report.at("kl_divergence").get<double>(), 0);
  EXPECT_GT(report.at("seconds").at("total").get<double>(), 0);

  EXPECT_EQ(Tern(absl::StrCat("eval ", out, " --text ", DataPath("sampled.txt"),
                              " --window 128 --windows 8 --against ", DataPath("demo-llama"),
                              " --output json"),
                 folder.File("eval")),
            0);
  const json eval = ReadJson(folder.File("eval"));
  // The same float32 arithmetic on the same machine; sums may be added in another order.
  const double tolerance = 1e-9;
  EXPECT_NEAR(eval.at("full_precision"), report.at("perplexity").at("full_precision"),
              tolerance * eval.at("full_precision").get<double>());
  EXPECT_NEAR(eval.at("perplexity"), report.at("perplexity").at("quantized"),
              tolerance * eval.at("perplexity").get<double>());
  EXPECT_NEAR(eval.at("kl_divergence"), report.at("kl_divergence"),
              tolerance * eval.at("kl_divergence").get<double>());
}

}  // namespace
}  // namespace tern
