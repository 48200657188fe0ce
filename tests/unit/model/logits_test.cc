#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/unit/model/demo_model.h"
#include "worker/model/outer_weights.h"
#include "worker/model/transformer_block.h"

namespace tern {
namespace {

// The bar for float32 logits against those of Hugging Face transformers.
constexpr double kTolerance = 1e-4;

// Logits of one window by the whole model.
std::vector<float> Logits(const ModelFolder& model, const std::vector<int32_t>& ids) {
  const auto backend = TestBackend();
  const auto source = FullPrecisionWeights(model);
  const auto length = static_cast<int64_t>(ids.size());
  const auto h = EmbedTokens(*backend, *source, ids);
  EXPECT_TRUE(h.ok()) << h.status();
  for (int64_t block = 0; block < model.config().num_blocks; ++block) {
    const auto weights = source->Block(*backend, block);
    EXPECT_TRUE(weights.ok()) << weights.status();
    auto transformer = TransformerBlock::Create(*backend, model.config(), block, length);
    EXPECT_TRUE(transformer.ok()) << transformer.status();
    EXPECT_TRUE(transformer->Forward(*weights, *h).ok());
  }
  auto head = LanguageHead::Load(*backend, *source);
  EXPECT_TRUE(head.ok()) << head.status();
  const auto logits = backend->Allocate(ElementType::kF32, length, head->vocab_size());
  EXPECT_TRUE(head->Logits(*h, *logits).ok());
  return DownloadFloats(*backend, *logits);
}

void ExpectReferenceLogits(const std::string& model_path, const std::string& reference) {
  const auto model = OpenModel(model_path);
  const auto ids = ReadElements<int32_t>(reference, "input_ids");
  EXPECT_LE(NormalizedError(Logits(*model, ids), ReadElements<float>(reference, "logits")),
            kTolerance);
}

TEST(LogitsTest, DemoModelMatchesTheReference) {
  ExpectReferenceLogits(DataPath("demo-llama"), DataPath("demo-llama-logits.safetensors"));
}

class SharedModelLogitsTest : public testing::TestWithParam<std::string> {};

TEST_P(SharedModelLogitsTest, MatchTheReference) {
  if (!HasShared("models")) GTEST_SKIP() << "needs the shared folder: models, golden";
  ExpectReferenceLogits(SharedPath("models/" + GetParam()),
                        SharedPath("golden/" + GetParam() + "-logits.safetensors"));
}

INSTANTIATE_TEST_SUITE_P(Models, SharedModelLogitsTest,
                         testing::Values("demo-llama", "bench-llama"));

class ArchitectureLogitsTest : public testing::TestWithParam<std::string> {};

TEST_P(ArchitectureLogitsTest, MatchTheReference) {
  const std::string folder = "golden/arch/" + GetParam();
  if (!HasShared(folder)) GTEST_SKIP() << "needs the shared folder: " << folder;
  ExpectReferenceLogits(SharedPath(folder), SharedPath(folder + "/expected.safetensors"));
}

// Llama 3's RoPE scaling, a sliding window shorter than the text, biases, and query and key norms
// with heads wider than hidden / heads.
INSTANTIATE_TEST_SUITE_P(Architectures, ArchitectureLogitsTest,
                         testing::Values("llama3-rope", "mistral-swa", "qwen2-bias", "qwen3"));

}  // namespace
}  // namespace tern
