#include "worker/backend/cpu/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "worker/backend/cpu/panel_product.h"
#include "worker/backend/cpu/vector_math.h"

namespace tern {
namespace {

constexpr int64_t kQueries = 32;  // of a tile
constexpr int64_t kDepth = 256;   // keys whose values stay in the L1 cache

// Turns scores[0, n) into e^(scale·(score - max)) and returns their sum.
float ExpRow(int64_t n, float scale, float* scores) {
  constexpr float kLowest = std::numeric_limits<float>::lowest();
  Lanes max = Fill(kLowest);
  ForVectors(n,
             [&](int64_t i, int64_t count) { max = Max(max, Load(scores + i, count, kLowest)); });
  const float shift = MaxOf(max);
  Lanes sum{};
  ForVectors(n, [&](int64_t i, int64_t count) {
    const Lanes value = Exp((Load(scores + i, count, kLowest) - shift) * scale);
    sum += value;
    Store(value, scores + i, count);
  });
  return SumOf(sum);
}

// One key/value head of a window, packed for products from the left.
class PackedHead {
 public:
  PackedHead(const float* k, const float* v, int64_t stride, int64_t length, int64_t head_dim)
      : length_(length),
        head_dim_(head_dim),
        keys_(std::make_unique_for_overwrite<float[]>(PanelCount(length) * kPanelWidth * head_dim)),
        values_(
            std::make_unique_for_overwrite<float[]>(PanelCount(head_dim) * kPanelWidth * length)) {
    for (int64_t panel = 0; panel < PanelCount(length); ++panel) {
      PackTransposedPanel(k, stride, head_dim, length, panel * kPanelWidth,
                          keys_.get() + panel * kPanelWidth * head_dim);
    }
    for (int64_t panel = 0; panel < PanelCount(head_dim); ++panel) {
      PackPanel(v, stride, length, head_dim, panel * kPanelWidth,
                values_.get() + panel * kPanelWidth * length);
    }
  }

  // scores[rows, end - begin] = q · keysᵀ for keys [begin, end); begin is a multiple of
  // kPanelWidth.
  void Scores(const float* q, int64_t q_stride, int64_t rows, int64_t begin, int64_t end,
              int64_t stride, float* scores) const {
    for (int64_t row = 0; row < rows; ++row) std::fill_n(scores + row * stride, end - begin, 0.0f);
    for (int64_t key = begin; key < end; key += kPanelWidth) {
      MultiplyPanel(q, q_stride, keys_.get() + key * head_dim_, rows, head_dim_,
                    std::min(kPanelWidth, end - key), scores + key - begin, stride);
    }
  }

  // out[rows, head_dim] = weights[rows, end - begin] · values
  void Mix(const float* weights, int64_t stride, int64_t rows, int64_t begin, int64_t end,
           int64_t out_stride, float* out) const {
    for (int64_t row = 0; row < rows; ++row) std::fill_n(out + row * out_stride, head_dim_, 0.0f);
    for (int64_t key = begin; key < end; key += kDepth) {
      for (int64_t column = 0; column < head_dim_; column += kPanelWidth) {
        MultiplyPanel(weights + key - begin, stride,
                      values_.get() + column * length_ + key * kPanelWidth, rows,
                      std::min(kDepth, end - key), std::min(kPanelWidth, head_dim_ - column),
                      out + column, out_stride);
      }
    }
  }

 private:
  int64_t length_, head_dim_;
  std::unique_ptr<float[]> keys_, values_;
};

}  // namespace

void AttendWindow(const float* q, const float* k, const float* v, const AttentionShape& shape,
                  int64_t kv_head, float* out) {
  const int64_t length = shape.window_length, head_dim = shape.head_dim;
  const int64_t group = shape.heads / shape.kv_heads;
  const int64_t q_stride = shape.heads * head_dim;
  const PackedHead head(k + kv_head * head_dim, v + kv_head * head_dim, shape.kv_heads * head_dim,
                        length, head_dim);
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
  const auto scores = std::make_unique_for_overwrite<float[]>(kQueries * length);

  for (int64_t first = 0; first < length; first += kQueries) {
    const int64_t rows = std::min(kQueries, length - first);
    const int64_t end = first + rows;  // of the keys some query of the tile sees
    const auto first_seen = [&](int64_t position) {
      return shape.sliding_window == 0 ? int64_t{0}
                                       : std::max<int64_t>(0, position - shape.sliding_window + 1);
    };
    const int64_t begin = first_seen(first) / kPanelWidth * kPanelWidth;
    const int64_t keys = end - begin;
    for (int64_t h = kv_head * group; h < (kv_head + 1) * group; ++h) {
      head.Scores(q + first * q_stride + h * head_dim, q_stride, rows, begin, end, keys,
                  scores.get());
      float sums[kQueries];
      for (int64_t row = 0; row < rows; ++row) {
        float* row_scores = scores.get() + row * keys;
        const int64_t seen = first_seen(first + row) - begin;
        const int64_t seen_end = first + row + 1 - begin;
        std::fill(row_scores, row_scores + seen, 0.0f);
        sums[row] = ExpRow(seen_end - seen, scale, row_scores + seen);
        std::fill(row_scores + seen_end, row_scores + keys, 0.0f);
      }
      float* to = out + first * q_stride + h * head_dim;
      head.Mix(scores.get(), keys, rows, begin, end, q_stride, to);
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t i = 0; i < head_dim; ++i) to[row * q_stride + i] /= sums[row];
      }
    }
  }
}

}  // namespace tern
