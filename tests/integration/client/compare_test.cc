#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proto/service/error_details.h"
#include "tests/integration/client/run_tern.h"
#include "tests/integration/client/scripted_server.h"
#include "tests/temp_dir.h"

namespace tern {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;
using v1::QuantizationJob;

// Jobs "a" and "b", of perplexities 50 and 60.
Script TwoJobs() {
  Script script = SucceededJob(1);
  for (const auto& [name, perplexity] : {std::pair("a", 50.0), {"b", 60.0}}) {
    QuantizationJob& job = script.compared[name];
    job = script.job;
    job.set_name(absl::StrCat("namespaces/default/quantizationJobs/", name));
    job.mutable_report()->mutable_perplexity()->set_quantized(perplexity);
  }
  return script;
}

Outcome Compare(const ScriptedServer& server, const std::vector<std::string>& more,
                const std::vector<std::string>& specs = {
                    "a: method=pt2llm gptaq=0", "b: method=twla activation_bits=auto beta=0.25"}) {
  std::vector<std::string> words = {"compare", "/m"};
  words.insert(words.end(), specs.begin(), specs.end());
  words.insert(words.end(), {"--calibration", "/c", "--eval", "/e", "--server", server.address()});
  words.insert(words.end(), more.begin(), more.end());
  return RunTern(words);
}

std::string ContentOf(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

TEST(CompareTest, EverySpecIsAJobAndARow) {
  const ScriptedServer server(TwoJobs());
  const Outcome run = Compare(server, {"--request-id", "cmp", "--seed", "7"});
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("| full precision | 27.000 |"));
  EXPECT_THAT(run.out, HasSubstr("| a | 50.000 |"));
  EXPECT_THAT(run.out, HasSubstr("| b | 60.000 |"));
  EXPECT_THAT(run.err, HasSubstr("[2/2] b: namespaces/default/quantizationJobs/b\n"));

  // All are validated before the first is made.
  const auto created = server.created();
  ASSERT_EQ(created.size(), 4U);
  EXPECT_TRUE(created[0].validate_only());
  EXPECT_TRUE(created[1].validate_only());
  EXPECT_FALSE(created[2].validate_only());
  EXPECT_EQ(created[2].quantization_job().labels().at("comparison"), "cmp");
  EXPECT_EQ(created[2].quantization_job().labels().at("comparison-spec"), "a");
  EXPECT_TRUE(created[2].quantization_job().spec().has_pt2llm());
  const v1::QuantizationSpec& spec = created[3].quantization_job().spec();
  EXPECT_EQ(spec.twla().mixed_activations().beta(), 0.25);
  EXPECT_EQ(spec.seed(), 7U);
  EXPECT_EQ(spec.evaluation().files(0), "/e");
}

TEST(CompareTest, TheSameSpecHasTheSameRequestIdWhateverItIsComparedWith) {
  const ScriptedServer server(TwoJobs());
  Compare(server, {"--request-id", "cmp"});
  Compare(server, {"--request-id", "cmp"},
          {"c: method=twla", "b: method=twla activation_bits=auto beta=0.25"});
  const auto created = server.created();
  ASSERT_EQ(created.size(), 8U);
  EXPECT_THAT(created[3].request_id(), StartsWith("cmp-"));
  EXPECT_EQ(created[3].request_id(), created[7].request_id());
  EXPECT_NE(created[2].request_id(), created[3].request_id());
  EXPECT_NE(created[2].request_id(), created[6].request_id());
}

TEST(CompareTest, AFailedJobHasARowAndTheExitCode) {
  Script script = TwoJobs();
  QuantizationJob& job = script.compared["a"];
  job.set_state(QuantizationJob::FAILED);
  job.clear_report();
  job.mutable_error()->set_message("no factor");
  const ScriptedServer server(script);
  const Outcome run = Compare(server, {});
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.out, HasSubstr("| a | failed: no factor |"));
  EXPECT_THAT(run.out, HasSubstr("| b | 60.000 |"));
  EXPECT_THAT(run.err, HasSubstr("1 of 2 jobs did not succeed"));
}

TEST(CompareTest, JsonAndFilesSayTheSame) {
  const ScriptedServer server(TwoJobs());
  const TempDir dir;
  const Outcome run = Compare(server, {"--output", "json", "--file", dir.File("table")});
  EXPECT_EQ(run.code, 0) << run.err;
  const json rows = json::parse(run.out)["rows"];
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[2]["name"], "b");
  EXPECT_EQ(rows[2]["perplexity"], 60);
  EXPECT_EQ(ContentOf(dir.File("table.json")), run.out);
  EXPECT_THAT(ContentOf(dir.File("table.md")), HasSubstr("| b | 60.000 |"));
}

TEST(CompareTest, NothingIsStartedWhenOneSpecIsRefused) {
  Script script = TwoJobs();
  script.create_error_of = "b";
  script.create_error = InvalidField("quantization_job.spec.twla.mixed_activations.beta", "is 9");
  const ScriptedServer server(script);
  const Outcome run = Compare(server, {});
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.err, HasSubstr("SPEC \"b\" is refused; nothing was started"));
  EXPECT_THAT(run.err, HasSubstr("--set beta: is 9"));
  for (const auto& request : server.created()) EXPECT_TRUE(request.validate_only());
}

TEST(CompareTest, AWaitThatEndsSaysHowToGoOn) {
  Script script = TwoJobs();
  script.hang = true;
  const ScriptedServer server(script);
  const Outcome run = Compare(server, {"--request-id", "cmp", "--timeout", "0.2"});
  EXPECT_EQ(run.code, 5);
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(run.err, HasSubstr("--request-id cmp\n"));
  EXPECT_THAT(run.err, HasSubstr("tern jobs cancel namespaces/default/quantizationJobs/a "));
  EXPECT_THAT(run.err, HasSubstr("tern jobs cancel namespaces/default/quantizationJobs/b "));
}

TEST(CompareTest, SpecsThatCannotBeReadAreRefusedBeforeAnyCall) {
  const ScriptedServer server(TwoJobs());
  for (const std::vector<std::string>& specs :
       std::vector<std::vector<std::string>>{{"a: rotation=none"},
                                             {"a: method=gptq"},
                                             {"a: method=twla beta=1"},
                                             {"a: method=twla", "a: method=pt2llm"}}) {
    const Outcome run = Compare(server, {}, specs);
    EXPECT_EQ(run.code, 2) << run.err;
  }
  EXPECT_EQ(Compare(server, {"--label", "comparison=x"}).code, 2);
  EXPECT_TRUE(server.created().empty());
}

TEST(CompareTest, WithoutAnEvaluationThereIsNothingToCompare) {
  const ScriptedServer server(TwoJobs());
  const Outcome run = RunTern(
      {"compare", "/m", "method=pt2llm", "--calibration", "/c", "--server", server.address()});
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.err, HasSubstr("--eval FILE is missing"));
}

}  // namespace
}  // namespace tern
