#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "checkpoint/float_conversion.h"
#include "gtest/gtest.h"
#include "tests/unit/backend_rotation/rotation_oracle.h"

namespace tern {
namespace {

// Sums of at most a few hundred float32 products.
constexpr double kTolerance = 1e-5;

// As stored: rounded to fp16, and so not quite orthogonal.
Matrix HalfRotation(int64_t k, uint32_t seed) {
  Matrix r = RandomRotation(k, seed);
  for (double& value : r.values()) value = HalfToFloat(FloatToHalf(static_cast<float>(value)));
  return r;
}

class RotateRowsTest : public testing::Test {
 protected:
  Matrix Rotate(const Matrix& x, const Matrix& r1, const Matrix& r2) {
    const Tensor out = NewTensor(*backend_, x.rows(), x.cols());
    EXPECT_TRUE(
        ops_.RotateRows(Upload(*backend_, x), Upload(*backend_, r1), Upload(*backend_, r2), out)
            .ok());
    return Download(*backend_, out);
  }

  Matrix InverseTranspose(const Matrix& r) {
    const Tensor inverse = NewTensor(*backend_, r.rows(), r.rows());
    EXPECT_TRUE(ops_.InverseTranspose(Upload(*backend_, r), inverse).ok());
    return Download(*backend_, inverse);
  }

