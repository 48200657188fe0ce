#include "worker/backend/cpu/cpu_activation_ops.h"

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <limits>
#include <vector>

#include "worker/backend/activation_grid.h"
#include "worker/backend/cpu/vector_math.h"

namespace tern {
namespace {

constexpr int64_t kElementsPerTask = 32768;

ActivationGrid GridOf(const float* x, int64_t m, int bits, double clip) {
  constexpr float kHighest = std::numeric_limits<float>::max();
  Lanes max = Fill(-kHighest);
  Lanes negated_min = max;
  ForVectors(m, [&](int64_t i, int64_t count) {
    max = Max(max, Load(x + i, count, -kHighest));
    negated_min = Max(negated_min, -Load(x + i, count, kHighest));
  });
  return GridOfRow(-MaxOf(negated_min), MaxOf(max), bits, clip);
}

// to = convert(x, the grid of its row), and unchanged(x) in rows that are left as they are.
template <typename Convert, typename Unchanged>
void ConvertRows(ThreadPool& pool, const Tensor& x, int bits, double clip, const Tensor& to,
                 Convert convert, Unchanged unchanged) {
  assert(x.type() == ElementType::kF32 && to.type() == ElementType::kF32);
  assert(to.rows() == x.rows() && to.cols() == x.cols());
  assert(bits >= kLeastActivationBits && bits <= kMostActivationBits && clip > 0 && clip <= 1);
  const int64_t m = x.cols();
  const int64_t rows_per_task = std::max<int64_t>(1, kElementsPerTask / std::max<int64_t>(1, m));
  pool.ParallelFor((x.rows() + rows_per_task - 1) / rows_per_task, [&](int64_t task) {
    const int64_t end = std::min(x.rows(), (task + 1) * rows_per_task);
    for (int64_t row = task * rows_per_task; row < end; ++row) {
      const float* from = x.data<float>() + row * m;
      float* out = to.data<float>() + row * m;
      const ActivationGrid grid = GridOf(from, m, bits, clip);
      if (grid.scale == 0) {
        std::transform(from, from + m, out, unchanged);
      } else {
        for (int64_t i = 0; i < m; ++i) out[i] = convert(from[i], grid);
      }
    }
  });
}

}  // namespace

absl::Status CpuActivationOps::Quantize(const Tensor& x, int bits, double clip, const Tensor& out) {
  ConvertRows(
      pool_, x, bits, clip, out,
      [](float value, const ActivationGrid& grid) { return Quantized(value, grid); },
      [](float value) { return value; });
  return absl::OkStatus();
}

absl::Status CpuActivationOps::QuantizationError(const Tensor& x, int bits, double clip,
                                                 const Tensor& error) {
  ConvertRows(
      pool_, x, bits, clip, error,
      [](float value, const ActivationGrid& grid) { return QuantizedLess(value, grid); },
      [](float value) { return value - value; });
  return absl::OkStatus();
}

absl::Status CpuActivationOps::AddSquares(const Tensor& y, const Tensor& sum) {
  assert(y.type() == ElementType::kF32 && sum.type() == ElementType::kF32 && sum.elements() == 1);
  const int64_t tasks = (y.elements() + kElementsPerTask - 1) / kElementsPerTask;
  std::vector<double> sums(tasks);
  pool_.ParallelFor(tasks, [&](int64_t task) {
    const int64_t first = task * kElementsPerTask;
    const float* values = y.data<float>() + first;
    DoubleLanes squares{};
    ForVectors(std::min(kElementsPerTask, y.elements() - first), [&](int64_t i, int64_t count) {
      const DoubleLanes value = ToDouble(Load(values + i, count, 0));
      squares += value * value;
    });
    sums[task] = SumOf(squares);
  });
  double total = 0;
  for (const double of_task : sums) total += of_task;
  *sum.data<float>() += static_cast<float>(total);
  return absl::OkStatus();
}

}  // namespace tern
