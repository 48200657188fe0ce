#include <algorithm>
#include <cassert>
#include <cstdint>
#include <span>
#include <vector>

#include "worker/backend/cpu/cpu_ternary_ops.h"
#include "worker/backend/cpu/panel_product.h"
#include "worker/backend/cpu/upper_factor.h"

namespace tern {
namespace {

// The columns after the group, in panels, while the inverse is downdated.
class Downdate {
 public:
  Downdate(const Tensor& inverse, std::span<const int32_t> order, int64_t group)
      : inverse_(inverse.data<float>()),
        m_(inverse.cols()),
        group_(group),
        first_(order.first(group)),
        rest_(order.subspan(group)),
        u_br_(panels() * group * kPanelWidth) {}

  int64_t panels() const { return PanelCount(static_cast<int64_t>(rest_.size())); }

  // Panel p of U_BR = U_BB⁻ᵀ·inverse_BR, from U_BB⁻¹ in panels.
  void SolvePanel(const std::vector<float>& u_bb_inverse, int64_t p, float* u_br) {
    std::vector<float> right(group_ * kPanelWidth);
    for (int64_t i = 0; i < group_; ++i) {
      const float* row = inverse_ + first_[i] * m_;
      for (int64_t c = 0; c < Width(p); ++c) right[i * kPanelWidth + c] = row[Column(p, c)];
    }
    float* solved = Panel(p);
    for (int64_t q = 0; q < PanelCount(group_); ++q) {
      const int64_t top = q * kPanelWidth;
      MultiplyTransposedPanel(u_bb_inverse.data() + q * group_ * kPanelWidth, right.data(), group_,
                              std::min(kPanelWidth, group_ - top), kPanelWidth,
                              solved + top * kPanelWidth, kPanelWidth);
    }
    const auto stride = static_cast<int64_t>(rest_.size());
    for (int64_t i = 0; i < group_; ++i) {
      std::copy_n(solved + i * kPanelWidth, Width(p), u_br + i * stride + p * kPanelWidth);
    }
  }

  // The blocks (p, q) and (q, p) of next = inverse_RR - U_BRᵀ·U_BR, p ≤ q.
  void SubtractBlock(int64_t p, int64_t q, float* next) const {
    float product[kPanelWidth * kPanelWidth] = {};
    MultiplyTransposedPanel(Panel(p), Panel(q), group_, Width(p), Width(q), product, kPanelWidth);
    const auto stride = static_cast<int64_t>(rest_.size());
    for (int64_t r = 0; r < Width(p); ++r) {
      const float* row = inverse_ + Column(p, r) * m_;
      for (int64_t c = p == q ? r : 0; c < Width(q); ++c) {
        const float value = row[Column(q, c)] - product[r * kPanelWidth + c];
        next[(p * kPanelWidth + r) * stride + q * kPanelWidth + c] = value;
        next[(q * kPanelWidth + c) * stride + p * kPanelWidth + r] = value;
      }
    }
  }

 private:
  int64_t Column(int64_t panel, int64_t c) const { return rest_[panel * kPanelWidth + c]; }
  int64_t Width(int64_t panel) const {
    return std::min(kPanelWidth, static_cast<int64_t>(rest_.size()) - panel * kPanelWidth);
  }
  float* Panel(int64_t p) { return u_br_.data() + p * group_ * kPanelWidth; }
  const float* Panel(int64_t p) const { return u_br_.data() + p * group_ * kPanelWidth; }

  const float* const inverse_;
  const int64_t m_;
  const int64_t group_;
  const std::span<const int32_t> first_;
  const std::span<const int32_t> rest_;
  std::vector<float> u_br_;
};

}  // namespace

absl::Status CpuTernaryOps::DowndateInverse(const Tensor& inverse, const Tensor& columns_in_order,
                                            const Tensor& u_bb, const Tensor& u_bb_inverse,
                                            const Tensor& u_br, const Tensor& next,
                                            const Tensor& failures) {
  const std::span<const int32_t> order = columns_in_order.values<int32_t>();
  const int64_t m = inverse.cols();
  const int64_t g = u_bb.rows();
  assert(static_cast<int64_t>(order.size()) == m && u_bb.cols() == g);
  assert(u_br.elements() == g * (m - g) && next.elements() == (m - g) * (m - g));

  float* factor = u_bb.data<float>();
  for (int64_t i = 0; i < g; ++i) {
    const float* row = inverse.data<float>() + order[i] * m;
    for (int64_t j = 0; j < g; ++j) factor[i * g + j] = row[order[j]];
  }
  if (!FactorUpper(pool_, factor, g)) {
    ++*failures.data<int32_t>();
    return absl::OkStatus();
  }
  for (int64_t i = 1; i < g; ++i) std::fill_n(factor + i * g, i, 0.0f);

  float* factor_inverse = u_bb_inverse.data<float>();
  std::fill_n(factor_inverse, g * g, 0.0f);
  InvertUpper(pool_, factor, g, factor_inverse);
  std::vector<float> packed(PanelCount(g) * g * kPanelWidth);
  for (int64_t p = 0; p < PanelCount(g); ++p) {
    PackPanel(factor_inverse, g, g, g, p * kPanelWidth, packed.data() + p * g * kPanelWidth);
  }

  Downdate downdate(inverse, order, g);
  pool_.ParallelFor(downdate.panels(),
                    [&](int64_t p) { downdate.SolvePanel(packed, p, u_br.data<float>()); });
  pool_.ParallelFor(downdate.panels(), [&](int64_t p) {
    for (int64_t q = p; q < downdate.panels(); ++q) {
      downdate.SubtractBlock(p, q, next.data<float>());
    }
  });
  return absl::OkStatus();
}

}  // namespace tern
