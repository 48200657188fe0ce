#include "checkpoint/tokenizer/unicode_nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "checkpoint/tokenizer/utf8.h"

namespace tern {
namespace {

constexpr auto kOptions = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
// The longest canonical decomposition has four code points.
constexpr int kMaxDecomposition = 8;

bool IsAscii(char c) { return static_cast<uint8_t>(c) < 0x80; }

int CombiningClass(utf8proc_int32_t c) {
  return static_cast<int>(utf8proc_get_property(c)->combining_class);
}

// Canonical ordering: marks between two starters by class. utf8proc_decompose sorts them by
// exchanges, which takes quadratic time on a long run of marks.
void SortMarks(std::vector<utf8proc_int32_t>& points) {
  auto begin = points.begin();
  while (begin != points.end()) {
    if (CombiningClass(*begin) == 0) {
      ++begin;
      continue;
    }
    const auto end = std::find_if(begin, points.end(),
                                  [](utf8proc_int32_t c) { return CombiningClass(c) == 0; });
    std::stable_sort(begin, end, [](utf8proc_int32_t a, utf8proc_int32_t b) {
      return CombiningClass(a) < CombiningClass(b);
    });
    begin = end;
  }
}

void AppendNfc(absl::string_view text, std::vector<utf8proc_int32_t>& points, std::string& out) {
  points.clear();
  while (!text.empty()) {
    utf8proc_int32_t decomposed[kMaxDecomposition];
    const auto c = static_cast<utf8proc_int32_t>(FirstCodePoint(text));
    const utf8proc_ssize_t count =
        utf8proc_decompose_char(c, decomposed, kMaxDecomposition, kOptions, nullptr);
    points.insert(points.end(), decomposed, decomposed + count);
    text.remove_prefix(Utf8Length(text[0]));
  }
  SortMarks(points);
  const utf8proc_ssize_t count = utf8proc_normalize_utf32(
      points.data(), static_cast<utf8proc_ssize_t>(points.size()), kOptions);
  for (utf8proc_ssize_t i = 0; i < count; ++i) AppendUtf8(static_cast<char32_t>(points[i]), out);
}

}  // namespace

std::string ToNfc(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::vector<utf8proc_int32_t> points;
  size_t copied = 0;
  size_t i = 0;
  while (i < text.size()) {
    if (IsAscii(text[i])) {
      ++i;
      continue;
    }
    // ASCII never composes with what stands before it, but may with a mark after it.
    const size_t begin = i > copied ? i - 1 : i;
    while (i < text.size() && !IsAscii(text[i])) ++i;
    out.append(text.data() + copied, begin - copied);
    AppendNfc(text.substr(begin, i - begin), points, out);
    copied = i;
  }
  out.append(text.data() + copied, text.size() - copied);
  return out;
}

}  // namespace tern
