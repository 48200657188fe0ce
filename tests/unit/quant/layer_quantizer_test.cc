#include "worker/quant/layer_quantizer.h"

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/test_backend.h"
#include "tests/unit/backend_ternary/matrix.h"

namespace tern {
namespace {

using testing::HasSubstr;

constexpr int64_t kRows = 24;
constexpr int64_t kColumns = 96;

class LayerQuantizerTest : public testing::Test {
 protected:
  LayerQuantizerTest() { options_.group_size = 32; }

  absl::StatusOr<QuantizedLayer> TryQuantize() {
    StageClock clock(*backend_);
    absl::StatusOr<LayerQuantizer> quantizer = LayerQuantizer::Create(
        *backend_, options_, Upload(*backend_, hessian_), Upload(*backend_, cross_), clock);
    if (!quantizer.ok()) return quantizer.status();
    return quantizer->Quantize(Upload(*backend_, weight_), cancelled_);
  }

  QuantizedLayer Quantize() { return TryQuantize().value(); }

  static Matrix Reconstruction(const TernaryLayer& layer) {
    std::vector<float> values(layer.rows * layer.cols);
    Dequantize(layer, values);
    return Matrix(layer.rows, layer.cols, std::vector<double>(values.begin(), values.end()));
  }

  static bool SameBytes(const TernaryLayer& a, const TernaryLayer& b) {
    return a.trits == b.trits && a.alpha == b.alpha && a.mu == b.mu && a.perm == b.perm;
  }

