#include <gtest/gtest.h>

#include <future>
#include <map>
#include <memory>
#include <vector>

#include "tests/unit/model/demo_model.h"
#include "worker/model/block_weights.h"

namespace tern {
namespace {

class LoadBlockAheadTest : public testing::Test {
 protected:
  void SetUp() override {
    if (backend_->upload_lane() == nullptr) {
      GTEST_SKIP() << "needs a device with memory of its own";
    }
  }

  std::vector<float> Floats(const Tensor& tensor) {
    if (tensor.empty()) return {};
    const Tensor floats =
        backend_->Allocate(ElementType::kF32, tensor.rows(), tensor.cols()).value();
    EXPECT_TRUE(backend_->Convert(tensor, floats).ok());
    std::vector<float> values(floats.elements());
    EXPECT_TRUE(backend_->Download(floats, values.data()).ok());
    return values;
  }

  std::map<LinearKind, std::vector<float>> Floats(const std::map<LinearKind, Tensor>& tensors) {
    std::map<LinearKind, std::vector<float>> values;
    for (const auto& [kind, tensor] : tensors) values[kind] = Floats(tensor);
    return values;
  }

  void ExpectSame(const BlockWeights& actual, const BlockWeights& expected) {
    EXPECT_EQ(Floats(actual.weight), Floats(expected.weight));
    EXPECT_EQ(Floats(actual.rounded), Floats(expected.rounded));
    EXPECT_EQ(Floats(actual.bias), Floats(expected.bias));
    EXPECT_EQ(Floats(actual.attention_norm), Floats(expected.attention_norm));
    EXPECT_EQ(Floats(actual.mlp_norm), Floats(expected.mlp_norm));
  }

  absl::StatusOr<BlockWeights> LoadAhead(int64_t block) {
    return LoadBlockAhead(*backend_->upload_lane(), backend_->activation_type(), *model_, block);
  }

  const std::unique_ptr<Backend> backend_ = TestBackend();
  const std::unique_ptr<ModelFolder> model_ = OpenDemo();
};

TEST_F(LoadBlockAheadTest, WeightsReadAheadAreThoseThatAreReadWhenAskedFor) {
  for (int64_t block = 0; block < model_->config().num_blocks; ++block) {
    auto ahead = LoadAhead(block);
    ASSERT_TRUE(ahead.ok()) << ahead.status();
    ASSERT_TRUE(UseAsActivations(*backend_, *ahead).ok());
    const auto asked = LoadBlock(*backend_, *model_, block);
    ASSERT_TRUE(asked.ok()) << asked.status();
    ExpectSame(*ahead, *asked);
  }
}

TEST_F(LoadBlockAheadTest, ABlockReadBesideTheBackendsWorkIsTheSame) {
  const auto asked = LoadBlock(*backend_, *model_, 0);
  ASSERT_TRUE(asked.ok()) << asked.status();
  for (int round = 0; round < 8; ++round) {
    auto reading = std::async(std::launch::async, [&] { return LoadAhead(0); });
    // Takes memory and gives it back while the lane takes its own.
    for (const auto& [kind, weight] : asked->weight) ASSERT_FALSE(Floats(weight).empty());
    auto ahead = reading.get();
    ASSERT_TRUE(ahead.ok()) << ahead.status();
    ASSERT_TRUE(UseAsActivations(*backend_, *ahead).ok());
    ExpectSame(*ahead, *asked);
  }
}

}  // namespace
}  // namespace tern
