#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "client/cancellation.h"
#include "client/service_client.h"
#include "tests/integration/client/run_tern.h"
#include "tests/integration/client/scripted_server.h"
#include "tests/temp_dir.h"

namespace tern {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using v1::QuantizationJob;

std::string FileText(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::vector<std::string> SubmitWords(const ScriptedServer& server,
                                     const std::vector<std::string>& more) {
  std::vector<std::string> words = {"submit",   "/m",     "--server",      server.address(),
                                    "--method", "pt2llm", "--calibration", "/c"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Outcome Submit(const ScriptedServer& server, const std::vector<std::string>& more) {
  return RunTern(SubmitWords(server, more));
}

// Every file of the script lies in `folder`, with its bytes, and nothing else.
void ExpectFolderHolds(const std::string& folder, const Script& script) {
  size_t entries = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    ++entries;
    EXPECT_EQ(script.files.count(entry.path().filename().string()), 1u) << entry.path();
  }
  EXPECT_EQ(entries, script.files.size());
  for (const auto& [path, bytes] : script.files) {
    EXPECT_EQ(FileText(folder + "/" + path), bytes) << path;
  }
}

// The last line of stderr, which is JSON.
json LastLine(const std::string& err) {
  const std::vector<std::string> lines = absl::StrSplit(err, '\n', absl::SkipEmpty());
  return json::parse(lines.empty() ? "" : lines.back());
}

TEST(FollowTest, DownloadsShowsProgressAndEndsWithTheReport) {
  const Script script = SucceededJob(3);
  const ScriptedServer server(script);
  const TempDir dir;
  const Outcome run = Submit(server, {"--follow", "--out", dir.File("out")});
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("block 2 (3/3): layer error 0.01, 1.850 bits per weight"));
  EXPECT_THAT(run.err, HasSubstr("received tern-block-00002.safetensors, 1.1 kB\n"));
  EXPECT_THAT(run.out, HasSubstr("Perplexity          27.000 full precision, 146.000 quantized"));
  ExpectFolderHolds(dir.File("out"), script);
}

TEST(FollowTest, JsonIsOneObjectWithNameStateAndReport) {
  const ScriptedServer server(SucceededJob(1));
  const Outcome run = Submit(server, {"--follow", "--output", "json"});
  EXPECT_EQ(run.code, 0);
  const json outcome = json::parse(run.out);
  EXPECT_EQ(outcome["name"], "namespaces/default/quantizationJobs/demo");
  EXPECT_EQ(outcome["state"], "SUCCEEDED");
  EXPECT_EQ(outcome["perplexity"]["quantized"], 146);
}

TEST(FollowTest, WatchThatBreaksGoesOnAfterTheLastEvent) {
  Script script = SucceededJob(4);
  script.break_watch_after = {0, 3, 1, 2};
  const ScriptedServer server(script);
  const Outcome run = Submit(server, {"--follow"});
  EXPECT_EQ(run.code, 0) << run.err;
  std::vector<int64_t> after;
  for (const auto& request : server.watch_requests()) after.push_back(request.after_sequence());
  EXPECT_THAT(after, testing::ElementsAre(0, 0, 2, 2, 3));
  for (int block = 0; block < 4; ++block) {
    const std::string line = absl::StrCat("\nblock ", block, " (");
    EXPECT_NE(run.err.find(line), std::string::npos) << block;
    EXPECT_EQ(run.err.find(line), run.err.rfind(line)) << block;
  }
}

TEST(FollowTest, ThatNoWorkerTakesTheJobIsSaidOnce) {
  Script script = SucceededJob(2);
  script.job.mutable_progress()->mutable_shortage();
  script.break_watch_after = {1, 2};
  const ScriptedServer server(script);
  const std::string line =
      "\nno worker is connected; start one with tern-worker --server HOST:PORT";
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"--follow"}, std::vector<std::string>{}}) {
    const Outcome run = Submit(server, more);
    EXPECT_EQ(run.code, 0) << run.err;
    EXPECT_NE(run.err.find(line), std::string::npos) << run.err;
    EXPECT_EQ(run.err.find(line), run.err.rfind(line)) << run.err;
  }
  const Outcome get = RunTern({"jobs", "get", "demo", "--server", server.address()});
  EXPECT_THAT(get.out, HasSubstr("\nWaiting             no worker is connected; start one"));
}

