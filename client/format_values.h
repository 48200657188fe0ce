#ifndef TERN_CLIENT_FORMAT_VALUES_H_
#define TERN_CLIENT_FORMAT_VALUES_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace tern {

// "42s", "1m20s", "2h05m", "3d04h"; under ten seconds with one decimal, "1.2s".
std::string DurationText(absl::Duration duration);

// "512 B", "1.2 MB": decimal units, one decimal.
std::string BytesText(int64_t bytes);

// "2.0 M": counts of weights.
std::string CountText(int64_t count);

// Four significant digits: "0.01234", "146.7".
std::string SignificantText(double value);

// `text` with control characters replaced by '?': names in it may come from hostile files, and
// the reader may be a terminal.
std::string Printable(absl::string_view text);

}  // namespace tern

#endif  // TERN_CLIENT_FORMAT_VALUES_H_
