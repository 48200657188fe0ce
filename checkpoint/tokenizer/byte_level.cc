#include "checkpoint/tokenizer/byte_level.h"

#include <array>
#include <cstdint>

#include "checkpoint/tokenizer/utf8.h"

namespace tern {
namespace {

std::array<std::string, 256> Spellings() {
  std::array<std::string, 256> spellings;
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    AppendUtf8(printable ? byte : next++, spellings[byte]);
  }
  return spellings;
}

}  // namespace

void AppendByteLevel(absl::string_view bytes, std::string& text) {
  static const std::array<std::string, 256>& spellings =
      *new std::array<std::string, 256>(Spellings());
  for (const char byte : bytes) text += spellings[static_cast<uint8_t>(byte)];
}

}  // namespace tern
