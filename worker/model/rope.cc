#include "worker/model/rope.h"

#include <cmath>
#include <numbers>

namespace tern {
namespace {

// Llama 3's rule for contexts longer than the trained one: wavelengths that fit into the trained
// context a few times stay, those that do not are stretched by `factor`, between them a blend.
float StretchLlama3(const RopeConfig& rope, float frequency) {
  const auto trained = static_cast<double>(rope.original_max_position);
  const auto wavelength = static_cast<float>(2.0 * std::numbers::pi / frequency);
  if (wavelength < trained / rope.high_freq_factor) return frequency;
  if (wavelength > trained / rope.low_freq_factor) {
    return static_cast<float>(frequency / rope.factor);
  }
  const double smooth = (trained / wavelength - rope.low_freq_factor) /
                        (rope.high_freq_factor - rope.low_freq_factor);
  return static_cast<float>((1.0 - smooth) * frequency / rope.factor + smooth * frequency);
}

}  // namespace

std::vector<float> RopeFrequencies(const RopeConfig& rope, int64_t head_dim) {
  std::vector<float> frequencies(head_dim / 2);
  for (int64_t j = 0; j < head_dim / 2; ++j) {
    const float exponent = static_cast<float>(2 * j) / static_cast<float>(head_dim);
    float frequency = 1.0F / static_cast<float>(std::pow(rope.theta, exponent));
    if (rope.type == RopeConfig::Type::kLinear) {
      frequency = static_cast<float>(frequency / rope.factor);
    }
    if (rope.type == RopeConfig::Type::kLlama3) frequency = StretchLlama3(rope, frequency);
    frequencies[j] = frequency;
  }
  return frequencies;
}

RopeTables MakeRopeTables(const RopeConfig& rope, int64_t head_dim, int64_t length) {
  const std::vector<float> frequencies = RopeFrequencies(rope, head_dim);
  RopeTables tables;
  tables.cos.reserve(length * frequencies.size());
  tables.sin.reserve(length * frequencies.size());
  for (int64_t position = 0; position < length; ++position) {
    for (const float frequency : frequencies) {
      const double angle = static_cast<float>(position) * frequency;  // a float32 product
      tables.cos.push_back(static_cast<float>(std::cos(angle)));
      tables.sin.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  return tables;
}

}  // namespace tern
