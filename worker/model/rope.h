#ifndef TERN_WORKER_MODEL_ROPE_H_
#define TERN_WORKER_MODEL_ROPE_H_

#include <cstdint>
#include <vector>

#include "checkpoint/model_config.h"

namespace tern {

// Rotation frequencies of the head_dim / 2 pairs of a head, rounded to float32 where Hugging Face
// rounds them: a difference in the last place turns into one of a thousandth at position 10,000.
std::vector<float> RopeFrequencies(const RopeConfig& rope, int64_t head_dim);

// [length, head_dim / 2], row-major: cosine and sine of position · frequency.
struct RopeTables {
  std::vector<float> cos, sin;
};
RopeTables MakeRopeTables(const RopeConfig& rope, int64_t head_dim, int64_t length);

}  // namespace tern

#endif  // TERN_WORKER_MODEL_ROPE_H_
