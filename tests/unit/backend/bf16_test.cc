#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "checkpoint/float_conversion.h"
#include "tests/unit/backend/host_tensors.h"

namespace tern {
namespace {

// Operations on bf16 activations against the CPU's, in float32, on the same rounded inputs: what is
// left is the rounding of results to 8 bits, and of what attention keeps between its products.
constexpr double kTolerance = 4e-3;

class Bf16Test : public testing::Test {
 protected:
  void SetUp() override {
    auto device = CreateBackend(TestDevice(2, ElementType::kBF16));
    if (!device.ok()) GTEST_SKIP() << "needs a device with bf16: " << device.status().message();
    device_ = *std::move(device);
  }

  // The same values, on the CPU in float32 and on the device as `type`.
  struct Both {
    Tensor cpu, device;
  };

  Both Random(int64_t rows, int64_t cols, uint32_t seed, double scale = 1,
              ElementType type = ElementType::kBF16) {
    std::vector<float> values = RandomValues(rows * cols, seed, scale);
    if (type == ElementType::kBF16) {
      for (float& value : values) value = Bf16ToFloat(FloatToBf16(value));
    }
    return {UploadFloats(*cpu_, values, rows, cols), OnDevice(values, rows, cols, type)};
  }

  // Not a number, so that a result that is not written shows.
  Both Unwritten(int64_t rows, int64_t cols, ElementType type = ElementType::kBF16) {
    const std::vector<float> values(rows * cols, std::nanf(""));
    return {UploadFloats(*cpu_, values, rows, cols), OnDevice(values, rows, cols, type)};
  }

  Tensor OnDevice(const std::vector<float>& values, int64_t rows, int64_t cols, ElementType type) {
    const Tensor floats = UploadFloats(*device_, values, rows, cols);
    if (type == ElementType::kF32) return floats;
    Tensor converted = device_->Allocate(type, rows, cols).value();
    EXPECT_TRUE(device_->Convert(floats, converted).ok());
    return converted;
  }

  double Error(const Both& both) {
    Tensor floats =
        device_->Allocate(ElementType::kF32, both.device.rows(), both.device.cols()).value();
    EXPECT_TRUE(device_->Convert(both.device, floats).ok());
    return NormalizedError(DownloadFloats(*device_, floats), DownloadFloats(*cpu_, both.cpu));
  }

