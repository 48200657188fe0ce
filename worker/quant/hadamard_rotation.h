#ifndef TERN_WORKER_QUANT_HADAMARD_ROTATION_H_
#define TERN_WORKER_QUANT_HADAMARD_ROTATION_H_

#include <cstdint>

#include "checkpoint/rotation_shape.h"
#include "worker/quant/rotation.h"

namespace tern {

// A random rotation that needs no learning: each factor is, for a size of 2^a·q with q odd, the
// Hadamard matrix of size 2^a ⊗ a random orthogonal one of size q, over 2^(a/2), behind random
// signs of its inputs. Depends on the arguments alone, on every platform.
StoredRotation HadamardRotation(const RotationShape& shape, uint64_t seed);

}  // namespace tern

#endif  // TERN_WORKER_QUANT_HADAMARD_ROTATION_H_
