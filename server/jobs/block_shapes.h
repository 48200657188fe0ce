#ifndef TERN_SERVER_JOBS_BLOCK_SHAPES_H_
#define TERN_SERVER_JOBS_BLOCK_SHAPES_H_

#include <cstdint>
#include <vector>

#include "checkpoint/model_layout.h"

namespace tern {

// Of the linear layers of one block, in the order they are quantized.
inline std::vector<LinearShape> BlockShapes(const ModelConfig& config) {
  std::vector<LinearShape> shapes;
  for (const LinearKind kind : LinearKinds()) shapes.push_back(ShapeOf(config, kind));
  return shapes;
}

// Their weights.
inline int64_t BlockWeights(const ModelConfig& config) {
  int64_t weights = 0;
  for (const LinearShape& shape : BlockShapes(config)) weights += shape.rows * shape.cols;
  return weights;
}

}  // namespace tern

#endif  // TERN_SERVER_JOBS_BLOCK_SHAPES_H_