  std::unique_ptr<Backend> cpu_ = CreateBackend("cpu", 2).value();
  std::unique_ptr<Backend> device_;
};

TEST_F(Bf16Test, ConversionRoundsToNearestEvenAndBack) {
  const std::vector<float> values = {1 + 0x1p-8f, 1 + 3 * 0x1p-8f, 3.1415927f, -0.0f, 1e38f};
  const Tensor bf16 = OnDevice(values, 1, 5, ElementType::kBF16);
  std::vector<uint16_t> bits(5);
  ASSERT_TRUE(device_->Download(bf16, bits.data()).ok());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(bits[i], FloatToBf16(values[i]));
}

TEST_F(Bf16Test, LinearIntoActivationsAndIntoTheResidualStream) {
  for (const auto& [t, k, n] : {std::tuple<int64_t, int64_t, int64_t>{1, 8, 3},
                                {37, 96, 65},
                                {130, 352, 200},
                                {257, 100, 33}}) {
    const Both x = Random(t, k, 1);
    const Both w = Random(n, k, 2, 0.1);
    const Both bias = Random(1, n, 3, 1, ElementType::kF32);
    const Both y = Unwritten(t, n);
    ASSERT_TRUE(cpu_->Linear(x.cpu, w.cpu, bias.cpu, false, y.cpu).ok());
    ASSERT_TRUE(device_->Linear(x.device, w.device, bias.device, false, y.device).ok());
    EXPECT_LT(Error(y), kTolerance) << t << " " << k << " " << n;

    const Both h = Random(t, n, 4, 1, ElementType::kF32);
    ASSERT_TRUE(cpu_->Linear(x.cpu, w.cpu, Tensor(), true, h.cpu).ok());
    ASSERT_TRUE(device_->Linear(x.device, w.device, Tensor(), true, h.device).ok());
    EXPECT_LT(Error(h), 1e-5) << "no result is rounded";
  }
}

TEST_F(Bf16Test, MomentsAreSummedInFloat32) {
  for (const int64_t m : {5, 130, 700, 1100}) {
    const Both x = Random(300, m, 5);
    const Both x_fp = Random(300, m, 6);
    const Both h = Unwritten(m, m, ElementType::kF32);
    const Both g = Unwritten(m, m, ElementType::kF32);
    for (const auto& [backend, is_cpu] : {std::pair{cpu_.get(), true}, {device_.get(), false}}) {
      const auto of = [is_cpu = is_cpu](const Both& both) {
        return is_cpu ? both.cpu : both.device;
      };
      ASSERT_TRUE(backend->Zero(of(h)).ok());
      ASSERT_TRUE(backend->Zero(of(g)).ok());
      for (const int64_t first : {0, 100}) {
        const int64_t count = first == 0 ? 100 : 200;
        ASSERT_TRUE(backend->AccumulateGram(of(x).Rows(first, count), of(h)).ok());
        ASSERT_TRUE(
            backend->AccumulateCross(of(x_fp).Rows(first, count), of(x).Rows(first, count), of(g))
                .ok());
      }
      ASSERT_TRUE(backend->FinishMoment(of(h), 1.0 / 300, true).ok());
      ASSERT_TRUE(backend->FinishMoment(of(g), 1.0 / 300, false).ok());
    }
    EXPECT_LT(Error(h), 1e-5) << m;
    EXPECT_LT(Error(g), 1e-5) << m;
  }
}

TEST_F(Bf16Test, NormReadsTheResidualStreamOrActivations) {
  for (const int64_t width : {24, 96, 100, 512, 1027}) {
    const Both weight = Random(1, width, 7, 1, ElementType::kF32);
    for (const ElementType type : {ElementType::kF32, ElementType::kBF16}) {
      const Both x = Random(33, width, 8, 3, type);
      const Both out = Unwritten(33, width);
      ASSERT_TRUE(cpu_->transformer().RmsNorm(x.cpu, weight.cpu, 1e-5, out.cpu).ok());
      ASSERT_TRUE(device_->transformer().RmsNorm(x.device, weight.device, 1e-5, out.device).ok());
      EXPECT_LT(Error(out), kTolerance) << width;
    }
  }
}

TEST_F(Bf16Test, RopeAndSwiGlu) {
  const Both cos = Random(12, 10, 9, 1, ElementType::kF32);
  const Both sin = Random(12, 10, 10, 1, ElementType::kF32);
  const Both x = Random(36, 60, 11);
  ASSERT_TRUE(cpu_->transformer().ApplyRope(cos.cpu, sin.cpu, 3, x.cpu).ok());
  ASSERT_TRUE(device_->transformer().ApplyRope(cos.device, sin.device, 3, x.device).ok());
  EXPECT_LT(Error(x), kTolerance);
  for (const int64_t width : {7, 64, 353}) {
    const Both gate = Random(19, width, 12, 2);
    const Both up = Random(19, width, 13);
    ASSERT_TRUE(cpu_->transformer().SwiGlu(gate.cpu, up.cpu, gate.cpu).ok());
    ASSERT_TRUE(device_->transformer().SwiGlu(gate.device, up.device, gate.device).ok());
    EXPECT_LT(Error(gate), kTolerance) << width;
  }
}

TEST_F(Bf16Test, AttentionUnderEveryMask) {
  struct Case {
    int64_t windows, length, heads, kv_heads, head_dim, sliding;
  };
  for (const Case& c :
       {Case{1, 1, 2, 2, 64, 0}, Case{2, 65, 4, 1, 64, 0}, Case{1, 200, 4, 2, 128, 0},
        Case{3, 100, 2, 2, 96, 17}, Case{1, 300, 7, 1, 32, 64}, Case{2, 130, 2, 1, 80, 1},
        Case{1, 150, 2, 2, 256, 0}}) {
    const AttentionShape shape = {c.length, c.heads, c.kv_heads, c.head_dim, c.sliding};
    const int64_t tokens = c.windows * c.length;
    const Both q = Random(tokens, c.heads * c.head_dim, 14);
    const Both k = Random(tokens, c.kv_heads * c.head_dim, 15);
    const Both v = Random(tokens, c.kv_heads * c.head_dim, 16);
    const Both out = Unwritten(tokens, c.heads * c.head_dim);
    ASSERT_TRUE(cpu_->transformer().CausalAttention(q.cpu, k.cpu, v.cpu, shape, out.cpu).ok());
    ASSERT_TRUE(device_->transformer()
                    .CausalAttention(q.device, k.device, v.device, shape, out.device)
                    .ok());
    EXPECT_LT(Error(out), kTolerance) << c.head_dim << " wide, " << c.length << " long";
  }
}

// With bf16 activations what is compensated goes through split TF32: as good as float32.
TEST_F(Bf16Test, CompensationLosesNothingToTheMatrixUnits) {
  constexpr int64_t kRows = 70;
  constexpr int64_t kColumns = 300;
  constexpr int64_t kGroup = 128;
  constexpr int64_t kRest = kColumns - kGroup;
  std::vector<float> moment(kColumns * kColumns);
  for (int64_t i = 0; i < kColumns; ++i) {
    for (int64_t j = 0; j < kColumns; ++j) {
      moment[i * kColumns + j] =
          std::exp(-std::abs(static_cast<float>(i - j)) / 8) + (i == j ? 0.1f : 0.0f);
    }
  }
  const Both w = Random(kRows, kColumns, 17, 1, ElementType::kF32);
  const Both error = Random(kRows, kGroup, 18, 0.3, ElementType::kF32);
  const Both p = Random(kGroup, kRest, 19, 0.1, ElementType::kF32);
  const Both next_w = Unwritten(kRows, kRest, ElementType::kF32);
  const Both next_inverse = Unwritten(kRest, kRest, ElementType::kF32);
  std::vector<int32_t> order(kColumns);
  for (int32_t i = 0; i < kColumns; ++i) order[i] = (i * 7 + 5) % kColumns;
  for (const auto& [backend, is_cpu] : {std::pair{cpu_.get(), true}, {device_.get(), false}}) {
    const auto of = [is_cpu = is_cpu](const Both& both) { return is_cpu ? both.cpu : both.device; };
    TernaryOps& ops = backend->ternary();
    const Tensor columns = Upload(*backend, ElementType::kI32, order, 1, kColumns);
    const Tensor failures = Upload(*backend, ElementType::kI32, std::vector<int32_t>{0}, 1, 1);
    const Tensor inverse = EmptyFloats(*backend, kColumns, kColumns);
    const Tensor u_bb = EmptyFloats(*backend, kGroup, kGroup);
    const Tensor u_bb_inverse = EmptyFloats(*backend, kGroup, kGroup);
    const Tensor u_br = EmptyFloats(*backend, kGroup, kRest);
    ASSERT_TRUE(ops.InvertDamped(UploadFloats(*backend, moment, kColumns, kColumns), 0.01, inverse)
                    .value());
    ASSERT_TRUE(
        ops.DowndateInverse(inverse, columns, u_bb, u_bb_inverse, u_br, of(next_inverse), failures)
            .ok());
    ASSERT_TRUE(ops.CompensateColumns(of(w), columns, of(error), u_bb_inverse, u_br, of(p),
                                      Compensation::kExact, of(next_w))
                    .ok());
  }
  EXPECT_LT(Error(next_inverse), 1e-4);
  EXPECT_LT(Error(next_w), 1e-5);
}

TEST_F(Bf16Test, ATernaryWeightIsUnpackedToItsNearestValues) {
  const int64_t n = 21;
  const int64_t m = 103;
  std::vector<uint8_t> trits(n * 21);
  for (size_t i = 0; i < trits.size(); ++i) trits[i] = static_cast<uint8_t>(i * 37 % 243);
  std::vector<uint16_t> grid(n * 4);
  for (size_t i = 0; i < grid.size(); ++i) grid[i] = FloatToHalf(0.01f * static_cast<float>(i + 1));
  std::vector<int32_t> perm(m);
  for (int64_t c = 0; c < m; ++c) perm[c] = static_cast<int32_t>((c * 10 + 3) % m);
  const Both w = Unwritten(n, m);
  for (const auto& [backend, out] : {std::pair{cpu_.get(), w.cpu}, {device_.get(), w.device}}) {
    const PackedTernary packed = {.trits = Upload(*backend, ElementType::kU8, trits, n, 21),
                                  .alpha = Upload(*backend, ElementType::kF16, grid, n, 4),
                                  .mu = Upload(*backend, ElementType::kF16, grid, n, 4),
                                  .perm = Upload(*backend, ElementType::kI32, perm, 1, m)};
    ASSERT_TRUE(backend->ternary().Unpack(packed, 32, out).ok());
  }
  EXPECT_LT(Error(w), kTolerance);
}

}  // namespace
}  // namespace tern
