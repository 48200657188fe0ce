// What the container image holds: the installed programs, as the Dockerfile copies them.

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tests/shared_data.h"
#include "tests/temp_dir.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

// The exit code of a shell command, whose output goes to a file.
int Shell(const std::string& command, const std::string& output) {
  return WEXITSTATUS(std::system(absl::StrCat(command, " >", output, " 2>&1").c_str()));
}

std::string Content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class ImageTest : public testing::Test {
 protected:
  // Installs the build, and copies of it what the Dockerfile copies into the image's /usr/local.
  void SetUp() override {
    ASSERT_EQ(Shell(absl::StrCat(TERN_CMAKE, " --install ", TERN_BUILD_DIR, " --prefix ",
                                 folder_.File("opt/tern")),
                    folder_.File("output")),
              0)
        << Content(folder_.File("output"));
    const std::string dockerfile = Content(std::string(TERN_SOURCE_DIR) + "/Dockerfile");
    // COPY --from=build /opt/tern/FROM /usr/local/TO
    std::vector<std::string> copy;
    for (const absl::string_view line : absl::StrSplit(dockerfile, '\n')) {
      if (absl::StartsWith(line, "COPY --from=build ")) copy = absl::StrSplit(line, ' ');
    }
    ASSERT_EQ(copy.size(), 4U);
    absl::string_view from = copy[2];
    absl::string_view to = copy[3];
    ASSERT_TRUE(absl::ConsumePrefix(&from, "/opt/tern/"));
    ASSERT_TRUE(absl::ConsumePrefix(&to, "/usr/local/"));
    const std::string target = absl::StrCat(local_, to);
    fs::create_directories(target);
    fs::copy(absl::StrCat(folder_.File("opt/tern/"), from), target, fs::copy_options::recursive);
    fs::remove_all(folder_.File("opt"));
  }

  TempDir folder_;
  const std::string local_ = folder_.File("usr/local/");
};

TEST_F(ImageTest, EveryProgramStarts) {
  for (const std::string program : {"tern", "tern-server", "tern-worker"}) {
    EXPECT_EQ(Shell(absl::StrCat(local_, "bin/", program, " --version"), folder_.File("output")), 0)
        << program << ": " << Content(folder_.File("output"));
    EXPECT_TRUE(absl::StrContains(Content(folder_.File("output")), "0.1.0"));
  }
}

TEST_F(ImageTest, TextsAreTokenizedByASentencePieceModel) {
  const std::string model = folder_.File("model");
  fs::copy(DataPath("demo-llama"), model);
  fs::remove(model + "/tokenizer.json");
  fs::copy(DataPath("tokenizers/sentencepiece-bpe/tokenizer.model"), model + "/tokenizer.model");
  EXPECT_EQ(Shell(absl::StrCat(local_, "bin/tern-worker evaluate ", model, " --text ",
                               DataPath("sampled.txt"), " --window 16 --windows 1 --threads 1"),
                  folder_.File("output")),
            0)
      << Content(folder_.File("output"));
  EXPECT_TRUE(absl::StrContains(Content(folder_.File("output")), "\"perplexity\""));
}

}  // namespace
}  // namespace tern
