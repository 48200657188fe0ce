#include <algorithm>
#include <cassert>
#include <cstdint>
#include <span>
#include <vector>

#include "worker/backend/cpu/cpu_ternary_ops.h"
#include "worker/backend/cpu/dense_products.h"
#include "worker/backend/cpu/panel_product.h"

namespace tern {
namespace {

// rows × columns of cross - h.
std::vector<float> Difference(ThreadPool& pool, const Tensor& cross, const Tensor& h,
                              std::span<const int32_t> rows, std::span<const int32_t> columns) {
  const auto count = static_cast<int64_t>(columns.size());
  std::vector<float> d(rows.size() * columns.size());
  pool.ParallelFor(static_cast<int64_t>(rows.size()), [&](int64_t i) {
    const float* g_row = cross.data<float>() + rows[i] * cross.cols();
    const float* h_row = h.data<float>() + rows[i] * h.cols();
    for (int64_t j = 0; j < count; ++j) d[i * count + j] = g_row[columns[j]] - h_row[columns[j]];
  });
  return d;
}

}  // namespace

absl::Status CpuTernaryOps::AsymmetryTerm(const Tensor& cross, const Tensor& h,
                                          const Tensor& columns, const Tensor& u_bb,
                                          const Tensor& u_br, const Tensor& next, double lambda,
                                          const Tensor& p) {
  const int64_t g = u_bb.rows();
  const auto rest = columns.elements() - g;
  assert(cross.rows() == h.rows() && cross.cols() == h.cols());
  assert(u_br.elements() == g * rest && next.elements() == rest * rest);
  assert(p.elements() == g * rest);

  const std::span<const int32_t> all = columns.values<int32_t>();
  const std::span group = all.first(g);
  const std::vector<float> d_bb = Difference(pool_, cross, h, group, group);
  const std::vector<float> d_br = Difference(pool_, cross, h, group, all.subspan(g));

  std::vector<float> inner(g * g);  // strict_upper(D_BB·U_BBᵀ + D_BR·U_BRᵀ)
  MultiplyByTransposed(pool_, d_bb.data(), u_bb.data<float>(), nullptr, false, g, g, g,
                       inner.data());
  MultiplyByTransposed(pool_, d_br.data(), u_br.data<float>(), nullptr, true, g, rest, g,
                       inner.data());
  for (int64_t i = 0; i < g; ++i) std::fill_n(inner.data() + i * g, i + 1, 0.0f);

  pool_.ParallelFor(PanelCount(rest), [&](int64_t panel) {
    const int64_t column = panel * kPanelWidth;
    const int64_t width = std::min(kPanelWidth, rest - column);
    float* out = p.data<float>() + column;
    for (int64_t r = 0; r < g; ++r) std::fill_n(out + r * rest, width, 0.0f);
    std::vector<float> right(std::max(g, rest) * kPanelWidth);
    PackPanel(next.data<float>(), rest, rest, rest, column, right.data());
    MultiplyPanel(d_br.data(), rest, right.data(), g, rest, width, out, rest);
    PackPanel(u_br.data<float>(), rest, g, rest, column, right.data());
    MultiplyPanel(inner.data(), g, right.data(), g, g, width, out, rest);
    for (int64_t r = 0; r < g; ++r) {
      for (int64_t c = 0; c < width; ++c) {
        out[r * rest + c] = static_cast<float>(lambda * out[r * rest + c]);
      }
    }
  });
  return absl::OkStatus();
}

}  // namespace tern
