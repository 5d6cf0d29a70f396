#include "sim/store/page_cache.hpp"

#include <algorithm>

#include "sim/base/rng.hpp"

namespace kvsim {

namespace {
constexpr std::uint64_t kWhole = 0;
}

std::uint64_t PageCache::piece_of(FileId file, std::uint64_t key) {
  return mix64(mix64(file + 1) ^ key);
}

void PageCache::insert(FileId file, std::uint64_t piece, Bytes bytes) {
  if (bytes > capacity() || bytes == Bytes(0)) return;
  for (const ByteCache::Entry& gone : pieces_.insert({piece, file, bytes}))
    files_[gone.owner].resident -= gone.bytes;
  File& owner = files_[file];
  owner.resident += bytes;
  owner.pieces.push_back(piece);
  if (owner.pieces.size() < owner.tidy_at) return;
  std::erase_if(owner.pieces, [this](std::uint64_t old) { return !pieces_.contains(old); });
  owner.tidy_at = std::max<std::size_t>(64, 2 * owner.pieces.size());
}

void PageCache::written(FileId file, Bytes bytes) {
  // Of a file larger than the cache, its end is there.
  insert(file, piece_of(file, kWhole), std::min(bytes, capacity()));
}

bool PageCache::touch(FileId file, std::uint64_t key, Bytes bytes) {
  const std::uint64_t piece = piece_of(file, key + 1);
  if (pieces_.touch(piece)) return true;
  const std::uint64_t whole = piece_of(file, kWhole);
  if (!pieces_.contains(whole)) return false;
  // Its pages leave the old piece for one of their own.
  const Bytes before = pieces_.bytes();
  pieces_.shrink(whole, bytes);
  files_[file].resident -= before - pieces_.bytes();
  insert(file, piece, bytes);
  return true;
}

void PageCache::read(FileId file, std::uint64_t key, Bytes bytes) {
  const std::uint64_t piece = piece_of(file, key + 1);
  if (!pieces_.touch(piece)) insert(file, piece, bytes);
}

void PageCache::forget(FileId file, std::uint64_t key) {
  if (const auto gone = pieces_.erase(piece_of(file, key + 1)))
    files_[file].resident -= gone->bytes;
}

void PageCache::drop(FileId file) {
  const auto found = files_.find(file);
  if (found == files_.end()) return;
  for (const std::uint64_t piece : found->second.pieces) (void)pieces_.erase(piece);
  files_.erase(found);
}

void PageCache::clear() {
  pieces_.clear();
  files_.clear();
}

Bytes PageCache::resident(FileId file) const {
  const auto found = files_.find(file);
  return found == files_.end() ? Bytes(0) : found->second.resident;
}

}  // namespace kvsim
