#include "server/jobs/activation_bits_svg.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"

namespace tern {
namespace {

// In pixels.
constexpr int kLeft = 44;
constexpr int kTop = 40;
constexpr int kRight = 20;
constexpr int kBottom = 44;
constexpr int kPerBit = 20;
constexpr int kPerBlock = 14;
constexpr int kBarWidth = 10;
constexpr int kLeastWidth = 320;

constexpr int kMostBits = 8;
constexpr int kLabels = 16;  // of blocks, at most

constexpr char kStyle[] =
    "<style>text{font:11px sans-serif;fill:#333}.title{font-size:13px;font-weight:600}"
    ".grid{stroke:#ddd}.axis{stroke:#333}.mean{stroke:#c0392b;stroke-dasharray:5 3}"
    ".b2{fill:#9ecae1}.b4{fill:#6baed6}.b6{fill:#3182bd}.b8{fill:#08519c}</style>\n";

int HeightOf(double bits) { return static_cast<int>(std::lround(bits * kPerBit)); }

}  // namespace

std::string ActivationBitsSvg(const v1::ActivationBits& activations) {
  const int blocks = activations.blocks_size();
  const int plot = std::max(blocks * kPerBlock, kLeastWidth - kLeft - kRight);
  const int width = kLeft + plot + kRight;
  const int floor = kTop + kMostBits * kPerBit;
  const int height = floor + kBottom;

  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
      "viewBox=\"0 0 %d %d\" role=\"img\">\n"
      "<title>Activation bits per block, %.2f on average</title>\n",
      width, height, width, height, activations.average_bits());
  svg += kStyle;
  absl::StrAppendFormat(&svg, "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", width, height);
  absl::StrAppendFormat(&svg,
                        "<text class=\"title\" x=\"%d\" y=\"22\">Activation bits per block</text>\n"
                        "<text x=\"%d\" y=\"22\" text-anchor=\"end\">average %.2f</text>\n",
                        kLeft, width - kRight, activations.average_bits());
  for (int bits = 2; bits <= kMostBits; bits += 2) {
    const int y = floor - HeightOf(bits);
    absl::StrAppendFormat(&svg,
                          "<line class=\"grid\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>"
                          "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%d</text>\n",
                          kLeft, y, width - kRight, y, kLeft - 6, y + 4, bits);
  }
  const int step = std::max(1, (blocks + kLabels - 1) / kLabels);
  for (int block = 0; block < blocks; ++block) {
    const int bits = activations.blocks(block).bits();
    const int x = kLeft + block * kPerBlock + (kPerBlock - kBarWidth) / 2;
    absl::StrAppendFormat(&svg,
                          "<rect class=\"b%d\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\">"
                          "<title>block %d: %d bits</title></rect>\n",
                          bits, x, floor - HeightOf(bits), kBarWidth, HeightOf(bits), block, bits);
    if (block % step == 0) {
      absl::StrAppendFormat(&svg, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%d</text>\n",
                            x + kBarWidth / 2, floor + 16, block);
    }
  }
  const int mean = floor - HeightOf(activations.average_bits());
  absl::StrAppendFormat(&svg,
                        "<line class=\"axis\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n"
                        "<line class=\"mean\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n"
                        "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">block</text>\n</svg>\n",
                        kLeft, floor, width - kRight, floor, kLeft, mean, width - kRight, mean,
                        kLeft + plot / 2, floor + 34);
  return svg;
}

}  // namespace tern
