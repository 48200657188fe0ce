#ifndef TERN_CLIENT_CONSOLE_H_
#define TERN_CLIENT_CONSOLE_H_

#include <functional>
#include <ostream>

namespace tern {

// Where a command writes: data to `out`, progress and errors to `err`.
struct Console {
  std::ostream& out;
  std::ostream& err;
  // `err` is a terminal on which a line can be drawn again.
  bool interactive = false;
  // Columns of that terminal, at this moment.
  std::function<int()> width = [] { return 80; };
  // --output json.
  bool json = false;
};

// The console of this process.
Console ProcessConsole();

}  // namespace tern

#endif  // TERN_CLIENT_CONSOLE_H_
