#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
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
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST(SubmitTest, SendsEverythingThatWasAskedFor) {
  const ScriptedServer server(SucceededJob(1));
  const Outcome run = RunTern({"submit",         "models/demo/",
                               "--server",       server.address(),
                               "--method",       "pt2llm",
                               "--set",          "compensation=released",
                               "--set",          "group_size=64",
                               "--shards",       "2",
                               "--calibration",  "a.txt",
                               "--calibration",  "/b.txt",
                               "--samples",      "16",
                               "--seq-len",      "512",
                               "--seed",         "7",
                               "--eval",         "c.txt",
                               "--eval-window",  "256",
                               "--eval-windows", "9",
                               "--text-field",   "body",
                               "--request-id",   "r1",
                               "--job-id",       "demo",
                               "--namespace",    "team",
                               "--label",        "a=b"});
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(run.out, "namespaces/default/quantizationJobs/demo\n");
  ASSERT_EQ(server.created().size(), 1u);
  const v1::CreateQuantizationJobRequest request = server.created()[0];
  const v1::QuantizationSpec& spec = request.quantization_job().spec();
  const std::string here = std::filesystem::current_path().string();
  EXPECT_EQ(request.parent(), "namespaces/team");
  EXPECT_EQ(request.request_id(), "r1");
  EXPECT_EQ(request.quantization_job_id(), "demo");
  EXPECT_FALSE(request.validate_only());
  EXPECT_EQ(request.quantization_job().labels().at("a"), "b");
  EXPECT_EQ(spec.model(), here + "/models/demo");
  EXPECT_EQ(spec.pt2llm().group_size(), 64);
  EXPECT_EQ(spec.pt2llm().compensation(), v1::Pt2LlmMethod::COMPENSATION_RELEASED);
  EXPECT_EQ(spec.shards(), 2);
  EXPECT_EQ(spec.seed(), 7u);
  EXPECT_THAT(spec.calibration().files(), ElementsAre(here + "/a.txt", "/b.txt"));
  EXPECT_EQ(spec.calibration().samples(), 16);
  EXPECT_EQ(spec.calibration().sequence_length(), 512);
  EXPECT_EQ(spec.calibration().text_field(), "body");
  EXPECT_THAT(spec.evaluation().files(), ElementsAre(here + "/c.txt"));
  EXPECT_EQ(spec.evaluation().window_length(), 256);
  EXPECT_EQ(spec.evaluation().windows(), 9);
}

TEST(SubmitTest, WithoutEvalAsksForNoEvaluationAndMakesItsOwnRequestId) {
  const ScriptedServer server(SucceededJob(1));
  const std::vector<std::string> words = {"submit",   "/m",     "--server",      server.address(),
                                          "--method", "pt2llm", "--calibration", "/c"};
  EXPECT_EQ(RunTern(words).code, 0);
  EXPECT_EQ(RunTern(words).code, 0);
  ASSERT_EQ(server.created().size(), 2u);
  EXPECT_FALSE(server.created()[0].quantization_job().spec().has_evaluation());
  EXPECT_FALSE(server.created()[0].request_id().empty());
  EXPECT_NE(server.created()[0].request_id(), server.created()[1].request_id());
}

TEST(SubmitTest, RefusedRequestExitsWithUsageAndNamesTheFlag) {
  Script script = SucceededJob(1);
  script.create_error = InvalidField("quantization_job.spec.shards", "at most 6, one per block");
  const ScriptedServer server(script);
  const TempDir dir;
  const Outcome run = RunTern({"submit", "/m", "--server", server.address(), "--method", "pt2llm",
                               "--calibration", "/c", "--shards", "9", "--out", dir.File("out")});
  EXPECT_EQ(run.code, 2);
  EXPECT_EQ(run.out, "");
  EXPECT_EQ(run.err, "tern: --shards: at most 6, one per block\n");
  EXPECT_FALSE(std::filesystem::exists(dir.File("out")));
}

TEST(SubmitTest, JsonErrorIsTheLastLineOfStderr) {
  Script script = SucceededJob(1);
  script.create_error = absl::NotFoundError("/m: no such folder");
  const ScriptedServer server(script);
  const Outcome run = RunTern({"submit", "/m", "--server", server.address(), "--method", "pt2llm",
                               "--calibration", "/c", "--output", "json"});
  EXPECT_EQ(run.code, 2);
  const json error = json::parse(run.err);
  EXPECT_EQ(error["error"]["code"], "NOT_FOUND");
  EXPECT_EQ(error["exit_code"], 2);
}

TEST(SubmitTest, ValidateOnlyStartsNothingToWaitFor) {
  const ScriptedServer server(SucceededJob(1));
  const Outcome run = RunTern({"submit", "/m", "--server", server.address(), "--method", "pt2llm",
                               "--calibration", "/c", "--validate-only"});
  EXPECT_EQ(run.code, 0);
  EXPECT_THAT(run.out, HasSubstr("valid: "));
  EXPECT_TRUE(server.created()[0].validate_only());
}

