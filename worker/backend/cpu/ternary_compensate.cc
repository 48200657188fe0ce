#include <algorithm>
#include <cassert>
#include <cstdint>
#include <span>
#include <vector>

#include "worker/backend/cpu/cpu_ternary_ops.h"
#include "worker/backend/cpu/panel_product.h"

namespace tern {
namespace {

constexpr int64_t kTileRows = 32;

// -F[n,g] of CompensateColumns.
std::vector<float> NegatedTransfer(ThreadPool& pool, const Tensor& error,
                                   const Tensor& u_bb_inverse, Compensation compensation) {
  const int64_t n = error.rows();
  const int64_t g = error.cols();
  const std::span<const float> inverse = u_bb_inverse.values<float>();
  std::vector<float> right(inverse.begin(), inverse.end());
  for (float& value : right) value = -value;

  std::vector<float> transfer(n * g);
  if (compensation == Compensation::kReleased) {
    pool.ParallelFor(n, [&](int64_t r) {
      for (int64_t j = 0; j < g; ++j) {
        transfer[r * g + j] = error.data<float>()[r * g + j] * right[j * g + j];
      }
    });
    return transfer;
  }
  std::vector<float> panels(PanelCount(g) * g * kPanelWidth);
  for (int64_t p = 0; p < PanelCount(g); ++p) {
    PackPanel(right.data(), g, g, g, p * kPanelWidth, panels.data() + p * g * kPanelWidth);
  }
  pool.ParallelFor((n + kTileRows - 1) / kTileRows, [&](int64_t tile) {
    const int64_t row = tile * kTileRows;
    for (int64_t p = 0; p < PanelCount(g); ++p) {
      const int64_t column = p * kPanelWidth;
      MultiplyPanel(error.data<float>() + row * g, g, panels.data() + p * g * kPanelWidth,
                    std::min(kTileRows, n - row), g, std::min(kPanelWidth, g - column),
                    transfer.data() + row * g + column, g);
    }
  });
  return transfer;
}

}  // namespace

absl::Status CpuTernaryOps::CompensateColumns(const Tensor& w, const Tensor& columns_in_order,
                                              const Tensor& error, const Tensor& u_bb_inverse,
                                              const Tensor& u_br, const Tensor& p,
                                              Compensation compensation, const Tensor& next) {
  const std::span<const int32_t> order = columns_in_order.values<int32_t>();
  const int64_t n = w.rows();
  const int64_t g = error.cols();
  const int64_t rest = w.cols() - g;
  assert(static_cast<int64_t>(order.size()) == w.cols() && error.rows() == n);
  assert(u_bb_inverse.rows() == g && u_br.rows() == g && u_br.cols() == rest);
  assert(p.empty() || p.elements() == g * rest);
  assert(next.rows() == n && next.cols() == rest);

  const std::vector<float> transfer = NegatedTransfer(pool_, error, u_bb_inverse, compensation);
  std::vector<float> w_b;
  if (!p.empty()) {
    w_b.resize(n * g);
    pool_.ParallelFor(n, [&](int64_t r) {
      const float* row = w.data<float>() + r * w.cols();
      for (int64_t j = 0; j < g; ++j) w_b[r * g + j] = row[order[j]];
    });
  }
  pool_.ParallelFor(PanelCount(rest), [&](int64_t panel) {
    const int64_t column = panel * kPanelWidth;
    const int64_t width = std::min(kPanelWidth, rest - column);
    const std::span columns = order.subspan(g + column, width);
    float* out = next.data<float>() + column;
    for (int64_t r = 0; r < n; ++r) {
      const float* row = w.data<float>() + r * w.cols();
      for (int64_t c = 0; c < width; ++c) out[r * rest + c] = row[columns[c]];
    }
    std::vector<float> right(g * kPanelWidth);
    PackPanel(u_br.data<float>(), rest, g, rest, column, right.data());
    MultiplyPanel(transfer.data(), g, right.data(), n, g, width, out, rest);
    if (p.empty()) return;
    PackPanel(p.data<float>(), rest, g, rest, column, right.data());
    MultiplyPanel(w_b.data(), g, right.data(), n, g, width, out, rest);
  });
  return absl::OkStatus();
}

}  // namespace tern
