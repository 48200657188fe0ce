#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "tests/unit/backend/host_tensors.h"

namespace tern {
namespace {

struct Case {
  int64_t windows;
  AttentionShape shape;
};

// Softmax attention, query by query, in double.
std::vector<double> Reference(const std::vector<float>& q, const std::vector<float>& k,
                              const std::vector<float>& v, const Case& c) {
  const auto& [length, heads, kv_heads, head_dim, sliding] = c.shape;
  std::vector<double> out(c.windows * length * heads * head_dim, 0.0);
  for (int64_t window = 0; window < c.windows; ++window) {
    for (int64_t head = 0; head < heads; ++head) {
      const int64_t kv_head = head / (heads / kv_heads);
      const auto q_row = [&](int64_t i) {
        return ((window * length + i) * heads + head) * head_dim;
      };
      const auto kv_row = [&](int64_t i) {
        return ((window * length + i) * kv_heads + kv_head) * head_dim;
      };
      for (int64_t i = 0; i < length; ++i) {
        const int64_t first = sliding == 0 ? 0 : std::max<int64_t>(0, i - sliding + 1);
        std::vector<double> weights;
        for (int64_t j = first; j <= i; ++j) {
          double score = 0;
          for (int64_t d = 0; d < head_dim; ++d) {
            score += static_cast<double>(q[q_row(i) + d]) * k[kv_row(j) + d];
          }
          weights.push_back(score / std::sqrt(static_cast<double>(head_dim)));
        }
        const double max = *std::max_element(weights.begin(), weights.end());
        double sum = 0;
        for (double& weight : weights) sum += weight = std::exp(weight - max);
        for (int64_t j = first; j <= i; ++j) {
          for (int64_t d = 0; d < head_dim; ++d) {
            out[q_row(i) + d] += weights[j - first] / sum * v[kv_row(j) + d];
          }
        }
      }
    }
  }
  return out;
}

class AttentionTest : public testing::TestWithParam<Case> {
 protected:
  std::vector<float> Compute(int threads) {
    const auto backend = TestBackend(threads);
    const Tensor out = EmptyFloats(*backend, tokens_, q_cols_);
    EXPECT_TRUE(backend->transformer()
                    .CausalAttention(UploadFloats(*backend, q_, tokens_, q_cols_),
                                     UploadFloats(*backend, k_, tokens_, kv_cols_),
                                     UploadFloats(*backend, v_, tokens_, kv_cols_),
                                     GetParam().shape, out)
                    .ok());
    return DownloadFloats(*backend, out);
  }

  const AttentionShape& shape_ = GetParam().shape;
  const int64_t tokens_ = GetParam().windows * shape_.window_length;
  const int64_t q_cols_ = shape_.heads * shape_.head_dim;
  const int64_t kv_cols_ = shape_.kv_heads * shape_.head_dim;
  const std::vector<float> q_ = RandomValues(tokens_ * q_cols_, 1, 2.0);
  const std::vector<float> k_ = RandomValues(tokens_ * kv_cols_, 2, 2.0);
  const std::vector<float> v_ = RandomValues(tokens_ * kv_cols_, 3);
};

TEST_P(AttentionTest, IsSoftmaxAttentionOverTheKeysAQuerySees) {
  // Scores of a few tens in float32 are exact to about 1e-6, and the weights relatively so.
  EXPECT_LE(NormalizedError(Compute(2), Reference(q_, k_, v_, GetParam())), 3e-6);
}

TEST_P(AttentionTest, BitsDoNotDependOnTheNumberOfThreads) {
  const std::vector<float> one = Compute(1);
  EXPECT_EQ(Compute(2), one);
  EXPECT_EQ(Compute(3), one);
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionTest,
                         testing::Values(Case{1, {1, 1, 1, 2, 0}}, Case{2, {17, 2, 1, 6, 0}},
                                         Case{3, {33, 4, 2, 16, 0}}, Case{1, {130, 3, 3, 25, 0}},
                                         Case{2, {96, 4, 2, 16, 24}}, Case{1, {130, 2, 1, 64, 1}},
                                         Case{1, {97, 2, 2, 8, 40}}, Case{1, {600, 1, 1, 32, 0}},
                                         Case{1, {600, 2, 1, 32, 290}}));

TEST(AttentionExtremesTest, HugeScoresDoNotOverflow) {
  const auto backend = TestBackend(1);
  const AttentionShape shape = {2, 1, 1, 1, 0};
  const Tensor q = UploadFloats(*backend, {1e4f, 1e4f}, 2, 1);
  const Tensor k = UploadFloats(*backend, {-1e4f, 1e4f}, 2, 1);
  const Tensor v = UploadFloats(*backend, {3.0f, 5.0f}, 2, 1);
  const Tensor out = EmptyFloats(*backend, 2, 1);
  ASSERT_TRUE(backend->transformer().CausalAttention(q, k, v, shape, out).ok());
  EXPECT_EQ(DownloadFloats(*backend, out), (std::vector<float>{3.0f, 5.0f}));
}

}  // namespace
}  // namespace tern