TEST(SubmitTest, OptionsThatContradictEachOtherAreRefusedBeforeAnyCall) {
  const ScriptedServer server(SucceededJob(1));
  const std::vector<std::string> base = {"submit",   "/m",     "--server",      server.address(),
                                         "--method", "pt2llm", "--calibration", "/c"};
  const std::vector<std::vector<std::string>> additions = {
      {"--eval-window", "3"},          {"--eval-windows", "3"},           {"--timeout", "3"},
      {"--validate-only", "--follow"}, {"--validate-only", "--out", "x"}, {"--label", "x"}};
  for (const auto& addition : additions) {
    std::vector<std::string> words = base;
    words.insert(words.end(), addition.begin(), addition.end());
    EXPECT_EQ(RunTern(words).code, 2) << addition[0];
  }
  EXPECT_TRUE(server.created().empty());
}

TEST(SubmitTest, NonEmptyFolderIsRefusedBeforeAnyCall) {
  const ScriptedServer server(SucceededJob(1));
  const TempDir dir;
  std::ofstream(dir.File("mine")) << "x";
  const Outcome run = RunTern({"submit", "/m", "--server", server.address(), "--method", "pt2llm",
                               "--calibration", "/c", "--out", dir.path()});
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.err, HasSubstr("is not empty"));
  EXPECT_TRUE(server.created().empty());
}

TEST(CommandsTest, NoServerIsUnavailable) {
  int port = 0;
  {
    const ScriptedServer server(SucceededJob(1));
    port = server.port();
  }
  const Outcome run = RunTern({"jobs", "list", "--server", absl::StrCat("127.0.0.1:", port)});
  EXPECT_EQ(run.code, 3);
  EXPECT_THAT(run.err,
              HasSubstr(absl::StrCat("tern-server at 127.0.0.1:", port, " cannot be reached")));
}

TEST(CommandsTest, ListReadsAllPages) {
  Script script = SucceededJob(1);
  for (int i = 0; i < 5; ++i) {
    v1::QuantizationJob job;
    job.set_name(absl::StrCat("namespaces/team/quantizationJobs/j", i));
    script.listed.push_back(job);
  }
  const ScriptedServer server(script);
  const Outcome run = RunTern({"jobs", "list", "--server", server.address(), "--namespace", "team",
                               "--filter", "state = PENDING", "--output", "json"});
  EXPECT_EQ(run.code, 0);
  const json jobs = json::parse(run.out)["quantization_jobs"];
  ASSERT_EQ(jobs.size(), 5u);
  EXPECT_EQ(jobs[4]["name"], "namespaces/team/quantizationJobs/j4");
  ASSERT_EQ(server.list_requests().size(), 3u);
  for (const auto& request : server.list_requests()) {
    EXPECT_EQ(request.parent(), "namespaces/team");
    EXPECT_EQ(request.filter(), "state = PENDING");
  }
}

TEST(CommandsTest, ListStopsAtItsLimit) {
  Script script = SucceededJob(1);
  script.listed.resize(5);
  const ScriptedServer server(script);
  const Outcome run =
      RunTern({"jobs", "list", "--server", server.address(), "--limit", "3", "--output", "json"});
  EXPECT_EQ(json::parse(run.out)["quantization_jobs"].size(), 3u);
  EXPECT_EQ(server.list_requests().size(), 2u);
}

TEST(CommandsTest, GetShowsAJobByItsBareId) {
  const ScriptedServer server(SucceededJob(1));
  const Outcome run = RunTern({"jobs", "get", "demo", "--server", server.address()});
  EXPECT_EQ(run.code, 0);
  EXPECT_THAT(run.out, HasSubstr("State               SUCCEEDED"));
}

TEST(CommandsTest, GetOfAnUnknownJobIsAUsageError) {
  const ScriptedServer server(SucceededJob(1));
  const Outcome run = RunTern({"jobs", "get", "other", "--server", server.address()});
  EXPECT_EQ(run.code, 2);
  EXPECT_EQ(run.err, "tern: namespaces/default/quantizationJobs/other: no such job\n");
}

TEST(CommandsTest, CancelAndDeleteNameTheJob) {
  const ScriptedServer server(SucceededJob(1));
  EXPECT_EQ(RunTern({"jobs", "cancel", "demo", "--server", server.address()}).out,
            "namespaces/default/quantizationJobs/demo CANCELLED\n");
  EXPECT_EQ(RunTern({"jobs", "delete", "x", "--namespace", "n", "--server", server.address()}).code,
            0);
  EXPECT_THAT(server.changed(), ElementsAre("namespaces/default/quantizationJobs/demo",
                                            "namespaces/n/quantizationJobs/x"));
}

