#include "checkpoint/text/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/text/fake_tokenizer.h"
#include "tests/unit/text/text_files.h"

namespace tern {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

EvaluationSpec Spec(std::vector<std::string> files, int64_t length, int64_t max_windows) {
  EvaluationSpec spec;
  spec.files = std::move(files);
  spec.length = length;
  spec.max_windows = max_windows;
  spec.vocab_size = 256;
  return spec;
}

std::string Error(const EvaluationSpec& spec) {
  const FakeTokenizer tokenizer;
  const auto windows = EvaluationWindows(spec, &tokenizer);
  EXPECT_EQ(windows.status().code(), absl::StatusCode::kInvalidArgument) << windows.status();
  return std::string(windows.status().message());
}

TEST(EvaluationWindowsTest, WindowsFollowEachOtherFromTheStart) {
  const TempDir dir;
  const FakeTokenizer tokenizer;
  const std::string file = Put(dir, "a.txt", "abcdefgh");
  const auto all = EvaluationWindows(Spec({file}, 3, 0), &tokenizer);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->windows, 2);
  EXPECT_EQ(all->length, 3);
  EXPECT_THAT(all->ids, ElementsAre('a', 'b', 'c', 'd', 'e', 'f'));
  const auto first = EvaluationWindows(Spec({file}, 3, 1), &tokenizer);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(first->ids, ElementsAre('a', 'b', 'c'));
}

TEST(EvaluationWindowsTest, FewerWindowsThanAskedForIsAnError) {
  const TempDir dir;
  const std::string file = Put(dir, "a.txt", "abcdefgh");
  EXPECT_EQ(Error(Spec({file}, 3, 3)),
            "too little evaluation text: its 8 tokens make 2 windows of 3, not 3");
  EXPECT_EQ(Error(Spec({file}, 9, 0)),
            "too little evaluation text: its 8 tokens make 0 windows of 9, not 1");
}

TEST(EvaluationWindowsTest, AWindowNeedsATokenToPredict) {
  const TempDir dir;
  const std::string file = Put(dir, "a.txt", "abcdefgh");
  EXPECT_THAT(Error(Spec({file}, 1, 0)), HasSubstr("at least 2"));
  EXPECT_THAT(Error(Spec({file}, 2, -1)), HasSubstr("windows is -1"));
}

TEST(EvaluationWindowsTest, WindowsOfAFileAreTakenAsTheyAre) {
  const TempDir dir;
  const std::vector<int32_t> ids = {1, 2, 3, 4, 5, 6};
  const std::string file = PutTensor(dir, "a.safetensors", "input_ids", "I32", "[3,2]", ids);
  const auto windows = EvaluationWindows(Spec({file}, 2, 2), nullptr);
  ASSERT_TRUE(windows.ok()) << windows.status();
  EXPECT_THAT(windows->ids, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(Error(Spec({file}, 2, 4)), HasSubstr("has 3 windows, not 4"));
  EXPECT_THAT(Error(Spec({file}, 3, 0)), HasSubstr("its windows have 2 tokens, not 3"));
}

}  // namespace
}  // namespace tern
