#include "controller/simulate/trace/compressed_file.h"

#include <fmt/core.h>
#include <lzma.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

namespace proteus::simulate {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 16;
/// What `xz -9` needs to unpack is 65 MiB.
constexpr std::uint64_t kXzMemoryMax = std::uint64_t{256} << 20;

Error too_large(std::size_t bytes_max) {
  return {ErrorCode::kInvalidArgument, fmt::format("unpacks to more than {} bytes", bytes_max)};
}

Error ends_early() {
  return {ErrorCode::kCorrupt, "the compressed data end early"};
}

Result<std::string> read_bytes(const std::string& path, std::size_t bytes_max) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (!file) {
    const ErrorCode code = errno == ENOENT || errno == ENOTDIR ? ErrorCode::kNotFound
                           : errno == EACCES || errno == EPERM ? ErrorCode::kPermissionDenied
                                                               : ErrorCode::kUnavailable;
    return Error{code, std::strerror(errno)};
  }
  std::string bytes;
  std::size_t got = 0;
  do {
    const std::size_t size = bytes.size();
    bytes.resize(size + kChunk);
    got = std::fread(bytes.data() + size, 1, kChunk, file.get());
    bytes.resize(size + got);
    if (bytes.size() > bytes_max) return too_large(bytes_max);
  } while (got == kChunk);
  if (std::ferror(file.get()) != 0) {
    return Error{errno == EISDIR ? ErrorCode::kInvalidArgument : ErrorCode::kUnavailable, std::strerror(errno)};
  }
  return bytes;
}

Result<std::string> unpack_xz(std::string_view packed, std::size_t bytes_max) {
  lzma_stream stream = LZMA_STREAM_INIT;
  const std::unique_ptr<lzma_stream, void (*)(lzma_stream*)> guard(&stream, &lzma_end);
  if (lzma_stream_decoder(&stream, kXzMemoryMax, LZMA_CONCATENATED) != LZMA_OK) {
    return Error{ErrorCode::kInternal, "liblzma does not start"};
  }
  stream.next_in = reinterpret_cast<const std::uint8_t*>(packed.data());
  stream.avail_in = packed.size();
  std::string text;
  lzma_ret state = LZMA_OK;
  while (state == LZMA_OK) {
    const std::size_t size = text.size();
    text.resize(size + kChunk);
    stream.next_out = reinterpret_cast<std::uint8_t*>(text.data() + size);
    stream.avail_out = kChunk;
    state = lzma_code(&stream, LZMA_FINISH);
    text.resize(size + kChunk - stream.avail_out);
    if (text.size() > bytes_max) return too_large(bytes_max);
  }
  switch (state) {
    case LZMA_STREAM_END: return text;
    case LZMA_BUF_ERROR: return ends_early();
    case LZMA_MEMLIMIT_ERROR: return Error{ErrorCode::kInvalidArgument, "unpacking needs more than 256 MiB"};
    default: return Error{ErrorCode::kCorrupt, fmt::format("is no sound xz file (liblzma's code {})", int{state})};
  }
}

Result<std::string> unpack_gzip(std::string_view packed, std::size_t bytes_max) {
  constexpr int kGzipOnly = 16 + MAX_WBITS;
  z_stream stream{};
  if (inflateInit2(&stream, kGzipOnly) != Z_OK) return Error{ErrorCode::kInternal, "zlib does not start"};
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, &inflateEnd);
  std::string text;
  std::size_t taken = 0;
  int state = Z_OK;
  // A gzip file may be several, one after the other.
  while (state == Z_OK || (state == Z_STREAM_END && (taken < packed.size() || stream.avail_in > 0))) {
    if (state == Z_STREAM_END && inflateReset(&stream) != Z_OK) return Error{ErrorCode::kInternal, "zlib fails"};
    if (stream.avail_in == 0) {
      const std::size_t next = std::min(packed.size() - taken, kChunk);
      // zlib does not write there; its interface is older than const.
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data() + taken));
      stream.avail_in = static_cast<uInt>(next);
      taken += next;
    }
    const std::size_t size = text.size();
    text.resize(size + kChunk);
    stream.next_out = reinterpret_cast<Bytef*>(text.data() + size);
    stream.avail_out = static_cast<uInt>(kChunk);
    state = inflate(&stream, Z_NO_FLUSH);
    text.resize(size + kChunk - stream.avail_out);
    if (text.size() > bytes_max) return too_large(bytes_max);
  }
  if (state == Z_STREAM_END) return text;
  if (state == Z_BUF_ERROR) return ends_early();
  return Error{ErrorCode::kCorrupt, fmt::format("is no sound gzip file (zlib's code {})", state)};
}

}  // namespace

Result<std::string> read_compressed_file(const std::string& path, std::size_t bytes_max) {
  Result<std::string> text = read_bytes(path, bytes_max);
  if (text) {
    const std::string_view bytes = *text;
    using namespace std::string_view_literals;
    if (bytes.starts_with("\xFD"
                          "7zXZ\0"sv)) {
      text = unpack_xz(bytes, bytes_max);
    } else if (bytes.starts_with("\x1F\x8B"sv)) {
      text = unpack_gzip(bytes, bytes_max);
    }
  }
  if (!text) return with_context(text.error(), path);
  return text;
}

}  // namespace proteus::simulate
