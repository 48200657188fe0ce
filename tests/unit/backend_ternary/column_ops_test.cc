#include <algorithm>
#include <limits>
#include <memory>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/backend_ternary/matrix.h"

namespace tern {
namespace {

using testing::ElementsAre;

class ColumnOpsTest : public testing::Test {
 protected:
  std::vector<int32_t> Order(const std::vector<double>& scores, int64_t group) {
    const auto m = static_cast<int64_t>(scores.size());
    const Tensor order = ZeroCounts(*backend_, m);
    EXPECT_TRUE(ops_.OrderColumns(Upload(*backend_, Matrix(1, m, scores)), group, order).ok());
    return DownloadIntegers(*backend_, order);
  }

  std::unique_ptr<Backend> backend_ = TestBackend();
  TernaryOps& ops_ = backend_->ternary();
};

TEST_F(ColumnOpsTest, DiagonalOfAMatrix) {
  const Matrix h = RandomMatrix(5, 5, 1);
  const Tensor diagonal = NewTensor(*backend_, 1, 5);
  ASSERT_TRUE(ops_.Diagonal(Upload(*backend_, h), diagonal).ok());
  for (int64_t i = 0; i < 5; ++i) EXPECT_EQ(Download(*backend_, diagonal)(0, i), h(i, i));
}

TEST_F(ColumnOpsTest, GatherTakesColumnsInTheOrderAsked) {
  const Matrix from = RandomMatrix(7, 6, 2);
  const Tensor to = NewTensor(*backend_, 7, 3);
  const std::vector<int32_t> columns = {4, 0, 5};
  ASSERT_TRUE(
      ops_.GatherColumns(Upload(*backend_, from), UploadColumns(*backend_, columns), to).ok());
  EXPECT_EQ(Download(*backend_, to), Columns(from, columns));
}

TEST_F(ColumnOpsTest, ZeroColumnsLeavesTheOthers) {
  Matrix w = RandomMatrix(7, 6, 3);
  const Tensor tensor = Upload(*backend_, w);
  ASSERT_TRUE(ops_.ZeroColumns(UploadColumns(*backend_, std::vector<int32_t>{1, 5}), tensor).ok());
  for (int64_t r = 0; r < 7; ++r) w(r, 1) = w(r, 5) = 0;
  EXPECT_EQ(Download(*backend_, tensor), w);
}

TEST_F(ColumnOpsTest, GatherTakesIntegersToo) {
  const Tensor from = UploadColumns(*backend_, std::vector<int32_t>{10, 20, 30, 1 << 30});
  const Tensor to = ZeroCounts(*backend_, 2);
  ASSERT_TRUE(
      ops_.GatherColumns(from, UploadColumns(*backend_, std::vector<int32_t>{3, 1}), to).ok());
  EXPECT_THAT(DownloadIntegers(*backend_, to), ElementsAre(1 << 30, 20));
}

TEST_F(ColumnOpsTest, TheGroupFallsByScoreAndTheRestRisesByIndex) {
  EXPECT_THAT(Order({0.1f, 0.9f, 0.2f, 0.8f, 0.3f}, 2), ElementsAre(1, 3, 0, 2, 4));
}

TEST_F(ColumnOpsTest, EqualScoresGoToTheLowerIndex) {
  EXPECT_THAT(Order({1, 2, 2, 1, 2}, 2), ElementsAre(1, 2, 0, 3, 4));
}

TEST_F(ColumnOpsTest, AGroupWiderThanTheColumnsTakesThemAll) {
  EXPECT_THAT(Order({1, 3, 2}, 128), ElementsAre(1, 2, 0));
}

TEST_F(ColumnOpsTest, ANaNScoreComesLast) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(Order({nan, -5, nan, 1}, 4), ElementsAre(3, 1, 0, 2));
}

TEST_F(ColumnOpsTest, ManyColumnsAreOrderedAlike) {
  const Matrix scores = RandomMatrix(1, 5000, 11);
  std::vector<int32_t> expected = Range(5000);
  std::sort(expected.begin(), expected.end(),
            [&](int32_t a, int32_t b) { return scores(0, a) > scores(0, b); });
  std::sort(expected.begin() + 128, expected.end());
  EXPECT_EQ(Order(scores.values(), 128), expected);
}

TEST_F(ColumnOpsTest, SimilarityIsTheDotProductWithTheMeanUnitColumn) {
  const Matrix w = RandomMatrix(30, 200, 4);
  const Tensor scores = NewTensor(*backend_, 1, 200);
  ASSERT_TRUE(ops_.ColumnSimilarity(Upload(*backend_, w), scores).ok());
  Matrix unit = w;
  for (int64_t c = 0; c < 200; ++c) {
    const double norm = Norm(Columns(w, c, 1));
    for (int64_t r = 0; r < 30; ++r) unit(r, c) /= norm;
  }
  const Matrix mean = unit * Matrix(200, 1, 1.0 / 200);
  // Rounded to float32 at the end alone.
  EXPECT_LT(RelativeError(Download(*backend_, scores), Transposed(mean) * unit), 1e-6);
}

TEST_F(ColumnOpsTest, AZeroColumnIsSimilarToNothing) {
  Matrix w = RandomMatrix(30, 20, 5);
  for (int64_t r = 0; r < 30; ++r) w(r, 3) = 0;
  const Tensor scores = NewTensor(*backend_, 1, 20);
  ASSERT_TRUE(ops_.ColumnSimilarity(Upload(*backend_, w), scores).ok());
  EXPECT_EQ(Download(*backend_, scores)(0, 3), 0);
}

TEST_F(ColumnOpsTest, EqualColumnsAreEquallySimilarWhereverTheyStand) {
  Matrix w = RandomMatrix(33, 150, 6);
  for (int64_t r = 0; r < 33; ++r) w(r, 149) = w(r, 2);
  const Tensor scores = NewTensor(*backend_, 1, 150);
  ASSERT_TRUE(ops_.ColumnSimilarity(Upload(*backend_, w), scores).ok());
  const Matrix values = Download(*backend_, scores);
  EXPECT_EQ(values(0, 149), values(0, 2));
}

TEST_F(ColumnOpsTest, RoundToHalfIsToNearestEvenAndSaturates) {
  const Matrix values(1, 6, {1 + 0x1p-11, 1 + 3 * 0x1p-11, 1e6, -1e6, 0.1, 0x1p-25});
  const Tensor tensor = Upload(*backend_, values);
  ASSERT_TRUE(ops_.RoundToHalf(tensor).ok());
  const Matrix expected(1, 6, {1, 1 + 0x1p-9, 65504, -65504, 0.0999755859375, 0});
  EXPECT_EQ(Download(*backend_, tensor), expected);
}

TEST_F(ColumnOpsTest, GridErrorIsWhatTheGridLeaves) {
  // Binary fractions: exact in float32.
  const Matrix w(3, 4, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  const Matrix t(3, 4, {1, 0, -1, 1, 0, 0, 0, 0, -1, -1, 1, 1});
  const Matrix alpha(1, 3, {0.5, 0.25, 1});
  const Matrix mu(1, 3, {0, 0.125, -0.5});
  const Tensor error = NewTensor(*backend_, 3, 4);
  ASSERT_TRUE(ops_.GridError(Upload(*backend_, w), UploadTrits(*backend_, t),
                             Upload(*backend_, alpha), Upload(*backend_, mu), error)
                  .ok());
  const Matrix expected(3, 4,
                        {0.5, 2, 3.5, 3.5, 4.875, 5.875, 6.875, 7.875, 10.5, 11.5, 10.5, 11.5});
  EXPECT_EQ(Download(*backend_, error), expected);
}

TEST_F(ColumnOpsTest, OutputEnergyIsTheTrace) {
  // 100 rows and 70 columns: neither whole tiles nor whole panels.
  const Matrix w = RandomMatrix(100, 70, 8);
  const Matrix w_hat = RandomMatrix(100, 70, 9);
  const Matrix h = RandomHessian(70, 10);
  const Matrix e = w - w_hat;
  const double error =
      ops_.OutputEnergy(Upload(*backend_, w), Upload(*backend_, w_hat), Upload(*backend_, h))
          .value();
  EXPECT_NEAR(error / Trace(e * h * Transposed(e)), 1, 1e-6);  // float32 products
  const double energy =
      ops_.OutputEnergy(Upload(*backend_, w), Tensor(), Upload(*backend_, h)).value();
  EXPECT_NEAR(energy / Trace(w * h * Transposed(w)), 1, 1e-6);
}

}  // namespace
}  // namespace tern
