#include "worker/backend/cpu/cpu_transformer_ops.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

#include "worker/backend/cpu/attention.h"
#include "worker/backend/cpu/vector_math.h"

namespace tern {
namespace {

constexpr int64_t kElementsPerTask = 32768;
constexpr float kLowest = std::numeric_limits<float>::lowest();

void NormalizeRow(const float* x, const float* weight, int64_t n, double eps, float* out) {
  DoubleLanes squares{};
  ForVectors(n, [&](int64_t i, int64_t count) {
    const DoubleLanes value = ToDouble(Load(x + i, count, 0));
    squares += value * value;
  });
  const auto scale =
      static_cast<float>(1.0 / std::sqrt(SumOf(squares) / static_cast<double>(n) + eps));
  ForVectors(n, [&](int64_t i, int64_t count) {
    Store(Load(x + i, count, 0) * scale * Load(weight + i, count, 0), out + i, count);
  });
}

void RotateHead(const float* cos, const float* sin, int64_t half, float* x) {
  ForVectors(half, [&](int64_t j, int64_t count) {
    const Lanes c = Load(cos + j, count, 0), s = Load(sin + j, count, 0);
    const Lanes a = Load(x + j, count, 0), b = Load(x + half + j, count, 0);
    Store(a * c - b * s, x + j, count);
    Store(b * c + a * s, x + half + j, count);
  });
}

float MaxOfRow(const float* x, int64_t n) {
  Lanes max = Fill(kLowest);
  ForVectors(n, [&](int64_t i, int64_t count) { max = Max(max, Load(x + i, count, kLowest)); });
  return MaxOf(max);
}

// Σ e^(x - max)
double SumOfExp(const float* x, int64_t n, float max) {
  DoubleLanes sum{};
  ForVectors(n, [&](int64_t i, int64_t count) {
    sum += ToDouble(Exp(Load(x + i, count, kLowest) - max));
  });
  return SumOf(sum);
}

// With p = e^(a - max a) / A and q likewise, KL = Σ e^(a - max a)·((a - max a) - (b - max b)) / A
// - log A + log B.
double KlDivergence(const float* a, const float* b, int64_t n) {
  const float a_max = MaxOfRow(a, n), b_max = MaxOfRow(b, n);
  DoubleLanes a_sum{}, weighted{};
  ForVectors(n, [&](int64_t i, int64_t count) {
    const Lanes shifted_a = Load(a + i, count, kLowest) - a_max;
    const Lanes shifted_b = Load(b + i, count, kLowest) - b_max;
    const DoubleLanes exp_a = ToDouble(Exp(shifted_a));
    a_sum += exp_a;
    weighted += exp_a * (ToDouble(shifted_a) - ToDouble(shifted_b));
  });
  const double total = SumOf(a_sum);
  return SumOf(weighted) / total - std::log(total) + std::log(SumOfExp(b, n, b_max));
}

}  // namespace

void CpuTransformerOps::ForRows(int64_t rows, int64_t cols, absl::FunctionRef<void(int64_t)> work) {
  const int64_t rows_per_task = std::max<int64_t>(1, kElementsPerTask / std::max<int64_t>(1, cols));
  pool_.ParallelFor((rows + rows_per_task - 1) / rows_per_task, [&](int64_t task) {
    const int64_t end = std::min(rows, (task + 1) * rows_per_task);
    for (int64_t row = task * rows_per_task; row < end; ++row) work(row);
  });
}

absl::Status CpuTransformerOps::Embed(const Tensor& table, const Tensor& ids, const Tensor& out) {
  assert(ids.type() == ElementType::kI32 && ids.elements() == out.rows());
  assert(table.cols() == out.cols());
  const int64_t n = table.cols();
  const int32_t* id = ids.data<int32_t>();
  ForRows(out.rows(), n, [&](int64_t row) {
    assert(id[row] >= 0 && id[row] < table.rows());
    std::memcpy(out.data<float>() + row * n, table.data<float>() + id[row] * n, n * sizeof(float));
  });
  return absl::OkStatus();
}

absl::Status CpuTransformerOps::RmsNorm(const Tensor& x, const Tensor& weight, double eps,
                                        const Tensor& out) {
  assert(weight.elements() == x.cols() && out.rows() == x.rows() && out.cols() == x.cols());
  const int64_t n = x.cols();
  ForRows(x.rows(), x.cols(), [&](int64_t row) {
    NormalizeRow(x.data<float>() + row * n, weight.data<float>(), n, eps,
                 out.data<float>() + row * n);
  });
  return absl::OkStatus();
}

absl::Status CpuTransformerOps::ApplyRope(const Tensor& cos, const Tensor& sin, int64_t heads,
                                          const Tensor& x) {
  const int64_t window_length = cos.rows(), half = cos.cols();
  assert(x.cols() == heads * 2 * half && x.rows() % window_length == 0);
  assert(sin.rows() == window_length && sin.cols() == half);
  ForRows(x.rows(), x.cols(), [&](int64_t row) {
    const int64_t angles = row % window_length * half;
    for (int64_t head = 0; head < heads; ++head) {
      RotateHead(cos.data<float>() + angles, sin.data<float>() + angles, half,
                 x.data<float>() + row * x.cols() + head * 2 * half);
    }
  });
  return absl::OkStatus();
}

absl::Status CpuTransformerOps::CausalAttention(const Tensor& q, const Tensor& k, const Tensor& v,
                                                const AttentionShape& shape, const Tensor& out) {
  assert(q.rows() % shape.window_length == 0 && shape.heads % shape.kv_heads == 0);
  assert(q.cols() == shape.heads * shape.head_dim && k.cols() == shape.kv_heads * shape.head_dim);
  assert(k.rows() == q.rows() && v.rows() == q.rows() && v.cols() == k.cols());
  assert(out.rows() == q.rows() && out.cols() == q.cols());
  const int64_t windows = q.rows() / shape.window_length;
  pool_.ParallelFor(windows * shape.kv_heads, [&](int64_t task) {
    const int64_t row = task / shape.kv_heads * shape.window_length;
    AttendWindow(q.data<float>() + row * q.cols(), k.data<float>() + row * k.cols(),
                 v.data<float>() + row * v.cols(), shape, task % shape.kv_heads,
                 out.data<float>() + row * out.cols());
  });
  return absl::OkStatus();
}

absl::Status CpuTransformerOps::SwiGlu(const Tensor& gate, const Tensor& up, const Tensor& out) {
  assert(gate.elements() == up.elements() && gate.elements() == out.elements());
  const int64_t n = gate.cols();
  ForRows(gate.rows(), n, [&](int64_t row) {
    const float* g = gate.data<float>() + row * n;
    const float* u = up.data<float>() + row * n;
    float* o = out.data<float>() + row * n;
    ForVectors(n, [&](int64_t i, int64_t count) {
      const Lanes x = Load(g + i, count, 0);
      Store(x / (Exp(-x) + 1.0f) * Load(u + i, count, 0), o + i, count);
    });
  });
  return absl::OkStatus();
}

absl::Status CpuTransformerOps::TokenLosses(const Tensor& logits, std::span<const int32_t> targets,
                                            std::span<double> losses) {
  assert(static_cast<int64_t>(targets.size()) == logits.rows());
  assert(losses.size() == targets.size());
  const int64_t n = logits.cols();
  ForRows(logits.rows(), n, [&](int64_t row) {
    assert(targets[row] >= 0 && targets[row] < n);
    const float* x = logits.data<float>() + row * n;
    const float max = MaxOfRow(x, n);
    losses[row] = std::log(SumOfExp(x, n, max)) - (static_cast<double>(x[targets[row]]) - max);
  });
  return absl::OkStatus();
}

absl::Status CpuTransformerOps::KlDivergences(const Tensor& reference, const Tensor& logits,
                                              std::span<double> divergences) {
  assert(reference.rows() == logits.rows() && reference.cols() == logits.cols());
  assert(static_cast<int64_t>(divergences.size()) == logits.rows());
  const int64_t n = logits.cols();
  ForRows(logits.rows(), n, [&](int64_t row) {
    divergences[row] =
        KlDivergence(reference.data<float>() + row * n, logits.data<float>() + row * n, n);
  });
  return absl::OkStatus();
}

}  // namespace tern
