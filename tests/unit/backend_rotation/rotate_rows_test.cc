#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
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

TEST_F(RotateRowsTest, RotatedRowsAreQuantizedAsTheyAre) {
  const Matrix x = RandomMatrix(21, 16 * 11, 25);
  const Tensor r1 = Upload(*backend_, RandomRotation(16, 26));
  const Tensor r2 = Upload(*backend_, RandomRotation(11, 27));
  for (const int bits : {2, 8}) {
    const Tensor expected = Upload(*backend_, x);
    ASSERT_TRUE(ops_.RotateRows(expected, r1, r2, expected).ok());
    ASSERT_TRUE(backend_->activations().Quantize(expected, bits, 0.9, expected).ok());
    const Tensor actual = Upload(*backend_, x);
    ASSERT_TRUE(ops_.QuantizeRotatedRows(actual, r1, r2, bits, 0.9, actual).ok());
    EXPECT_EQ(Download(*backend_, actual), Download(*backend_, expected)) << bits;
  }
}

class RotateBf16RowsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto device = CreateBackend(TestDevice(2, ElementType::kBF16));
    if (!device.ok()) GTEST_SKIP() << "needs a device with bf16: " << device.status().message();
    backend_ = *std::move(device);
  }

  static Matrix RandomBf16(int64_t rows, int64_t cols, uint32_t seed, double factor) {
    Matrix x = RandomMatrix(rows, cols, seed);
    for (double& value : x.values()) {
      value = Bf16ToFloat(FloatToBf16(static_cast<float>(factor * value)));
    }
    return x;
  }

  Tensor UploadBf16(const Matrix& x) {
    Tensor rows = backend_->Allocate(ElementType::kBF16, x.rows(), x.cols()).value();
    EXPECT_TRUE(backend_->Convert(Upload(*backend_, x), rows).ok());
    return rows;
  }

  Matrix DownloadBf16(const Tensor& rows) {
    const Tensor floats = NewTensor(*backend_, rows.rows(), rows.cols());
    EXPECT_TRUE(backend_->Convert(rows, floats).ok());
    return Download(*backend_, floats);
  }

  Matrix Rotate(const Matrix& x, const Matrix& r1, const Matrix& r2) {
    const Tensor rows = UploadBf16(x);
    EXPECT_TRUE(backend_->rotation()
                    .RotateRows(rows, Upload(*backend_, r1), Upload(*backend_, r2), rows)
                    .ok());
    return DownloadBf16(rows);
  }

  Matrix Quantize(const Matrix& x, const Matrix& r1, const Matrix& r2, int bits) {
    const Tensor rows = UploadBf16(x);
    EXPECT_TRUE(
        backend_->rotation()
            .QuantizeRotatedRows(rows, Upload(*backend_, r1), Upload(*backend_, r2), bits, 1, rows)
            .ok());
    return DownloadBf16(rows);
  }

  std::unique_ptr<Backend> backend_;
};

// The widths and lengths at which a device goes another way, and magnitudes from one end of bf16 to
// the other.
TEST_F(RotateBf16RowsTest, ActivationsAreRotatedAsPreciselyAsTheyAreHeld) {
  for (const auto& [n1, n2] : std::vector<std::pair<int64_t, int64_t>>{
           {1, 64}, {8, 48}, {8, 512}, {9, 33}, {16, 43}, {32, 20}, {40, 48}, {128, 86}}) {
    for (const double factor : {1.0, 1e-30, 1e30}) {
      const Matrix x = RandomBf16(70, n1 * n2, 22, factor);
      const Matrix r1 = HalfRotation(n1, 23);
      const Matrix r2 = HalfRotation(n2, 24);
      // What is left is the rounding of the result to 8 bits.
      EXPECT_LT(RelativeError(Rotate(x, r1, r2), RotatedRows(x, r1, r2)), 2.5e-3)
          << n1 << " x " << n2 << ", " << factor;
    }
  }
}

TEST_F(RotateBf16RowsTest, ManyRowsAreRotatedOneLikeTheOther) {
  const int64_t rows = 8200;  // more than a device rotates at a time
  const Matrix few = RandomBf16(10, 4096, 28, 1);
  Matrix x(rows, few.cols());
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < x.cols(); ++c) x(row, c) = few(row % few.rows(), c);
  }
  for (const int64_t n1 : {8, 64}) {
    const Matrix r1 = HalfRotation(n1, 29);
    const Matrix r2 = HalfRotation(x.cols() / n1, 30);
    const Matrix rotated = Rotate(x, r1, r2);
    const Matrix expected = RotatedRows(few, r1, r2);
    for (const int64_t first : {int64_t{0}, int64_t{8180}, rows - few.rows()}) {
      EXPECT_LT(RelativeError(Rows(rotated, first, few.rows()), expected), 2.5e-3) << first;
    }
  }
}

TEST_F(RotateBf16RowsTest, RotatedActivationsAreWithinHalfAStepOfTheirValues) {
  for (const auto& [n1, n2] :
       std::vector<std::pair<int64_t, int64_t>>{{8, 48}, {9, 33}, {40, 48}}) {
    const Matrix x = RandomBf16(50, n1 * n2, 31, 3);
    const Matrix r1 = HalfRotation(n1, 32);
    const Matrix r2 = HalfRotation(n2, 33);
    const Matrix rotated = RotatedRows(x, r1, r2);
    for (const int bits : {2, 4, 8}) {
      const Matrix quantized = Quantize(x, r1, r2, bits);
      for (int64_t row = 0; row < x.rows(); ++row) {
        double low = 0;
        double high = 0;
        for (int64_t c = 0; c < x.cols(); ++c) {
          low = std::min(low, rotated(row, c));
          high = std::max(high, rotated(row, c));
        }
        const double step = (high - low) / ((1 << bits) - 1);
        // Half a step, what 11 bits leave of the range, and the rounding of the result to 8 bits.
        const double tolerance = step / 2 + (high - low) / 1024;
        for (int64_t c = 0; c < x.cols(); ++c) {
          ASSERT_NEAR(quantized(row, c), rotated(row, c),
                      tolerance + std::abs(rotated(row, c)) / 128)
              << n1 << " x " << n2 << ", " << bits << " bits, row " << row << ", column " << c;
        }
      }
    }
  }
}

TEST_F(RotateBf16RowsTest, RowsOfZerosStayZerosAndWhatIsNotFiniteStaysInItsRow) {
  for (const int64_t n1 : {8, 40}) {
    Matrix x = RandomBf16(4, n1 * 8, 34, 1);
    for (int64_t c = 0; c < x.cols(); ++c) x(1, c) = 0;
    x(2, 3) = std::numeric_limits<double>::infinity();
    const Matrix r1 = HalfRotation(n1, 35);
    const Matrix r2 = HalfRotation(8, 36);
    for (const Matrix& result : {Rotate(x, r1, r2), Quantize(x, r1, r2, 4)}) {
      bool finite = true;
      for (int64_t c = 0; c < x.cols(); ++c) {
        EXPECT_EQ(result(1, c), 0);
        finite = finite && std::isfinite(result(2, c));
        EXPECT_TRUE(std::isfinite(result(0, c)) && std::isfinite(result(3, c)));
      }
      EXPECT_FALSE(finite);
    }
  }
}

}  // namespace
}  // namespace tern
