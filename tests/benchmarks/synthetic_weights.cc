#include "tests/benchmarks/synthetic_weights.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "checkpoint/float_conversion.h"
#include "checkpoint/text/split_mix.h"

namespace tern {
namespace {

constexpr float kEmbeddingScale = 0.3F;
constexpr float kOutlierEmbeddingMean = 4.5F;
constexpr float kOutlierEmbeddingScale = 4;
constexpr float kOutlierRowFactor = 3;
constexpr float kRowScaleSpread = 0.25F;
constexpr float kRowMeanSpread = 0.03F;  // in standard deviations of the row
constexpr float kNormScale = 0.08F;

// FNV-1a
uint64_t HashOfName(absl::string_view name) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3u;
  return hash;
}

// In [0, 1).
float Uniform(SplitMix64& random) { return static_cast<float>(random.Next() >> 40) * 0x1p-24F; }

// Nearly normal, of variance 1: a sum of twelve uniform numbers.
float Normal(SplitMix64& random) {
  float sum = -6;
  for (int i = 0; i < 12; ++i) sum += Uniform(random);
  return sum;
}

// `count` different ones of 0 ... channels - 1.
std::vector<int64_t> DrawChannels(SplitMix64& random, int64_t count, int64_t channels) {
  std::vector<int64_t> drawn;
  while (static_cast<int64_t>(drawn.size()) < count) {
    const auto channel = static_cast<int64_t>(random.Below(static_cast<uint64_t>(channels)));
    if (std::find(drawn.begin(), drawn.end(), channel) == drawn.end()) drawn.push_back(channel);
  }
  return drawn;
}

// The channels of the residual stream that are large throughout the model.
std::vector<int64_t> OutlierChannels(const ModelConfig& config, uint64_t seed) {
  SplitMix64 random(seed);
  return DrawChannels(random, 2 + config.hidden_size / 1024, config.hidden_size);
}

// Where a row's random bits come from: two streams of 32 bits a column.
struct RowKey {
  uint32_t first[2];
  uint32_t second[2];
};

RowKey DrawKey(SplitMix64& random) {
  const uint64_t first = random.Next();
  const uint64_t second = random.Next();
  return {{static_cast<uint32_t>(first), static_cast<uint32_t>(first >> 32)},
          {static_cast<uint32_t>(second), static_cast<uint32_t>(second >> 32)}};
}

// The finaliser "lowbias32" (Wellons 2018) with a key before and amid it.
inline uint32_t Bits(uint32_t counter, const uint32_t (&key)[2]) {
  uint32_t x = counter + key[0];
  x = (x ^ (x >> 16)) * 0x7FEB352Du;
  x = (x ^ (x >> 15) ^ key[1]) * 0x846CA68Bu;
  return x ^ (x >> 16);
}

// Mean 0, variance 1, kurtosis 5.3, at most 10: a sum of four 12-bit numbers, which is nearly
// normal, times body + tail · u^16 with u uniform.
inline float HeavyTailed(uint32_t a, uint32_t b) {
  constexpr float kUnit = 1 / 2364.83F;  // sqrt((4096² - 1) / 3)
  constexpr float kBody = 0.83202F * kUnit;
  constexpr float kTail = 1.95770F * kUnit;
  const auto sum =
      static_cast<int32_t>((a & 0xfff) + ((a >> 12) & 0xfff) + (b & 0xfff) + ((b >> 12) & 0xfff));
  float u = static_cast<float>(static_cast<int32_t>((a >> 24 << 8) | (b >> 24))) * 0x1p-16F;
  u *= u;
  u *= u;
  u *= u;
  u *= u;
  return static_cast<float>(sum - 8190) * (kBody + kTail * u);
}

}  // namespace

SyntheticTensor::SyntheticTensor(const ModelConfig& config, uint64_t seed,
                                 const ExpectedTensor& tensor)
    : seed_(SplitMix64(seed ^ HashOfName(tensor.name)).Next()),
      rows_(tensor.shape.size() == 1 ? 1 : tensor.shape.front()),
      cols_(tensor.shape.back()),
      column_scale_(static_cast<size_t>(cols_), 1.0F),
      column_mean_(static_cast<size_t>(cols_), 0.0F) {
  if (tensor.shape.size() == 1) {
    mean_ = 1;
    scale_ = kNormScale;
    scale_spread_ = 0;
    SetColumnOutliers(2 + cols_ / 1024, 1.5, 3);
    return;
  }
  scale_spread_ = kRowScaleSpread;
  if (tensor.name == "model.embed_tokens.weight") {
    scale_ = kEmbeddingScale;
    SplitMix64 random(seed_);
    for (const int64_t channel : OutlierChannels(config, seed)) {
      column_scale_[channel] = kOutlierEmbeddingScale;
      column_mean_[channel] =
          Uniform(random) < 0.5F ? -kOutlierEmbeddingMean : kOutlierEmbeddingMean;
    }
    return;
  }
  SetColumnOutliers(2 + cols_ / 512, 2, 6);
  double scale = 1 / std::sqrt(ColumnEnergy());
  if (absl::EndsWith(tensor.name, "o_proj.weight") ||
      absl::EndsWith(tensor.name, "down_proj.weight")) {
    scale /= std::sqrt(2.0 * static_cast<double>(config.num_blocks));
    row_factor_.assign(static_cast<size_t>(rows_), 1.0F);
    for (const int64_t channel : OutlierChannels(config, seed)) {
      row_factor_[channel] = kOutlierRowFactor;
    }
  }
  scale_ = static_cast<float>(scale);
  mean_spread_ = kRowMeanSpread * scale_;
}

// Multiplies the scale of `count` columns by `least` to `most`.
void SyntheticTensor::SetColumnOutliers(int64_t count, float least, float most) {
  SplitMix64 random(seed_);
  for (const int64_t column : DrawChannels(random, count, cols_)) {
    column_scale_[column] = least + (most - least) * Uniform(random);
  }
}

double SyntheticTensor::ColumnEnergy() const {
  double energy = 0;
  for (const float scale : column_scale_) energy += static_cast<double>(scale) * scale;
  return energy;
}

void SyntheticTensor::FillRow(int64_t row, std::span<uint16_t> out) const {
  SplitMix64 random(seed_ + (static_cast<uint64_t>(row) + 1) * 0xD1342543DE82EF95u);
  const RowKey key = DrawKey(random);
  const float factor = row_factor_.empty() ? 1.0F : row_factor_[row];
  // Less half its variance, so that spreading the scales does not raise their mean.
  const float log_scale = scale_spread_ * (Normal(random) - scale_spread_);
  const float scale = factor * scale_ * std::exp(log_scale);
  const float mean = mean_ + factor * mean_spread_ * Normal(random);
  const float* const column_scale = column_scale_.data();
  const float* const column_mean = column_mean_.data();
  uint16_t* const values = out.data();
  const auto count = static_cast<uint32_t>(out.size());
  for (uint32_t column = 0; column < count; ++column) {
    const uint32_t counter = column * 0x9E3779B9u;
    const float draw = HeavyTailed(Bits(counter, key.first), Bits(counter, key.second));
    values[column] =
        FloatToBf16((draw * scale + mean) * column_scale[column] + column_mean[column]);
  }
}

}  // namespace tern
