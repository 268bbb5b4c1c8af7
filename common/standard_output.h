#pragma once

namespace proteus {

/// To be called first: where a standard stream is closed, no file or connection that is opened later takes its place;
/// what is written to it fails.
void keep_standard_descriptors();

/// To be called last: writes out what is still held back for standard output. Returns `code`, or 1 with a word on
/// standard error if it should be 0 and something could not be written. Thread: main.
int flushed(int code, const char* program);

}  // namespace proteus