TEST(CommandsTest, WorkersAreListed) {
  Script script = SucceededJob(1);
  v1::Worker worker;
  worker.set_id("w-1");
  worker.set_device("cpu");
  worker.set_state(v1::Worker::BUSY);
  script.workers.push_back(worker);
  const ScriptedServer server(script);
  const Outcome run = RunTern({"workers", "list", "--server", server.address()});
  EXPECT_THAT(run.out, HasSubstr("w-1"));
  EXPECT_THAT(run.out, HasSubstr("BUSY"));
  const Outcome as_json =
      RunTern({"workers", "list", "--server", server.address(), "--output", "json"});
  EXPECT_EQ(json::parse(as_json.out)["workers"][0]["device"], "cpu");
}

TEST(CommandsTest, ServerAddressComesFromTheEnvironment) {
  const ScriptedServer server(SucceededJob(1));
  ASSERT_EQ(setenv("TERN_SERVER", server.address().c_str(), 1), 0);
  const Outcome run = RunTern({"jobs", "get", "demo"});
  unsetenv("TERN_SERVER");
  EXPECT_EQ(run.code, 0);
}

TEST(CommandsTest, AServerWithoutAPortIsRefusedByTheNameItWasGivenBy) {
  const TempDir dir;
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"jobs", "list"},
           {"jobs", "get", "demo"},
           {"jobs", "watch", "demo"},
           {"jobs", "cancel", "demo"},
           {"jobs", "delete", "demo"},
           {"workers", "list"},
           {"server", "info"},
           {"download", "demo", "--out", dir.File("out")},
           {"submit", "/m", "--method", "pt2llm", "--calibration", "/c", "--out", dir.File("out")},
           {"compare", "/m", "method=pt2llm", "--calibration", "/c", "--eval", "/e"}}) {
    std::vector<std::string> flagged = words;
    flagged.insert(flagged.end(), {"--server", "localhost"});
    const Outcome run = RunTern(flagged);
    EXPECT_EQ(run.code, 2) << words[0];
    EXPECT_EQ(run.err, "tern: --server: \"localhost\" is not HOST:PORT: the port is missing\n");
    EXPECT_FALSE(std::filesystem::exists(dir.File("out"))) << words[0];
  }
  ASSERT_EQ(setenv("TERN_SERVER", "localhost", 1), 0);
  const Outcome run = RunTern({"jobs", "list"});
  unsetenv("TERN_SERVER");
  EXPECT_EQ(run.err, "tern: TERN_SERVER: \"localhost\" is not HOST:PORT: the port is missing\n");
}

TEST(CommandsTest, HelpOfEveryCommandNamesIt) {
  for (const Command& command : Commands()) {
    std::vector<std::string> words = {"help"};
    std::istringstream name(command.syntax.name);
    for (std::string word; name >> word;) words.push_back(word);
    const Outcome run = RunTern(words);
    EXPECT_EQ(run.code, 0);
    EXPECT_THAT(run.out, HasSubstr("Usage: tern " + command.syntax.name));
    EXPECT_THAT(RunTern({"help"}).out, HasSubstr("  " + command.syntax.name + " "));
  }
}

TEST(CommandsTest, UnknownCommandSuggestsANearOne) {
  const Outcome run = RunTern({"sumbit"});
  EXPECT_EQ(run.code, 2);
  EXPECT_EQ(run.err, "tern: unknown command \"sumbit\"; did you mean `tern submit`?\n");
}

TEST(CommandsTest, NoCommandShowsHelpOnStderr) {
  const Outcome run = RunTern({});
  EXPECT_EQ(run.code, 2);
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(run.err, HasSubstr("Usage: tern COMMAND"));
}

TEST(EvalTest, WhatTheWorkerProgramRefusesIsAnErrorOfThisOne) {
  const TempDir dir;
  const std::vector<std::string> words = {"eval", dir.File("missing"), "--text",
                                          dir.File("text.txt")};
  const Outcome text = RunTern(words);
  EXPECT_EQ(text.code, 2);
  EXPECT_THAT(text.err, StartsWith("tern: "));
  EXPECT_THAT(text.err, HasSubstr(dir.File("missing")));

  std::vector<std::string> with_json = words;
  with_json.insert(with_json.end(), {"--output", "json"});
  const Outcome run = RunTern(with_json);
  EXPECT_EQ(run.code, 2);
  EXPECT_EQ(run.out, "");
  const json error = json::parse(run.err);
  EXPECT_THAT(error["error"]["message"].get<std::string>(), HasSubstr(dir.File("missing")));
  EXPECT_EQ(error["exit_code"], 2);
}

}  // namespace
}  // namespace tern
