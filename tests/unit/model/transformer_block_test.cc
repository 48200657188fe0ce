#include "worker/model/transformer_block.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tests/unit/model/demo_model.h"
#include "worker/model/outer_weights.h"

namespace tern {
namespace {

constexpr int64_t kLength = 40;

class TransformerBlockTest : public testing::Test {
 protected:
  Tensor Embed(int64_t windows) {
    const auto h = EmbedTokens(*backend_, *source_,
                               SomeTokens(windows * kLength, model_->config().vocab_size));
    EXPECT_TRUE(h.ok()) << h.status();
    return *h;
  }

  TransformerBlock Create() {
    return TransformerBlock::Create(*backend_, model_->config(), 0, kLength).value();
  }

  Tensor Allocate(int64_t rows, int64_t cols) {
    return backend_->Allocate(ElementType::kF32, rows, cols).value();
  }

  const std::unique_ptr<Backend> backend_ = TestBackend();
  const std::unique_ptr<ModelFolder> model_ = OpenDemo();
  const std::unique_ptr<WeightSource> source_ = FullPrecisionWeights(*model_);
  const BlockWeights weights_ = LoadBlock(*backend_, *model_, 0).value();
};

TEST_F(TransformerBlockTest, ItsPartsInOrderAreTheWholeBlock) {
  const ModelConfig& config = model_->config();
  const Tensor whole = Embed(2), h = Embed(2);
  TransformerBlock block = Create();
  ASSERT_TRUE(block.Forward(weights_, whole).ok());

  const Tensor x = Allocate(h.rows(), config.hidden_size);
  const Tensor a = Allocate(h.rows(), config.num_heads * config.head_dim);
  const Tensor m = Allocate(h.rows(), config.intermediate_size);
  ASSERT_TRUE(block.AttentionInput(weights_, h, x).ok());
  ASSERT_TRUE(block.Attention(weights_, x, a).ok());
  ASSERT_TRUE(block.AddAttentionOutput(weights_, a, h).ok());
  ASSERT_TRUE(block.MlpInput(weights_, h, x).ok());
  ASSERT_TRUE(block.MlpActivation(weights_, x, m).ok());
  ASSERT_TRUE(block.AddMlpOutput(weights_, m, h).ok());
  EXPECT_EQ(DownloadFloats(*backend_, h), DownloadFloats(*backend_, whole));
}

TEST_F(TransformerBlockTest, AWindowDoesNotDependOnTheWindowsBesideIt) {
  if (!RowsAreIndependent(*backend_)) GTEST_SKIP() << "holds on the CPU only";
  TransformerBlock block = Create();
  // More than a batch, so that Forward cuts.
  const int64_t windows = block.BatchWindows() + 3;
  const Tensor all = Embed(windows);
  const Tensor last = Allocate(kLength, all.cols());
  ASSERT_TRUE(backend_->Copy(all.Rows((windows - 1) * kLength, kLength), last).ok());
  ASSERT_TRUE(block.Forward(weights_, all).ok());
  ASSERT_TRUE(block.Forward(weights_, last).ok());
  EXPECT_EQ(DownloadFloats(*backend_, all.Rows((windows - 1) * kLength, kLength)),
            DownloadFloats(*backend_, last));
}

TEST_F(TransformerBlockTest, ATokenDoesNotDependOnThoseAfterIt) {
  std::vector<int32_t> ids = SomeTokens(kLength, model_->config().vocab_size);
  const Tensor before = EmbedTokens(*backend_, *source_, ids).value();
  std::fill(ids.begin() + 20, ids.end(), 3);
  const Tensor after = EmbedTokens(*backend_, *source_, ids).value();
  TransformerBlock block = Create();
  ASSERT_TRUE(block.Forward(weights_, before).ok());
  ASSERT_TRUE(block.Forward(weights_, after).ok());
  EXPECT_EQ(DownloadFloats(*backend_, before.Rows(0, 20)),
            DownloadFloats(*backend_, after.Rows(0, 20)));
  EXPECT_NE(DownloadFloats(*backend_, before.Rows(20, 20)),
            DownloadFloats(*backend_, after.Rows(20, 20)));
}

TEST_F(TransformerBlockTest, BitsDoNotDependOnTheNumberOfThreads) {
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 2, 3}) {
    const auto backend = TestBackend(threads);
    const Tensor h =
        EmbedTokens(*backend, *source_, SomeTokens(3 * kLength, model_->config().vocab_size))
            .value();
    const BlockWeights weights = LoadBlock(*backend, *model_, 0).value();
    TransformerBlock block =
        TransformerBlock::Create(*backend, model_->config(), 0, kLength).value();
    ASSERT_TRUE(block.Forward(weights, h).ok());
    results.push_back(DownloadFloats(*backend, h));
  }
  EXPECT_EQ(results[1], results[0]);
  EXPECT_EQ(results[2], results[0]);
}

}  // namespace
}  // namespace tern
