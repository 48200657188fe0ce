#include "checkpoint/tokenizer/sentencepiece_check.h"

#include <cmath>
#include <cstdint>
#include <cstring>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/tokenizer/utf8.h"

namespace tern {
namespace {

constexpr int64_t kMaxPieces = 2'000'000;

// One field of a protobuf message on the wire.
struct WireField {
  uint32_t number;
  uint32_t type;            // 0 varint, 1 fixed 64, 2 length-delimited, 5 fixed 32
  absl::string_view bytes;  // of types 1, 2 and 5
};

absl::Status Malformed() { return absl::InvalidArgumentError("not a sentencepiece model"); }

bool ReadVarint(absl::string_view& bytes, uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes[0]);
    bytes.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

absl::Status ForEachField(absl::string_view message,
                          absl::FunctionRef<absl::Status(const WireField&)> visit) {
  while (!message.empty()) {
    uint64_t key = 0;
    if (!ReadVarint(message, key) || key > UINT32_MAX) return Malformed();
    WireField field{static_cast<uint32_t>(key >> 3), static_cast<uint32_t>(key & 7), {}};
    uint64_t length = 0;
    switch (field.type) {
      case 0:
        if (!ReadVarint(message, length)) return Malformed();
        length = 0;
        break;
      case 1:
        length = 8;
        break;
      case 2:
        if (!ReadVarint(message, length)) return Malformed();
        break;
      case 5:
        length = 4;
        break;
      default:
        return Malformed();
    }
    if (length > message.size()) return Malformed();
    field.bytes = message.substr(0, length);
    message.remove_prefix(length);
    TERN_RETURN_IF_ERROR(visit(field));
  }
  return absl::OkStatus();
}

template <typename T>
T LittleEndian(absl::string_view bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return value;
}

// SentencePiece: piece = 1, score = 2.
absl::Status CheckPiece(absl::string_view message, int64_t index) {
  return ForEachField(message, [&](const WireField& field) {
    if (field.number == 1 && field.type == 2) {
      if (FindInvalidUtf8(field.bytes) || field.bytes.find('\0') != absl::string_view::npos) {
        return absl::InvalidArgumentError(absl::StrCat("piece ", index, " is not text"));
      }
    }
    if (field.number == 2 && field.type == 5 && !std::isfinite(LittleEndian<float>(field.bytes))) {
      return absl::InvalidArgumentError(
          absl::StrCat("the score of piece ", index, " is not finite"));
    }
    return absl::OkStatus();
  });
}

// A unit of Darts-clone's double array. A search goes from unit i, over byte c, to unit
// i ^ offset ^ c, without looking at the array's size; c = 0 is where the value of a key lies.
struct DartsUnit {
  uint32_t bits;

  bool is_value() const { return (bits >> 31) != 0; }
  bool has_value() const { return ((bits >> 8) & 1) != 0; }
  uint64_t offset() const { return static_cast<uint64_t>(bits >> 10) << ((bits & (1u << 9)) >> 6); }
  uint32_t value() const { return bits & 0x7FFFFFFFu; }
};

// The normalization rules: <bytes of the double array> <double array> <replacements>, where the
// values of the array are offsets of NUL-terminated replacements.
absl::Status CheckCharsMap(absl::string_view map) {
  const auto broken = [](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("normalization rules: ", what));
  };
  if (map.empty()) return absl::OkStatus();
  if (map.size() <= 4) return broken("truncated");
  const auto array_bytes = LittleEndian<uint32_t>(map);
  map.remove_prefix(4);
  if (array_bytes == 0 || array_bytes % 4 != 0 || array_bytes >= map.size()) {
    return broken("the size of the double array is not within them");
  }
  const absl::string_view replacements = map.substr(array_bytes);
  if (replacements.back() != '\0' || FindInvalidUtf8(replacements)) {
    return broken("the replacements are not text");
  }
  const uint64_t units = array_bytes / 4;
  const auto unit_at = [&](uint64_t i) {
    return DartsUnit{LittleEndian<uint32_t>(map.substr(4 * i))};
  };
  for (uint64_t i = 0; i < units; ++i) {
    const DartsUnit unit = unit_at(i);
    if (unit.is_value()) continue;
    const uint64_t next = i ^ unit.offset();
    if ((next | 0xFF) >= units) return broken("an offset leads out of the double array");
    if (unit.has_value() && unit_at(next).value() >= replacements.size()) {
      return broken("a value leads out of the replacements");
    }
  }
  return absl::OkStatus();
}

// NormalizerSpec: precompiled_charsmap = 2.
absl::Status CheckNormalizerSpec(absl::string_view message) {
  return ForEachField(message, [](const WireField& field) {
    return field.number == 2 && field.type == 2 ? CheckCharsMap(field.bytes) : absl::OkStatus();
  });
}

}  // namespace

// ModelProto: pieces = 1, normalizer_spec = 3, denormalizer_spec = 5.
absl::Status CheckSentencePieceModel(absl::string_view model) {
  int64_t pieces = 0;
  TERN_RETURN_IF_ERROR(ForEachField(model, [&](const WireField& field) -> absl::Status {
    if (field.type != 2) return absl::OkStatus();
    if (field.number == 1) {
      if (pieces == kMaxPieces) {
        return absl::InvalidArgumentError(absl::StrCat("more than ", kMaxPieces, " pieces"));
      }
      return CheckPiece(field.bytes, pieces++);
    }
    if (field.number == 3 || field.number == 5) return CheckNormalizerSpec(field.bytes);
    return absl::OkStatus();
  }));
  return pieces == 0 ? Malformed() : absl::OkStatus();
}

}  // namespace tern
