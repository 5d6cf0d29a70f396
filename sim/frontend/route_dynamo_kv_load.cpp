#include "sim/frontend/route_dynamo_kv_load.hpp"

namespace kvsim {

DynamoLoad::DynamoLoad(std::int32_t replicas, std::size_t books) {
  for (std::size_t i = 0; i < books; ++i) books_.emplace_back(replicas);
}

std::int64_t DynamoLoad::blocks(std::size_t book, std::int32_t replica) const {
  return books_[book].active.size(replica) +
         books_[book].replicas[static_cast<std::size_t>(replica)].unshared_blocks;
}

void DynamoLoad::add(std::int64_t number, const Request& request) {
  ended(number);
  if (unused_.empty()) {
    unused_.push_back(static_cast<std::int32_t>(entries_.size()));
    entries_.emplace_back();
  }
  const std::int32_t index = unused_.back();
  unused_.pop_back();
  by_number_[key(number)] = index;
  Entry& entry = entries_[static_cast<std::size_t>(index)];
  entry.request = request;
  entry.hashes.assign(request.hashes.begin(), request.hashes.end());
  Book& book = books_[request.book];
  Replica& load = book.replicas[static_cast<std::size_t>(request.replica)];
  load.prefill_tokens += request.prefill_tokens;
  load.unshared_blocks += request.unshared_blocks;
  ++load.requests;
  book.active.add(request.replica, entry.hashes);
}

void DynamoLoad::first_token(std::int64_t number) {
  const std::int32_t* index = by_number_.find(key(number));
  if (index == nullptr) return;
  Request& request = entries_[static_cast<std::size_t>(*index)].request;
  Book& book = books_[request.book];
  book.replicas[static_cast<std::size_t>(request.replica)].prefill_tokens -= request.prefill_tokens;
  request.prefill_tokens = 0;
}

void DynamoLoad::ended(std::int64_t number) {
  const std::int32_t* found = by_number_.find(key(number));
  if (found == nullptr) return;
  const std::int32_t index = *found;
  const Entry& entry = entries_[static_cast<std::size_t>(index)];
  Book& book = books_[entry.request.book];
  Replica& load = book.replicas[static_cast<std::size_t>(entry.request.replica)];
  load.prefill_tokens -= entry.request.prefill_tokens;
  load.unshared_blocks -= entry.request.unshared_blocks;
  --load.requests;
  book.active.remove(entry.request.replica, entry.hashes);
  by_number_.erase(key(number));
  unused_.push_back(index);
}

}  // namespace kvsim
