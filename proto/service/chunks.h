#ifndef TERN_PROTO_SERVICE_CHUNKS_H_
#define TERN_PROTO_SERVICE_CHUNKS_H_

#include <cstdint>

namespace tern {

// Files travel in pieces of this size, each with the CRC32C of its bytes.
inline constexpr int64_t kChunkBytes = 1 << 20;

}  // namespace tern

#endif  // TERN_PROTO_SERVICE_CHUNKS_H_
