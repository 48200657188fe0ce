#ifndef TERN_CHECKPOINT_MODEL_LAYOUT_H_
#define TERN_CHECKPOINT_MODEL_LAYOUT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/model_config.h"

namespace tern {

// The linear layers of a transformer block, in the order they are quantized. Layers of one set
// share their input and so their Hessian; sets are calibrated one after the other.
enum class LinearKind { kQ, kK, kV, kO, kGate, kUp, kDown };

// {q,k,v}, {o}, {gate,up}, {down}
const std::vector<std::vector<LinearKind>>& CalibrationSets();

// The same seven, flat.
const std::vector<LinearKind>& LinearKinds();

struct LinearShape {
  int64_t rows;  // out features
  int64_t cols;  // in features
};

LinearShape ShapeOf(const ModelConfig& config, LinearKind kind);

// Module name within its block: "mlp.down_proj".
std::string LinearModule(LinearKind kind);

// Module name without suffix: "model.layers.3.mlp.down_proj". Weight: + ".weight", bias: + ".bias".
std::string LinearName(int64_t block, LinearKind kind);
bool HasBias(const ModelConfig& config, LinearKind kind);

// A tensor the model must have.
struct ExpectedTensor {
  std::string name;
  std::vector<int64_t> shape;
};

// The norms and biases of block `block`, which a packed checkpoint stores as in the source.
std::vector<ExpectedTensor> UnquantizedBlockTensors(const ModelConfig& config, int64_t block);

// Every tensor of block `block`, and every tensor outside the blocks (embeddings, final norm,
// lm_head unless tied).
std::vector<ExpectedTensor> BlockTensors(const ModelConfig& config, int64_t block);
std::vector<ExpectedTensor> OuterTensors(const ModelConfig& config);

}  // namespace tern

#endif  // TERN_CHECKPOINT_MODEL_LAYOUT_H_
