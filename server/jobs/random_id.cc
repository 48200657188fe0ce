#include "server/jobs/random_id.h"

#include <random>

namespace tern {

std::string RandomHex(int digits) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::random_device entropy;
  std::string id;
  while (static_cast<int>(id.size()) < digits) {
    const unsigned int bits = entropy();
    for (int shift = 0; shift < 32 && static_cast<int>(id.size()) < digits; shift += 4) {
      id.push_back(kDigits[(bits >> shift) & 15U]);
    }
  }
  return id;
}

}  // namespace tern
