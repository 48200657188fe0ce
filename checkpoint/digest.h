#ifndef TERN_CHECKPOINT_DIGEST_H_
#define TERN_CHECKPOINT_DIGEST_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/manifest.h"

struct evp_md_ctx_st;

namespace tern {

// SHA-256 of what Update was given, piece by piece. Thread-compatible.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(std::span<const uint8_t> bytes);
  void Update(absl::string_view text);

  // The digest as 64 lower-case hex digits. Update may not follow.
  std::string HexDigest();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string Sha256Hex(std::span<const uint8_t> bytes);
std::string Sha256Hex(absl::string_view text);

// Size and SHA-256 of a regular file. Errors as MappedFile::Open's.
absl::StatusOr<FileDigest> DigestFile(const std::string& path);

// CRC32C (Castagnoli) of `bytes` after bytes whose CRC32C is `crc`; 0 for none. So a stream's is
// crc = ExtendCrc32c(crc, piece) over its pieces, from 0.
uint32_t ExtendCrc32c(uint32_t crc, std::span<const uint8_t> bytes);
inline uint32_t Crc32c(std::span<const uint8_t> bytes) { return ExtendCrc32c(0, bytes); }

}  // namespace tern

#endif  // TERN_CHECKPOINT_DIGEST_H_
