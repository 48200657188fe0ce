#include "worker/quant/clip_ratio.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "tests/test_backend.h"
#include "tests/unit/backend_ternary/matrix.h"

namespace tern {
namespace {

// Normal values with a few outliers in every row: what clipping is for.
Matrix Inputs(int64_t tokens, int64_t m, uint32_t seed, double outlier) {
  Matrix x = RandomMatrix(tokens, m, seed);
  for (int64_t row = 0; row < tokens; ++row) x(row, row * 7 % m) *= outlier;
  return x;
}

class ClipRatioTest : public testing::Test {
 protected:
  // ‖(Q_p(x) - x)·weightᵀ‖², the products in float64.
  double Loss(const Matrix& x, const Matrix& weight, int bits, double ratio) {
    const Tensor quantized = Upload(*backend_, x);
    EXPECT_TRUE(backend_->activations().Quantize(quantized, bits, ratio, quantized).ok());
    const double norm = Norm((Download(*backend_, quantized) - x) * Transposed(weight));
    return norm * norm;
  }

  double BruteForce(const Matrix& x, const Matrix& weight, int bits) {
    double best = 0;
    double least = std::numeric_limits<double>::infinity();
    for (int hundredths = 100; hundredths >= 50; hundredths -= 5) {
      const double loss = Loss(x, weight, bits, hundredths / 100.0);
      if (loss < least) {
        least = loss;
        best = hundredths / 100.0;
      }
    }
    return best;
  }

  ClippedLayer Layer(const Matrix& x, const Matrix& weight) {
    return {Upload(*backend_, x), Upload(*backend_, weight)};
  }

  const std::unique_ptr<Backend> backend_ = TestBackend();
};

TEST_F(ClipRatioTest, CandidatesFallFromOneToAHalfInTwentieths) {
  const std::vector<double> expected = {1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5};
  EXPECT_EQ(CandidateClipRatios(), expected);
}

TEST_F(ClipRatioTest, IsTheOneThatBruteForceFinds) {
  const std::vector<int> bits = {2, 4, 6, 8};
  std::vector<Matrix> x, weight;
  std::vector<ClippedLayer> layers;
  for (const auto& [tokens, m, n] :
       {std::tuple<int64_t, int64_t, int64_t>{50, 96, 33}, {7, 130, 200}, {64, 40, 1}}) {
    const auto seed = static_cast<uint32_t>(layers.size() + 1);
    x.push_back(Inputs(tokens, m, seed, 1.5 + seed));
    weight.push_back(RandomMatrix(n, m, seed + 10));
    layers.push_back(Layer(x.back(), weight.back()));
  }
  const auto ratios = FitClipRatios(*backend_, layers, bits);
  ASSERT_TRUE(ratios.ok()) << ratios.status();
  ASSERT_EQ(ratios->size(), layers.size());
  bool clipped = false;
  for (size_t i = 0; i < layers.size(); ++i) {
    for (const int width : bits) {
      EXPECT_EQ((*ratios)[i].at(width), BruteForce(x[i], weight[i], width))
          << "layer " << i << ", " << width << " bits";
      clipped = clipped || (*ratios)[i].at(width) < 1;
    }
  }
  EXPECT_TRUE(clipped);
}

TEST_F(ClipRatioTest, ALayersRatioDoesNotDependOnWhatIsFittedBesideIt) {
  const ClippedLayer a = Layer(Inputs(20, 64, 1, 4), RandomMatrix(8, 64, 2));
  const ClippedLayer b = Layer(Inputs(90, 128, 3, 2), RandomMatrix(70, 128, 4));
  const std::vector<ClippedLayer> both = {a, b};
  const std::vector<int> all = {2, 3, 4, 8}, one = {4};
  const auto together = FitClipRatios(*backend_, both, all);
  const auto alone = FitClipRatios(*backend_, {&both[1], 1}, one);
  ASSERT_TRUE(together.ok() && alone.ok());
  EXPECT_EQ((*together)[1].at(4), (*alone)[0].at(4));
}

TEST_F(ClipRatioTest, TheLargerOfEqualsIsTaken) {
  // Rows of one value are not quantized, whatever the ratio.
  const ClippedLayer constant = Layer(Matrix(5, 16, 0.3), RandomMatrix(4, 16, 1));
  const std::vector<int> bits = {2, 8};
  const auto ratios = FitClipRatios(*backend_, {&constant, 1}, bits);
  ASSERT_TRUE(ratios.ok()) << ratios.status();
  EXPECT_EQ((*ratios)[0], (ClipRatios{{2, 1.0}, {8, 1.0}}));
}

TEST_F(ClipRatioTest, OutliersThatTheWeightDoesNotReadAreClippedAway) {
  Matrix x = RandomMatrix(40, 64, 5);
  Matrix weight = RandomMatrix(16, 64, 6);
  for (int64_t row = 0; row < 40; ++row) x(row, 9) = row % 2 == 0 ? 8 : -8;
  const std::vector<int> bits = {4};
  const ClippedLayer read = Layer(x, weight);
  for (int64_t row = 0; row < 16; ++row) weight(row, 9) = 0;
  const ClippedLayer not_read = Layer(x, weight);
  EXPECT_GT((*FitClipRatios(*backend_, {&read, 1}, bits))[0].at(4), 0.9);
  EXPECT_LT((*FitClipRatios(*backend_, {&not_read, 1}, bits))[0].at(4), 0.8);
}

TEST_F(ClipRatioTest, InputsThatAreNotFiniteAreRefused) {
  Matrix x = RandomMatrix(5, 16, 1);
  x(2, 3) = std::nan("");
  const ClippedLayer layer = Layer(x, RandomMatrix(4, 16, 2));
  const std::vector<int> bits = {4};
  EXPECT_EQ(FitClipRatios(*backend_, {&layer, 1}, bits).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(ClipRatioTest, NothingToFitIsNothing) {
  const ClippedLayer layer = Layer(RandomMatrix(5, 16, 1), RandomMatrix(4, 16, 2));
  const std::vector<int> none, bits = {4};
  EXPECT_TRUE((*FitClipRatios(*backend_, {}, bits)).empty());
  EXPECT_TRUE((*FitClipRatios(*backend_, {&layer, 1}, none))[0].empty());
}

}  // namespace
}  // namespace tern
