#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "tests/integration/client/run_tern.h"
#include "tests/shared_data.h"
#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/test_model.h"

namespace tern {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

TEST(EvalTest, ADamagedCheckpointIsTheErrorThatVerifyGives) {
  const TempDir folder;
  const std::string packed = folder.File("packed");
  WriteModel(folder.File("model"), SmallConfigJson(), DType::kBF16);
  WritePacked(**ModelFolder::Open(folder.File("model")), {"pt2llm", 5, true}, packed);
  std::ofstream(packed + "/tokenizer.json", std::ios::app) << " ";
  const Outcome verify = RunTern({"verify", packed, "--output", "json"});
  const Outcome eval =
      RunTern({"eval", packed, "--text", DataPath("sampled.txt"), "--output", "json"});
  EXPECT_EQ(eval.code, 1);
  EXPECT_EQ(eval.out, "");
  EXPECT_THAT(eval.err, HasSubstr("tokenizer.json"));
  EXPECT_EQ(json::parse(eval.err), json::parse(verify.err));
  EXPECT_EQ(json::parse(eval.err)["error"]["code"], "DATA_LOSS");
}

// What has come once there is something to read, "" at the end; nothing else ends the wait but a
// limit that only a failure reaches.
std::string ReadWhenThereIs(int fd) {
  constexpr int kLimitMs = 60'000;
  pollfd file = {fd, POLLIN, 0};
  if (poll(&file, 1, kLimitMs) <= 0) return "nothing came";
  std::array<char, 64> text = {};
  return {text.data(), static_cast<size_t>(std::max<ssize_t>(0, read(fd, text.data(), 64)))};
}

TEST(EvalTest, TheWorkerProgramEndsWithTheOneThatIsKilled) {
  const TempDir folder;
  const std::string program = folder.File("tern");
  fs::copy_file(TERN_PROGRAM, program);
  // Holds the pipe open for as long as it lives.
  const std::string pipe = folder.File("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::ofstream(folder.File("tern-worker"))
      << "#!/bin/sh\nexec 9>" << pipe << "\necho $$ >&9\nexec sleep 1000\n";
  fs::permissions(folder.File("tern-worker"), fs::perms::owner_all);
  const int reader = open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);

  std::vector<std::string> words = {program, "eval", "dir", "--text", "file"};
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t tern = 0;
  ASSERT_EQ(posix_spawn(&tern, program.c_str(), nullptr, nullptr, argv.data(), environ), 0);
  pid_t worker = 0;
  ASSERT_TRUE(absl::SimpleAtoi(ReadWhenThereIs(reader), &worker));

  kill(tern, SIGKILL);
  waitpid(tern, nullptr, 0);
  const std::string end = ReadWhenThereIs(reader);
  EXPECT_EQ(end, "");
  if (!end.empty()) kill(worker, SIGKILL);
  close(reader);
}

}  // namespace
}  // namespace tern
