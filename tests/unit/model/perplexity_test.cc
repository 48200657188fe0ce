#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include "checkpoint/text/evaluation.h"
#include "checkpoint/tokenizer/tokenizer.h"
#include "tests/unit/model/demo_model.h"
#include "worker/model/evaluation.h"

namespace tern {
namespace {

// Perplexity of the model on the first `windows` windows of data/eval.txt.
double Perplexity(const std::string& name, int64_t length, int64_t windows) {
  const auto model = OpenModel(SharedPath("models/" + name));
  const auto tokenizer = OpenTokenizer(model->path());
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  const auto text = EvaluationWindows({.files = {SharedPath("data/eval.txt")},
                                       .length = length,
                                       .max_windows = windows,
                                       .vocab_size = model->config().vocab_size,
                                       .separator = std::nullopt},
                                      tokenizer->get());
  EXPECT_TRUE(text.ok()) << text.status();
  const auto backend = TestBackend(0);
  const auto full = FullPrecisionWeights(*model);
  const auto sums = Evaluate(*backend, {.full = full.get()}, {text->ids, length}, {});
  EXPECT_TRUE(sums.ok()) << sums.status();
  return std::exp(sums->nll_full / static_cast<double>(sums->tokens));
}

// References: Hugging Face transformers in float32 on the same windows. 0.1% is far more than
// float32 arithmetic differs by and far less than a wrong window or position would.

TEST(PerplexityTest, DemoModelMatchesTheReference) {
  if (!HasShared("data/eval.txt")) GTEST_SKIP() << "needs the shared folder: data, models";
  EXPECT_NEAR(Perplexity("demo-llama", 512, 120), 27.0195, 0.001 * 27.0195);
}

TEST(PerplexityTest, BenchModelMatchesTheReference) {
  if (!HasShared("data/eval.txt")) GTEST_SKIP() << "needs the shared folder: data, models";
  if (std::getenv("TERN_SLOW_TESTS") == nullptr) GTEST_SKIP() << "set TERN_SLOW_TESTS to run";
  EXPECT_NEAR(Perplexity("bench-llama", 1024, 120), 34.2197, 0.001 * 34.2197);
}

}  // namespace
}  // namespace tern
