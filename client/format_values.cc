#include "client/format_values.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace tern {
namespace {

// `value` in thousands of thousands, with the unit's prefix.
std::string Scaled(int64_t value, absl::string_view whole_unit, absl::string_view unit) {
  if (value < 1000) return absl::StrCat(value, whole_unit);
  constexpr absl::string_view kPrefixes[] = {"k", "M", "G", "T", "P", "E"};
  double scaled = static_cast<double>(value) / 1000;
  size_t prefix = 0;
  while (scaled >= 999.95 && prefix + 1 < std::size(kPrefixes)) {
    scaled /= 1000;
    ++prefix;
  }
  return absl::StrCat(absl::StrFormat("%.1f ", scaled), kPrefixes[prefix], unit);
}

}  // namespace

std::string DurationText(absl::Duration duration) {
  const double seconds = std::max(0.0, absl::ToDoubleSeconds(duration));
  if (seconds < 9.95) return absl::StrFormat("%.1fs", seconds);
  const auto whole = static_cast<int64_t>(std::llround(std::min(seconds, 1e12)));
  if (whole < 60) return absl::StrFormat("%ds", whole);
  if (whole < 3600) return absl::StrFormat("%dm%02ds", whole / 60, whole % 60);
  if (whole < 86400) return absl::StrFormat("%dh%02dm", whole / 3600, whole % 3600 / 60);
  return absl::StrFormat("%dd%02dh", whole / 86400, whole % 86400 / 3600);
}

std::string BytesText(int64_t bytes) { return Scaled(bytes, " B", "B"); }

std::string CountText(int64_t count) { return Scaled(count, "", ""); }

std::string SignificantText(double value) { return absl::StrFormat("%.4g", value); }

std::string Printable(absl::string_view text) {
  std::string printable(text);
  std::replace_if(
      printable.begin(), printable.end(),
      [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); }, '?');
  return printable;
}

}  // namespace tern
