#include "worker/backend/cpu/cpu_backend.h"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "checkpoint/block_memory.h"
#include "checkpoint/float_conversion.h"
#include "worker/backend/cpu/cpu_activation_ops.h"
#include "worker/backend/cpu/cpu_rotation_ops.h"
#include "worker/backend/cpu/cpu_ternary_ops.h"
#include "worker/backend/cpu/cpu_transformer_ops.h"
#include "worker/backend/cpu/dense_products.h"
#include "worker/backend/cpu/thread_pool.h"

namespace tern {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kAlignment = 64;  // a cache line, and the widest vector
constexpr int64_t kMirrorTile = 64;
constexpr int64_t kConvertedPerTask = 65536;

// The tile (i, j) of a square matrix, at or below the diagonal: scaled, and copied to (j, i).
void ScaleAndMirrorTile(float* h, int64_t m, int64_t i, int64_t j, double scale) {
  const int64_t row_end = std::min(m, (i + 1) * kMirrorTile);
  for (int64_t row = i * kMirrorTile; row < row_end; ++row) {
    const int64_t column_end = std::min(row + 1, (j + 1) * kMirrorTile);
    for (int64_t column = j * kMirrorTile; column < column_end; ++column) {
      const auto value = static_cast<float>(h[row * m + column] * scale);
      h[row * m + column] = value;
      h[column * m + row] = value;
    }
  }
}

float ReadFloat(const Tensor& tensor, int64_t i) {
  switch (tensor.type()) {
    case ElementType::kBF16:
      return Bf16ToFloat(tensor.data<uint16_t>()[i]);
    case ElementType::kF16:
      return HalfToFloat(tensor.data<uint16_t>()[i]);
    default:
      assert(tensor.type() == ElementType::kF32);
      return tensor.data<float>()[i];
  }
}

void WriteFloat(const Tensor& tensor, int64_t i, float value) {
  switch (tensor.type()) {
    case ElementType::kBF16:
      tensor.data<uint16_t>()[i] = FloatToBf16(value);
      return;
    case ElementType::kF16:
      tensor.data<uint16_t>()[i] = FloatToHalf(value);
      return;
    default:
      assert(tensor.type() == ElementType::kF32);
      tensor.data<float>()[i] = value;
  }
}

class CpuBackend : public Backend {
 public:
  explicit CpuBackend(int threads)
      : pool_(threads),
        transformer_(pool_),
        activations_(pool_),
        ternary_(pool_),
        rotation_(pool_) {}

  std::string name() const override { return "cpu"; }
  std::optional<DeviceMemory> memory() const override { return std::nullopt; }
  absl::Status ResetPeakMemory() override { return absl::OkStatus(); }
  ElementType activation_type() const override { return ElementType::kF32; }
  int64_t batch_tokens() const override { return kCpuLayout.batch_tokens; }

  absl::StatusOr<Mark> Now() override { return std::make_shared<Clock::time_point>(Clock::now()); }

  absl::StatusOr<double> Seconds(const Mark& from, const Mark& to) override {
    const auto time = [](const Mark& mark) {
      return *static_cast<const Clock::time_point*>(mark.get());
    };
    return std::chrono::duration<double>(time(to) - time(from)).count();
  }

  absl::StatusOr<Tensor> AllocateOnHost(ElementType type, int64_t rows, int64_t cols) override {
    return Allocate(type, rows, cols);
  }
  absl::Status ReleaseUnused() override { return absl::OkStatus(); }
  absl::Status Health() override { return absl::OkStatus(); }
  UploadLane* upload_lane() override { return nullptr; }

  absl::StatusOr<Tensor> Allocate(ElementType type, int64_t rows, int64_t cols) override {
    assert(rows >= 0 && cols >= 0);
    const size_t bytes = rows * cols * SizeOf(type);
    const size_t padded = std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
    void* memory = std::aligned_alloc(kAlignment, padded);
    if (memory == nullptr) {
      const int64_t free_bytes = int64_t{sysconf(_SC_AVPHYS_PAGES)} * sysconf(_SC_PAGESIZE);
      return absl::ResourceExhaustedError(absl::StrCat("cpu: out of memory: asked for ", bytes,
                                                       " bytes, ", free_bytes, " are free"));
    }
    return Tensor(type, rows, cols, std::shared_ptr<void>(memory, std::free));
  }