  std::unique_ptr<Backend> backend_ = TestBackend();
  QuantRecipe options_;
  std::function<bool()> cancelled_;
  Matrix weight_ = RandomMatrix(kRows, kColumns, 1);
  Matrix hessian_ = RandomHessian(kColumns, 2);
  Matrix cross_ = RandomCross(hessian_, 3);
};

TEST_F(LayerQuantizerTest, MetricsOfAnOrdinaryLayer) {
  const LayerMetrics metrics = Quantize().metrics;
  EXPECT_GT(metrics.relative_error, 0.01);
  EXPECT_LT(metrics.relative_error, 0.5);
  EXPECT_EQ(metrics.damping, 0.01);
  EXPECT_EQ(metrics.damping_raises, 0);
  EXPECT_FALSE(metrics.compensation_lost);
  EXPECT_EQ(metrics.dead_inputs, 0);
  EXPECT_EQ(metrics.constant_rows, 0);
  EXPECT_GT(metrics.itf_rounds, 1);
  EXPECT_LT(metrics.itf_rounds, 100);
}

TEST_F(LayerQuantizerTest, BitsPerWeightCountEveryStoredByte) {
  options_.reorder = Reorder::kNone;
  // A row: 96 trits in 20 bytes, three groups of two fp16 values.
  EXPECT_DOUBLE_EQ(Quantize().metrics.bits_per_weight, 8.0 * (20 + 3 * 4) / 96);
  options_.reorder = Reorder::kSsr;
  // And an i32 a column, shared by 24 rows.
  EXPECT_DOUBLE_EQ(Quantize().metrics.bits_per_weight, 8.0 * (20 + 3 * 4) / 96 + 32.0 / 24);
}

TEST_F(LayerQuantizerTest, EveryOptionChangesTheResult) {
  const TernaryLayer defaults = Quantize().layer;
  const std::vector<std::function<void(QuantRecipe&)>> changes = {
      [](QuantRecipe& o) { o.group_size = 48; },
      [](QuantRecipe& o) { o.reorder = Reorder::kNone; },
      [](QuantRecipe& o) { o.reorder = Reorder::kRandom; },
      [](QuantRecipe& o) { o.reorder = Reorder::kHessian; },
      [](QuantRecipe& o) { o.compensation = Compensation::kReleased; },
      [](QuantRecipe& o) { o.gptaq = 0; },
      [](QuantRecipe& o) { o.gptaq = 0.5; },
      [](QuantRecipe& o) { o.fit = GridFit::kInitial; },
      [](QuantRecipe& o) { o.align = false; },
      [](QuantRecipe& o) { o.damping = 0.1; }};
  const QuantRecipe original = options_;
  for (size_t i = 0; i < changes.size(); ++i) {
    options_ = original;
    changes[i](options_);
    EXPECT_FALSE(SameBytes(Quantize().layer, defaults)) << "change " << i;
  }
}

TEST_F(LayerQuantizerTest, TheSeedDecidesTheRandomOrderAlone) {
  options_.reorder = Reorder::kRandom;
  const TernaryLayer first = Quantize().layer;
  EXPECT_TRUE(SameBytes(Quantize().layer, first));
  options_.seed = 1;
  EXPECT_NE(Quantize().layer.perm, first.perm);
}

TEST_F(LayerQuantizerTest, EachPartOfTheMethodLowersTheErrorItAimsAt) {
  options_.reorder = Reorder::kNone;
  options_.gptaq = 0;
  const double full = Quantize().metrics.relative_error;
  options_.compensation = Compensation::kReleased;
  const double released = Quantize().metrics.relative_error;
  EXPECT_LT(full, released);
  options_.align = false;
  const double without_aga = Quantize().metrics.relative_error;
  EXPECT_LT(released, without_aga);
  options_.fit = GridFit::kInitial;
  EXPECT_LT(without_aga, Quantize().metrics.relative_error);
}

TEST_F(LayerQuantizerTest, NoBitDependsOnTheNumberOfThreads) {
  const TernaryLayer two = Quantize().layer;
  for (const int threads : {1, 3}) {
    backend_ = TestBackend(threads);
    EXPECT_TRUE(SameBytes(Quantize().layer, two)) << threads << " threads";
  }
}

TEST_F(LayerQuantizerTest, LayersOfASetDoNotInfluenceEachOther) {
  StageClock clock(*backend_);
  LayerQuantizer quantizer =
      LayerQuantizer::Create(*backend_, options_, Upload(*backend_, hessian_),
                             Upload(*backend_, cross_), clock)
          .value();
  ASSERT_TRUE(quantizer.Quantize(Upload(*backend_, RandomMatrix(60, kColumns, 9)), nullptr).ok());
  EXPECT_TRUE(
      SameBytes(quantizer.Quantize(Upload(*backend_, weight_), nullptr)->layer, Quantize().layer));
}

TEST_F(LayerQuantizerTest, AGroupWiderThanTheLayerIsTheWholeLayer) {
  options_.group_size = 128;
  const QuantizedLayer wide = Quantize();
  EXPECT_EQ(wide.layer.groups(), 1);
  options_.group_size = kColumns;
  const QuantizedLayer whole = Quantize();
  EXPECT_EQ(wide.layer.alpha, whole.layer.alpha);
  EXPECT_EQ(wide.layer.trits, whole.layer.trits);
}

TEST_F(LayerQuantizerTest, TheLastGroupMayBeOneColumn) {
  options_.group_size = kColumns - 1;
  const QuantizedLayer quantized = Quantize();
  EXPECT_EQ(quantized.layer.groups(), 2);
  EXPECT_EQ(quantized.metrics.constant_rows, kRows);  // one weight is its own mean
}

TEST_F(LayerQuantizerTest, ALayerOfOneInput) {
  weight_ = RandomMatrix(kRows, 1, 4);
  hessian_ = Matrix(1, 1, 2.0);
  cross_ = hessian_;
  EXPECT_LT(LargestDifference(Reconstruction(Quantize().layer), weight_), 1e-3);  // fp16
}

TEST_F(LayerQuantizerTest, ZeroWeightsStayZeroWithoutError) {
  weight_ = Matrix(kRows, kColumns);
  const QuantizedLayer quantized = Quantize();
  EXPECT_EQ(Reconstruction(quantized.layer), weight_);
  EXPECT_EQ(quantized.metrics.relative_error, 0);
  EXPECT_EQ(quantized.metrics.constant_rows, 3 * kRows);
}

TEST_F(LayerQuantizerTest, AConstantRowKeepsItsValue) {
  options_.gptaq = 0;  // which would carry something into the row
  for (int64_t c = 0; c < kColumns; ++c) weight_(3, c) = 0.5;
  const QuantizedLayer quantized = Quantize();
  const Matrix row = Rows(Reconstruction(quantized.layer), 3, 1);
  EXPECT_EQ(row, Matrix(1, kColumns, 0.5));
  EXPECT_EQ(quantized.metrics.constant_rows, 3);
}

TEST_F(LayerQuantizerTest, AWeightBeyondFp16SaturatesAndStaysFinite) {
  weight_(0, 0) = 1e9;
  const QuantizedLayer quantized = Quantize();
  for (const uint16_t alpha : quantized.layer.alpha) EXPECT_LT(alpha & 0x7fff, 0x7c00);
  for (const uint16_t mu : quantized.layer.mu) EXPECT_LT(mu & 0x7fff, 0x7c00);
}

TEST_F(LayerQuantizerTest, DeadInputsCountAndTheirWeightsDoNot) {
  for (const int64_t dead : {5, 40}) {
    for (int64_t j = 0; j < kColumns; ++j) {
      hessian_(dead, j) = hessian_(j, dead) = 0;
      cross_(j, dead) = 0;  // the quantized stream's input is zero, the other's need not be
    }
  }
  const QuantizedLayer quantized = Quantize();
  EXPECT_EQ(quantized.metrics.dead_inputs, 2);
  for (int64_t r = 0; r < kRows; ++r) weight_(r, 5) = weight_(r, 40) = 1000;
  const QuantizedLayer other = Quantize();
  EXPECT_TRUE(SameBytes(other.layer, quantized.layer));
  EXPECT_EQ(other.metrics.relative_error, quantized.metrics.relative_error);
}

TEST_F(LayerQuantizerTest, WithoutAnyLiveInputTheEuclideanFitRemains) {
  hessian_ = Matrix(kColumns, kColumns);
  cross_ = Matrix(kColumns, kColumns);
  const QuantizedLayer quantized = Quantize();
  EXPECT_EQ(quantized.metrics.dead_inputs, kColumns);
  EXPECT_EQ(quantized.metrics.relative_error, 0);
}

// A Hessian of rank 8 less 5% of its mean diagonal, as noise would leave it: 1% of damping does not
// make it positive definite, 10% does.
TEST_F(LayerQuantizerTest, DampingIsRaisedTenfoldUntilTheHessianIsPositiveDefinite) {
  const Matrix x = RandomMatrix(8, kColumns, 5);
  hessian_ = Transposed(x) * x;
  const double mean = Trace(hessian_) / kColumns;
  hessian_ = hessian_ - 0.05 * mean * Identity(kColumns);
  cross_ = hessian_;
  const QuantizedLayer quantized = Quantize();
  EXPECT_EQ(quantized.metrics.damping_raises, 1);
  EXPECT_DOUBLE_EQ(quantized.metrics.damping, 0.1);
  EXPECT_FALSE(quantized.metrics.compensation_lost);
  // From there on it is what asking for that damping gives.
  options_.damping = 0.1;
  const QuantizedLayer asked = Quantize();
  EXPECT_EQ(asked.metrics.damping_raises, 0);
  EXPECT_TRUE(SameBytes(asked.layer, quantized.layer));
}

// No diagonal within reach makes this one positive definite.
TEST_F(LayerQuantizerTest, AfterFourRaisesGroupsAreQuantizedWithoutCompensation) {
  options_.reorder = Reorder::kNone;
  hessian_(0, 95) = hessian_(95, 0) = 1e6;
  const QuantizedLayer quantized = Quantize();
  EXPECT_EQ(quantized.metrics.damping_raises, 4);
  EXPECT_EQ(quantized.metrics.damping, 0);
  EXPECT_TRUE(quantized.metrics.compensation_lost);

  // The middle group is what it is on its own.
  const std::vector<int32_t> middle = [] {
    std::vector<int32_t> columns = Range(64);
    columns.erase(columns.begin(), columns.begin() + 32);
    return columns;
  }();
  const Matrix together = Columns(Reconstruction(quantized.layer), middle);
  weight_ = Columns(weight_, middle);
  hessian_ = Submatrix(hessian_, middle, middle);
  cross_ = Submatrix(cross_, middle, middle);
  EXPECT_EQ(Reconstruction(Quantize().layer), together);
}

TEST_F(LayerQuantizerTest, MomentsThatAreNotFiniteAreRefused) {
  hessian_(3, 3) = std::numeric_limits<double>::infinity();
  const absl::Status status = TryQuantize().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("input 3"));
}

TEST_F(LayerQuantizerTest, AFullPrecisionStreamThatOverflowsIsRefused) {
  cross_(7, 7) = std::numeric_limits<double>::quiet_NaN();
  const absl::Status status = TryQuantize().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("full-precision stream"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("input 7"));
}

// Finite, but past what fp16 grids hold and what float32 sums of products do.
TEST_F(LayerQuantizerTest, WeightsWhoseOutputsOverflowAreRefused) {
  for (double& value : weight_.values()) value *= 1e37;
  EXPECT_EQ(TryQuantize().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(LayerQuantizerTest, WeightsThatAreNotFiniteAreRefused) {
  weight_(2, 2) = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(TryQuantize().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(LayerQuantizerTest, OptionsOutOfRangeAreRefused) {
  options_.damping = 0;
  EXPECT_EQ(TryQuantize().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(LayerQuantizerTest, StopsWhenCancelled) {
  int asked = 0;
  cancelled_ = [&] { return ++asked == 2; };
  EXPECT_EQ(TryQuantize().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(asked, 2);
}

}  // namespace
}  // namespace tern