TEST(FollowTest, DroppedEventsAreSkipped) {
  Script script = SucceededJob(4);
  script.oldest_event = 4;
  const ScriptedServer server(script);
  const Outcome run = Submit(server, {"--follow"});
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(server.watch_requests().back().after_sequence(), 3);
}

TEST(FollowTest, StreamThatBreaksAtAnyByteGivesTheSameFiles) {
  for (const int64_t bytes : {0, 1, 99, 100, 101, 999, 1000, 1001, 1500, 2500}) {
    Script script = SucceededJob(2);
    script.break_stream_after = {bytes, 1, 250};
    const ScriptedServer server(script);
    const TempDir dir;
    const Outcome run = Submit(server, {"--out", dir.path()});
    EXPECT_EQ(run.code, 0) << run.err;
    ExpectFolderHolds(dir.path(), script);
  }
}

TEST(FollowTest, StreamGoesOnWhereItBroke) {
  Script script = SucceededJob(2);
  script.break_stream_after = {1250};
  const ScriptedServer server(script);
  const TempDir dir;
  EXPECT_EQ(Submit(server, {"--out", dir.path()}).code, 0);
  const auto requests = server.stream_requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[1].file_index(), 2);
  EXPECT_EQ(requests[1].offset(), 250);
}

TEST(FollowTest, DamagedPieceIsFetchedAgain) {
  Script script = SucceededJob(2);
  script.corrupt_pieces = 2;
  const ScriptedServer server(script);
  const TempDir dir;
  const Outcome run = Submit(server, {"--out", dir.path()});
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("wrong CRC32C; fetching it again"));
  ExpectFolderHolds(dir.path(), script);
}

TEST(FollowTest, PiecesThatAreAlwaysDamagedAreAnError) {
  Script script = SucceededJob(1);
  script.corrupt_pieces = 1000;
  const ScriptedServer server(script);
  const TempDir dir;
  const Outcome run = Submit(server, {"--out", dir.path()});
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, HasSubstr("wrong CRC32C"));
}

TEST(FollowTest, WrongSha256IsAnError) {
  Script script = SucceededJob(1);
  script.wrong_sha256 = true;
  const ScriptedServer server(script);
  const TempDir dir;
  const Outcome run = Submit(server, {"--out", dir.path()});
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, HasSubstr("SHA-256 of what was received is"));
  EXPECT_FALSE(fs::exists(dir.File("tern-block-00000.safetensors")));
}

TEST(FollowTest, FailedJobExitsOneWithItsErrorAndLeavesNoFiles) {
  Script script = SucceededJob(2);
  script.job.set_state(QuantizationJob::FAILED);
  script.job.clear_report();
  script.job.mutable_error()->set_code(15);
  script.job.mutable_error()->set_message("block 1: no memory");
  script.events.back().mutable_state_changed()->set_state(QuantizationJob::FAILED);
  script.files.erase("tern-manifest.json");
  script.stream_end = absl::AbortedError("the job failed");
  const ScriptedServer server(script);
  const TempDir dir;
  const Outcome run = Submit(server, {"--out", dir.File("out"), "--output", "json"});
  EXPECT_EQ(run.code, 1);
  const json error = LastLine(run.err);
  EXPECT_EQ(error["error"]["code"], "DATA_LOSS");
  EXPECT_EQ(error["error"]["message"],
            "namespaces/default/quantizationJobs/demo failed: block 1: no memory");
  EXPECT_EQ(error["exit_code"], 1);
  EXPECT_EQ(json::parse(run.out)["state"], "FAILED");
  EXPECT_EQ(json::parse(run.out)["error"]["message"], "block 1: no memory");
  EXPECT_FALSE(fs::exists(dir.File("out")));
}

TEST(FollowTest, CancelledJobExitsFour) {
  Script script = SucceededJob(1);
  script.job.set_state(QuantizationJob::CANCELLED);
  script.job.clear_report();
  script.events.back().mutable_state_changed()->set_state(QuantizationJob::CANCELLED);
  const ScriptedServer server(script);
  const Outcome run = Submit(server, {"--follow"});
  EXPECT_EQ(run.code, 4);
  EXPECT_THAT(run.err, HasSubstr("tern: namespaces/default/quantizationJobs/demo was cancelled\n"));
  const json error = LastLine(Submit(server, {"--follow", "--output", "json"}).err);
  EXPECT_EQ(error["error"]["code"], "CANCELLED");
  EXPECT_EQ(error["exit_code"], 4);
}

