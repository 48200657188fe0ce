#include "proto/service/server_address.h"

#include <cstddef>
#include <cstdint>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace tern {
namespace {

constexpr absl::string_view kSchemes[] = {
    "dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:", "vsock:", "xds:"};

bool HasScheme(absl::string_view address) {
  for (const absl::string_view scheme : kSchemes) {
    if (absl::StartsWith(address, scheme) && address.size() > scheme.size()) return true;
  }
  return false;
}

bool IsPort(absl::string_view text) {
  uint32_t port = 0;
  return absl::c_all_of(text, absl::ascii_isdigit) && absl::SimpleAtoi(text, &port) && port > 0 &&
         port <= 65535;
}

// What HOST:PORT lacks; empty when nothing.
absl::string_view FaultOf(absl::string_view address) {
  if (absl::StrContains(address, "://")) return "leave out what stands before the host";
  const size_t colon = address.rfind(':');
  const absl::string_view host = address.substr(0, colon);
  if (absl::StartsWith(address, "[")) {
    if (absl::EndsWith(address, "]")) return "the port is missing";
    if (!absl::EndsWith(host, "]")) return "the port follows the bracket";
  } else if (absl::StrContains(host, ":")) {
    return "an IPv6 address stands in brackets, [::1]:7070";
  } else if (colon == absl::string_view::npos) {
    return "the port is missing";
  }
  if (host.empty()) return "the host is missing";
  return IsPort(address.substr(colon + 1)) ? "" : "the port is a number from 1 to 65535";
}

}  // namespace

absl::Status CheckServerAddress(absl::string_view source, absl::string_view address) {
  if (HasScheme(address)) return absl::OkStatus();
  const absl::string_view fault = FaultOf(address);
  if (fault.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(source, ": \"", address, "\" is not HOST:PORT: ", fault));
}

}  // namespace tern
