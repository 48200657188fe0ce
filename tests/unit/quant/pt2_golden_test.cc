#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/test_backend.h"
#include "tests/unit/quant/golden_layer.h"
#include "worker/quant/column_order.h"
#include "worker/quant/layer_fit.h"

namespace tern {
namespace {

// The reference ran in float32 with other summation orders: values agree to this share of the
// largest. (Measured here: 2e-6 at most.)
constexpr double kTolerance = 1e-3;

class Pt2GoldenTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!HasShared("golden")) GTEST_SKIP() << "needs the shared folder: golden";
    golden_ = std::make_unique<GoldenLayer>(GetParam());
    backend_ = TestBackend();
    weight_ = golden_->Get("weight");
    group_ = Columns(weight_, 0, 128);
  }

  // Grid and trits of the first 128 columns after at most `max_rounds` rounds of ITF.
  void Fit(int max_rounds) {
    const int64_t n = weight_.rows();
    trits_ = backend_->Allocate(ElementType::kI8, n, 128).value();
    alpha_ = NewTensor(*backend_, 1, n);
    mu_ = NewTensor(*backend_, 1, n);
    ASSERT_TRUE(backend_->ternary()
                    .FitGrid(Upload(*backend_, group_), max_rounds, trits_, alpha_, mu_,
                             ZeroCounts(*backend_, 2))
                    .ok());
  }

  void ExpectGrid(const std::string& alpha, const std::string& mu) {
    EXPECT_LT(LargestDifference(Download(*backend_, alpha_), golden_->Get(alpha)), kTolerance);
    EXPECT_LT(LargestDifference(Download(*backend_, mu_), golden_->Get(mu)), kTolerance);
  }

  void ExpectTrits(const std::string& tensor) {
    EXPECT_EQ(Download(*backend_, trits_), golden_->Get(tensor));
  }

  // Ŵ of the whole layer, columns in their original order, float32 grid.
  Matrix Quantize(const QuantRecipe& options) {
    LayerProblem problem;
    problem.weight = Upload(*backend_, weight_);
    const Matrix hessian = golden_->Get("hessian");
    problem.hessian = Upload(*backend_, hessian);
    if (options.gptaq > 0) problem.cross = Upload(*backend_, golden_->Get("cross_moment"));
    const int64_t m = hessian.rows();
    problem.inverse = NewTensor(*backend_, m, m);
    EXPECT_TRUE(backend_->ternary()
                    .InvertDamped(problem.hessian,
                                  options.damping * Trace(hessian) / static_cast<double>(m),
                                  problem.inverse)
                    .value());
    StageClock clock(*backend_);
    const LayerFit fit =
        FitLayer(*backend_, options, problem, GridStorage::kFloat, nullptr, clock).value().value();
    const std::vector<int32_t> order = DownloadIntegers(*backend_, fit.order);
    const Matrix alpha = Download(*backend_, fit.alpha);
    const Matrix mu = Download(*backend_, fit.mu);
    const std::vector<double> trits = Download(*backend_, fit.trits).values();
    const int64_t n = weight_.rows();
    Matrix reconstruction(n, m);
    for (int64_t c = 0; c < m; ++c) {
      const int64_t b = c / options.group_size;
      const int64_t first = b * options.group_size;
      const int64_t g = std::min(options.group_size, m - first);
      for (int64_t r = 0; r < n; ++r) {
        reconstruction(r, order[c]) = alpha(b, r) * trits[first * n + r * g + c - first] + mu(b, r);
      }
    }
    return reconstruction;
  }

  void ExpectLayer(const QuantRecipe& options, const std::string& tensor) {
    EXPECT_LT(LargestDifference(Quantize(options), golden_->Get(tensor)), kTolerance);
  }

  std::unique_ptr<GoldenLayer> golden_;
  std::unique_ptr<Backend> backend_;
  Matrix weight_, group_;
  Tensor trits_, alpha_, mu_;
};

TEST_P(Pt2GoldenTest, InitialGrid) {
  Fit(0);
  ExpectTrits("init_t");
  ExpectGrid("init_alpha", "init_mu");
}

TEST_P(Pt2GoldenTest, IterativeTernaryFitting) {
  Fit(100);
  ExpectTrits("itf_t");
  ExpectGrid("itf_alpha", "itf_mu");
}

TEST_P(Pt2GoldenTest, ActivationAwareAlignmentUnderTheUndampedHessian) {
  Fit(100);
  ASSERT_TRUE(backend_->ternary()
                  .AlignGrid(Upload(*backend_, group_), trits_,
                             Upload(*backend_, golden_->Get("hessian")),
                             UploadColumns(*backend_, Range(128)), alpha_, mu_)
                  .ok());
  ExpectGrid("aga_alpha", "aga_mu");
}

TEST_P(Pt2GoldenTest, StructuralSimilarityAndTheFirstGroupItPicks) {
  const Tensor scores = NewTensor(*backend_, 1, weight_.cols());
  ASSERT_TRUE(backend_->ternary().ColumnSimilarity(Upload(*backend_, weight_), scores).ok());
  const Matrix values = Download(*backend_, scores);
  EXPECT_LT(LargestDifference(values, golden_->Get("ssr_similarity")), kTolerance);
  const Tensor order = ZeroCounts(*backend_, weight_.cols());
  ASSERT_TRUE(backend_->ternary().OrderColumns(scores, 128, order).ok());
  std::vector<int32_t> picked = DownloadIntegers(*backend_, order);
  picked.resize(128);
  EXPECT_EQ(picked, golden_->Integers("ssr_first_block"));
}

TEST_P(Pt2GoldenTest, WholeLayerAsReleased) {
  QuantRecipe options;
  options.compensation = Compensation::kReleased;
  ExpectLayer(options, "pt2_released");
}

TEST_P(Pt2GoldenTest, WholeLayerAsInThePaper) {
  QuantRecipe options;
  options.compensation = Compensation::kReleased;
  options.gptaq = 0;
  ExpectLayer(options, "pt2_paper");
}

TEST_P(Pt2GoldenTest, WholeLayerWithoutReordering) {
  QuantRecipe options;
  options.compensation = Compensation::kReleased;
  options.gptaq = 0;
  options.reorder = Reorder::kNone;
  ExpectLayer(options, "pt2_no_reorder");
}

INSTANTIATE_TEST_SUITE_P(Layers, Pt2GoldenTest,
                         testing::Values("pt2-small", "pt2-ragged", "pt2-wide"),
                         [](const auto& info) { return info.param.substr(4); });

}  // namespace
}  // namespace tern