TEST(FollowTest, FailedJobSaysSoToPeople) {
  Script script = SucceededJob(1);
  script.job.set_state(QuantizationJob::FAILED);
  script.job.clear_report();
  script.job.mutable_error()->set_code(15);
  script.job.mutable_error()->set_message("block 1: no memory");
  script.events.back().mutable_state_changed()->set_state(QuantizationJob::FAILED);
  const ScriptedServer server(script);
  const Outcome run = Submit(server, {"--follow"});
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, HasSubstr("tern: namespaces/default/quantizationJobs/demo failed: block 1: "
                                 "no memory\n"));
}

TEST(FollowTest, TheQuestionHowAJobEndedIsCancelledToo) {
  Script script = SucceededJob(1);
  script.hang_get = true;
  const ScriptedServer server(script);
  ServiceClient client(server.address());
  Cancellation cancellation;
  std::thread canceller([&] { cancellation.Cancel(); });
  EXPECT_EQ(client.Get(script.job.name(), &cancellation).status().code(),
            absl::StatusCode::kCancelled);
  canceller.join();
}

TEST(FollowTest, TimeoutExitsFiveAndSaysHowToGoOn) {
  Script script = SucceededJob(1);
  script.hang = true;
  script.events.clear();
  const ScriptedServer server(script);
  const TempDir dir;
  const Outcome run =
      Submit(server, {"--out", dir.File("out"), "--timeout", "0.3", "--output", "json"});
  EXPECT_EQ(run.code, 5);
  EXPECT_THAT(run.err, HasSubstr(absl::StrCat("tern download namespaces/default/quantizationJobs/"
                                              "demo --out ",
                                              dir.File("out"), " --server ", server.address())));
  EXPECT_THAT(run.err, HasSubstr("tern jobs cancel namespaces/default/quantizationJobs/demo"));
  EXPECT_EQ(json::parse(run.out)["name"], "namespaces/default/quantizationJobs/demo");
}

TEST(FollowTest, ServerThatStaysAwayIsUnavailable) {
  Script script = SucceededJob(1);
  script.break_watch_after = {1, 0, 0, 0, 0, 0, 0, 0, 0};
  const ScriptedServer server(script);
  const Outcome run = Submit(server, {"--follow", "--retry-for", "0"});
  EXPECT_EQ(run.code, 3);
  EXPECT_THAT(run.err, HasSubstr("tern jobs watch"));
}

TEST(FollowTest, ServerThatRestartsInTheMiddleIsSurvived) {
  Script before = SucceededJob(3);
  before.hang = true;
  before.events.resize(2);
  before.files.erase("tern-block-00001.safetensors");
  before.files.erase("tern-block-00002.safetensors");
  before.files.erase("tern-manifest.json");
  before.files.erase("tern-report.json");
  before.files.erase("tern-empty.txt");
  auto server = std::make_unique<ScriptedServer>(before);
  const int port = server->port();
  const TempDir dir;
  Outcome run = {};
  std::thread client(
      [&, words = SubmitWords(*server, {"--out", dir.path()})] { run = RunTern(words); });
  while (!fs::exists(dir.File("tern-block-00000.safetensors"))) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  server.reset();
  const Script after = SucceededJob(3);
  server = std::make_unique<ScriptedServer>(after, port);
  client.join();
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("connection lost, trying again"));
  EXPECT_EQ(server->stream_requests().front().file_index(), 2);
  ExpectFolderHolds(dir.path(), after);
}

TEST(DownloadTest, RunAgainGoesOnWithoutFetchingWhatIsThere) {
  Script script = SucceededJob(3);
  const TempDir dir;
  {
    Script cut = script;
    cut.break_stream_after = {1500};
    const ScriptedServer server(cut);
    const Outcome run = RunTern({"download", "demo", "--out", dir.path(), "--server",
                                 server.address(), "--retry-for", "0"});
    EXPECT_EQ(run.code, 3);
  }
  const ScriptedServer server(script);
  const Outcome run =
      RunTern({"download", "demo", "--out", dir.path(), "--server", server.address()});
  EXPECT_EQ(run.code, 0) << run.err;
  ASSERT_EQ(server.stream_requests().size(), 1u);
  EXPECT_EQ(server.stream_requests()[0].file_index(), 2);
  EXPECT_EQ(server.stream_requests()[0].offset(), 500);
  ExpectFolderHolds(dir.path(), script);
}