  std::unique_ptr<Backend> backend_ = TestBackend();
  RotationOps& ops_ = backend_->rotation();
};

struct RotationCase {
  int64_t rows, n1, n2;
};

class RotateRowsSizesTest : public RotateRowsTest,
                            public testing::WithParamInterface<RotationCase> {};

TEST_P(RotateRowsSizesTest, EveryRowBecomesTheProductOfItsMatrixWithBothFactors) {
  const auto [rows, n1, n2] = GetParam();
  const Matrix x = RandomMatrix(rows, n1 * n2, 1);
  // The factors are any matrices: nothing depends on their being orthogonal.
  const Matrix r1 = RandomMatrix(n1, n1, 2);
  const Matrix r2 = RandomMatrix(n2, n2, 3);
  EXPECT_LT(RelativeError(Rotate(x, r1, r2), RotatedRows(x, r1, r2)), kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Sizes, RotateRowsSizesTest,
                         testing::Values(RotationCase{1, 1, 1}, RotationCase{5, 1, 7},
                                         RotationCase{5, 7, 1}, RotationCase{3, 3, 5},
                                         RotationCase{48, 16, 8}, RotationCase{130, 8, 64},
                                         RotationCase{9, 17, 20}, RotationCase{9, 33, 20},
                                         RotationCase{7, 40, 12}, RotationCase{2, 150, 3},
                                         RotationCase{300, 2, 97}));

TEST_F(RotateRowsTest, RowsOfALargeMatrixAreRotatedOneLikeTheOther) {
  // More than a device rotates at a time.
  const int64_t rows = 1100;
  const Matrix x = RandomMatrix(rows, 4096, 4);
  const Matrix r1 = RandomRotation(64, 5);
  const Matrix r2 = RandomRotation(64, 6);
  const Matrix rotated = Rotate(x, r1, r2);
  for (const int64_t row : {int64_t{0}, int64_t{511}, int64_t{1023}, int64_t{1024}, rows - 1}) {
    EXPECT_LT(RelativeError(Rows(rotated, row, 1), RotatedRows(Rows(x, row, 1), r1, r2)),
              kTolerance)
        << row;
  }
}

TEST_F(RotateRowsTest, MayReplaceWhatItRotates) {
  for (const int64_t n1 : {4, 40}) {
    const Matrix x = RandomMatrix(37, n1 * 6, 7);
    const Matrix r1 = RandomRotation(n1, 8);
    const Matrix r2 = RandomRotation(6, 9);
    const Tensor tensor = Upload(*backend_, x);
    ASSERT_TRUE(ops_.RotateRows(tensor, Upload(*backend_, r1), Upload(*backend_, r2), tensor).ok());
    EXPECT_EQ(Download(*backend_, tensor), Rotate(x, r1, r2));
  }
}

TEST_F(RotateRowsTest, TransposedFactorsUndoARotation) {
  const Matrix x = RandomMatrix(20, 176, 10);
  const Matrix r1 = RandomRotation(16, 11);
  const Matrix r2 = RandomRotation(11, 12);
  EXPECT_LT(RelativeError(Rotate(Rotate(x, r1, r2), Transposed(r1), Transposed(r2)), x),
            kTolerance);
}

TEST_F(RotateRowsTest, InverseTransposeIsTheInverseTransposed) {
  for (const int64_t k : {1, 2, 43, 130}) {
    const Matrix r = HalfRotation(k, 13);
    EXPECT_LT(RelativeError(InverseTranspose(r), Transposed(Inverse(r))), 2e-6) << k;
  }
}

TEST_F(RotateRowsTest, WeightsRotatedByInverseTransposesKeepTheirProductsWithRotatedInputs) {
  const Matrix x = RandomMatrix(6, 240, 14);
  const Matrix w = RandomMatrix(5, 240, 15);
  const Matrix r1 = HalfRotation(24, 16);
  const Matrix r2 = HalfRotation(10, 17);
  const Matrix products =
      Rotate(x, r1, r2) * Transposed(Rotate(w, InverseTranspose(r1), InverseTranspose(r2)));
  // Without the inverse the error is fp16's, about 3e-4.
  EXPECT_LT(RelativeError(products, x * Transposed(w)), kTolerance);
}

TEST_F(RotateRowsTest, MomentsBecomeThoseOfRotatedInputs) {
  for (const int64_t n1 : {6, 35}) {
    const int64_t n2 = 7;
    const Matrix r1 = RandomRotation(n1, 18);
    const Matrix r2 = RandomRotation(n2, 19);
    const Matrix cross = RandomCross(RandomHessian(n1 * n2, 20), 21);
    // Columns of the identity rotated are the columns of R: the rows of Rᵀ.
    const Matrix rotation = Transposed(RotatedRows(Identity(n1 * n2), r1, r2));
    const Tensor tensor = Upload(*backend_, cross);
    ASSERT_TRUE(
        ops_.RotateMoment(tensor, Upload(*backend_, r1), Upload(*backend_, r2), tensor).ok());
    EXPECT_LT(RelativeError(Download(*backend_, tensor), rotation * cross * Transposed(rotation)),
              kTolerance);
  }
}

// What is left is the rounding of the result to 8 bits.
TEST(RotateBf16RowsTest, ActivationsAreRotatedAsPreciselyAsTheyAreHeld) {
  auto device = CreateBackend(TestDevice(2, ElementType::kBF16));
  if (!device.ok()) GTEST_SKIP() << "needs a device with bf16: " << device.status().message();
  Backend& backend = **device;
  for (const int64_t n1 : {8, 40}) {
    Matrix x = RandomMatrix(70, n1 * 48, 22);
    for (double& value : x.values()) {
      value = Bf16ToFloat(FloatToBf16(static_cast<float>(value)));
    }
    const Matrix r1 = HalfRotation(n1, 23);
    const Matrix r2 = HalfRotation(48, 24);
    const Tensor rows = backend.Allocate(ElementType::kBF16, x.rows(), x.cols()).value();
    ASSERT_TRUE(backend.Convert(Upload(backend, x), rows).ok());
    ASSERT_TRUE(
        backend.rotation().RotateRows(rows, Upload(backend, r1), Upload(backend, r2), rows).ok());
    const Tensor floats = NewTensor(backend, x.rows(), x.cols());
    ASSERT_TRUE(backend.Convert(rows, floats).ok());
    EXPECT_LT(RelativeError(Download(backend, floats), RotatedRows(x, r1, r2)), 2.5e-3);
  }
}

}  // namespace
}  // namespace tern
