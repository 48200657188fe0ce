#include "tests/unit/quant/layer_oracle.h"

#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "checkpoint/trits.h"
#include "gtest/gtest.h"
#include "tests/test_backend.h"
#include "worker/quant/column_order.h"
#include "worker/quant/layer_quantizer.h"

namespace tern {
namespace {

using Case = std::tuple<Compensation, double, Reorder>;

class LayerOracleTest : public testing::TestWithParam<Case> {};

// 100 columns in groups of 32: the last has 4.
TEST_P(LayerOracleTest, DowndatingGivesWhatFactoringAnewForEveryGroupGives) {
  constexpr int64_t kRows = 20;
  constexpr int64_t kColumns = 100;
  QuantRecipe options;
  options.group_size = 32;
  options.seed = 5;
  std::tie(options.compensation, options.gptaq, options.reorder) = GetParam();
  const Matrix weight = RandomMatrix(kRows, kColumns, 1);
  const Matrix hessian = RandomHessian(kColumns, 2);
  const Matrix cross = RandomCross(hessian, 3);

  std::vector<double> scores(kColumns);
  const std::vector<float> random = RandomScores(kColumns, options.seed);
  for (int64_t j = 0; j < kColumns; ++j) {
    scores[j] = options.reorder == Reorder::kHessian  ? hessian(j, j)
                : options.reorder == Reorder::kRandom ? random[j]
                                                      : -static_cast<double>(j);
  }
  const OracleLayer expected = QuantizeByOracle(weight, hessian, cross, options, scores);

  const auto backend = TestBackend();
  StageClock clock(*backend);
  LayerQuantizer quantizer = LayerQuantizer::Create(*backend, options, Upload(*backend, hessian),
                                                    Upload(*backend, cross), clock)
                                 .value();
  const QuantizedLayer quantized = quantizer.Quantize(Upload(*backend, weight), nullptr).value();

  const TernaryLayer& layer = quantized.layer;
  EXPECT_EQ(layer.perm,
            options.reorder == Reorder::kNone ? std::vector<int32_t>() : expected.order);
  const int64_t row_bytes = PackedTritBytes(kColumns);
  Matrix trits(kRows, kColumns);
  for (int64_t r = 0; r < kRows; ++r) {
    std::vector<int8_t> row(kColumns);
    UnpackTrits(std::span(layer.trits).subspan(r * row_bytes, row_bytes), row);
    for (int64_t c = 0; c < kColumns; ++c) trits(r, c) = row[c];
  }
  EXPECT_EQ(trits, expected.trits);
  std::vector<float> values(kRows * kColumns);
  Dequantize(layer, values);
  const Matrix reconstruction(kRows, kColumns, std::vector<double>(values.begin(), values.end()));
  // float32 against float64 may round an α or μ to the fp16 value beside: 2⁻¹¹ of it.
  EXPECT_LT(LargestDifference(reconstruction, expected.reconstruction), 1e-3);

  // The metrics against their definitions; float32 products.
  const Matrix e = weight - reconstruction;
  const double error = Trace(e * hessian * Transposed(e));
  const double energy = Trace(weight * hessian * Transposed(weight));
  EXPECT_NEAR(quantized.metrics.output_error / error, 1, 1e-5);
  EXPECT_NEAR(quantized.metrics.output_energy / energy, 1, 1e-5);
  EXPECT_NEAR(quantized.metrics.relative_error / (error / energy), 1, 1e-5);
}

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  const auto& [compensation, gptaq, reorder] = info.param;
  std::string name = compensation == Compensation::kExact ? "exact" : "released";
  name += gptaq > 0 ? "_gptaq" : "";
  switch (reorder) {
    case Reorder::kSsr:
      return name + "_ssr";
    case Reorder::kNone:
      return name + "_none";
    case Reorder::kRandom:
      return name + "_random";
    case Reorder::kHessian:
      return name + "_hessian";
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Methods, LayerOracleTest,
                         testing::Combine(testing::Values(Compensation::kExact,
                                                          Compensation::kReleased),
                                          testing::Values(0.0, 0.25),
                                          testing::Values(Reorder::kSsr, Reorder::kNone,
                                                          Reorder::kRandom, Reorder::kHessian)),
                         CaseName);

}  // namespace
}  // namespace tern