TEST(DownloadTest, WholeDownloadIsCheckedAndRepaired) {
  const Script script = SucceededJob(3);
  const ScriptedServer server(script);
  const TempDir dir;
  const std::vector<std::string> words = {"download", "demo",     "--out",
                                          dir.path(), "--server", server.address()};
  EXPECT_EQ(RunTern(words).code, 0);
  std::ofstream(dir.File("tern-block-00001.safetensors")) << "damaged";
  const Outcome run = RunTern(words);
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("received tern-block-00001.safetensors"));
  EXPECT_EQ(run.err.find("received tern-block-00002.safetensors"), std::string::npos);
  ExpectFolderHolds(dir.path(), script);
}

TEST(DownloadTest, FolderOfAnotherJobIsRefused) {
  const Script script = SucceededJob(1);
  Script other = script;
  other.job.set_name("namespaces/default/quantizationJobs/other");
  const ScriptedServer server(script);
  const ScriptedServer other_server(other);
  const TempDir dir;
  EXPECT_EQ(RunTern({"download", "demo", "--out", dir.path(), "--server", server.address()}).code,
            0);
  const Outcome run =
      RunTern({"download", "other", "--out", dir.path(), "--server", other_server.address()});
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.err, HasSubstr("holds the checkpoint of"));
  ExpectFolderHolds(dir.path(), script);
}

TEST(DownloadTest, ManifestThatContradictsTheFilesIsAnError) {
  Script script = SucceededJob(2);
  script.files["tern-block-00000.safetensors"] += "x";
  const ScriptedServer server(script);
  const TempDir dir;
  const Outcome run =
      RunTern({"download", "demo", "--out", dir.path(), "--server", server.address()});
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, HasSubstr("differs from what tern-manifest.json lists"));
}

TEST(WatchTest, JsonIsALinePerMessageAndTheOutcomeLast) {
  const ScriptedServer server(SucceededJob(2));
  const Outcome run =
      RunTern({"jobs", "watch", "demo", "--server", server.address(), "--output", "json"});
  EXPECT_EQ(run.code, 0);
  std::istringstream lines(run.out);
  std::vector<json> messages;
  for (std::string line; std::getline(lines, line);) messages.push_back(json::parse(line));
  ASSERT_EQ(messages.size(), 6u);  // snapshot, four events, outcome
  EXPECT_EQ(messages[0]["snapshot"]["state"], "SUCCEEDED");
  EXPECT_EQ(messages[2]["event"]["block_finished"]["metrics"]["block"], 0);
  EXPECT_EQ(messages[5]["state"], "SUCCEEDED");
}

// The program itself, because a signal goes to a process.
class Process {
 public:
  explicit Process(const std::vector<std::string>& words, const std::string& stderr_path) {
    std::vector<std::string> all = {TERN_PROGRAM};
    all.insert(all.end(), words.begin(), words.end());
    std::vector<char*> argv;
    for (std::string& word : all) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, stderr_path.c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    EXPECT_EQ(posix_spawn(&pid_, TERN_PROGRAM, &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
  }

  void Signal(int signal) const { kill(pid_, signal); }

  int ExitCode() const {
    int status = 0;
    waitpid(pid_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = 0;
};

TEST(InterruptTest, CtrlCDetachesAndTheDownloadCanGoOn) {
  Script script = SucceededJob(2);
  script.hang = true;
  script.events.resize(2);
  const TempDir dir;
  {
    const ScriptedServer server(script);
    const Process process(SubmitWords(server, {"--out", dir.File("out")}), dir.File("stderr"));
    while (!absl::StrContains(FileText(dir.File("stderr")), "block 0")) {
      absl::SleepFor(absl::Milliseconds(5));
    }
    process.Signal(SIGINT);
    EXPECT_EQ(process.ExitCode(), 5);
    const std::string err = FileText(dir.File("stderr"));
    EXPECT_THAT(err, HasSubstr("the job goes on"));
    EXPECT_THAT(err, HasSubstr("tern jobs watch namespaces/default/quantizationJobs/demo"));
    EXPECT_THAT(err, HasSubstr("tern download namespaces/default/quantizationJobs/demo --out"));
    EXPECT_THAT(err, HasSubstr("tern jobs cancel namespaces/default/quantizationJobs/demo"));
  }
  const Script whole = SucceededJob(2);
  const ScriptedServer server(whole);
  EXPECT_EQ(
      RunTern({"download", "demo", "--out", dir.File("out"), "--server", server.address()}).code,
      0);
  ExpectFolderHolds(dir.File("out"), whole);
}

}  // namespace
}  // namespace tern
