#include "client/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "absl/strings/string_view.h"

namespace tern {
namespace {

constexpr int kDefaultColumns = 80;

int TerminalColumns() {
  winsize size = {};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kDefaultColumns;
  return size.ws_col;
}

}  // namespace

Console ProcessConsole() {
  const char* terminal = std::getenv("TERM");
  const bool can_redraw = terminal != nullptr && absl::string_view(terminal) != "dumb";
  return Console{std::cout, std::cerr, can_redraw && isatty(STDERR_FILENO) == 1, TerminalColumns};
}

}  // namespace tern
