#include "server/jobs/page_token.h"

#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "checkpoint/digest.h"
#include "proto/service/error_details.h"

namespace tern {
namespace {

std::string ListDigest(absl::string_view parent, absl::string_view filter) {
  return Sha256Hex(absl::StrCat(parent, "\n", filter)).substr(0, 16);
}

}  // namespace

std::string MakePageToken(int64_t number, absl::string_view parent, absl::string_view filter) {
  return absl::WebSafeBase64Escape(absl::StrCat(number, ":", ListDigest(parent, filter)));
}

absl::StatusOr<int64_t> ReadPageToken(absl::string_view token, absl::string_view parent,
                                      absl::string_view filter) {
  std::string text;
  int64_t number = 0;
  if (absl::WebSafeBase64Unescape(token, &text)) {
    const std::vector<std::string> parts = absl::StrSplit(text, ':');
    if (parts.size() == 2 && absl::SimpleAtoi(parts[0], &number) && number > 0 &&
        parts[1] == ListDigest(parent, filter)) {
      return number;
    }
  }
  return InvalidField("page_token",
                      "not from a response to the same parent and filter; start without one");
}

}  // namespace tern
