#include "checkpoint/text/token_windows.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "checkpoint/digest.h"

namespace tern {

std::string WindowsDigest(const TokenWindows& windows) {
  Sha256 digest;
  std::array<uint8_t, 4096> buffer;
  size_t used = 0;
  for (const int32_t id : windows.ids) {
    const auto bits = static_cast<uint32_t>(id);
    for (int shift = 0; shift < 32; shift += 8) {
      buffer[used++] = static_cast<uint8_t>(bits >> shift);
    }
    if (used == buffer.size()) {
      digest.Update(buffer);
      used = 0;
    }
  }
  digest.Update(std::span<const uint8_t>(buffer).first(used));
  return digest.HexDigest();
}

absl::Status CheckVocabulary(const TokenWindows& windows, int64_t vocab_size) {
  for (size_t i = 0; i < windows.ids.size(); ++i) {
    const int32_t id = windows.ids[i];
    if (id >= 0 && id < vocab_size) continue;
    const auto at = static_cast<int64_t>(i);
    return absl::InvalidArgumentError(
        absl::StrCat("window ", at / windows.length, ", token ", at % windows.length, ": id ", id,
                     " is not a row of the model's embedding of ", vocab_size,
                     ": the text was tokenized for another model"));
  }
  return absl::OkStatus();
}

}  // namespace tern
