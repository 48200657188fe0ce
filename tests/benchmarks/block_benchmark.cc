// The forward pass of a block of a 7B model, as evaluation and ILA-AMP run it.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "checkpoint/model_layout.h"
#include "checkpoint/rotation_shape.h"
#include "tests/benchmarks/device_timing.h"
#include "worker/model/transformer_block.h"

namespace tern {
namespace {

constexpr int64_t kWindowLength = 2048;

ModelConfig Llama7B() {
  ModelConfig config = {};
  config.hidden_size = 4096;
  config.intermediate_size = 11008;
  config.num_blocks = 1;
  config.num_heads = config.num_kv_heads = 32;
  config.head_dim = 128;
  config.rms_norm_eps = 1e-5;
  config.sliding_window = {0};
  return config;
}

class BlockInputs {
 public:
  explicit BlockInputs(Backend& backend) : backend_(backend) {}

  Tensor Filled(ElementType type, int64_t rows, int64_t cols, float scale) {
    std::normal_distribution<float> normal(0, scale);
    std::vector<float> values(rows * cols);
    for (float& value : values) value = normal(generator_);
    const Tensor floats = backend_.Allocate(ElementType::kF32, rows, cols).value();
    backend_.Upload(values.data(), floats).IgnoreError();
    if (type == ElementType::kF32) return floats;
    Tensor tensor = backend_.Allocate(type, rows, cols).value();
    backend_.Convert(floats, tensor).IgnoreError();
    return tensor;
  }

  BlockWeights Weights(const ModelConfig& config) {
    BlockWeights weights;
    for (const LinearKind kind : LinearKinds()) {
      const LinearShape shape = ShapeOf(config, kind);
      weights.weight[kind] = Filled(backend_.activation_type(), shape.rows, shape.cols, 0.02f);
      weights.bias[kind] = Tensor();
    }
    weights.attention_norm = Filled(ElementType::kF32, 1, config.hidden_size, 1);
    weights.mlp_norm = Filled(ElementType::kF32, 1, config.hidden_size, 1);
    return weights;
  }

  Tensor Rotation(int64_t k) {
    const Tensor s = Filled(ElementType::kF32, k, k, 0.05f);
    Tensor rotation = backend_.Allocate(ElementType::kF32, k, k).value();
    backend_.rotation().Cayley(s, rotation).IgnoreError();
    return rotation;
  }

  std::map<LinearKind, LowBitInput> LowBit(const ModelConfig& config,
                                           RotationFactorization factorization) {
    std::map<LinearKind, LowBitInput> inputs;
    for (const LinearKind kind : LinearKinds()) {
      const LinearShape shape = ShapeOf(config, kind);
      const RotationShape rotation = RotationShapeOf(shape.rows, shape.cols, factorization);
      inputs[kind] = {.rotation = {.r1 = Rotation(rotation.n1), .r2 = Rotation(rotation.n2)},
                      .bits = 8,
                      .clip = 1};
    }
    return inputs;
  }

 private:
  Backend& backend_;
  std::mt19937 generator_{1};
};

// The argument: 0 for full precision, 1 for rotated 8-bit inputs with released factors, 2 with
// balanced ones. One batch of whole windows; FLOP/s are those of the linear layers.
void BM_BlockForward(benchmark::State& state) {
  const std::unique_ptr<Backend> backend = BenchmarkBackend();
  const ModelConfig config = Llama7B();
  BlockInputs inputs(*backend);
  BlockWeights weights = inputs.Weights(config);
  if (state.range(0) > 0) {
    weights.low_bit = inputs.LowBit(config, state.range(0) == 1 ? RotationFactorization::kReleased
                                                                : RotationFactorization::kBalanced);
  }
  TransformerBlock block = TransformerBlock::Create(*backend, config, 0, kWindowLength).value();
  const int64_t tokens = block.BatchWindows() * kWindowLength;
  const Tensor h = inputs.Filled(ElementType::kF32, tokens, config.hidden_size, 1);
  Time(state, *backend, [&] { return block.Forward(weights, h); });
  double weight_count = 0;
  for (const LinearKind kind : LinearKinds()) {
    const LinearShape shape = ShapeOf(config, kind);
    weight_count += static_cast<double>(shape.rows * shape.cols);
  }
  state.counters["TFLOP/s"] =
      benchmark::Counter(2e-12 * weight_count * static_cast<double>(tokens * state.iterations()),
                         benchmark::Counter::kIsRate);
}
BENCHMARK(BM_BlockForward)->Arg(0)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseManualTime();

}  // namespace
}  // namespace tern