  absl::Status Upload(const void* host, const Tensor& tensor) override {
    std::memcpy(tensor.data<void>(), host, tensor.bytes());
    return absl::OkStatus();
  }

  absl::Status Download(const Tensor& tensor, void* host) override {
    std::memcpy(host, tensor.data<void>(), tensor.bytes());
    return absl::OkStatus();
  }

  absl::Status Copy(const Tensor& from, const Tensor& to) override {
    assert(from.bytes() == to.bytes());
    std::memcpy(to.data<void>(), from.data<void>(), from.bytes());
    return absl::OkStatus();
  }

  absl::Status Zero(const Tensor& tensor) override {
    std::memset(tensor.data<void>(), 0, tensor.bytes());
    return absl::OkStatus();
  }

  absl::Status Convert(const Tensor& from, const Tensor& to) override {
    assert(from.elements() == to.elements());
    const int64_t count = from.elements();
    pool_.ParallelFor((count + kConvertedPerTask - 1) / kConvertedPerTask, [&](int64_t task) {
      const int64_t end = std::min(count, (task + 1) * kConvertedPerTask);
      for (int64_t i = task * kConvertedPerTask; i < end; ++i)
        WriteFloat(to, i, ReadFloat(from, i));
    });
    return absl::OkStatus();
  }

  absl::Status Linear(const Tensor& x, const Tensor& w, const Tensor& bias, bool accumulate,
                      const Tensor& y) override {
    assert(x.cols() == w.cols() && y.rows() == x.rows() && y.cols() == w.rows());
    assert(bias.empty() || bias.elements() == w.rows());
    MultiplyByTransposed(pool_, x.data<float>(), w.data<float>(), bias.data<float>(), accumulate,
                         x.rows(), x.cols(), w.rows(), y.data<float>());
    return absl::OkStatus();
  }

  absl::Status AccumulateGram(const Tensor& x, const Tensor& h) override {
    assert(h.rows() == x.cols() && h.cols() == x.cols());
    AddGramLower(pool_, x.data<float>(), x.rows(), x.cols(), h.data<float>());
    return absl::OkStatus();
  }

  absl::Status AccumulateCross(const Tensor& x_fp, const Tensor& x, const Tensor& g) override {
    assert(x_fp.rows() == x.rows() && g.rows() == x_fp.cols() && g.cols() == x.cols());
    AddTransposedProduct(pool_, x_fp.data<float>(), x.data<float>(), x.rows(), x_fp.cols(),
                         x.cols(), g.data<float>());
    return absl::OkStatus();
  }

  absl::Status FinishMoment(const Tensor& moment, double scale, bool symmetric) override {
    const int64_t m = moment.cols();
    float* data = moment.data<float>();
    if (symmetric) {
      assert(moment.rows() == m);
      const int64_t tiles = (m + kMirrorTile - 1) / kMirrorTile;
      pool_.ParallelFor(tiles, [&](int64_t i) {
        for (int64_t j = 0; j <= i; ++j) ScaleAndMirrorTile(data, m, i, j, scale);
      });
    } else {
      pool_.ParallelFor(moment.rows(), [&](int64_t row) {
        for (int64_t i = row * m; i < (row + 1) * m; ++i) {
          data[i] = static_cast<float>(data[i] * scale);
        }
      });
    }
    return absl::OkStatus();
  }

  TransformerOps& transformer() override { return transformer_; }
  ActivationOps& activations() override { return activations_; }
  TernaryOps& ternary() override { return ternary_; }
  RotationOps& rotation() override { return rotation_; }

 private:
  ThreadPool pool_;
  CpuTransformerOps transformer_;
  CpuActivationOps activations_;
  CpuTernaryOps ternary_;
  CpuRotationOps rotation_;
};

}  // namespace

std::unique_ptr<Backend> CreateCpuBackend(int threads) {
  return std::make_unique<CpuBackend>(threads);
}

}  // namespace tern
