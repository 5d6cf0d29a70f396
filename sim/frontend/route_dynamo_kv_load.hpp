// What a Dynamo router knows of the load that it has put on its replicas: of each request from its
// routing until it ends, the prompt until its first token and its blocks until the end. Prompts are
// charged whole, not as they are worked off; output blocks are not counted.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/frontend/route_dynamo_kv_index.hpp"
#include "sim/kv/hash_map.hpp"

namespace kvsim {

class DynamoLoad {
 public:
  // Of one replica; blocks counted once however many requests share them.
  struct Replica {
    std::int64_t prefill_tokens = 0;
    std::int64_t requests = 0;
    std::int64_t unshared_blocks = 0;  // of requests that were added without hashes
  };
  // One book per router replica that keeps its own.
  DynamoLoad(std::int32_t replicas, std::size_t books);

  [[nodiscard]] std::span<const Replica> replicas(std::size_t book) const {
    return books_[book].replicas;
  }
  [[nodiscard]] std::int64_t blocks(std::size_t book, std::int32_t replica) const;
  // shared[r] = how many leading `hashes` are active on replica r.
  void match(std::size_t book, std::span<const BlockHash> hashes,
             std::vector<std::int32_t>& shared) {
    books_[book].active.match(hashes, shared);
  }

  struct Request {
    std::size_t book = 0;
    std::int32_t replica = 0;
    std::int64_t prefill_tokens = 0;
    std::int64_t unshared_blocks = 0;
    std::span<const BlockHash> hashes;  // copied
  };
  // A request that is under way already by this number is replaced.
  void add(std::int64_t number, const Request& request);
  // Unknown numbers are ignored.
  void first_token(std::int64_t number);
  void ended(std::int64_t number);

 private:
  struct Book {
    explicit Book(std::int32_t count) : replicas(static_cast<std::size_t>(count)), active(count) {}
    std::vector<Replica> replicas;
    ActiveBlocks active;
  };
  struct Entry {
    Request request;
    std::vector<BlockHash> hashes;
  };
  // Hash maps know no key 0.
  static BlockHash key(std::int64_t number) { return static_cast<BlockHash>(number) + 1; }

  std::vector<Book> books_;
  HashMap<std::int32_t> by_number_;  // index into entries_
  std::vector<Entry> entries_;       // all that were ever needed at once
  std::vector<std::int32_t> unused_;
};

}  // namespace kvsim
