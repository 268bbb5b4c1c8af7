#pragma once

#include <string>

namespace proteus::ctl {

// What pictures are put together from. Lengths are pixels.

/// A document's beginning: white, with the font of all text. It ends with "</svg>\n".
std::string svg_begin(double width, double height);
/// Text of a document: names come from guests' owners.
std::string svg_escaped(const std::string& text);
/// points: "x,y x,y …".
std::string svg_line(const std::string& points, const char* colour, double width);
/// anchor: start, middle or end; more: further attributes, each with a space before it.
std::string svg_text(double x, double y, const char* anchor, const std::string& text, const char* more = "");

/// The smallest of 1, 2, 2.5, 5 times a power of ten that is not below `value`.
double round_up(double value);

}  // namespace proteus::ctl
